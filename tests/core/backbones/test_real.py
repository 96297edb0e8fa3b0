"""A network that was really trained, on photographs that were really taken."""

import json

import pytest
import torch

from setar_core.backbones import load_backbone
from setar_core.data.images import find_images
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.metrics.separation import separation, threshold_at_recall
from setar_core.scores import SCORES

# measured with timm alone against imagenet/: AUROC, and the share of OOD images that the threshold
# accepts which keeps 95 % of the ID images
PUBLISHED = {
    ("textures", "msp"): (0.844, 0.583),
    ("textures", "energy"): (0.9204, 0.4),
    ("scenes", "msp"): (0.7478, 0.85),
    ("scenes", "energy"): (0.6862, 0.85),
    ("flowers", "msp"): (0.9286, 0.367),
    ("flowers", "energy"): (0.9276, 0.283),
    ("digits", "msp"): (0.8735, 0.575),
    ("digits", "energy"): (0.9722, 0.075),
}


@pytest.fixture(scope="module")
def real(shared):
    return shared("real/deit_tiny").parent


@pytest.fixture(scope="module")
def found(real):
    """By folder: the paths and the logits of every photograph."""
    backbone = load_backbone(f"timm:local-dir:{real / 'deit_tiny'}")
    detector = Detector(backbone, LabelSet(backbone.class_names))
    result = {}
    for name in ("imagenet", "textures", "scenes", "flowers", "digits"):
        parts = list(detector.read(find_images([real / name])))
        paths = [path for some, _ in parts for path in some]
        scores = {
            score: torch.cat([SCORES[score](evidence) for _, evidence in parts]).numpy()
            for score in ("msp", "energy")
        }
        guesses = torch.cat([evidence.logits.whole.argmax(-1) for _, evidence in parts])
        result[name] = paths, scores, guesses
    return result


def test_the_head_names_its_classes(real):
    backbone = load_backbone(f"timm:local-dir:{real / 'deit_tiny'}")
    assert backbone.class_names[1] == "goldfish"


def test_top_1_is_as_measured_with_timm(found, real):
    classes = json.loads((real / "imagenet" / "class_index.json").read_text())
    paths, _, guesses = found["imagenet"]
    right = [int(guess) == classes[path.name] for path, guess in zip(paths, guesses, strict=True)]
    assert sum(right) / len(right) == pytest.approx(0.795, abs=1e-9)


@pytest.mark.parametrize(("folder", "score"), PUBLISHED)
def test_ood_metrics_are_as_measured_with_timm(found, folder, score):
    auroc, fpr95 = PUBLISHED[folder, score]
    ids, ood = found["imagenet"][1][score], found[folder][1][score]
    assert separation(ids, ood).auroc == pytest.approx(auroc, abs=0.005)
    accepted = float((ood >= threshold_at_recall(ids)).mean())
    assert accepted == pytest.approx(fpr95, abs=1 / len(ood) + 0.0005)
