"""Scores of two sides for the eye: histograms, and what every threshold would do."""

from __future__ import annotations

from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .separation import nearest_to_recall

POINTS = 400


class Rates(NamedTuple):
    """Shares accepted at a threshold: of ID images (the recall) and of OOD images (the FPR)."""

    recall: float
    fpr: float


class Curve(NamedTuple):
    """From the highest threshold down; `precision` is the share of ID among what is accepted."""

    thresholds: np.ndarray
    recall: np.ndarray
    fpr: np.ndarray
    precision: np.ndarray


class Histogram(NamedTuple):
    """The share of each side's images between neighbouring `edges (bins + 1,)`."""

    edges: np.ndarray
    ids: np.ndarray
    oods: np.ndarray


def rates(id_scores: ArrayLike, ood_scores: ArrayLike, threshold: float) -> Rates:
    """What `score >= threshold` accepts of each side."""
    ids, oods = np.asarray(id_scores), np.asarray(ood_scores)
    return Rates(float((ids >= threshold).mean()), float((oods >= threshold).mean()))


def threshold_of_fpr95(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """A threshold that accepts exactly the share of OOD scores that `separation` calls FPR95.

    Those of one recall lie between two ID scores; taken is the lowest score of either side among
    them, and from what is between it and the score below, the number with the fewest digits.
    """
    ids, oods = np.asarray(id_scores, float), np.asarray(ood_scores, float)
    cut = nearest_to_recall(ids)
    refused = ids[ids < cut].max(initial=-np.inf)
    lowest = cut
    if refused > -np.inf:  # else the recall is 1, and is read at the lowest ID score
        lowest = min(cut, oods[oods > refused].min(initial=np.inf))
    below = max(refused, oods[oods < lowest].max(initial=-np.inf))
    rounded = (
        float(Context(prec=digits, rounding=rounding).create_decimal(lowest))
        for digits in range(4, 17)
        # The double nearest to 0.3 lies below it: rounded down, it would be 0.2999.
        for rounding in (ROUND_HALF_EVEN, ROUND_FLOOR)
    )
    return next((number for number in rounded if below < number <= lowest), float(lowest))


def curve(id_scores: ArrayLike, ood_scores: ArrayLike, points: int = POINTS) -> Curve:
    """Recall, FPR and precision at thresholds from the highest score down.

    Where there are more distinct scores than `points`, those are kept that lie at even distances
    along the ROC; the first and the last always.
    """
    ids, oods = np.sort(np.asarray(id_scores, float)), np.sort(np.asarray(ood_scores, float))
    thresholds = np.union1d(ids, oods)[::-1]
    accepted = len(ids) - np.searchsorted(ids, thresholds, "left")
    wrong = len(oods) - np.searchsorted(oods, thresholds, "left")
    recall, fpr = accepted / len(ids), wrong / len(oods)
    if len(thresholds) > points:
        along = recall + fpr  # from above 0 to 2
        kept = np.unique(np.searchsorted(along, np.linspace(along[0], 2, points)))
        kept = kept[kept < len(thresholds)]
        thresholds, recall, fpr = thresholds[kept], recall[kept], fpr[kept]
        accepted, wrong = accepted[kept], wrong[kept]
    return Curve(thresholds, recall, fpr, accepted / (accepted + wrong))


def histogram(id_scores: ArrayLike, ood_scores: ArrayLike, bins: int = 60) -> Histogram:
    """Both sides over the same bins; infinite scores count in the outermost."""
    ids, oods = np.asarray(id_scores, float), np.asarray(ood_scores, float)
    both = np.r_[ids, oods]
    finite = both[np.isfinite(both)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    if low == high:
        margin = abs(low) * 0.01 or 0.5
        low, high = low - margin, high + margin
    edges = np.linspace(low, high, bins + 1)
    shares = [np.histogram(s.clip(low, high), edges)[0] / len(s) for s in (ids, oods)]
    return Histogram(edges, *shares)
