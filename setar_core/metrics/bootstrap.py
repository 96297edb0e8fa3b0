"""How far metrics would move had other images been drawn: the bootstrap, and what it decides.

Images are resampled, not scores: the same draw serves every detector that saw the same images, so
that their difference has an interval of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .separation import Metrics, separation

RESAMPLES = 1000
GROUPS = 1000  # of images that are drawn together, at most
STEPS = 1024  # distinct scores that are told apart on each side, at most
CHUNK = 250  # resamples at once
BEST, LEVEL, BEHIND = "best", "level", ""


class Standing(NamedTuple):
    """Of each metric: `best`, `level` with the best, or ""."""

    fpr95: str = BEHIND
    auroc: str = BEHIND
    aupr: str = BEHIND


def resampled(
    ids: np.ndarray,
    oods: np.ndarray,
    count: int = RESAMPLES,
    seed: int = 0,
    stream: int = 0,
) -> np.ndarray:
    """Metrics of `count` resamples, `(D, count, 3)`, of scores `ids (D, n)` and `oods (D, m)`.

    Up to 1,000 images on a side it is the plain bootstrap; beyond, images are put into 1,000
    groups at random and groups are drawn, which has the same variance. Up to 1,024 distinct scores
    on a side are told apart exactly; beyond, ranks are rounded to 1 / 1,024 of a side, and the
    resamples are moved to lie about the exact value.

    Args:
        stream: resamples of one seed share the draw of ID images, those of another stream draw
            other OOD images.

    Raises:
        ValueError: no resample, no scores, or NaN.
    """
    if count < 1:
        raise ValueError(f"{count} resamples are none; give at least 1, better 1000")
    exact = np.array([separation(i, o) for i, o in zip(ids, oods, strict=True)])
    inside = _draw(ids.shape[1], count, np.random.default_rng([seed, 0]))
    outside = _draw(oods.shape[1], count, np.random.default_rng([seed, 1, stream]))
    found = np.empty((len(ids), count, 3))
    for d, (mine, theirs) in enumerate(zip(ids, oods, strict=True)):
        levels = np.union1d(_levels(mine), _levels(theirs))
        a, b = _table(mine, levels, *inside), _table(theirs, levels, *outside)
        for first in range(0, count, CHUNK):
            rows = slice(first, first + CHUNK)
            found[d, rows] = _metrics(inside[1][rows] @ a, outside[1][rows] @ b)
        whole = _metrics(a.sum(axis=0)[None], b.sum(axis=0)[None])[0]
        found[d] += exact[d] - whole  # 0 unless ranks were rounded
    return found.clip(0, 1)


def interval(
    resamples: np.ndarray, point: Metrics, confidence: float = 0.95
) -> tuple[Metrics, Metrics]:
    """The percentiles of resamples `(count, 3)` that enclose a share `confidence` of them.

    Widened to hold the value itself where a handful of images leaves it outside (an average
    precision rises when images are drawn twice).
    """
    tail = 50 * (1 - confidence)
    low, high = np.percentile(resamples, [tail, 100 - tail], axis=0)
    return Metrics(*np.minimum(low, point).tolist()), Metrics(*np.maximum(high, point).tolist())


def standings(
    points: Sequence[Metrics], resamples: np.ndarray | None, confidence: float = 0.95
) -> list[Standing]:
    """Where each of D detectors stands under each metric: `best`, `level` with the best, or "".

    Level means that the interval of the difference from the best, over the same resamples
    `(D, count, 3)`, holds 0: the difference may be chance. Without resamples nothing is level.
    """
    values = np.array(points) * [-1, 1, 1]  # higher is better
    found = np.full(values.shape, BEHIND, dtype=object)
    tail = 50 * (1 - confidence)
    for column in range(3):
        leader = int(values[:, column].argmax())
        if resamples is not None:
            behind = resamples[..., column] - resamples[leader, :, column]
            low, high = np.percentile(behind, [tail, 100 - tail], axis=1)
            found[(low <= 0) & (high >= 0), column] = LEVEL
        found[values[:, column] == values[leader, column], column] = BEST
    return [Standing(*row) for row in found.tolist()]


def _draw(n: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The group of each of n images, and how often each group is drawn, `(count, groups)`."""
    groups = min(n, GROUPS)
    group = rng.permutation(n) % groups
    drawn = rng.multinomial(groups, np.full(groups, 1 / groups), size=count)
    return group, drawn.astype(np.float32)


def _levels(scores: np.ndarray) -> np.ndarray:
    """Distinct scores, ascending; where there are too many, those at even ranks."""
    distinct = np.unique(scores)
    if len(distinct) <= STEPS:
        return distinct
    ranks = np.linspace(0, len(scores) - 1, STEPS).round().astype(int)
    return np.unique(np.sort(scores)[ranks])


def _table(
    scores: np.ndarray, levels: np.ndarray, group: np.ndarray, drawn: np.ndarray
) -> np.ndarray:
    """How many images of each group lie at each level, `(groups, levels)`."""
    groups, steps = drawn.shape[1], len(levels)
    level = np.searchsorted(levels, scores, "right") - 1
    counts = np.bincount(group * steps + level, minlength=groups * steps)
    return counts.reshape(groups, steps).astype(np.float32)


def _metrics(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`separation` of weighted levels, ID `a (R, K)` and OOD `b (R, K)`, ascending; `(R, 3)`."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    n, m = a.sum(axis=1, keepdims=True), b.sum(axis=1, keepdims=True)
    not_above = b.cumsum(axis=1)
    below = not_above - b
    accepted = n - a.cumsum(axis=1) + a
    auroc = (a * (below + b / 2)).sum(axis=1) / (n * m)[:, 0]
    precision = accepted / np.maximum(accepted + m - below, 1)
    aupr = (a * precision).sum(axis=1) / n[:, 0]

    step = a > 0
    cut = np.where(step, np.abs(accepted / n - 0.95), np.inf).argmin(axis=1)
    last = np.maximum.accumulate(np.where(step, np.arange(a.shape[1]), -1), axis=1)
    row = np.arange(len(a))
    lower = np.where(cut > 0, last[row, cut - 1], -1)  # the next step that would be accepted
    rejected = np.where(lower >= 0, not_above[row, lower], below[row, cut])
    fpr = (m[:, 0] - rejected) / m[:, 0]
    return np.stack([fpr, auroc, np.minimum(aupr, 1)], axis=1)
