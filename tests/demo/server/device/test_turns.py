"""One piece of network work at a time, in the order of asking, each in his fair share."""

import threading

import pytest
import torch

from demo.server.device.turns import HALF, PIECE, TurnQueue
from tests.demo.asking import asking
from tests.demo.clock import Clock


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


def in_order(turns, askers):
    """In which order those get their turn who ask while another has it."""
    order, threads = [], []

    def ask(one):
        with asking(*one):
            turns.run(str(one), order.append, one)

    def hold():
        for count, one in enumerate(askers, start=1):
            threads.append(threading.Thread(target=ask, args=(one,)))
            threads[-1].start()
            while turns.running()[1:] != [f"{count} waiting"]:
                threads[-1].join(0.01)

    turns.run("first", hold)
    for thread in threads:
        thread.join()
    return order


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def turns(clock):
    return TurnQueue(clock)


def use(turns, clock, seconds, *who):
    with asking(*who):
        turns.run("work", lambda: setattr(clock, "now", clock.now + seconds))


def test_who_used_less_goes_first(turns, clock):
    use(turns, clock, 3, "large", "search")
    assert in_order(turns, [("large", "search"), ("small", "x")])[0] == ("small", "x")
    assert in_order(turns, [("large", "other"), ("small", "x")])[0] == ("small", "x")


def test_a_visitors_small_work_goes_before_his_large(turns, clock):
    use(turns, clock, 3, "me", "search")
    asked = [("me", "search"), ("me", "verdict"), ("you", "verdict")]
    assert in_order(turns, asked) == asked[::-1]


def test_many_names_of_one_visitor_are_one_share(turns, clock):
    for i in range(20):
        use(turns, clock, 0.5, "many", f"call {i}")
    assert in_order(turns, [("many", "call 20"), ("you", "x")]) == [
        ("you", "x"),
        ("many", "call 20"),
    ]


def test_what_was_used_is_forgotten(turns, clock):
    use(turns, clock, 3, "large", "search")
    clock.now += 20 * HALF
    asked = [("large", "search"), ("small", "x")]
    assert in_order(turns, asked) == asked
    assert len(turns._used) <= 5


def test_nobody_waits_for_ever(turns, clock):
    """Who has waited as long as he used goes before those that come anew."""
    use(turns, clock, 3, "large", "search")
    due = {}

    def hold():
        for who, later in (("large", 0), ("small", 7)):
            clock.now += later
            thread = threading.Thread(target=ask, args=(who,))
            thread.start()
            while len(turns._waiting) < 1 + len(due):
                thread.join(0.01)
            due[who] = thread

    def ask(who):
        with asking(who, "search"):
            turns.run(who, order.append, who)

    order = []
    turns.run("first", hold)
    for thread in due.values():
        thread.join()
    assert order == ["large", "small"]


def test_steps_share_turns_and_others_have_theirs_between(turns, clock):
    def counting():
        for i in range(6):
            clock.now += PIECE / 2.5
            yield i
        return "done"

    steps, found = turns.steps("counting", counting()), []
    while True:
        try:
            found.append(next(steps))
        except StopIteration as end:
            assert end.value == "done"
            break
        assert turns.run("another", lambda: "between") == "between"
    assert found == [2, 5]


def test_all_work_is_done_by_one_thread():
    turns, found = TurnQueue(), []

    def ask():
        found.append(turns.run("x", threading.get_ident))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and threading.get_ident() not in found


def test_memory_is_given_back_when_there_is_nothing_to_do(monkeypatch):
    trimmed = threading.Event()
    monkeypatch.setattr("demo.server.device.turns.QUIET", 0.01)
    monkeypatch.setattr("demo.server.device.heap.trim", trimmed.set)
    turns = TurnQueue()
    assert turns.run("work", lambda: 3) == 3
    assert trimmed.wait(60) and turns.run("more", lambda: 4) == 4
