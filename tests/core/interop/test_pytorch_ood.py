"""Detectors of ours in pytorch-ood: every score with its sign turned, their own metrics, `fit`."""

import pytest
import torch
from pytorch_ood.api import Detector as OodDetector
from pytorch_ood.api import RequiresFittingException
from pytorch_ood.metrics import OODMetrics
from torch.utils.data import DataLoader, TensorDataset

from setar_core.data.images import find_images, read_image
from setar_core.detector import Detector
from setar_core.interop.pytorch_ood import SetarDetector
from setar_core.metrics.separation import separation
from setar_core.recipe import Recipe, Site
from setar_core.scores import SCORES
from setar_core.scores.shaping import Shaping

MINED = [name for name, score in SCORES.items() if score.group == "negatives"]
LEARN = [name for name, score in SCORES.items() if score.learns]
ALONE = [name for name in SCORES if name not in (*MINED, *LEARN)]


@pytest.fixture(scope="module")
def altered(clip):
    return clip.with_recipe(Recipe({Site("visual", 1, "up"): 0.3}))


@pytest.fixture(scope="module")
def pictures(golden, altered, images):
    """ID images with classes of two, then OOD images with -1."""
    paths = [*images.paths(), *find_images([golden / "ood" / "images"])]
    pixels = torch.stack([altered.preprocess(read_image(path)) for path in paths])
    classes = [c // 2 for c in images.classes] + [-1] * (len(paths) - len(images.classes))
    return pixels, torch.tensor(classes)


@pytest.fixture(scope="module")
def loader(pictures):
    return DataLoader(TensorDataset(*pictures), batch_size=7)


@pytest.mark.parametrize("score", ALONE)
def test_an_outlier_score_is_ours_with_its_sign_turned(score, altered, labels, pictures, loader):
    ours = Detector(altered, labels, score)
    theirs = SetarDetector(ours)
    assert isinstance(theirs, OodDetector) and not theirs.requires_fit
    assert torch.equal(theirs(pictures[0]), -ours.scores_of(pictures[0]))
    assert theirs.fit(loader) is theirs  # which learns nothing


@pytest.mark.parametrize("score", LEARN)
def test_a_score_that_learns_is_fitted_by_their_loader(
    score, altered, labels, images, loader, pictures
):
    detector = SetarDetector(Detector(altered, labels, score))
    assert detector.requires_fit
    with pytest.raises(RequiresFittingException):
        detector.predict(pictures[0])
    found = detector.fit(loader).predict(pictures[0])
    assert not detector.requires_fit
    paths, classes = list(images.paths()), [c // 2 for c in images.classes]
    ours = Detector(altered, labels, score).fit(paths, classes=classes).scores_of(pictures[0])
    torch.testing.assert_close(found, -ours, rtol=1e-4, atol=1e-5)


def test_a_shaping_that_learns_is_fitted_too(altered, labels, images, loader, pictures):
    shaping = Shaping.parse("react:p90")
    detector = SetarDetector(Detector(altered, labels, "msp", shaping=shaping))
    assert detector.requires_fit
    ours = Detector(altered, labels, "msp", shaping=shaping).fit(list(images.paths()))
    found = detector.fit(loader).predict(pictures[0])
    torch.testing.assert_close(found, -ours.scores_of(pictures[0]), rtol=1e-5, atol=1e-6)


def test_their_metrics_are_ours(altered, labels, loader, pictures):
    detector = SetarDetector(Detector(altered, labels, "mcm"))
    metrics = OODMetrics()
    for x, y in loader:
        metrics.update(detector(x), y)
    found, known = metrics.compute(), pictures[1] >= 0
    scores = detector.detector.scores_of(pictures[0])
    inside, outside = scores[known].numpy(), scores[~known].numpy()
    assert found["AUROC"] == pytest.approx(separation(inside, outside).auroc, abs=1e-6)


def test_a_device_is_that_of_the_backbone(altered, labels):
    detector = SetarDetector(Detector(altered, labels))
    assert detector.device == torch.device("cpu") and detector.to("cpu") is detector
    with pytest.raises(ValueError, match="load it on meta"):
        detector.to("meta")


def test_nothing_known_in_a_loader_is_told(altered, labels, pictures):
    strangers = DataLoader(TensorDataset(pictures[0][:4], -torch.ones(4)), batch_size=2)
    with pytest.raises(ValueError, match="none of the ID images"):
        SetarDetector(Detector(altered, labels, "knn")).fit(strangers)
