"""A page's settings as an address: what it carries, and what it refuses."""

from urllib.parse import parse_qsl

import pytest

from demo.page import links
from demo.page.choices import OWN_LABELS, default_labels
from demo.page.events import KEEP
from demo.server.library import Library
from demo.server.request import NO_RECIPE, More
from demo.server.shipped import EMBEDDED, label_set
from setar_core.labels import PROMPT
from setar_core.recipe import Recipe, Site
from tests.demo.told import words

ANIMALS = "\n".join(label_set("animals").names)


@pytest.fixture(scope="module")
def library():
    return Library()


def bar(**changes):
    """What the bar says, in the order of `Opening`."""
    said = {
        "label_set": "animals",
        "backbone": EMBEDDED,
        "labels": ANIMALS,
        "prompt": PROMPT,
        "recipe": NO_RECIPE,
        "score": "mcm",
        "temperature": 1.0,
        "local_weight": 1.0,
    }
    return list((said | changes).values())


def followed(library, link):
    return links.read(library, dict(parse_qsl(link.value.removeprefix("?"))))


def test_a_link_carries_the_settings(library):
    said = bar(label_set=OWN_LABELS, labels="cat\ndog", score="energy", temperature=2.0)
    link = links.query(library, *said, recall=0.8)
    found = followed(library, link)
    assert found.labels == "cat\ndog" and found.label_set == OWN_LABELS
    assert found.score == "energy" and found.temperature == 2.0
    assert links.number(dict(parse_qsl(link.value)), "recall", 0.95) == 0.8


def test_a_link_carries_what_few_scores_need_and_says_what_it_cannot(library):
    more = (
        "guitar\ntruck",
        "/tmp/mine.zip",
        "react:p90",
        0.05,
        3,
        0,
        0.2,
        "/tmp/e.zip",
        0.7,
        "a name",
    )
    link = links.query(library, *bar(score="neglabel"), *more, recall=0.8)
    assert "your pictures to learn from" in link.info
    found = followed(library, link)
    assert found.more == (more[0], None, *more[2:7], None, 0.7, None, 1)
    assert "your examples of labels" in link.info and "the detector's file" in link.info
    assert found.settings[-10:] == found.more[:-1] and len(found.settings) == 17
    plain = links.query(library, *bar())
    assert "shaping" not in plain.value and followed(library, plain).more == More(
        words="", shaping="", groups=0, neighbors=0
    )
    long = links.query(library, *bar(), "word\n" * 1000)
    assert "your negative words" in long.info and "word" not in long.value


def test_an_address_with_nonsense_for_few_scores_opens_as_always(library):
    asked = {"groups": "-3", "neighbors": "x", "shrinkage": "7", "negative_temperature": "nan"}
    assert links.read(library, asked).more == More(words="", shaping="", groups=0, neighbors=0)


@pytest.mark.parametrize("prune", ["minor", "random"])
def test_a_link_carries_a_recipe_that_was_made_here(library, prune):
    mine = Recipe({Site("visual", 4, "up"): 0.35, Site("text", 0, "q"): 0.1}, EMBEDDED, prune, 3)
    title = library.keep_recipe(mine, "searched")
    link = links.query(library, *bar(recipe=title))
    other = Library()  # another server
    found = followed(other, link)
    again = other.made_recipe(found.recipe)
    assert again.fingerprint == mine.fingerprint and again.backbone == EMBEDDED
    shown = links.opening(other, dict(parse_qsl(link.value.removeprefix("?"))))
    recipes = shown[links.Opening._fields.index("recipe")]
    assert found.recipe in [choice[1] for choice in recipes.choices]
    assert link.info is None


def test_a_link_says_what_it_cannot_hold(library):
    many = "\n".join(f"label {i}" for i in range(900))
    sites = [Site("visual", block, w) for block in range(6) for w in ("q", "k", "v", "o", "up")]
    title = library.keep_recipe(Recipe(dict.fromkeys(sites, 0.123456), EMBEDDED), "searched")
    link = links.query(library, *bar(label_set=OWN_LABELS, labels=many, recipe=title))
    assert "left out of it: your labels" in link.info
    assert followed(library, link).recipe.startswith("from a link")
    gone = links.query(library, *bar(recipe="searched (gone)"))
    assert "left out of it: the recipe" in gone.info
    assert followed(library, gone).recipe == NO_RECIPE


def test_a_hostile_link_opens_the_page_as_always(library):
    asked = {
        "backbone": "local-dir:/etc",
        "labels": "../../etc/passwd",
        "score": "nothing",
        "temperature": "nan",
        "recall": "7",
        "recipe": "/etc/passwd",
    }
    found = links.read(library, asked)
    assert found.backbone == EMBEDDED
    assert found.label_set == default_labels(EMBEDDED)
    assert found.temperature == 1.0 and links.number(asked, "recall", 0.95) == 0.95
    assert found.recipe == NO_RECIPE
    for ratios in ("visual.1.up:7", "visual.1.up", "x:0.1", "visual.1.up:nan", ":"):
        assert links.read(library, {"ratios": ratios}).recipe == NO_RECIPE
    assert links.read(library, {"ratios": "visual.1.up:0.1", "seed": "x"}).recipe == NO_RECIPE


def test_a_link_says_what_of_it_could_not_be_followed(library):
    asked = {
        "backbone": "ViT-X/none",
        "labels": "martians",
        "recipe": "gone",
        "score": "best",
        "temperature": "warm",
        "recall": "7",
        "strength": "0.5",
        "prompt": "a {}" * 80,
    }
    told = words(links.opening(library, asked)[-1])
    for part in (
        "'ViT-X/none' is not here; emoji is shown",
        "'martians' cannot be used",
        "'gone' is not here; nothing is dropped",
        "'best' is unknown; mcm is shown",
        "temperature 'warm' is no number",
        "recall '7' is no number from 0.5 to 1",
        "first 200 characters of its prompt",
    ):
        assert part in told
    assert "strength" not in told
    told = words(links.opening(library, {"ratios": "visual.1.up:7", "names": "a\n" * 900})[-1])
    assert "ratios are none of a recipe" in told and "1,500 characters" in told


def test_a_link_that_is_followed_says_nothing(library):
    link = links.query(library, *bar(score="energy"), recall=0.8, strength=0.5)
    for query in ({}, {"tab": "search", "utm": "x"}, dict(parse_qsl(link.value.lstrip("?")))):
        assert links.opening(library, query)[-1] == KEEP
