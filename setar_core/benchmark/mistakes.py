"""Where a detector goes wrong at a threshold: the labels that OOD images are taken for, the worst
pictures, and those whose scores lie in a range."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .results import Detection
from .run import Benchmark
from .set_scores import SetScores


class Scored(NamedTuple):
    """An image as one detector judges it at a threshold.

    Attributes:
        known: whether it is of the ID set.
        beyond: how far the score lies from the threshold, at least 0.
        label: the most probable one.
        truth: the ID image's own label, where its folder tells.
    """

    path: Path
    set: str
    known: bool
    accepted: bool
    score: float
    beyond: float
    label: str
    truth: str | None

    @property
    def mistake(self) -> bool:
        """An OOD image that was accepted, or an ID image that was not."""
        return self.known != self.accepted


class FalsePositives(NamedTuple):
    """How many OOD images were taken for a label, of how many that resemble it most."""

    label: str
    accepted: int
    nearest: int

    @property
    def rate(self) -> float:
        return self.accepted / self.nearest


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
) -> list[Scored]:
    """OOD images that were accepted, the highest scores first."""
    found = bench.scores_of(ood, detection)
    return _scored(bench, ood, detection, threshold, found >= threshold, -found)[:count]


def worst_rejected(
    bench: Benchmark, detection: Detection, threshold: float, count: int = 12
) -> list[Scored]:
    """ID images that were not accepted, the lowest scores first."""
    found = bench.scores_of(bench.id, detection)
    return _scored(bench, bench.id, detection, threshold, found < threshold, found)[:count]


def between(
    bench: Benchmark,
    scored: SetScores,
    detection: Detection,
    threshold: float,
    low: float,
    high: float,
) -> list[Scored]:
    """Images of one set whose scores lie in `[low, high]`, the highest first."""
    found = bench.scores_of(scored, detection)
    return _scored(bench, scored, detection, threshold, (found >= low) & (found <= high), -found)


def _scored(
    bench: Benchmark,
    scored: SetScores,
    detection: Detection,
    threshold: float,
    chosen: np.ndarray,
    order: np.ndarray,
) -> list[Scored]:
    scores, labels = bench.scores_of(scored, detection), bench.nearest(scored, detection.recipe)
    classes, known = scored.images.classes, scored is bench.id
    places = scored.places.tolist()
    return [
        Scored(
            scored.images.path(places[i]),
            scored.images.name,
            known,
            bool(scores[i] >= threshold),
            float(scores[i]),
            abs(float(scores[i]) - threshold),
            bench.labels[labels[i]],
            bench.labels[classes[places[i]]] if known and classes else None,
        )
        for i in np.argsort(order, kind="stable").tolist()
        if chosen[i]
    ]
