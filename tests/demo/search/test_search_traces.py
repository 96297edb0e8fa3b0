"""Traces and recipes in Search: gone on from, replayed, refused, used, downloaded."""

import json
import math
from pathlib import Path

import pytest

from demo.page.components.player import film
from demo.search.fit import labels_of
from demo.search.request import (
    going_on,
    read_search,
)
from demo.server.jobs import FAILED, FINISHED
from demo.server.shipped import EMBEDDED
from setar_core.labels import LabelSet
from setar_core.published import published_runs
from setar_core.recipe import Recipe, Site
from tests.demo.search.asking import (
    TINY,
    cells,
    controls,
    finished,
    kept,
    until,
)
from tests.demo.told import is_bad, words


def test_a_trace_goes_on_where_it_ended(handlers, pictures, tmp_path):
    whole = finished(handlers, zip=pictures)
    lines = Path(handlers.saved_trace(whole.name)).read_text().splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(lines[:10]) + lines[10][:20])
    page = handlers.go_on(str(cut), *controls(zip=pictures, ratios="0, 0.1"))
    job = handlers.jobs.find(page.name)
    until(lambda: not job.active)
    assert job.state == FINISHED, job.problem
    assert dict(job.trials[-1].recipe.ratios) == dict(whole.trials[-1].recipe.ratios)
    kept = Path(handlers.saved_trace(job.name)).read_text().splitlines()
    assert len(kept) == len(lines) and kept[:10] == [line.rstrip() for line in lines[:10]]


def test_a_trace_of_other_pictures_is_refused(handlers, pictures, golden, tmp_path):
    done = finished(handlers, zip=pictures, ratios="0, 0.4")
    trace = handlers.saved_trace(done.name)
    text = Path(trace).read_text().replace('"weights": "', '"weights": "0')
    Path(trace).write_text(text)
    page = handlers.go_on(trace, *controls(zip=pictures))
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
        handlers.go_on(str(file), *controls(zip=pictures)),
        handlers.replay(str(file)),
    ):
        assert is_bad(page.state)
    assert not kept(handlers)


def test_a_trace_is_replayed(handlers, pictures):
    done = finished(handlers, zip=pictures)
    page = handlers.replay(handlers.saved_trace(done.name))
    job = handlers.jobs.find(page.name)
    assert job.is_replay and len(job.trials) == len(done.trials)
    mine = handlers.poll(done.name, None).film
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
    page = handlers.replay(str(run.trace_file))
    assert "in ViT-B-16/openai, labels Pascal VOC. Nothing is run" in words(page.state)
    use, told = handlers.fit(page.name, TINY)
    assert not use.visible
    assert "for <b>ViT-B-16/openai</b>" in told and f"the bar above has {TINY}" in told
    use, told = handlers.fit(page.name, "ViT-B-16/openai")
    assert use.visible and "fits ViT-B-16/openai" in told
    bare = tmp_path / "bare.json"
    lines = run.trace_file.read_text().splitlines()[1:4]
    bare.write_text(f"[{','.join(lines)}]")
    page = handlers.replay(str(bare))
    assert "with 3 candidates. It does not name its backbone" in words(page.state)
    use, told = handlers.fit(page.name, TINY)
    assert use.visible and "not told which backbone" in told
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps({"backbone": "<b>x", "ratios": {"visual.1.up": 0.2}}))
    use, told = handlers.fit(handlers.replay(str(mine)).name, TINY)
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
            page = handlers.replay(str(run.trace_file))
            assert "A replay of a trace" in words(page.state), page.state
            assert len(cells(page.film.film.ratios)) >= 24


def test_an_uploaded_recipe_is_shown(handlers, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('[["visual", "W_up", 3, 0.15]]')
    page = handlers.replay(str(file))
    assert cells(page.result.own)["Image tower", "3"].ratio == 0.15
    assert page.film is None and page.pictures == []  # nothing that would never be filled
    file.write_text(json.dumps({"backbone": "mine", "ratios": {"visual.1.up": 0.2}}))
    assert "For mine: 1 of 1 matrices" in handlers.replay(str(file)).result.sentence


def test_what_is_shown_is_what_is_used(handlers, pictures, library, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('[["visual", "W_up", 3, 0.15]]')
    mine = Recipe.load(file)
    for before in (None, finished(handlers, zip=pictures).name):
        page = handlers.replay(str(file))
        assert page.name not in (None, before) and page.keeping.visible and not page.trace.visible
        assert "An uploaded recipe" in words(page.state)
        known, title = handlers.use(page.name, TINY)
        assert known == TINY and title.startswith("uploaded ")
        assert library.made_recipe(title).ratios == mine.ratios
        assert Recipe.load(handlers.saved_recipe(page.name)).ratios == mine.ratios
        with pytest.raises(ValueError, match="press Search first"):
            handlers.saved_trace(page.name)
        assert handlers.found(page.name).result == page.result


def test_a_trace_that_is_malformed_or_bare_is_no_crash(handlers, tmp_path):
    row = {
        "step": 0, "tower": "visual", "weight": "up", "block": 5, "ratio": 0, "locoop_loss": 1,
        "loss_id": 1, "loss_ood": 0, "acc": 50, "ood_patch_percent": 0,
    }  # fmt: skip
    file = tmp_path / "trace.jsonl"
    for plan in ({}, {"ratios": 3}, {"strange": 1}, {"order": ["x"]}):
        file.write_text(json.dumps({"plan": plan}) + "\n" + json.dumps(row) + "\n")
        page = handlers.replay(str(file))
        assert "A replay of a trace with 1 candidate" in words(page.state), page.state
    line = json.dumps(row).replace('"loss_id": 1', '"loss_id": 1e999')
    file.write_text(json.dumps({"plan": {}}) + "\n" + json.dumps(row) + "\n" + line + "\n")
    said = words(handlers.replay(str(file)).state)
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
