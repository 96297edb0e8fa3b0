"""The bar: what a choice of labels, backbone or recipe changes, called as plain functions."""

import re
from pathlib import Path

import pytest
import torch

from demo.build import build
from demo.page import choices, links
from demo.page.session import status_of
from demo.server.library import Library
from demo.server.request import NO_RECIPE, read_settings
from demo.server.shipped import EMBEDDED, label_set
from setar_core.adapter import Adapter
from setar_core.labels import PROMPT
from tests.demo.told import is_bad, words

ANIMALS = "\n".join(label_set("animals").names)
ROOT = Path(__file__).resolve().parents[3]
HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def library():
    return Library()


def test_an_uploaded_recipe_is_chosen_and_used(library, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('{"ratios": {"visual.0.up": 0.1}}')
    given = choices.recipe_given(library, EMBEDDED, str(file))
    title = given.recipe.value
    assert title.startswith("uploaded") and title in [name for name, _ in given.recipe.choices]
    settings = read_settings(library, EMBEDDED, ANIMALS, PROMPT, title, "mcm", 1.0, 1.0)
    assert settings.recipe.ratios and not given.notice


def test_a_recipe_that_cannot_be_read_is_refused(library, tmp_path):
    file = tmp_path / "mine.json"
    for text, said in (
        ('{"ratios": {"visual.0.up": 2}}', "2"),
        ('{"ratios": {"visual.0.up": NaN}}', "NaN"),
        ("not json", "JSON"),
    ):
        file.write_text(text)
        given = choices.recipe_given(library, EMBEDDED, str(file))
        assert is_bad(given.notice) and said in words(given.notice)
        assert given.recipe.value == NO_RECIPE
    away = choices.recipe_given(library, EMBEDDED, None)
    assert away.recipe.value == choices.default_recipe(library, EMBEDDED) and not away.notice


def test_an_uploaded_adapter_is_chosen_for_the_weights_it_was_trained_on(library, tmp_path):
    backbone, file = library.backbone(EMBEDDED), tmp_path / "mine.safetensors"
    site = next(backbone.sites("up"))
    out, width = backbone.weight(site).shape
    tensors = {f"{site}/A": torch.ones(1, width), f"{site}/B": torch.ones(out, 1)}
    Adapter("lora", tensors, EMBEDDED, backbone.fingerprint).save(file)
    given = choices.recipe_given(library, EMBEDDED, str(file))
    assert not given.notice
    chosen = library.made_recipe(given.recipe.value)
    asked = (EMBEDDED, ANIMALS, PROMPT, given.recipe.value, "mcm", 1.0, 1.0)
    settings = read_settings(library, *asked)
    assert [settings.titles[w] for w in settings.weights] == ["Original weights", "Adapter"]
    assert library.backbone(EMBEDDED, chosen).adapter.fingerprint == chosen.fingerprint
    Adapter("lora", tensors, "another", "0" * 16).save(file)
    given = choices.recipe_given(library, EMBEDDED, str(file))
    assert is_bad(given.notice) and "trained on 'another'" in words(given.notice)
    file.write_bytes(b"\x80\x04 a pickle")
    given = choices.recipe_given(library, EMBEDDED, str(file))
    assert is_bad(given.notice) and "safetensors" in words(given.notice)


def test_a_backbone_brings_its_recipes_and_ends_what_it_said(library):
    first, *_, ended = choices.backbone_chosen(library, EMBEDDED, ANIMALS, PROMPT, NO_RECIPE, None)
    assert ended.settled == EMBEDDED
    assert first.recipe.value == choices.default_recipe(library, EMBEDDED)
    assert first.notice.kind == "busy" and ended.notice is None


def test_labels_are_counted_and_marked(library):
    library.backbone(EMBEDDED)
    said = words(choices.labels_counted(library, EMBEDDED, "cat\ncat\nquark"))
    assert "3 labels" in said and "Labels that occur twice share their probability: cat." in said
    assert "never seen" in said and "“quark”" in said
    many = "\n".join(label_set("imagenet1k").names)
    twice = words(choices.labels_counted(library, "ViT-B-16/openai", many))
    assert "1,000 labels" in twice and "occur twice" in twice


def test_labels_that_the_model_reads_as_one_are_marked_once_it_is_there(library):
    library.backbone(EMBEDDED)
    (warning,) = choices.labels_counted(library, EMBEDDED, "Cat\ncat\ndog").warnings
    assert warning == "Labels that emoji reads as one text share their probability: 'Cat' = 'cat'."
    assert not choices.labels_counted(library, "ViT-B-16/openai", "Cat\ncat\ndog").warnings
    summary = choices.labels_counted(library, EMBEDDED, "id,name\n0,cat\n1,dog")
    assert summary.names == "cat, dog" and not summary.warnings


def test_unknown_words_of_the_prompt_are_marked(library):
    library.backbone(EMBEDDED)
    prompt = "a zeppelin of a {}"
    for said in (
        choices.labels_counted(library, EMBEDDED, "cat\ndog", prompt),
        choices.labels_written(library, EMBEDDED, "cat\ndog", prompt).label_count,
        choices.labels_chosen(library, EMBEDDED, "animals", prompt).label_count,
        links.opening(library, {"prompt": prompt})[-3],
    ):
        assert "“zeppelin”" in words(said)
    assert not choices.labels_counted(library, EMBEDDED, "cat\ndog").warnings


def test_only_a_change_by_hand_makes_labels_ones_own(library):
    assert choices.labels_written(library, EMBEDDED, ANIMALS).label_set == "animals"
    other = choices.labels_written(library, EMBEDDED, "cat\ndog")
    assert other.label_set == "my own text" and "2 labels" in words(other.label_count)


def test_a_backbone_that_cannot_be_had_says_why(library):
    asked = ("ViT-B-99/none", ANIMALS, PROMPT, "emoji-searched")
    *_, ended = choices.backbone_chosen(library, *asked, None)
    assert is_bad(ended.notice) and "ViT-B-99" in words(ended.notice)
    *_, ended = choices.backbone_chosen(library, *asked, EMBEDDED)  # the one before comes back
    assert (ended.backbone, ended.recipe.value) == (EMBEDDED, "emoji-searched")
    assert ended.settled == choices.KEEP and is_bad(ended.notice)
    said = words(ended.notice)
    assert "timm:NAME" in said and "local-dir" not in said  # which no visitor can open


def test_a_backbone_that_is_left_as_it_was_changes_nothing(library):
    asked = (EMBEDDED, ANIMALS, PROMPT, "a recipe of one's own", EMBEDDED)
    assert list(choices.backbone_chosen(library, *asked)) == [choices.Choice()]


def test_a_link_to_a_backbone_that_is_not_there_opens_the_usual_one(library):
    *_, ended = links.arrived(library, "ViT-B-99/none", ANIMALS)
    assert ended.backbone == EMBEDDED and is_bad(ended.notice)
    assert ended.recipe.value == choices.default_recipe(library, EMBEDDED)


def test_the_status_is_read_as_soon_as_a_page_opens(library):
    page = build(library).config
    (line,) = (c["id"] for c in page["components"] if c["props"].get("elem_id") == "status")
    events = {e for d in page["dependencies"] if line in d["outputs"] for _, e in d["targets"]}
    assert {"load", "tick"} <= events


def test_the_status_says_what_is_loaded(library):
    library.backbone(EMBEDDED)
    assert EMBEDDED in words(status_of(library))
    busy = library.turns.run("judging 3 pictures", status_of, library)
    assert "judging 3 pictures" in words(busy)
    assert "idle" in words(status_of(library))


def test_the_page_opens_complete(library):
    page = build(library).config
    parts = {c["props"].get("elem_id"): c["props"] for c in page["components"]}
    titles = [title for title, _ in choices.score_choices()]
    for name in ("score", "bench-score-names"):
        assert [title for title, _ in parts[name]["choices"]] == titles
        assert parts[name]["value"]
    assert parts["question"]["value"] and "40 labels" in words(parts["said"]["value"])


def test_every_tab_asks_with_all_settings_of_the_bar(library):
    page = build(library).config
    ids = {c["props"].get("elem_id"): c["id"] for c in page["components"]}
    names = ("backbone", "labels", "prompt", "recipe", "score", "temperature", "local-weight")
    settings = {ids[name] for name in names}
    for button in ("judge", "calibrate", "search-start", "search-estimate", "bench-run"):
        click = (ids[button], "click")
        joined = [d for d in page["dependencies"] if click in map(tuple, d["targets"])]
        assert any(settings <= set(event["inputs"]) for event in joined), button


def test_no_script_looks_for_a_part_of_another_tab():
    """By its id: a tab goes to another through the bar alone."""
    homes = {"detect": "#pictures|#judge|#detect", "search": "#search", "benchmark": "#bench-",
             "spectrum": "#spectrum", "published": "#published"}  # fmt: skip
    for tab in homes:
        others = "|".join(ids for name, ids in homes.items() if name != tab)
        for path in (ROOT / "demo" / tab).glob("*.*"):
            assert not re.search(rf"({others})\b", path.read_text("utf-8")), path
