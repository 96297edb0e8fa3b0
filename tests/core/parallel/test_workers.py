"""Chunks are worked on side by side, in order, each on one thread; the process keeps its own."""

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from setar_core.backbones import load_backbone
from setar_core.data.calibration import CalibrationSet
from setar_core.labels import LabelSet
from setar_core.parallel.workers import Workers
from setar_core.search.greedy import greedy_search
from setar_core.search.plan import SearchPlan

CPU = torch.device("cpu")


@pytest.fixture
def three():
    """Three threads, wherever the tests run."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield Workers(CPU)
    torch.set_num_threads(before)


def test_results_come_in_order_from_several_threads(three):
    meeting = threading.Barrier(3)

    def work(number: int) -> tuple[int, str, int, bool]:
        meeting.wait(timeout=60)  # nobody gets on alone
        inferring = torch.is_inference_mode_enabled()
        return number, threading.current_thread().name, torch.get_num_threads(), inferring

    found = list(three.each(work, range(9)))
    assert [number for number, *_ in found] == list(range(9))
    assert len({name for _, name, *_ in found}) == 3
    assert {(threads, inferring) for *_, threads, inferring in found} == {(1, True)}


def elsewhere(work):
    """What `work` gives in a thread that has nothing of its own."""
    with ThreadPoolExecutor(1) as fresh:
        return fresh.submit(work).result()


@pytest.mark.parametrize("end", ["whole", "closed", "error"])
def test_the_number_of_threads_stays_as_it_was_found(three, end):
    elsewhere(lambda: torch.set_num_threads(2))  # of the process; the caller keeps its own
    results = three.each(lambda n: 1 // (1 - n // 50), range(100))
    next(results)
    assert (torch.get_num_threads(), elsewhere(torch.get_num_threads)) == (3, 2)
    if end == "closed":
        results.close()
    elif end == "error":
        with pytest.raises(ZeroDivisionError):
            list(results)
    else:
        list(three.each(int, range(6)))
    assert (torch.get_num_threads(), elsewhere(torch.get_num_threads)) == (3, 2)


def test_searches_share_their_threads():
    def threads():
        return {t for t in threading.enumerate() if t.name.startswith("chunk")}

    list(Workers(CPU).each(int, range(50)))
    before = threads()
    list(Workers(CPU).each(int, range(50)))
    assert threads() == before


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own(three):
    assert list(three.each(lambda x: x, range(6))) == list(range(6))
    forking = multiprocessing.get_context("fork")
    process = forking.Process(target=_six_chunks, daemon=True)
    process.start()
    process.join(60)
    ended = process.exitcode
    process.kill()
    assert ended == 0


def _six_chunks():
    found = list(Workers(torch.device("cpu")).each(lambda x: x, range(6)))
    os._exit(found != list(range(6)))


def test_few_chunks_are_worked_on_with_all_threads(three):
    found = list(three.each(lambda n: (n, torch.get_num_threads()), range(2)))
    assert found == [(0, 3), (1, 3)]


def test_an_error_ends_the_work(three):
    done = []

    def work(number: int) -> int:
        done.append(number)
        if number == 1:
            raise MemoryError("no room")
        return number

    results = three.each(work, range(1000))
    assert next(results) == 0
    with pytest.raises(MemoryError, match="no room"):
        list(results)
    assert len(done) < 20
    assert list(three.each(int, range(4))) == [0, 1, 2, 3]  # it can be used again


def test_nothing_goes_on_once_nobody_listens(three):
    done = []
    results = three.each(done.append, range(1000))
    next(results)
    results.close()
    count = len(done)
    assert count < 20
    list(three.each(int, range(6)))
    assert len(done) == count


def test_each_thread_rounds_as_it_was_asked():
    workers = Workers(CPU, "bf16")

    def product(_: int) -> torch.dtype:
        with workers.rounding():
            return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype

    assert set(workers.each(product, range(2 * workers.size))) == {torch.bfloat16}
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize(("total", "most", "chunks"), [(200, 15, 15), (1, 15, 1), (7, 1, 7)])
def test_every_thread_has_as_many_chunks(three, total, most, chunks):
    size = three.share(total, most)
    assert 1 <= size <= most and len(range(0, total, size)) == chunks


def test_one_thread_finds_what_several_find(three):
    backbone, labels = load_backbone("emoji"), LabelSet.load("animals")
    whole = CalibrationSet.from_folder("assets/benchmark/calibration", labels, backbone.preprocess)
    few = slice(0, len(whole), 5)
    calibration = CalibrationSet(whole.images[few], whole.classes[few], labels)
    plan = SearchPlan(order="visual_only", ratios=(0.0, 0.2, 0.4))
    many = list(greedy_search(backbone, calibration, plan))
    torch.set_num_threads(1)
    one = list(greedy_search(backbone, calibration, plan))
    assert [t.recipe.ratios for t in one] == [t.recipe.ratios for t in many]
    for a, b in zip(one, many, strict=True):
        assert a.loss == pytest.approx(b.loss, abs=5e-5)
