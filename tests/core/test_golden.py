"""Equality with the authors' own code: features, logits and scores of every golden recipe."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from setar_core.backbones import load_backbone
from setar_core.data.images import find_images, read_image
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe
from setar_core.scores import SCORES, ScoreOptions
from setar_core.scores.evidence import Evidence
from tests.threads import threads

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
PRUNE = {"small": "minor", "large": "principal"}
# the authors' name, ours, and theirs as a multiple of ours at T / scale: (factor(scale))
SCORE_PAIRS = {
    "mcm_score": ("mcm", lambda s: -1.0),
    "l_mcm_score": ("l_mcm", lambda s: -1.0),
    "gl_mcm_score": ("gl_mcm", lambda s: -1.0),
    "energy_score": ("energy", lambda s: -s),
    "entropy_score": ("entropy", lambda s: -1.0),
    "var_score": ("variance", lambda s: -1.0),
}


def recipes(family):
    pages = json.loads((GOLDEN / family / "recipes.json").read_text())
    for name, page in pages.items():
        rows = page["recipe"] if isinstance(page, dict) else page
        prune = PRUNE[page["prune"]] if isinstance(page, dict) else "minor"
        yield name, Recipe.loads(json.dumps(rows), prune)


CASES = [
    pytest.param(family, name, recipe, id=f"{family}-{name}")
    for family in ("clip", "swin")
    for name, recipe in recipes(family)
]


@pytest.fixture(scope="module", autouse=True)
def two_threads():
    """Sums are rounded by how they are parted; the bounds were taken with two threads."""
    with threads(2):
        yield


@cache
def original(family, device):
    name = ("timm:" if family == "swin" else "") + f"local-dir:{GOLDEN / family}"
    return load_backbone(name, device)


@cache
def pictures(family):
    paths = find_images([GOLDEN / family / "images"])
    return torch.stack([original(family, "cpu").preprocess(read_image(path)) for path in paths])


@cache
def outcome(family, recipe_text, prune, device):
    backbone = original(family, device).with_recipe(Recipe.loads(recipe_text, prune))
    labels = LabelSet.load(GOLDEN / family / "labels.json")
    features, classifier = backbone.features(pictures(family)), backbone.classifier(labels)
    return features, classifier, backbone.logits(features, classifier)


def run(family, recipe, device):
    return outcome(family, recipe.dumps(), recipe.prune, device)


@pytest.mark.parametrize(("family", "name", "recipe"), CASES)
def test_features_and_logits_are_the_authors(family, name, recipe, device):
    forward = np.load(GOLDEN / family / "forward.npz")
    features, classifier, logits = run(family, recipe, device)
    ours = {"logits_global": logits.whole, "logits_local": logits.local}
    if family == "clip":
        ours |= {
            "text_features": classifier.weight,
            "global_features": features.whole,
            "local_features": features.local,
        }
    for key, tensor in ours.items():
        theirs = forward[f"{name}/{key}"]
        mine = tensor[: len(theirs)].cpu().numpy().reshape(theirs.shape)
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4, err_msg=key)


@pytest.mark.parametrize(("family", "name", "recipe"), CASES)
def test_scores_are_the_authors(family, name, recipe, device):
    forward = np.load(GOLDEN / family / "forward.npz")
    logits = run(family, recipe, device)[2]
    evidence = Evidence(logits)
    compared = 0
    for key in forward.files:
        if not key.startswith(f"{name}/T"):
            continue
        temperature = int(key.split("/")[1][1:])
        options = ScoreOptions(temperature / logits.scale)
        ours, factor = SCORE_PAIRS[key.split("/")[2]]
        mine = (SCORES[ours](evidence, options) * factor(logits.scale)).cpu()
        theirs = forward[key]
        rtol = 1e-5 if temperature == 1 else 1e-4
        np.testing.assert_allclose(mine.numpy()[: len(theirs)], theirs, rtol=rtol, err_msg=key)
        compared += 1
    assert compared >= 6
