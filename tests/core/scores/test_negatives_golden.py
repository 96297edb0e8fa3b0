"""Equality with the authors' own code of NegLabel and CSP: words, order, features, scores."""

import copy
import json
from functools import cache
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F

from setar_core.backbones import load_backbone
from setar_core.data.images import find_images, read_image
from setar_core.data.negatives.methods import Mining
from setar_core.data.negatives.words import load_words
from setar_core.labels import LabelSet, sentence
from setar_core.scores.embeddings import TextFeatures
from setar_core.scores.mining import distances, mine, negative_classifier
from setar_core.scores.negatives import neglabel
from tests.core.scores.steps import ended

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
PROMPTS = {85: None, 35: "a {} in a video game."}
CASES = [
    pytest.param(method, name, id=f"{method}-{name}")
    for method in ("neglabel", "csp")
    for name in json.loads((GOLDEN / method / "cases.json").read_text())["cases"]
]


@cache
def about(method):
    return json.loads((GOLDEN / method / "cases.json").read_text())["cases"]


@cache
def numbers(method):
    return dict(np.load(GOLDEN / method / "numbers.npz"))


@cache
def network(device):
    return load_backbone(f"local-dir:{GOLDEN / 'clip'}", device)


@cache
def whole(device):
    """Unit features of the ID images, then of the others."""
    return network(device).features(pictures(device)).whole


@cache
def pictures(device):
    paths = [*find_images([GOLDEN / "clip/images"]), *find_images([GOLDEN / "ood/images"])]
    return torch.stack([network(device).preprocess(read_image(path)) for path in paths])


@cache
def exact_network():
    """open_clip's own model in float64: what float32, theirs and ours, rounds."""
    return copy.deepcopy(network("cpu").model).double().eval()


@cache
@torch.no_grad()
def exact_whole():
    return F.normalize(exact_network().encode_image(pictures("cpu").double()), dim=-1)


@torch.no_grad()
def exact_rows(words, templates):
    tokenizer = open_clip.SimpleTokenizer(context_length=exact_network().context_length)
    outputs = [
        exact_network().encode_text(tokenizer([sentence(template, word) for word in words]))
        for template in templates
    ]
    return F.normalize(sum(outputs) / len(outputs), dim=-1)


def assert_theirs(ours, theirs, exact):
    """Within 1e-4 of theirs, or, since theirs are up to 1.14e-4 from them themselves, of the exact
    numbers that both round."""
    theirs = torch.from_numpy(theirs)
    assert float((theirs - exact).abs().max()) < 1.2e-4
    assert float(torch.minimum((ours - theirs).abs(), (ours - exact).abs()).max()) <= 1e-4


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """By method, a folder of its word lists."""
    made = {}
    for method in ("neglabel", "csp"):
        made[method] = tmp_path_factory.mktemp(method)
        for name, words in json.loads((GOLDEN / method / "words.json").read_text()).items():
            (made[method] / name).write_text("\n".join(words) + "\n", encoding="utf-8")
    return made


def settings_of(method, name):
    page = about(method)[name]["settings"]
    return Mining(
        method,
        page["neg_topk"],
        None,
        page["percentile"],
        page.get("max_id"),
        tuple(file.removesuffix(".txt") for file in page["exclude"].split(",")),
        page.get("seed", 0),
        PROMPTS[page.get("prompt", 85)],
    )


@pytest.fixture
def mined(request, lists, device):
    method, name = request.param
    settings = settings_of(method, name)
    words = load_words(lists[method], settings)
    labels = LabelSet.load(GOLDEN / "clip" / "labels.json")
    found = mine(network(device), labels, words, settings)
    theirs = numbers(method)
    return method, name, words, labels, found, lambda key: theirs[f"{name}/{key}"]


every_case = pytest.mark.parametrize(
    "mined", [pytest.param(case.values, id=case.id) for case in CASES], indirect=True
)


@every_case
def test_the_same_words_are_chosen_in_the_same_order(mined):
    method, name, words, _, found, theirs = mined
    page = about(method)[name]
    assert (len(words.nouns), len(words.adjectives)) == (page["nouns"], page["adjectives"])
    chosen = [(words.nouns[i], "noun") for i in theirs("selected_noun")]
    chosen += [(words.adjectives[i], "adj") for i in theirs("selected_adj")]
    assert [word[:2] for word in found.negatives.words] == chosen
    assert len(chosen) == page["negatives"]


@every_case
def test_distances_and_features_are_theirs(mined, device):
    _, _, words, labels, found, theirs = mined
    settings, features = found.negatives.mining, TextFeatures(network(device))
    ids = ended(features.reading(labels.names, settings.templates["noun"]))
    np.testing.assert_allclose(ids, theirs("id_text_features"), rtol=0, atol=1e-6)
    for kind, some in (("noun", words.nouns), ("adj", words.adjectives)):
        rows = ended(features.reading(some, settings.templates[kind]))
        far, near = distances(rows, ids, settings.quantile)
        far[near > settings.nearest] = 1  # as CSP's code marks them
        np.testing.assert_allclose(far, theirs(f"distance_{kind}"), rtol=0, atol=1e-6)
        measured = [word.distance for word in found.negatives.words if word.kind == kind]
        np.testing.assert_array_equal(measured, far[theirs(f"selected_{kind}")].tolist())
    ours = found.classifier
    np.testing.assert_allclose(ours.labels.cpu(), theirs("id_text_features"), rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.negatives.cpu(), theirs("neg_text_features"), rtol=0, atol=1e-6)


@every_case
def test_scores_are_theirs(mined, device):
    method, name, _, labels, found, theirs = mined
    classifier = negative_classifier(network(device), labels, found.negatives)
    cosines = classifier.cosines(whole(device))
    around = found.negatives.mining.templates
    words = [[w.word for w in found.negatives.words if w.kind == kind] for kind in around]
    exact = (
        [exact_rows(labels.names, around["noun"])],
        [exact_rows(some, around[kind]) for kind, some in zip(around, words, strict=True) if some],
    )
    for ours, key, rows in zip(cosines, ("pos_100cos", "neg_100cos"), exact, strict=True):
        assert_theirs(100 * ours.cpu(), theirs(key), 100 * exact_whole() @ torch.cat(rows).T)
    for case, page in about(method)[name]["scores"].items():
        score = neglabel(cosines, page["t"] / 100, page["ngroup"]).cpu()
        np.testing.assert_allclose(score, theirs(f"{case}/score"), rtol=0, atol=5e-6, err_msg=case)
