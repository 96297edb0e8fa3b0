"""FPR95, AUROC and AUPR where only a histogram of the scores is left, and how far off they may be.

As in `metrics`: a higher score means more in-distribution, and ID is the positive class.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .separation import Metrics


class Binned(NamedTuple):
    """Metrics from counts; the true ones lie in `low` to `high` unless scores tie inside a bin."""

    metrics: Metrics
    low: Metrics
    high: Metrics

    @property
    def error(self) -> Metrics:
        """How far the true metrics can be from these, each in [0, 1]."""
        sides = zip(self.metrics, self.low, self.high, strict=True)
        return Metrics(*(max(high - value, value - low) for value, low, high in sides))


def binned_separation(id_counts: ArrayLike, ood_counts: ArrayLike) -> Binned:
    """Metrics of ID counts (b,) against OOD counts (b,) in the same bins, from the lowest score up.

    Scores of one bin are taken to be evenly mixed; the bounds have all of one side first.

    Raises:
        ValueError: counts of different length, below zero, or of no image.
    """
    ids, oods = _counts(id_counts, "ID"), _counts(ood_counts, "OOD")
    if len(ids) != len(oods):
        raise ValueError(f"{len(ids)} ID bins and {len(oods)} OOD bins; count in the same edges")
    fpr, fpr_low, fpr_high = _fpr(ids, oods, 0.95)
    auroc, auroc_low, auroc_high = _auroc(ids, oods)
    aupr, aupr_low, aupr_high = _aupr(ids, oods)
    return Binned(
        Metrics(fpr, auroc, aupr),
        Metrics(fpr_low, auroc_low, aupr_low),
        Metrics(fpr_high, auroc_high, aupr_high),
    )


def binned_threshold(edges: ArrayLike, id_counts: ArrayLike, recall: float = 0.95) -> float:
    """Where the bins, whose `edges` are (b + 1,), put the threshold that accepts this recall.

    Inside its bin the ID scores are taken to be evenly spread.
    """
    edges, ids = np.asarray(edges, dtype=float), _counts(id_counts, "ID")
    at, share = _place(ids, max(1, round(ids.sum() * recall)))
    return float(edges[at + 1] - share * (edges[at + 1] - edges[at]))


def redrawn(edges: ArrayLike, counts: ArrayLike, other: ArrayLike) -> np.ndarray:
    """The share of the images between each two of the `other` edges (c + 1,): (c,), for the eye.

    Inside a bin the scores are taken to be evenly spread; what lies outside `other` is left out.
    """
    counts = _counts(counts, "bin")
    below = np.concatenate(([0], np.cumsum(counts))) / counts.sum()
    return np.diff(np.interp(np.asarray(other, dtype=float), np.asarray(edges, dtype=float), below))


def _counts(counts: ArrayLike, side: str) -> np.ndarray:
    array = np.asarray(counts)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer) or (array < 0).any():
        raise ValueError(f"{side} counts are {array!r:.60}; give whole numbers of at least 0, (b,)")
    if not array.sum():
        raise ValueError(f"{side} counts hold no image; give at least one")
    return array.astype(np.int64)


def _above(counts: np.ndarray) -> np.ndarray:
    """How many lie above each bin, (b,)."""
    return counts.sum() - np.cumsum(counts)


def _place(ids: np.ndarray, rank: int) -> tuple[int, float]:
    """The bin of the ID score of this rank from the top, and how deep in it, in (0, 1)."""
    accepted = _above(ids) + ids
    at = int(np.flatnonzero(accepted >= rank)[-1])
    return at, (rank - (accepted[at] - ids[at])) / (ids[at] + 1)


def _fpr(ids: np.ndarray, oods: np.ndarray, recall: float) -> tuple[float, float, float]:
    """Just above the first ID score that is rejected, as `metrics.separation` reads it."""
    n, m = int(ids.sum()), int(oods.sum())
    kept = max(1, int(np.floor(n * recall + 0.5)))
    at, share = _place(ids, min(kept + 1, n))
    above = int(_above(oods)[at])
    return (above + share * oods[at]) / m, above / m, (above + int(oods[at])) / m


def _auroc(ids: np.ndarray, oods: np.ndarray) -> tuple[float, float, float]:
    pairs = float(ids.sum()) * float(oods.sum())
    below = np.cumsum(oods) - oods
    certain = float(np.sum(ids * below, dtype=float)) / pairs
    open_ = float(np.sum(ids * oods, dtype=float)) / pairs
    return certain + open_ / 2, certain, certain + open_


def _aupr(ids: np.ndarray, oods: np.ndarray) -> tuple[float, float, float]:
    """Average precision: each ID image adds the precision at its own score."""
    rank = np.concatenate([np.arange(1, count + 1) for count in ids])  # within its bin
    accepted = np.repeat(_above(ids), ids) + rank
    mine, above = np.repeat(oods, ids), np.repeat(_above(oods), ids)
    mixed = mine * rank / (np.repeat(ids, ids) + 1)
    even, low, high = (
        float(np.mean(accepted / (accepted + above + among))) for among in (mixed, mine, 0)
    )
    return even, low, high
