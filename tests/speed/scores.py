"""What many scores cost beyond one: ratios in one run, ViT-B/16, random weights.

    python -m tests.speed.scores [--threads 2] [--rounds 7] [--images 64]

A pass with all scores against a pass with MCM alone, and a verdict that tells them against one that
tells what needs nothing else; scores are fitted and negatives embedded beforehand. Each figure is
the median of ratios of neighbouring runs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from setar_core.backbones.base import Logits
from setar_core.backbones.clip import ClipBackbone
from setar_core.data.images import find_images
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.scores import MINED, SCORES
from setar_core.scores.evidence import Evidence, NegativeClassifier
from setar_core.scores.fitting import learned

from .detect import drawn, random_vit, ratios, show

NEGATIVES = 10_000
LEARNED = 1_000  # images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=64)
    args = parser.parse_args()
    backbone = random_vit(args.threads)
    labels = LabelSet(LabelSet.load("imagenet1k").names[:200])
    with tempfile.TemporaryDirectory() as folder:
        paths = find_images([drawn(Path(folder), args.images)])
        plain = Detector(backbone, labels)
        every = fitted(backbone, labels, plain)
        needs = frozenset[str]().union(*(score.needs for score in SCORES.values()))

        def alone() -> None:
            for _, evidence in plain.read(paths, None, SCORES["mcm"].needs):
                plain.score_of(evidence)

        def all_of_them() -> None:
            for _, evidence in every.read(paths, None, needs):
                for name in SCORES:
                    every.score_of(evidence, name)

        def one(detector: Detector) -> None:
            for path in paths[:4]:
                detector.verdict(path)

        show("pass with all scores", ratios(all_of_them, alone, args.rounds), 1.15)
        found = ratios(lambda: one(every), lambda: one(plain), 3 * args.rounds)
        show("verdict with all scores", found, 1.15)


def fitted(backbone: ClipBackbone, labels: LabelSet, plain: Detector) -> Detector:
    """Every score can be had, of drawn features and negatives: random weights hardly tell
    photographs apart."""
    rows = torch.nn.functional.normalize(torch.randn(NEGATIVES, 512), dim=-1)
    words = tuple(map(str, range(NEGATIVES)))
    mined = NegativeClassifier(plain.classifier.weight, rows, words, "random")
    detector = Detector(backbone, labels, negatives=dict.fromkeys(sorted(MINED), mined))
    raw = torch.randn(LEARNED, 512)
    seen = Evidence(
        Logits(
            backbone.similar(backbone.placed(raw), plain.classifier), None, (1, 1), backbone.scale
        ),
        raw,
        torch.randn(LEARNED, 12, len(labels)),
        head=plain.classifier,
        classes=torch.arange(LEARNED) % len(labels),
    )
    learners = [score for score in SCORES.values() if score.learns]
    detector._fitted = learned(learners, [seen], detector.options)
    return detector


if __name__ == "__main__":
    main()
