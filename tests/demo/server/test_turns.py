"""One piece of network work at a time, in the order of asking."""

import threading

import pytest
import torch

from demo.server.turns import TurnQueue


def test_who_asks_first_has_the_first_turn():
    turns, order, threads = TurnQueue(), [], []

    def settings():
        for i in range(5):
            threads.append(threading.Thread(target=turns.run, args=(f"work {i}", order.append, i)))
            threads[-1].start()
            while turns.running() != ["first", f"{i + 1} waiting"]:
                threads[-1].join(0.01)
                assert threads[-1].is_alive()

    turns.run("first", settings)
    for thread in threads:
        thread.join()
    assert order == list(range(5)) and turns.running() == []


def test_a_turn_gives_what_its_work_gives():
    assert TurnQueue().run("adding", lambda a, b=0: a + b, 2, b=3) == 5


def test_a_turn_that_fails_is_over():
    turns = TurnQueue()
    with pytest.raises(ZeroDivisionError):
        turns.run("bad", lambda: 1 / 0)
    assert turns.run("good", turns.running) == ["good"] and turns.running() == []


def test_memory_that_runs_out_is_a_refusal():
    def full():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")

    with pytest.raises(ValueError, match=r"ran out \(1 verdict: CUDA out of memory\); use fewer"):
        TurnQueue().run("1 verdict", full)
