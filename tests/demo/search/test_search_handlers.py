"""The Search tab's handlers, called as the plain functions they are: what is asked and shown."""

import shutil
import time
import zipfile

import gradio as gr
import pytest

from demo.search import words as search_words
from demo.search.components.film import TERMS
from demo.search.controls import build_plan
from demo.search.presets import OTHER, PRESETS, fitting, proposed
from demo.search.request import (
    MAX_RATIOS,
    SHIPPED,
    read_ratios,
    read_search,
)
from demo.search.view import KEEP
from demo.search.words import state
from demo.server.jobs import FAILED, FINISHED, RUNNING
from demo.server.shipped import EMBEDDED
from setar_core.labels import LabelSet
from setar_core.search import plan as core
from setar_core.search.trial import Trial
from tests.demo.search.asking import (
    ANIMALS,
    OBJECTS,
    cells,
    controls,
    finished,
    kept,
    started,
    until,
    zipped,
)
from tests.demo.told import is_bad, words


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
        ({"source": SHIPPED, "labels": "quark\ngluon"}, "no shipped pictures of any of the 2"),
        ({"labels": ""}, "empty"),
        ({"prompt": "no place"}, "{}"),
        ({"temperature": None}, "temperature"),
        ({}, "no zip is here"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_words(handlers, changes, said):
    page = handlers.search(*controls(**{"zip": None, **changes}))
    assert is_bad(page.state) and said.lower() in words(page.state).lower()
    assert page.name is KEEP or page.name == KEEP
    assert not kept(handlers)


def test_the_switch_makes_the_search_quick(handlers, pictures, monkeypatch):
    monkeypatch.setattr("setar_core.search.race.SMALL", 0)
    monkeypatch.setattr("setar_core.search.greedy.rounds_fast", lambda device: True)
    assert read_search(*controls(zip=pictures)).plan.quick is False
    job = finished(handlers, zip=pictures, quick=True)
    assert job.request.plan.quick
    out = sum(trial.left_out is not None for trial in job.trials)
    assert out and f"{out} left out after a look in bf16" in words(state(job, []))
    again = words(handlers.replay(handlers.saved_trace(job.name)).state)
    assert f"a trace with {len(job.trials)} candidates" in again
    refused = handlers.search(*controls(zip=pictures, quick=True, objective="auroc"))
    assert is_bad(refused.state) and "quick search" in words(refused.state)


def test_an_empty_k_is_left_to_the_labels(pictures):
    request = read_search(*controls(zip=pictures, top_k=None))
    assert request.plan.top_k is None


def test_a_search_has_the_labels_and_the_score_of_the_bar(pictures):
    mine = {
        "labels": "owl\nfox",
        "prompt": "a drawing of a {}",
        "score": "energy",
        "temperature": 2.0,
    }
    request = read_search(*controls(source=SHIPPED, backbone=EMBEDDED, **mine))
    assert request.labels == LabelSet(("owl", "fox"), "a drawing of a {}") and request.zip is None
    assert request.plan == read_search(*controls(zip=pictures)).plan  # a loss has no score
    request = read_search(*controls(zip=pictures, objective="auroc", **mine))
    assert (request.plan.score, request.plan.temperature) == ("energy", 2.0)


def test_some_of_the_shipped_pictures_serve_some_labels(handlers):
    job = finished(
        handlers, backbone=EMBEDDED, source=SHIPPED, labels="owl\nfox\nbee", top_k=1, ratios="0"
    )
    assert job.state == FINISHED and job.ready.labels.names == ("owl", "fox", "bee")
    assert {example.label for example in job.ready.examples} <= {"owl", "fox", "bee"}
    assert job.trials[0].measures.losses.accuracy > 90


def test_a_search_runs_to_its_end(handlers, pictures):
    job = started(handlers, zip=pictures)
    looks = []
    seen = None
    while job.active:
        page = handlers.poll(job.name, seen)
        looks.append(page)
        seen = page.seen if page.seen != KEEP else seen
        time.sleep(0.01)
    until(lambda: not job.active)
    assert job.state == FINISHED, job.problem
    assert len(job.trials) == 8 * 3 == job.ready.eta.total
    assert all(isinstance(trial, Trial) for trial in job.trials)
    page = handlers.poll(job.name, seen)
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


def test_the_running_state_says_where_it_is_and_how_long(handlers, pictures):
    job = finished(handlers, zip=pictures)
    job.state, job.ended = RUNNING, None
    said = words(search_words.state(job, []))
    assert "Candidate 24 of 24: text tower, block 0, ratio 0.4" in said
    assert "so far, about" in said
    job.state = FINISHED


def test_an_estimate_runs_two_candidates(handlers, pictures):
    page = handlers.estimate(*controls(zip=pictures))
    job = handlers.jobs.find(page.name)
    until(lambda: not job.active)
    assert job.is_estimate and len(job.trials) == 2
    page = handlers.poll(job.name, None)
    assert "for 24 candidates on 40 pictures" in words(page.state)
    assert page.result is None and not page.keeping.visible and not page.film.film.candidates


def test_labels_without_a_picture_are_told_and_most_of_them_are_a_warning(handlers):
    given = {"backbone": EMBEDDED, "source": SHIPPED, "top_k": 1, "ratios": "0"}
    job = finished(handlers, **given, labels="owl\nfox\nquark")
    assert job.state == FINISHED and job.ready.labels.names == ("owl", "fox", "quark")
    assert "1 of the 3 labels have no picture: quark." in job.ready.warning
    job = finished(handlers, **given, labels="owl\nfox\nquark\ngluon\nboson")
    said = words(handlers.poll(job.name, None).state)
    assert "Most labels, 3 of 5, have no picture" in said


def test_a_zip_of_some_of_the_labels_is_searched_with_the_labels_of_the_bar(
    handlers, golden, tmp_path
):
    some = tmp_path / "some"
    for folder in sorted((golden / "clip" / "images").iterdir())[:3]:
        shutil.copytree(folder, some / folder.name)
    job = finished(handlers, zip=zipped(tmp_path / "some.zip", some), ratios="0")
    assert job.state == FINISHED and job.ready.labels == LabelSet.parse(OBJECTS)
    assert "most labels, 37 of 40, have no picture" in job.ready.warning.lower()


def test_labels_of_the_bar_go_with_a_zip(handlers, pictures):
    reverse = "\n".join(reversed(OBJECTS.title().split("\n")))
    job = finished(handlers, zip=pictures, labels=reverse, prompt="a {}", ratios="0")
    assert job.state == FINISHED and job.ready.labels == LabelSet.parse(reverse, "a {}")
    assert job.ready.warning == ""


def test_a_zip_of_other_folders_is_searched_with_their_names_and_says_so(handlers, pictures):
    job = finished(handlers, zip=pictures, labels=ANIMALS + "\nquark", top_k=40, ratios="0")
    assert job.state == FINISHED and job.ready.labels == LabelSet.parse(OBJECTS)
    assert job.ready.plan.top_k == 12  # a share of the labels there are
    said = words(handlers.poll(job.name, None).state)
    assert "pictures.zip holds 40 folders and there are 41 labels, so the folders' names" in said
    mixed = OBJECTS.replace("abacus", "quark")
    job = finished(handlers, zip=pictures, labels=mixed, ratios="0")
    assert job.ready.labels == LabelSet.parse(OBJECTS)
    assert "pictures.zip: no label is called 'abacus', so" in job.ready.warning


def test_folders_that_stand_for_labels_by_their_order_are_told(handlers, pictures):
    things = "\n".join(f"thing {i}" for i in range(40))
    job = finished(handlers, zip=pictures, labels=things, ratios="0")
    assert job.state == FINISHED and job.ready.labels == LabelSet.parse(things)
    assert "“abacus” for “thing 0”" in words(handlers.poll(job.name, None).state)


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
    said = words(handlers.poll(job.name, None).state)
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
    said = str(handlers.poll(job.name, None).state)
    assert "One file was left out" in said and "<b>bad.png" in said


def test_k_that_no_patch_can_reach_is_refused(handlers, pictures):
    job = finished(handlers, zip=pictures, top_k=40)
    assert job.state == FAILED and "top-k is 40 of 40" in job.problem
