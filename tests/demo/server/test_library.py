"""The shelves: what a visitor may open, and what is told apart by the whole of it."""

import open_clip
import pytest
import torch

from demo.server import shipped
from demo.server.jobs import result_of
from demo.server.library import PHOTOGRAPHS, PHOTOGRAPHS_AT, Library, best_backbone
from demo.server.limits import KEPT_RECIPES
from demo.server.shipped import EMBEDDED, label_set, label_sets
from setar_core.data.images import read_image
from setar_core.labels import LabelSet
from setar_core.photographs import is_photograph
from setar_core.recipe import Recipe, Site
from tests.demo.asking import asking

UP = Site("visual", 5, "up")


@pytest.fixture
def colliding(monkeypatch):
    """Everything has the same fingerprint, as a hostile visitor would have it."""
    for kind in (LabelSet, Recipe):
        monkeypatch.setattr(kind, "fingerprint", property(lambda self: "7dd6baac"))


@pytest.fixture(scope="module")
def library():
    return Library()


def test_the_best_backbone_that_is_there_opens(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repo, name: None)
    assert best_backbone() == EMBEDDED
    there = {(PHOTOGRAPHS_AT, "model.safetensors"): "/cache/model.safetensors"}
    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.try_to_load_from_cache", lambda *asked: there.get(asked))
        assert best_backbone() == PHOTOGRAPHS
    monkeypatch.setenv("SPACE_ID", "someone/setar")
    assert best_backbone() == PHOTOGRAPHS


def test_the_weights_are_looked_for_where_they_would_be_fetched():
    assert open_clip.get_pretrained_cfg("ViT-B-16", "openai")["hf_hub"].strip("/") == PHOTOGRAPHS_AT


def test_a_backbone_that_knows_photographs_opens_with_photographs():
    offered = Library([PHOTOGRAPHS]).pictures
    assert [path.name for path in offered] == [*shipped.PHOTOGRAPHS]
    assert all(is_photograph(read_image(path)) for path in offered)
    assert Library().pictures == shipped.examples() and len(Library().pictures) == 16


def test_labels_of_one_fingerprint_have_detectors_of_their_own(library, colliding):
    sets = [LabelSet(names) for names in (("fox", "owl"), ("tree", "car"), ("fox", "owl"))]
    made = [result_of(library.detector(EMBEDDED, None, labels)) for labels in sets]
    assert [detector.labels.names for detector in made] == [labels.names for labels in sets]
    assert made[0] is made[2]


def test_recipes_of_one_fingerprint_have_weights_of_their_own(library, colliding):
    recipes = [Recipe({UP: ratio}, EMBEDDED) for ratio in (0.1, 0.3, 0.1)]
    made = [library.backbone(EMBEDDED, recipe) for recipe in recipes]
    assert [altered.recipe.ratios[UP] for altered in made] == [0.1, 0.3, 0.1]
    assert made[0] is made[2]


def test_a_recipe_takes_nobodys_title(colliding):
    library = Library()
    mine = Recipe({UP: 0.1}, EMBEDDED)
    title = library.keep_recipe(mine, "searched")
    assert title.startswith("searched (") and library.keep_recipe(mine, "searched") == title
    assert library.keep_recipe(mine, "uploaded").startswith("uploaded (")
    others = {
        library.keep_recipe(Recipe({UP: i / 1000}, EMBEDDED), "searched") for i in range(1, 50)
    }
    assert title not in others and library.made_recipe(title) == mine


def test_each_visitor_has_titles_of_his_own_and_drives_out_his_own_recipes():
    library, recipe = Library(), Recipe({UP: 0.5})
    with asking("you"):
        yours = library.keep_recipe(recipe, "searched")
    with asking("many"):
        first = library.keep_recipe(recipe, "searched")
        for i in range(KEPT_RECIPES):
            library.keep_recipe(Recipe({UP: (i + 1) / 1000}), "searched")
    assert yours != first
    assert library.made_recipe(yours) == recipe and library.made_recipe(first) is None


def test_labels_are_read_in_turns_between_which_others_have_theirs(library, monkeypatch):
    monkeypatch.setattr("demo.server.device.turns.PIECE", 0.0)
    labels = LabelSet(tuple(f"{word} {i}" for i in range(1_200) for word in ("fox", "red owl")))
    steps, others = library.detector(EMBEDDED, None, labels), []
    while True:
        try:
            said = next(steps)
        except StopIteration as end:
            made = end.value
            break
        others.append(library.turns.run("another", lambda said=said: said.share))
    assert len(others) > 4 and others == sorted(others) and others[-1] == 1
    whole = library.backbone(EMBEDDED).classifier(labels)
    assert torch.equal(made.classifier.weight, whole.weight)


def test_the_last_recipes_are_kept():
    library = Library()
    first = library.keep_recipe(Recipe({UP: 0.5}), "searched")
    for i in range(KEPT_RECIPES):
        library.keep_recipe(Recipe({UP: (i + 1) / 1000}), "searched")
    assert library.made_recipe(first) is None


def test_label_sets_are_listed_with_counts():
    assert label_sets()["animals"] == 40
    with pytest.raises(ValueError, match="no label set"):
        label_set("../../setup")


@pytest.mark.parametrize(
    "name",
    [
        "local-dir:/etc",
        "hf-hub:someone/model",
        "timm:local-dir:/etc",
        "timm:hf-hub:someone/model",
        "LOCAL-DIR:/etc",
        "/etc/passwd",
        "../x",
        "ViT-B-16/../../x",
        "ViT-B-16//etc",
        "https://example.org/x",
        "",
    ],
)
def test_a_visitor_cannot_name_a_path(library, name):
    with pytest.raises(ValueError, match="cannot be opened from here"):
        library.open(name)


def test_a_folder_named_at_the_start_is_shown_without_its_path():
    library = Library(["local-dir:/srv/models/mine", "emoji"])
    assert library.backbones()[:2] == ["local-dir:mine", "emoji"]
    with pytest.raises(ValueError, match="cannot be opened"):
        library.open("local-dir:/srv/models/mine")


def test_shipped_recipes_fit_the_embedded_backbone(library):
    for path in library.recipes(EMBEDDED).values():
        assert library.backbone(EMBEDDED, Recipe.load(path)).recipe
