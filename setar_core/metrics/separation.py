"""How well scores separate, and where to cut them: FPR95, AUROC, AUPR, a threshold at a recall.

A higher score means more in-distribution, and ID is the positive class: recall is the share of ID
images that are accepted, the false positive rate the share of OOD images that are.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Metrics(NamedTuple):
    """Each in [0, 1]; an FPR is better low, the areas are better high."""

    fpr95: float
    auroc: float
    aupr: float


def separation(id_scores: ArrayLike, ood_scores: ArrayLike) -> Metrics:
    """FPR95, AUROC and AUPR (average precision) of ID scores (n,) against OOD scores (m,).

    Ties count half in the AUROC and enter the other two together. Every threshold between the
    last ID score that is accepted at 95 % and the first that is not has the same recall; the FPR is
    read at the lowest of them, as MCM (arXiv:2211.13445) and SeTAR (arXiv:2406.12629) do, so it is
    no lower than the FPR at `nearest_to_recall`. If all scores are equal: 1, 0.5, n / (n + m).

    Raises:
        ValueError: no scores, NaN, or not one-dimensional.
    """
    ids, oods = _ascending(id_scores, "ID"), _ascending(ood_scores, "OOD")
    scores, accepted = _steps(ids)
    below = np.searchsorted(oods, scores, "left")
    not_above = np.searchsorted(oods, scores, "right")
    n, m = len(ids), len(oods)

    cut = _cut(accepted, 0.95)
    rejected = not_above[cut + 1] if cut + 1 < len(scores) else below[cut]
    gained = np.diff(accepted, prepend=0)  # ID images that each step adds
    wins = np.sum(gained * (below + not_above), dtype=float) / 2
    precision = accepted / (accepted + m - below)
    return Metrics(
        fpr95=float(m - rejected) / m,
        auroc=float(wins) / n / m,
        aupr=min(1.0, float(np.sum(gained * precision)) / n),
    )


def threshold_at_recall(id_scores: ArrayLike, recall: float = 0.95) -> float:
    """The k-th highest of the ID scores (n,), k nearest to n * recall and at least 1.

    Of two k equally near the larger, which accepts more. Scores that tie with it are accepted too,
    so among ties the recall that is reached can be higher.

    Raises:
        ValueError: no scores, NaN, not one-dimensional, or a recall outside (0, 1].
    """
    if not 0 < recall <= 1:
        raise ValueError(f"recall {recall!r} is not in (0, 1]; 0.95 is usual")
    ids = _ascending(id_scores, "ID")
    k = max(1, math.floor(len(ids) * recall + 0.5 + 1e-9))
    return float(ids[-min(k, len(ids))])


def nearest_to_recall(id_scores: ArrayLike, recall: float = 0.95) -> float:
    """The ID score whose recall, the share of ID scores (n,) not below it, is nearest to `recall`.

    It is where `separation` cuts. Without ties it is `threshold_at_recall`, but for two scores
    that are equally near: there it is the one that rounding makes nearer.

    Raises:
        ValueError: no scores, NaN, or not one-dimensional.
    """
    scores, accepted = _steps(_ascending(id_scores, "ID"))
    return float(scores[_cut(accepted, recall)])


def recall_interval(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Where the true recall lies when k of n images were accepted (Clopper and Pearson, 1934).

    Raises:
        ValueError: not 0 <= k <= n with n at least 1, or a confidence outside (0, 1).
    """
    if not (n >= 1 and 0 <= k <= n):
        raise ValueError(f"{k} of {n} is not a share; give 0 <= k <= n with n at least 1")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence!r} is not in (0, 1); 0.95 is usual")
    from scipy.special import betaincinv  # here, because the metrics do without scipy

    tail = (1 - confidence) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return low, high


def _ascending(scores: ArrayLike, side: str) -> np.ndarray:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{side} scores have shape {array.shape}, not (n,); give one an image")
    if not len(array):
        raise ValueError(f"{side} scores are empty (0 images); give at least one")
    array = np.sort(array)
    if np.isnan(array[-1]):  # NaN sorts last
        count = int(np.isnan(array).sum())
        raise ValueError(f"{count} of {len(array)} {side} scores are NaN; leave those images out")
    return array


def _steps(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ascending scores as the distinct ones from the top, and how many images each accepts."""
    first = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    return ids[first][::-1], (len(ids) - first)[::-1]


def _cut(accepted: np.ndarray, recall: float) -> int:
    """Which step comes nearest to a recall; of two equally near the one that accepts more.

    In MCM's and SeTAR's own arithmetic: between 28 and 29 of 30 its rounding decides.
    """
    distance = np.abs(accepted / accepted[-1] - recall)
    return int(np.flatnonzero(distance == distance.min())[-1])
