"""The Search tab's handlers and jobs, called as the plain functions and objects they are."""

import json
import math
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
import torch

from demo.page.bar import OWN_LABELS
from demo.page.components.player import film
from demo.page.events import FORGOTTEN
from demo.search import words as search_words
from demo.search.components.film import TERMS
from demo.search.controls import build_plan
from demo.search.fit import labels_of
from demo.search.handlers import KEPT, LONGEST_LINE, SearchHandlers
from demo.search.job import Search
from demo.search.presets import OTHER, PRESETS, fitting, proposed
from demo.search.request import (
    MAX_RATIOS,
    SHIPPED,
    ZIP,
    Controls,
    going_on,
    has_shipped,
    read_ratios,
    read_search,
)
from demo.search.view import KEEP, SearchPage
from demo.server.jobs import FAILED, FINISHED, ORPHANED, RUNNING, STOPPED, WAITING, Jobs
from demo.server.library import EMBEDDED, Library
from setar_core.labels import LabelSet
from setar_core.published import published_runs
from setar_core.recipe import Recipe, Site
from setar_core.search import plan as core
from setar_core.search.trial import Losses, Measures, Trial
from tests.demo.told import is_bad, words

SLOW = 240  # seconds; machines that run tests are busy
TINY = "local-dir:clip"


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small matrices are quicker in one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def library(golden):
    found = Library([f"local-dir:{golden / 'clip'}"])
    found.backbone(TINY)
    return found


@pytest.fixture
def handlers(library):
    made = SearchHandlers(library)
    yield made
    for job in kept(made):
        job.stop()


@pytest.fixture(scope="module")
def pictures(golden, tmp_path_factory):
    """A zip of one folder of pictures a label."""
    return zipped(tmp_path_factory.mktemp("zips") / "pictures.zip", golden / "clip" / "images")


def zipped(path, folder, inside=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, inside + str(file.relative_to(folder)))
    return str(path)


def controls(**changes):
    """What the left side says, in the order of `read_search`."""
    said = Controls(
        TINY, OWN_LABELS, ZIP, None, "0, 0.2, 0.4", 0.1, 12, "", "up", "locoop_loss", "gl_mcm",
        1.0, "minor", False, False, 512, 0, "fp32",
    )  # fmt: skip
    return said._replace(**changes)


def kept(handlers):
    """Every search that is kept, running or over."""
    return [job for _, job in handlers.jobs._kept.items()]


def until(condition, what="it"):
    deadline = time.monotonic() + SLOW
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.01)


def started(handlers, page="page", **changes):
    shown = handlers.search(page, *controls(**changes))
    assert isinstance(shown, SearchPage)
    job = handlers.jobs.find(shown.name)
    assert job is not None, shown.state
    return job


def finished(handlers, **changes):
    job = started(handlers, **changes)
    until(lambda: not job.active, "the search")
    return job


def cells(found):
    """Every cell of a map by its column and its name."""
    return {(column.title, cell.name): cell for column in found.columns for cell in column.cells}


@pytest.fixture
def held(library):
    """Holds the machine, so that a search stands still before its next candidate."""
    free, taken = threading.Event(), threading.Event()

    def hold():
        taken.set()
        free.wait(SLOW)

    thread = threading.Thread(target=library.turns.run, args=("a test", hold))
    thread.start()
    taken.wait()
    yield free
    free.set()
    thread.join()


@pytest.fixture
def trial():
    """Makes a trial of nothing in particular."""
    measures = Measures(Losses(1.0, 1.0, 0.0, 50.0, 10.0))

    def trial(**changes):
        site = Site("visual", 5, "up")
        made = Trial(0, 4, 0, site, 0.0, measures, 1.0, True, Recipe({}), measures, 0.0)
        return replace(made, **changes)

    return trial


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


# What may be asked


def test_the_page_offers_what_the_core_can_do(library):
    with gr.Blocks():
        plan = build_plan(library).plan
    for part, names in (
        (plan.order, ["", *core.ORDERS]),
        (plan.weight, ["up", "down", "q", "k", "v", "o"]),
        (plan.objective, ["locoop_loss", "loss_id", "loss_ood", "auroc", "aupr", "fpr"]),
        (plan.prune, ["minor", "principal", "random"]),
        (plan.precision, ["fp32", "tf32", "bf16"]),
    ):
        assert [name for _, name in part.choices] == names and part.value in names
        assert all(title for title, _ in part.choices)
    assert read_ratios(plan.ratios.value) == core.RATIOS


@pytest.mark.parametrize(
    ("backbone", "labels", "lambda_ood", "top_k"),
    [
        ("ViT-B-16/openai", "imagenet1k", 0.1, 300),
        ("ViT-L-14/openai", "imagenet1k", 0.5, 300),
        ("timm:swinv2_base_window16_256.ms_in1k", "imagenet1k", 0.01, 700),
        ("ViT-B-16/openai", "voc20", 0.05, 4),
        ("ViT-L-14/openai", "voc20", 0.3, 6),
        (EMBEDDED, "animals", 0.1, 12),
        ("ViT-B-32/laion2b_s34b_b79k", "voc20", 0.05, 4),
    ],
)
def test_presets_are_the_authors(backbone, labels, lambda_ood, top_k):
    preset = fitting(backbone, labels)
    count = len(LabelSet.load(labels))
    assert (preset.lambda_ood, proposed(preset, count)) == (lambda_ood, top_k)


def test_a_k_is_proposed_for_any_number_of_labels():
    assert [proposed(OTHER, count) for count in (2, 3, 10, 1000)] == [1, 1, 3, 300]
    assert proposed(OTHER, None) is None
    assert all(name == preset.title for name, preset in PRESETS.items())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ratios": "0, a few"}, "write numbers"),
        ({"ratios": "0, 1.5,"}, "ratios “0, 1.5,”: each must be a number of at least 0"),
        ({"ratios": " "}, "the first must be 0"),
        ({"ratios": "0.1, 0.2"}, "the first must be 0"),
        ({"ratios": "0, 0.2, 0.1"}, "sort them"),
        ({"ratios": "0, 1"}, "below 1"),
        ({"ratios": " ".join(f"0.{i:03}" for i in range(MAX_RATIOS + 1))}, "too many"),
        ({"lambda_ood": None}, "the weight λ is empty"),
        ({"lambda_ood": -1}, "at least 0"),
        ({"top_k": 2.5}, "whole number"),
        ({"top_k": float("inf")}, "whole number"),
        ({"seed": -1}, "at least 0"),
        ({"order": "sideways"}, "unknown"),
        ({"source": SHIPPED}, "no shipped pictures"),
        ({"source": SHIPPED, "label_set": "voc20"}, "no shipped pictures"),
        ({"label_set": "nothing like it"}, "no label set"),
        ({}, "no zip is here"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_words(handlers, changes, said):
    page = handlers.search("page", *controls(**{"zip": None, **changes}))
    if "label_set" in changes and changes["label_set"] != "voc20":
        page = handlers.search("page", *controls(zip="any.zip", **changes))
    assert is_bad(page.state) and said.lower() in words(page.state).lower()
    assert page.name is KEEP or page.name == KEEP
    assert not kept(handlers)


def test_an_empty_k_is_left_to_the_labels(pictures):
    request = read_search(*controls(zip=pictures, top_k=None))
    assert request.plan.top_k is None and request.labels is None
    assert has_shipped(LabelSet.load("animals")) and not has_shipped(LabelSet.load("voc20"))
    request = read_search(*controls(source=SHIPPED, label_set="animals", backbone=EMBEDDED))
    assert len(request.labels) == 40 and request.zip is None


# A whole search


def test_a_search_runs_to_its_end(handlers, pictures):
    job = started(handlers, zip=pictures)
    looks = []
    seen = None
    while job.active:
        page = handlers.poll("page", job.name, seen)
        looks.append(page)
        seen = page.seen if page.seen != KEEP else seen
        time.sleep(0.01)
    until(lambda: not job.active)
    assert job.state == FINISHED, job.problem
    assert len(job.trials) == 8 * 3 == job.ready.eta.total
    assert all(isinstance(trial, Trial) for trial in job.trials)
    page = handlers.poll("page", job.name, seen)
    assert "Done: loss" in words(page.state)
    film = page.film.film
    assert len(film.chart.heights) == film.chart.total == len(film.candidates) == 24
    assert len(page.film.terms) == len(TERMS)
    assert all(len(term.best) == len(term.chart.heights) == 24 for term in page.film.terms)
    assert film.ratios.at is None and len(cells(film.ratios)) == 8
    assert page.film.patches.size == (6, 6) and len(page.film.patches.marks) == 24
    marked = page.film.patches.marks[-1]
    assert len(marked) == len(page.film.patches.labels) == len(page.pictures) == 8
    for example, row in zip(job.ready.examples, marked, strict=True):
        ood = job.trials[-1].measures.ood[example.place].flatten().tolist()
        assert f"{int(row, 16):036b}" == "".join("01"[patch] for patch in ood)
    assert len(page.result.measured) == 5 and page.result.cut
    live = [look.film.film for look in looks if look.film != KEEP and look.film.film.chart.heights]
    assert all(one.candidates == () and one.ratios.at == len(one.chart.heights) for one in live)
    assert all(len(look.film.patches.marks) <= 1 for look in looks if look.film != KEEP)
    assert page.clock.active is False and page.search.visible and not page.stop.visible
    assert job.ready.eta.remaining == 0


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


def test_the_running_state_says_where_it_is_and_how_long(handlers, pictures):
    job = finished(handlers, zip=pictures)
    job.state, job.ended = RUNNING, None
    said = words(search_words.state(job, []))
    assert "Candidate 24 of 24: text tower, block 0, ratio 0.4" in said
    assert "so far, about" in said
    job.state = FINISHED


def test_an_estimate_runs_two_candidates(handlers, pictures):
    page = handlers.estimate("page", *controls(zip=pictures))
    job = handlers.jobs.find(page.name)
    until(lambda: not job.active)
    assert job.is_estimate and len(job.trials) == 2
    page = handlers.poll("page", job.name, None)
    assert "for 24 candidates on 40 pictures" in words(page.state)
    assert page.result is None and not page.keeping.visible and not page.film.film.candidates


# Stopping


def test_stop_ends_within_one_candidate_and_keeps_the_best(handlers, pictures, held, library):
    job = started(handlers, zip=pictures)
    until(lambda: "1 waiting" in library.turns.running())  # before its first candidate
    page = handlers.stop(job.name)
    assert "Stopping" in words(page.state)
    held.set()
    until(lambda: not job.active)
    assert job.state == STOPPED and len(job.trials) == 1
    assert library.turns.running() == []
    page = handlers.poll("page", job.name, None)
    assert "Stopped as you asked, after 1 of 24" in words(page.state)
    assert page.keeping.visible
    assert Recipe.load(handlers.saved_recipe(job.name)).backbone == TINY  # no folder of ours


def test_a_fault_does_not_keep_the_page_waiting(handlers, pictures, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda *args: None)
    monkeypatch.setattr("setar_core.search.trace.Trace.write", lambda *args: 1 / 0)
    job = finished(handlers, zip=pictures)
    assert job.state == FAILED and "fault of this app" in job.problem


# A page that is closed, and one that comes back


def test_a_reload_finds_it_running_or_over(handlers, pictures, held):
    job = started(handlers, page="first", zip=pictures)
    handlers.leave("first")
    page = handlers.found("second", job.name)
    assert page.name == job.name and page.clock.active and page.stop.visible
    held.set()
    until(lambda: not job.active)
    page = handlers.found("third", job.name)
    assert page.name == job.name and not page.clock.active and page.keeping.visible


def test_a_name_that_is_not_known_is_forgotten(handlers):
    page = handlers.found("page", "no such search")
    assert page.stored == FORGOTTEN and "no longer kept" in words(page.state)
    for stored in (None, 3, ["x"], FORGOTTEN):
        assert handlers.found("page", stored).name is None
    assert "no longer" not in words(handlers.found("page", FORGOTTEN).state)


def test_an_orphan_is_freed_after_its_time(library, pictures, held):
    clock = Clock()
    handlers = SearchHandlers(library, Jobs(kept=KEPT, clock=clock))
    job = started(handlers, page="only", zip=pictures)
    until(lambda: job.ready is not None)
    handlers.leave("only")
    clock.now += ORPHANED - 1
    assert job.wanted()  # a reload would still find it running
    handlers.poll("again", job.name, None)
    handlers.leave("again")
    clock.now += ORPHANED - 1
    assert job.wanted()
    clock.now += 2
    held.set()
    until(lambda: not job.active)
    assert job.state == STOPPED and job.orphaned and len(job.trials) <= 1
    assert library.turns.running() == []


def test_a_search_lives_while_any_page_looks_at_it(library, pictures, held):
    clock = Clock()
    handlers = SearchHandlers(library, Jobs(kept=KEPT, clock=clock))
    job = started(handlers, page="one", zip=pictures)
    handlers.found("two", job.name)
    handlers.leave("one")
    clock.now += 2 * ORPHANED
    assert job.wanted()
    job.stop()


def test_names_cannot_be_guessed(handlers, pictures):
    names = {started(handlers, zip=pictures).name for _ in range(3)}
    assert len(names) == 3 and all(len(name) >= 20 for name in names)


# The queue


def test_the_second_waits_visibly_and_comes_next(handlers, pictures, held):
    first = started(handlers, page="one", zip=pictures)
    second = started(handlers, page="two", zip=pictures)
    until(lambda: first.ready is not None)
    assert second.state == WAITING
    said = words(handlers.poll("two", second.name, None).state)
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
    assert "before the first candidate" in words(handlers.poll("page", second.name, None).state)


def test_a_long_line_is_refused(handlers, pictures, held):
    for _ in range(LONGEST_LINE):
        started(handlers, zip=pictures)
    page = handlers.search("page", *controls(zip=pictures))
    assert "try again" in words(page.state)


# Pictures of one's own


def test_labels_of_the_bar_go_with_a_zip(handlers, pictures):
    job = finished(handlers, zip=pictures, label_set="voc20", top_k=6)
    assert job.state == FAILED
    assert "holds 40 folders and there are 20 labels" in job.problem
    assert "pictures.zip" in job.problem and "/" not in job.problem.split("holds")[0]


@pytest.mark.parametrize("kind", ["text", "traversal", "no image", "empty folder", "broken image"])
def test_a_bad_zip_is_refused_in_words(handlers, golden, tmp_path, kind):
    path = tmp_path / "bad.zip"
    picture = next((golden / "clip" / "images").rglob("*.*")).read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/one.png", picture)
        if kind == "traversal":
            archive.writestr("../../evil.png", picture)
        elif kind == "broken image":
            archive.writestr("b/one.png", picture[:60])
        elif kind == "empty folder":
            archive.writestr("a/b/one.png", picture)
    if kind == "text":
        path.write_text("no zip")
    if kind == "no image":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/notes.txt", "words")
    job = finished(handlers, zip=str(path), top_k=None)
    assert job.state == FAILED and job.trials == []
    said = words(handlers.poll("page", job.name, None).state)
    assert "No search:" in said and str(tmp_path) not in said
    assert {
        "text": "not a whole zip",
        "traversal": "leads out of its folder",
        "no image": "holds no image",
        "empty folder": "only label",
        "broken image": "no readable picture of 1 of the 2 labels",
    }[kind] in said


def test_a_file_that_is_left_out_is_named(handlers, golden, tmp_path):
    path = zipped(tmp_path / "some.zip", golden / "clip" / "images", "wrapped/")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("wrapped/abacus/<b>bad.png", b"no picture")
    job = finished(handlers, zip=path, ratios="0, 0.4")
    assert job.state == FINISHED, job.problem
    said = str(handlers.poll("page", job.name, None).state)
    assert "1 file was left out" in said and "<b>bad.png" in said


def test_k_that_no_patch_can_reach_is_refused(handlers, pictures):
    job = finished(handlers, zip=pictures, top_k=40)
    assert job.state == FAILED and "top-k is 40 of 40" in job.problem


# What is left of a search


def test_a_trace_goes_on_where_it_ended(handlers, pictures, tmp_path):
    whole = finished(handlers, zip=pictures)
    lines = Path(handlers.saved_trace(whole.name)).read_text().splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(lines[:10]) + lines[10][:20])
    page = handlers.go_on("page", str(cut), *controls(zip=pictures, ratios="0, 0.1"))
    job = handlers.jobs.find(page.name)
    until(lambda: not job.active)
    assert job.state == FINISHED, job.problem
    assert dict(job.trials[-1].recipe.ratios) == dict(whole.trials[-1].recipe.ratios)
    kept = Path(handlers.saved_trace(job.name)).read_text().splitlines()
    assert len(kept) == len(lines) and kept[:10] == [line.rstrip() for line in lines[:10]]


def test_a_stopped_search_is_resumed_from_its_own_trace(handlers, pictures, held, library):
    job = started(handlers, zip=pictures)
    until(lambda: "1 waiting" in library.turns.running())
    assert "no stopped search" in words(handlers.resume("page", job.name).state)
    assert handlers.stop(job.name).resume == KEEP
    held.set()
    until(lambda: not job.active)
    page = handlers.poll("page", job.name, None)
    assert page.resume.visible and "Press Resume" in words(page.state)
    before = Path(handlers.saved_trace(job.name)).read_text()
    page = handlers.resume("page", job.name)
    again = handlers.jobs.find(page.name)
    assert again is job and not page.resume.visible
    until(lambda: not again.active)
    assert again.state == FINISHED, again.problem
    assert Path(handlers.saved_trace(again.name)).read_text().startswith(before)
    assert not handlers.poll("page", again.name, None).resume.visible
    assert "no stopped search" in words(handlers.resume("page", again.name).state)
    assert "no stopped search" in words(handlers.resume("page", None).state)


def test_a_zip_that_is_gone_is_told_when_resuming(handlers, pictures, held, library, tmp_path):
    path = tmp_path / "mine.zip"
    path.write_bytes(Path(pictures).read_bytes())
    job = started(handlers, zip=str(path))
    until(lambda: "1 waiting" in library.turns.running())
    handlers.stop(job.name)
    held.set()
    until(lambda: not job.active)
    path.unlink()
    said = words(handlers.resume("page", job.name).state)
    assert "mine.zip is no longer kept here" in said and "Continue" in said
    assert str(tmp_path) not in said


def test_a_page_looks_at_one_search_at_a_time(library, pictures, held):
    clock = Clock()
    handlers = SearchHandlers(library, Jobs(kept=KEPT, clock=clock))
    for elsewhere in ("search", "replay", "recipe"):
        job = started(handlers, page="one", zip=pictures)
        page = handlers.poll("one", job.name, None)
        page = handlers.found("one", job.name)
        assert page.go_on.interactive is page.replay.interactive is False
        if elsewhere == "search":
            other = started(handlers, page="one", zip=pictures)
        elif elsewhere == "replay":
            handlers.jobs.keep(other := Search.replay([], "", ""), "one")
        else:
            handlers.jobs.keep(other := Search(uploaded=Recipe({})), "one")
        clock.now += ORPHANED + 1
        assert not job.wanted(), elsewhere
        other.stop()
    held.set()
    until(lambda: not any(job.active for job in kept(handlers)))
    assert handlers.found("one", other.name).go_on.interactive


def test_a_trace_of_other_pictures_is_refused(handlers, pictures, golden, tmp_path):
    done = finished(handlers, zip=pictures, ratios="0, 0.4")
    trace = handlers.saved_trace(done.name)
    text = Path(trace).read_text().replace('"weights": "', '"weights": "0')
    Path(trace).write_text(text)
    page = handlers.go_on("page", trace, *controls(zip=pictures))
    job = handlers.jobs.find(page.name)
    until(lambda: not job.active)
    assert job.state == FAILED and "was made for weights" in job.problem
    assert job.problem.startswith("the uploaded trace ")
    assert "/" not in job.problem and "--" not in job.problem


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"plan": 3}\n', '{"plan": {"x": 1}}\n', "\0"])
def test_a_file_that_is_no_trace_is_refused_in_words(handlers, pictures, tmp_path, text):
    file = tmp_path / "file.jsonl"
    file.write_text(text)
    for page in (
        handlers.go_on("page", str(file), *controls(zip=pictures)),
        handlers.replay("page", str(file)),
    ):
        assert is_bad(page.state)
    assert not kept(handlers)


def test_a_trace_is_replayed(handlers, pictures):
    done = finished(handlers, zip=pictures)
    page = handlers.replay("page", handlers.saved_trace(done.name))
    job = handlers.jobs.find(page.name)
    assert job.is_replay and len(job.trials) == len(done.trials)
    mine = handlers.poll("page", done.name, None).film
    assert page.film.film == mine.film._replace(name=job.name) and page.film.terms == mine.terms
    assert page.film.patches is None and page.pictures == []  # a trace holds none
    assert page.film.film.candidates[-1].place == "text tower, block 0, ratio 0.4"
    top = next(iter(cells(page.film.film.ratios).values()))
    assert top.changes[:3] == [(0, 0.0, True), (1, 0.2, True), (2, 0.4, True)]


def test_any_block_may_be_settled_first(trial):
    """As in the order that tries them all: what was the best so far of a step may not stay it."""
    one, two = Site("visual", 1, "up"), Site("visual", 0, "up")
    trials = [
        trial(index=0, site=one, ratio=0.0, recipe=Recipe({one: 0.0})),
        trial(index=1, site=one, ratio=0.2, recipe=Recipe({one: 0.2})),
        trial(index=2, site=two, ratio=0.2, recipe=Recipe({two: 0.2})),
        trial(index=3, site=one, ratio=0.0, recipe=Recipe({two: 0.2, one: 0.0})),
    ]
    one, two = cells(film("it", trials, (one, two)).ratios).values()
    assert one.changes == [(0, 0.0, True), (1, 0.2, True), (2, None, False), (3, 0.0, True)]
    assert two.changes == [(2, 0.2, True), (3, 0.2, False)]
    assert (one.ratio, two.ratio) == (0.0, 0.2)


def test_what_cannot_be_measured_is_not_drawn(trial):
    trials = [trial(index=0, objective=math.nan), trial(index=1, objective=50.0)]
    chart = film("it", trials, (), "auroc").chart
    assert chart.heights[0] is None and 0 < chart.heights[1] < 100
    assert "nan" not in str(chart).lower()


def test_a_trace_is_named_and_fits_its_backbone_only(handlers, pictures, tmp_path):
    run = next(run for run in published_runs() if run.slug == "clip_base-pascal_voc-setar")
    page = handlers.replay("page", str(run.trace_file))
    assert "in ViT-B-16/openai, labels Pascal VOC. Nothing is run" in words(page.state)
    use, told = handlers.fit(page.name, TINY)
    assert not use.visible
    assert "for <b>ViT-B-16/openai</b>" in told and f"the bar above has {TINY}" in told
    use, told = handlers.fit(page.name, "ViT-B-16/openai")
    assert use.visible and "fits ViT-B-16/openai" in told
    bare = tmp_path / "bare.json"
    lines = run.trace_file.read_text().splitlines()[1:4]
    bare.write_text(f"[{','.join(lines)}]")
    page = handlers.replay("page", str(bare))
    assert "with 3 candidates. It does not name its backbone" in words(page.state)
    use, told = handlers.fit(page.name, TINY)
    assert use.visible and "not told which backbone" in told
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps({"backbone": "<b>x", "ratios": {"visual.1.up": 0.2}}))
    use, told = handlers.fit(handlers.replay("page", str(mine)).name, TINY)
    assert not use.visible and "&lt;b&gt;x" in told and "<b>x" not in told
    job = finished(handlers, zip=pictures, ratios="0, 0.4")
    assert handlers.fit(job.name, TINY)[0].visible and handlers.fit(job.name, TINY)[1] == ""
    assert not handlers.fit(job.name, EMBEDDED)[0].visible
    assert handlers.fit(None, TINY)[0].visible


def test_the_labels_of_a_trace_are_told_where_they_are_known():
    known = {"plan": {}, "fingerprint": {"labels": LabelSet.load("animals").fingerprint}}
    assert labels_of(json.dumps(known) + "\n") == "animals"
    for text in (
        "",
        "[1]",
        "{",
        '{"fingerprint": 3}',
        '{"fingerprint": {"labels": "x"}}',
        "[" * 9999,
    ):
        assert labels_of(text) == ""


def test_the_authors_traces_are_replayed(handlers):
    for run in published_runs():
        if run.searched:
            page = handlers.replay("page", str(run.trace_file))
            assert "A replay of a trace" in words(page.state), page.state
            assert len(cells(page.film.film.ratios)) >= 24


def test_an_uploaded_recipe_is_shown(handlers, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('[["visual", "W_up", 3, 0.15]]')
    page = handlers.replay("page", str(file))
    assert cells(page.result.own)["Image tower", "3"].ratio == 0.15
    assert page.film is None and page.pictures == []  # nothing that would never be filled
    file.write_text(json.dumps({"backbone": "mine", "ratios": {"visual.1.up": 0.2}}))
    assert "For mine: 1 of 1 matrices" in handlers.replay("page", str(file)).result.sentence


def test_what_is_shown_is_what_is_used(handlers, pictures, library, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('[["visual", "W_up", 3, 0.15]]')
    mine = Recipe.load(file)
    for before in (None, finished(handlers, zip=pictures).name):
        page = handlers.replay("page", str(file))
        assert page.name not in (None, before) and page.keeping.visible and not page.trace.visible
        assert "An uploaded recipe" in words(page.state)
        known, title = handlers.use(page.name, TINY)
        assert known == TINY and title.startswith("uploaded ")
        assert library.made_recipe(title).ratios == mine.ratios
        assert Recipe.load(handlers.saved_recipe(page.name)).ratios == mine.ratios
        with pytest.raises(ValueError, match="press Search first"):
            handlers.saved_trace(page.name)
        assert handlers.found("page", page.name).result == page.result


def test_a_trace_that_is_malformed_or_bare_is_no_crash(handlers, tmp_path):
    row = {
        "step": 0, "tower": "visual", "weight": "up", "block": 5, "ratio": 0, "locoop_loss": 1,
        "loss_id": 1, "loss_ood": 0, "acc": 50, "ood_patch_percent": 0,
    }  # fmt: skip
    file = tmp_path / "trace.jsonl"
    for plan in ({}, {"ratios": 3}, {"strange": 1}, {"order": ["x"]}):
        file.write_text(json.dumps({"plan": plan}) + "\n" + json.dumps(row) + "\n")
        page = handlers.replay("page", str(file))
        assert "A replay of a trace with 1 candidate" in words(page.state), page.state
    line = json.dumps(row).replace('"loss_id": 1', '"loss_id": 1e999')
    file.write_text(json.dumps({"plan": {}}) + "\n" + json.dumps(row) + "\n" + line + "\n")
    said = words(handlers.replay("page", str(file)).state)
    assert "Line 3: loss_id is inf, not a finite number" in said


def test_a_recipe_is_used_elsewhere_by_its_title(handlers, pictures, library):
    job = finished(handlers, zip=pictures)
    known, title = handlers.use(job.name, TINY)
    assert known == TINY
    assert library.made_recipe(title).ratios == job.trials[-1].recipe.ratios
    for nothing in (None, "no such search"):
        with pytest.raises(ValueError, match="press Search first"):
            handlers.use(nothing, TINY)
        with pytest.raises(ValueError, match="press Search first"):
            handlers.saved_trace(nothing)


def test_the_plan_of_a_trace_is_taken_over(handlers, pictures):
    done = finished(handlers, zip=pictures, order="text_only", ratios="0, 0.3")
    request = read_search(*controls(zip=pictures))
    again = going_on(request, handlers.saved_trace(done.name))
    assert again.plan == done.ready.plan and again.zip == request.zip
