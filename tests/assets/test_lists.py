"""The label sets and recipes that are shipped: complete, in order, and as they were published."""

import json

import pytest

from assets.build.recipes import FOLDER, published
from setar_core.labels import LabelSet, shipped_label_sets
from setar_core.recipe import Recipe, Site

RECIPES = sorted(FOLDER.glob("*.json"))
FIRST_AND_LAST = {
    "imagenet1k": (1000, "tench", "toilet paper"),
    "voc20": (20, "aeroplane", "tv monitor"),
    "cifar10": (10, "airplane", "truck"),
    "cifar100": (100, "apple", "worm"),
    "dtd47": (47, "banded", "zigzagged"),
    "sun397": (397, "abbey", "youth hostel"),
    "places365": (365, "airfield", "zen garden"),
}


@pytest.mark.parametrize("name", FIRST_AND_LAST)
def test_label_set_of_a_real_data_set(name):
    labels = LabelSet.load(name)
    assert (len(labels), labels.names[0], labels.names[-1]) == FIRST_AND_LAST[name]
    if name not in ("imagenet1k", "places365"):  # the data sets number their classes alphabetically
        assert list(labels.names) == sorted(set(labels.names))


def test_places_are_the_data_sets_own_in_index_order():
    """Its `categories_places365.txt` has the MD5 that torchvision checks, but for spaces."""
    names = LabelSet.load("places365").names
    assert [names[i] for i in (8, 41, 205, 234, 342)] == [
        "apartment building outdoor", "barndoor", "lake natural", "mountain snowy",
        "underwater ocean deep",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["sun397", "places365"])
def test_no_two_scenes_are_one_folder(name):
    names = LabelSet.load(name).names
    assert len({label.replace(" ", "").casefold() for label in names}) == len(names)


def test_imagenet_is_open_clips_list_in_index_order():
    open_clip = pytest.importorskip("open_clip")
    labels = LabelSet.load("imagenet1k")
    assert list(labels.names) == list(open_clip.IMAGENET_CLASSNAMES)
    assert set(labels.duplicates) == {"missile", "sunglasses"}


@pytest.mark.parametrize("name", shipped_label_sets())
def test_label_file_is_clean(name):
    text = shipped_label_sets()[name].read_text(encoding="utf-8")
    lines = text.splitlines()
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert all(line == line.strip() and line and "_" not in line for line in lines)
    assert list(LabelSet.load(name).names) == lines


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_says_what_it_is_for_and_how_it_was_found(path):
    recipe = Recipe.load(path)
    assert recipe and recipe.backbone and recipe.notes["found"]
    assert any(ratio > 0 for ratio in recipe.ratios.values())
    assert path.read_text(encoding="utf-8") == recipe.dumps()


def test_five_published_recipes_carry_their_source():
    published_ones = [path for path in RECIPES if "source" in Recipe.load(path).notes]
    assert len(published_ones) == 5
    for path in published_ones:
        notes = Recipe.load(path).notes
        assert "X1AOX1A/SeTAR" in notes["source"] and notes["paper"] == "arXiv:2406.12629"
    assert "MIT License" in (FOLDER / "LICENSE-SeTAR.txt").read_text(encoding="utf-8")


def test_a_recipe_of_the_paper():
    ratios = Recipe.load(FOLDER / "vit-b-16-imagenet1k.json").ratios
    assert ratios[Site("visual", 11, "up")] == 0.15
    assert ratios[Site("text", 6, "up")] == 0.25
    assert Site("visual", 9, "up") not in ratios
    swin = Recipe.load(FOLDER / "swinv2-b-imagenet1k.json").ratios
    assert swin[Site("visual", (2, 17), "up")] == 0.4
    assert {site.tower for site in swin} == {"visual"}


def test_recipes_are_exactly_the_published_ones(shared):
    runs = json.loads(shared("published/index.json").read_text(encoding="utf-8"))
    searched = [run for run in runs if run["method"] == "SeTAR"]
    assert len(searched) == 5
    for run in searched:
        name, recipe = published(run)
        assert (FOLDER / name).read_text(encoding="utf-8") == recipe.dumps()
        shipped = Recipe.load(FOLDER / name).ratios
        for tower, weight, block, ratio in run["recipe"]:
            block = tuple(block) if isinstance(block, list) else block
            site = Site(tower, block, weight.removeprefix("W_"))
            assert shipped.get(site, 0) == ratio
