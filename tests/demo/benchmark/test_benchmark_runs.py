"""A benchmark as a job: stopped, resumed, found again after a reload, ended, dropped."""

import threading
from pathlib import Path

from gradio.utils import get_upload_folder

from demo.benchmark.components.table import table
from demo.benchmark.files import figure_page, saved
from demo.benchmark.handlers import BenchmarkHandlers
from demo.benchmark.runs import Look
from demo.benchmark.view import KEEP, View
from demo.page.events import FORGOTTEN
from demo.server.jobs import ORPHANED, STOPPED, Job
from tests.demo.benchmark.asking import SLOW, begun, controls, filled, waiting
from tests.demo.clock import Clock
from tests.demo.told import words


def test_the_same_run_is_not_scored_again(done):
    handlers, name, _, asked = done
    again = list(handlers.run(name, *asked))
    assert again[0].name == name and "Done." in words(filled(again, "notice")[-1])
    assert not any("Scoring" in words(one) for one in filled(again, "notice"))


def test_a_stopped_run_goes_on(done, library, held):
    handlers, name, _, asked = done
    fresh = BenchmarkHandlers(library)
    steps, found = begun(fresh, asked)
    held.let_go(2)  # a batch of pets, one of static
    stopping = fresh.stop(found)
    assert stopping.stop.value == "Stopping …" and not stopping.stop.interactive
    held.set()
    views = list(steps)
    assert "Press Run to go on" in words(filled(views, "notice")[-1])
    assert views[-1].start.visible and not views[-1].stop.visible
    run = fresh.runs.find(found)
    assert run.bench.id.seen.sum() > 0 and not run.bench.oods[-1].seen.any()
    assert fresh.stop(found) == fresh.stop("unknown") == View()
    rest = list(fresh.run(found, *asked))
    assert "Done." in words(filled(rest, "notice")[-1])
    assert fresh.runs.find(found) is run and run.rows == handlers.runs.find(name).rows


def test_a_run_that_is_stopped_early_leaves_the_one_before(library, zips):
    handlers, free = BenchmarkHandlers(library), threading.Event()
    first = list(handlers.run(None, *controls(id_zip=zips["pets"], ood_zips=[zips["static"]])))
    before = first[0].name

    def busy():
        yield free.wait(SLOW)

    others = [handlers.runs.start(Job("another", busy), f"visitor {i}") for i in range(4)]
    views = handlers.run(before, *controls(id_zip=zips["pets"], ood_zips=[zips["cloth"]]))
    name = next(views).name
    assert name != before and "In the queue" in words(next(views).notice)
    assert handlers.clicked(name, 0) == View()
    handlers.stop(name)
    rest = list(views)
    assert "the table is that of the run before" in words(filled(rest, "notice")[-1])
    assert rest[-1].name == rest[-1].stored == before
    assert waiting(table(handlers.runs.find(before), None)) == 0
    free.set()
    for job in others:
        job.wait()


def test_a_page_that_is_loaded_anew_shows_the_last_run(done):
    handlers, name, views, _ = done
    assert [view.stored for view in views if isinstance(view.stored, str)] == [name]
    page = handlers.found(name)
    assert page.name == name and page.results["visible"] and page.behind["visible"]
    assert "Your last benchmark: emoji with 40 labels" in words(page.notice)
    assert "static" in page.table.heads and not waiting(page.table)
    assert list(handlers.watch(name)) == list(handlers.watch("unknown")) == [View()]
    assert handlers.found("unknown").stored == FORGOTTEN
    assert "no longer kept" in words(handlers.found("unknown").notice)
    for nothing in (None, "", FORGOTTEN):
        assert handlers.found(nothing) == View()
    assert handlers.found(["x"]).stored == FORGOTTEN


def test_a_run_goes_on_when_its_page_is_loaded_anew(library, zips, held):
    handlers = BenchmarkHandlers(library)
    asked = controls(id_zip=zips["pets"], ood_zips=[zips["static"]])
    steps, name = begun(handlers, asked)
    held.let_go(1)
    steps.close()  # the first page is gone
    page = handlers.found(name)
    assert waiting(page.table) == 2 and page.behind == KEEP
    assert "still running: emoji with 40 labels" in words(page.notice)
    again = handlers.watch(name)
    assert next(again) == View() and next(again).stop.visible
    held.set()
    assert "Done." in words(filled(list(again), "notice")[-1])
    assert "still running" not in words(handlers.found(name).notice)


def test_a_page_that_is_loaded_anew_shows_a_stopped_run(library, zips, held):
    handlers = BenchmarkHandlers(library)
    asked = controls(id_zip=zips["pets"], ood_zips=[zips["static"]])
    steps, name = begun(handlers, asked)
    held.let_go(1)
    handlers.stop(name)
    held.set()
    list(steps)
    page = handlers.found(name)
    assert waiting(page.table) == 2 and page.behind == KEEP
    assert "not finished: emoji with 40 labels" in words(page.notice)
    views = list(handlers.run(name, *asked))
    assert "Done." in words(filled(views, "notice")[-1])
    assert "not finished" not in words(handlers.found(name).notice)


def test_a_run_that_no_page_looks_at_ends(library, zips, held):
    handlers = BenchmarkHandlers(library)
    handlers.runs.clock = clock = Clock()
    steps, name = begun(handlers, controls(id_zip=zips["pets"], ood_zips=[zips["static"]]))
    steps.close()
    run = handlers.runs.find(name)
    clock.now += ORPHANED - 1
    assert run.wanted()
    clock.now += 2
    held.set()
    run.wait()
    assert run.state == STOPPED and run.orphaned


def test_two_pages_that_run_the_same_look_at_one_run(library, zips, held):
    handlers = BenchmarkHandlers(library)
    asked = controls(id_zip=zips["pets"], ood_zips=[zips["static"], zips["cloth"]])
    one, name = begun(handlers, asked)
    two = handlers.run(name, *asked)
    assert next(two).name == name
    held.set()
    tables = [filled(list(steps), "table")[-1] for steps in (one, two)]
    assert tables[0] == tables[1] and not waiting(tables[0])
    assert len(handlers.runs.find(name).rows) == 2 * 3


def test_what_was_unpacked_goes_with_the_run(library, zips):
    handlers = BenchmarkHandlers(library)
    asked = controls(id_zip=zips["pets"], ood_zips=[zips["static"]])
    views = list(handlers.run(None, *asked))
    run = handlers.runs.find(views[0].name)
    image = run.bench.id.images.path(0)
    assert run.folder in image.parents and image.is_file()
    handlers.runs._kept.drop(run.name)
    assert not image.exists() and not list(handlers.runs._kept.items())


def test_downloads_lie_among_the_uploads_and_go_with_them(done):
    handlers, name, _, _ = done
    run = handlers.runs.find(name)
    look = Look(run.bench.detections[0], "static", 0.02)
    for path in (saved(run, "csv"), figure_page(run, look, "roc")):
        assert Path(get_upload_folder()) in Path(path).parents


def test_other_settings_start_afresh(done, zips):
    handlers = done[0]
    other = list(handlers.run(None, *controls(scores=["max_logit"], id_zip=zips["pets"],
                                              ood_zips=[zips["static"]])))  # fmt: skip
    assert other[0].name != done[1] and "Done." in words(filled(other, "notice")[-1])
    assert filled(other, "table")[-1].heads == ["static"]  # one OOD set has no mean
