"""Scores that learn: their formulas written out, pytorch-ood's numbers, and what is too little."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_ood.detector import ASH, GEN, KNN, EnergyBased, Mahalanobis, NNGuide, ReAct, fDBD
from sklearn.covariance import ledoit_wolf

from setar_core.backbones.base import Classifier, Logits
from setar_core.scores import SCORES, ScoreOptions
from setar_core.scores.evidence import Evidence
from setar_core.scores.shaping import Shaping

D, K, N, B = 12, 5, 90, 30


def drawn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


HEAD = torch.nn.Linear(D, K).requires_grad_(False)
HEAD.weight.copy_(drawn(K, D, seed=0))
HEAD.bias.copy_(drawn(K, seed=1))
CLASSES = torch.arange(N) % K
INSIDE = 2 * HEAD.weight[CLASSES] + drawn(N, D, seed=2) + 0.5
IMAGES = torch.cat([INSIDE[:10] + 0.3 * drawn(10, D, seed=3), 3 * drawn(20, D, seed=4)])
LEARN = [name for name, score in SCORES.items() if score.learns]


def evidence(features, classes=None, head=HEAD, scale=1.0):
    logits = Logits(head(features), None, (1, 1), scale)
    layers = torch.stack([head(features * s) for s in (0.5, 2.0, 1.0)], dim=1)
    return Evidence(logits, features, layers, {}, Classifier(head.weight, head.bias), classes)


def learned(name, features=INSIDE, classes=CLASSES, head=HEAD, **options):
    return SCORES[name].fit(evidence(features, classes, head), ScoreOptions(**options))


def found(name, features=IMAGES, **options):
    return learned(name, **options)(evidence(features), ScoreOptions(**options))


def test_knn_is_the_distance_to_the_kth_neighbour():
    z, bank = F.normalize(IMAGES, dim=-1), F.normalize(INSIDE, dim=-1)
    distances = (z[:, None] - bank).norm(dim=-1).sort(dim=-1).values
    for k in (1, 7, N):
        torch.testing.assert_close(found("knn", neighbors=k), -distances[:, k - 1])
    torch.testing.assert_close(found("knn"), -distances[:, 9])
    theirs = KNN(None, k=7).fit_features(INSIDE, CLASSES).predict_features(IMAGES)
    np.testing.assert_allclose(-theirs.numpy(), found("knn", neighbors=7), rtol=1e-5)


def test_an_image_that_was_learned_is_at_no_distance_of_itself():
    assert torch.equal(found("knn", INSIDE, neighbors=1), torch.zeros(N))


def test_nnguide_is_energy_guided_by_the_nearest():
    z, bank = F.normalize(IMAGES, dim=-1), F.normalize(INSIDE, dim=-1)
    energy = HEAD(IMAGES).exp().sum(-1).log()
    guide = (z @ bank.T * HEAD(INSIDE).exp().sum(-1).log()).sort(dim=-1, descending=True).values
    for k in (1, 10, N):
        wanted = energy * guide[:, :k].mean(dim=-1)
        torch.testing.assert_close(found("nnguide", neighbors=k), wanted, rtol=1e-4, atol=1e-4)
    theirs = NNGuide(None, HEAD, k=10).fit_features(INSIDE, CLASSES).predict_features(IMAGES)
    np.testing.assert_allclose(-theirs.numpy(), found("nnguide"), rtol=1e-5)


def test_fdbd_is_the_mean_distance_to_the_boundaries():
    wanted = []
    for f in IMAGES:
        z, w = HEAD(f), HEAD.weight
        y = int(z.argmax())
        to = [(z[y] - z[c]).abs() / (w[y] - w[c]).norm() for c in range(K) if c != y]
        wanted.append(torch.stack(to).mean() / (f - INSIDE.mean(0)).norm())
    torch.testing.assert_close(found("fdbd"), torch.stack(wanted))
    theirs = fDBD(None, HEAD).fit_features(INSIDE).predict_features(IMAGES)
    np.testing.assert_allclose(-theirs.numpy(), found("fdbd"), rtol=1e-5)


def test_a_label_with_the_best_labels_row_has_no_boundary():
    head = torch.nn.Linear(D, 40).requires_grad_(False)
    head.weight.copy_(drawn(40, D, seed=5)[torch.arange(40) // 2])  # each row twice
    head.bias.copy_(drawn(40, seed=6))
    scores = SCORES["fdbd"].fit(evidence(INSIDE, head=head))(evidence(IMAGES, head=head))
    assert bool(scores.isfinite().all()) and float(scores.max()) < 10
    one = torch.nn.Linear(D, 1).requires_grad_(False)
    only = SCORES["fdbd"].fit(evidence(INSIDE, head=one))(evidence(IMAGES, head=one))
    assert torch.equal(only, torch.zeros(B))
    middle = INSIDE.mean(0, keepdim=True)
    assert bool(found("fdbd", middle).isfinite().all())


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, None])
def test_mahalanobis_is_the_distance_to_the_nearest_class(shrinkage):
    x, z = (F.normalize(f, dim=-1).double().numpy() for f in (INSIDE, IMAGES))
    classes = CLASSES.numpy()
    means = np.stack([x[classes == c].mean(0) for c in range(K)])
    covariance, everywhere = (
        shrunk(rows, shrinkage) for rows in (x - means[classes], x - x.mean(0))
    )
    each = np.stack([mahalanobis(z - m, covariance) for m in means], axis=1)
    options = {} if shrinkage is None else {"shrinkage": shrinkage}
    np.testing.assert_allclose(found("mahalanobis", **options), -each.min(1), rtol=1e-4)
    wanted = mahalanobis(z - x.mean(0), everywhere) - each.min(1)
    mine = found("relative_mahalanobis", **options)
    np.testing.assert_allclose(mine, wanted, rtol=1e-4, atol=1e-3)


def shrunk(rows, shrinkage):
    if shrinkage is None:
        return ledoit_wolf(rows, assume_centered=True)[0]
    covariance = rows.T @ rows / len(rows)
    level = np.trace(covariance) / D
    return (1 - shrinkage) * covariance + shrinkage * level * np.eye(D)


def mahalanobis(rows, covariance):
    return np.einsum("bi,ij,bj->b", rows, np.linalg.inv(covariance), rows)


def test_mahalanobis_without_shrinkage_is_pytorch_oods_on_unit_features():
    """Theirs takes the sum of squares for the covariance, and half of the distance."""
    units, images = F.normalize(INSIDE, dim=-1).double(), F.normalize(IMAGES, dim=-1)
    theirs = Mahalanobis(None).fit_features(units.float(), CLASSES).predict_features(images)
    mine = found("mahalanobis", shrinkage=0)
    np.testing.assert_allclose(mine, -2 * N * theirs.numpy(), rtol=1e-3)


def test_scores_of_logits_and_shaping_are_pytorch_oods():
    given, z = evidence(IMAGES), HEAD(IMAGES)
    np.testing.assert_allclose(SCORES["energy"](given), -EnergyBased.score(z), rtol=1e-6)
    soft = evidence(IMAGES / 5)  # theirs takes a probability to be 1e-7 at least
    np.testing.assert_allclose(SCORES["gen"](soft), -K * GEN.score(HEAD(IMAGES / 5)), rtol=1e-5)
    for text in ("ash-p:65", "ash-b:65", "ash-s:90"):
        shaping = Shaping.parse(text)
        theirs = ASH(None, lambda x: HEAD(x.flatten(1)), shaping.kind, shaping.percent / 100)
        shaped = evidence(shaping(IMAGES))
        wanted = -theirs.predict_feature_maps(IMAGES[:, :, None, None])
        np.testing.assert_allclose(SCORES["energy"](shaped), wanted, rtol=1e-5)
    theirs = ReAct(None, HEAD, percentile=0.9).fit_feature_maps(INSIDE, CLASSES)
    shaping = Shaping.parse("react:p90").fit(INSIDE)
    assert shaping.limit == theirs.threshold
    wanted = -theirs.predict_feature_maps(IMAGES)
    np.testing.assert_allclose(SCORES["energy"](evidence(shaping(IMAGES))), wanted, rtol=1e-6)


def test_gen_tells_images_apart_that_are_all_but_certain():
    sure = torch.arange(5.0, 60, 5)[:, None] * torch.eye(4)[:1]  # the first label's logit
    rest = 3 / (sure[:, 0].double().exp() + 3)
    wanted = -((1 - rest) * rest).pow(0.1) - 3 * (rest / 3 * (1 - rest / 3)).pow(0.1)
    found = SCORES["gen"](Evidence(Logits(sure, None, (1, 1), 1.0)))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert bool((found.diff() > 0).all())


def test_layers_are_averaged_over_those_that_were_chosen():
    score = learned("layers_mcm")
    shares = score.learned["shares"]
    assert shares[-1] > 0 and float(shares.sum()) == pytest.approx(1)
    each = torch.stack([HEAD(IMAGES * s).softmax(-1).amax(-1) for s in (0.5, 2.0, 1.0)], dim=1)
    torch.testing.assert_close(score(evidence(IMAGES)), each @ shares)


@pytest.mark.parametrize("name", LEARN)
def test_what_was_like_the_images_that_were_learned_scores_higher(name):
    values = found(name)
    assert values.shape == (B,)
    assert float(values[:10].mean()) > float(values[10:].mean())


@pytest.mark.parametrize("name", LEARN)
def test_a_score_learns_what_the_catalogue_says(name):
    score = learned(name)
    assert score.learned.keys() == score.tensors.keys()
    sizes = {"D": D, "K": K, "L": 3}
    for part, axes in score.tensors.items():
        shape = score.learned[part].shape
        assert score.learned[part].dtype == torch.float32
        assert len(shape) == len(axes.split())
        for axis, size in zip(axes.split(), shape, strict=True):
            assert sizes.setdefault(axis, size) == size


@pytest.mark.parametrize("name", LEARN)
@pytest.mark.parametrize("change", [
    lambda f: f * 6e4 / f.abs().max(),  # the ends of float16
    lambda f: f * 6e-8,
    lambda f: f.index_fill(1, torch.tensor([3]), 0.0),
    lambda f: f.index_fill(1, torch.tensor([3]), 0.7),
])  # fmt: skip
def test_no_score_leaves_the_numbers(name, change):
    features = change(INSIDE)
    score = SCORES[name].fit(evidence(features, CLASSES))
    for images in (features, change(IMAGES), features.mean(0, keepdim=True)):
        assert bool(score(evidence(images)).isfinite().all())


def test_one_class_alone_can_be_learned():
    for name in ("mahalanobis", "relative_mahalanobis"):
        score = learned(name, classes=torch.zeros(N, dtype=torch.long))
        assert score.learned["centres"].shape[0] == 1
        assert bool(score(evidence(IMAGES)).isfinite().all())


@pytest.mark.parametrize("name", ["mahalanobis", "relative_mahalanobis"])
@pytest.mark.parametrize("case, reason", [
    ((INSIDE[:K], CLASSES[:K], {}), "no class of these 5 ID images has two; give at least two"),
    ((INSIDE, CLASSES - 1, {}), "the class of 18 of the 90 ID images is not known; put them"),
    ((INSIDE[:14], CLASSES[:14], {"shrinkage": 0}), "14 ID images cannot .* 12 dimensions"),
    ((INSIDE[CLASSES], CLASSES, {}), "do not differ within a class"),
])  # fmt: skip
def test_too_little_to_learn_from_is_refused_with_the_reason(name, case, reason):
    features, classes, options = case
    with pytest.raises(ValueError, match=reason):
        learned(name, features, classes, **options)


@pytest.mark.parametrize("name", ["knn", "nnguide"])
def test_neighbours_are_as_many_as_there_are_at_most(name):
    few = learned(name, INSIDE[:4], CLASSES[:4])
    all_four = few(evidence(IMAGES), ScoreOptions(neighbors=4))
    assert torch.equal(few(evidence(IMAGES)), all_four)
    with pytest.raises(ValueError, match="neighbors is 5, but it learned from 4 ID images"):
        few(evidence(IMAGES), ScoreOptions(neighbors=5))
