"""A search as a job: watched, stopped, resumed, found again after a reload, in a line."""

import threading
from pathlib import Path

from gradio.utils import get_upload_folder

from demo.page.events import FORGOTTEN
from demo.search.handlers import SearchHandlers
from demo.search.job import Search
from demo.search.view import KEEP
from demo.server.jobs import FAILED, FINISHED, STOPPED, WAITING, Jobs
from demo.server.limits import ORPHANED, SEARCHES
from setar_core.recipe import Recipe
from tests.demo.asking import asking
from tests.demo.clock import Clock
from tests.demo.search.asking import SLOW, TINY, controls, finished, kept, started, until
from tests.demo.told import words


def test_the_machine_is_taken_for_one_candidate_at_a_time(handlers, pictures, library, held):
    job = started(handlers, zip=pictures)
    until(lambda: job.ready is not None)
    until(lambda: "1 waiting" in library.turns.running())
    assert job.trials == []
    order = []

    def visitor():
        order.append(len(job.trials))

    thread = threading.Thread(target=library.turns.run, args=("judging", visitor))
    thread.start()
    until(lambda: "2 waiting" in library.turns.running())
    held.set()
    thread.join(SLOW)
    assert order == [1] or order == [0]  # at most the candidate that asked before
    until(lambda: not job.active)


def test_stop_ends_within_one_candidate_and_keeps_the_best(handlers, pictures, held, library):
    job = started(handlers, zip=pictures)
    until(lambda: "1 waiting" in library.turns.running())  # before its first candidate
    page = handlers.stop(job.name)
    assert "Stopping" in words(page.state)
    held.set()
    until(lambda: not job.active)
    assert job.state == STOPPED and len(job.trials) == 1
    assert library.turns.running() == []
    page = handlers.poll(job.name, None)
    assert "Stopped as you asked, after 1 of 24" in words(page.state)
    assert page.keeping.visible
    assert Recipe.load(handlers.saved_recipe(job.name)).backbone == TINY  # no folder of ours


def test_a_fault_does_not_keep_the_page_waiting(handlers, pictures, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda *args: None)
    monkeypatch.setattr("setar_core.search.trace.Trace.write", lambda *args: 1 / 0)
    job = finished(handlers, zip=pictures)
    assert job.state == FAILED and "fault of this app" in job.problem


def test_a_reload_finds_it_running_or_over(handlers, pictures, held):
    job = started(handlers, zip=pictures)
    page = handlers.found(job.name)
    assert page.name == job.name and page.clock.active and page.stop.visible
    held.set()
    until(lambda: not job.active)
    page = handlers.found(job.name)
    assert page.name == job.name and not page.clock.active and page.keeping.visible


def test_a_name_that_is_not_known_is_forgotten(handlers):
    page = handlers.found("no such search")
    assert page.stored == FORGOTTEN and "no longer kept" in words(page.state)
    for stored in (None, 3, ["x"], FORGOTTEN):
        assert handlers.found(stored).name is None
    assert "no longer" not in words(handlers.found(FORGOTTEN).state)


def test_an_orphan_is_freed_after_its_time(library, pictures, held):
    clock = Clock()
    handlers = SearchHandlers(library, Jobs(kept=8, clock=clock))
    job = started(handlers, zip=pictures)
    until(lambda: job.ready is not None)
    clock.now += ORPHANED - 1
    assert job.wanted()  # a reload would still find it running
    handlers.poll(job.name, None)
    clock.now += ORPHANED - 1
    assert job.wanted()
    clock.now += 2
    held.set()
    until(lambda: not job.active)
    assert job.state == STOPPED and job.orphaned and len(job.trials) <= 1
    assert library.turns.running() == []


def test_names_cannot_be_guessed(handlers, pictures):
    names = {started(handlers, zip=pictures).name for _ in range(3)}
    assert len(names) == 3 and all(len(name) >= 20 for name in names)


def test_the_second_waits_visibly_and_comes_next(handlers, pictures, held):
    first = started(handlers, zip=pictures)
    second = started(handlers, zip=pictures)
    until(lambda: first.ready is not None)
    assert second.state == WAITING
    said = words(handlers.poll(second.name, None).state)
    assert "another search is before yours" in said and "Detect" in said
    held.set()
    until(lambda: not second.active)
    assert first.state == second.state == FINISHED
    assert first.ended <= second.began


def test_who_waits_may_leave(handlers, pictures, held):
    first = started(handlers, zip=pictures)
    second = started(handlers, zip=pictures)
    handlers.stop(second.name)
    until(lambda: not second.active)
    assert second.state == STOPPED and first.active
    assert "before the first candidate" in words(handlers.poll(second.name, None).state)


def test_a_long_line_is_refused(handlers, pictures, held):
    for i in range(SEARCHES.longest):
        with asking(f"visitor {i}"):
            started(handlers, zip=pictures)
    page = handlers.search(*controls(zip=pictures))
    assert "try again" in words(page.state)


def test_one_visitor_has_a_part_of_the_line(handlers, pictures, held):
    for _ in range(SEARCHES.each):
        started(handlers, zip=pictures)
    page = handlers.search(*controls(zip=pictures))
    assert "of your own" in words(page.state)
    with asking("another"):
        assert started(handlers, zip=pictures).active


def test_a_stopped_search_is_resumed_from_its_own_trace(handlers, pictures, held, library):
    job = started(handlers, zip=pictures)
    until(lambda: "1 waiting" in library.turns.running())
    assert "no stopped search" in words(handlers.resume(job.name).state)
    assert handlers.stop(job.name).resume == KEEP
    held.set()
    until(lambda: not job.active)
    page = handlers.poll(job.name, None)
    assert page.resume.visible and "Press Resume" in words(page.state)
    before = Path(handlers.saved_trace(job.name)).read_text()
    page = handlers.resume(job.name)
    again = handlers.jobs.find(page.name)
    assert again is job and not page.resume.visible
    until(lambda: not again.active)
    assert again.state == FINISHED, again.problem
    assert Path(handlers.saved_trace(again.name)).read_text().startswith(before)
    assert not handlers.poll(again.name, None).resume.visible
    assert "no stopped search" in words(handlers.resume(again.name).state)
    assert "no stopped search" in words(handlers.resume(None).state)


def test_a_zip_that_is_gone_is_told_when_resuming(handlers, pictures, held, library, tmp_path):
    path = tmp_path / "mine.zip"
    path.write_bytes(Path(pictures).read_bytes())
    job = started(handlers, zip=str(path))
    until(lambda: "1 waiting" in library.turns.running())
    handlers.stop(job.name)
    held.set()
    until(lambda: not job.active)
    path.unlink()
    said = words(handlers.resume(job.name).state)
    assert "mine.zip is no longer kept here" in said and "Continue" in said
    assert str(tmp_path) not in said


def test_downloads_lie_among_the_uploads_and_a_search_goes_with_its_folder(handlers, pictures):
    job = finished(handlers, zip=pictures, ratios="0, 0.4")
    for path in (handlers.saved_recipe(job.name), handlers.saved_trace(job.name)):
        assert Path(get_upload_folder()) in Path(path).parents
    folder = job.folder
    assert [path.name for path in folder.iterdir()] == ["trace.jsonl"]  # the zip's are gone
    handlers.jobs._kept.drop(job.name)
    assert not folder.exists()


def test_a_page_looks_at_one_search_at_a_time(library, pictures, held):
    clock = Clock()
    handlers = SearchHandlers(library, Jobs(kept=8, clock=clock))
    for elsewhere in ("search", "replay", "recipe"):
        job = started(handlers, zip=pictures)
        page = handlers.poll(job.name, None)
        page = handlers.found(job.name)
        assert page.go_on.interactive is page.replay.interactive is False
        if elsewhere == "search":
            other = started(handlers, zip=pictures)
        elif elsewhere == "replay":
            handlers.jobs.keep(other := Search.replay([], "", ""), "one")
        else:
            handlers.jobs.keep(other := Search(uploaded=Recipe({})), "one")
        clock.now += ORPHANED + 1
        assert not job.wanted(), elsewhere
        other.stop()
    held.set()
    until(lambda: not any(job.active for job in kept(handlers)))
    assert handlers.found(other.name).go_on.interactive
