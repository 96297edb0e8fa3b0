"""Where a detector goes wrong at a threshold: which labels OOD images are taken for, and worst."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .results import Detection
from .run import Benchmark
from .set_scores import SetScores


class Mistake(NamedTuple):
    """An OOD image that was accepted, or an ID image that was not.

    Attributes:
        beyond: how far the score lies on the wrong side of the threshold, at least 0.
        truth: the ID image's own label, where its folder tells.
    """

    path: Path
    set: str
    accepted: bool
    score: float
    beyond: float
    label: str
    truth: str | None


class FalsePositives(NamedTuple):
    """How many OOD images were taken for a label, of how many that resemble it most."""

    label: str
    accepted: int
    nearest: int


def false_positives(
    bench: Benchmark, ood: SetScores, detection: Detection, threshold: float
) -> list[FalsePositives]:
    """Every label that accepted an OOD image, the most frequent first."""
    labels = bench.nearest(ood, detection.recipe)
    nearest = Counter(labels.tolist())
    accepted = Counter(labels[bench.scores_of(ood, detection) >= threshold].tolist())
    found = [FalsePositives(bench.labels[i], n, nearest[i]) for i, n in accepted.items()]
    return sorted(found, key=lambda one: (-one.accepted, one.label))


def worst_accepted(
    bench: Benchmark, ood: SetScores, detection: Detection, threshold: float, count: int = 12
) -> list[Mistake]:
    """OOD images that were accepted, the highest scores first."""
    return _worst(bench, ood, detection, threshold, count, accepted=True)


def worst_rejected(
    bench: Benchmark, detection: Detection, threshold: float, count: int = 12
) -> list[Mistake]:
    """ID images that were not accepted, the lowest scores first."""
    return _worst(bench, bench.id, detection, threshold, count, accepted=False)


def _worst(
    bench: Benchmark,
    scored: SetScores,
    detection: Detection,
    threshold: float,
    count: int,
    accepted: bool,
) -> list[Mistake]:
    scores, labels = bench.scores_of(scored, detection), bench.nearest(scored, detection.recipe)
    beyond = scores - threshold if accepted else threshold - scores
    wrong = (scores >= threshold) == accepted
    order = [i for i in np.argsort(-beyond, kind="stable").tolist() if wrong[i]][:count]
    classes = scored.images.classes
    places = scored.places.tolist()
    return [
        Mistake(
            scored.images.path(places[i]),
            scored.images.name,
            accepted,
            float(scores[i]),
            float(beyond[i]),
            bench.labels[labels[i]],
            bench.labels[classes[places[i]]] if classes else None,
        )
        for i in order
    ]
