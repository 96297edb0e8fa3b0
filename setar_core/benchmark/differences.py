"""How far one detector lies from another on the same images, and what a benchmark comes to.

The interval is that of the difference itself: both are measured on the same resamples, so what
moves the two alike (an easy draw of images) is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..data.sets import MEAN
from ..metrics.separation import Metrics
from ..recipe import ORIGINAL
from ..scores import SCORES
from .results import Comparison, Detection, Row


class Difference(NamedTuple):
    """A metric of one detector less that of another, in [-1, 1], and its 95 % interval; None
    without resamples."""

    value: float
    low: float | None
    high: float | None

    @property
    def chance(self) -> bool | None:
        """Whether it may be chance: the interval holds 0; None without resamples."""
        if self.low is None or self.high is None:
            return None
        return self.low <= 0 <= self.high


def differences(
    found: Comparison, one: Detection, other: Detection, confidence: float = 0.95
) -> dict[str, Difference]:
    """By metric, the first detector's less the other's, on one OOD set or in the mean.

    Raises:
        ValueError: a detector that is not among the compared.
    """
    detections = [Detection(row.recipe, row.score) for row in found.rows]
    a, b = detections.index(one), detections.index(other)
    tail = 50 * (1 - confidence)
    values = np.subtract(found.rows[a].metrics, found.rows[b].metrics).tolist()
    if found.resamples is None:
        return {
            name: Difference(value, None, None)
            for name, value in zip(Metrics._fields, values, strict=True)
        }
    draws = found.resamples[a] - found.resamples[b]
    low, high = np.percentile(draws, [tail, 100 - tail], axis=0)
    return {
        name: Difference(value, float(min(start, value)), float(max(end, value)))
        for name, value, start, end in zip(Metrics._fields, values, low, high, strict=True)
    }


class Conclusion(NamedTuple):
    """What a benchmark comes to: of what it speaks, and a sentence for each comparison."""

    of: str
    told: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.of}: {'; '.join(self.told)}."


def conclusion(comparisons: Mapping[str, Comparison]) -> Conclusion | None:
    """What to say of FPR95, in the mean where there are several OOD sets; None before any.

    Every recipe is compared with the original weights under the same score; of one recipe alone,
    the best score with the others; one detector alone is described.
    """
    if not comparisons:
        return None
    found = comparisons.get(MEAN) or next(iter(comparisons.values()))
    several = f"in the mean of {len(comparisons) - 1} sets" if MEAN in comparisons else ""
    of = f"Where 95 % of the known images are kept{several and f', {several}'}"
    detections = [Detection(row.recipe, row.score) for row in found.rows]
    recipes = list(dict.fromkeys(one.recipe for one in detections))
    first = ORIGINAL if ORIGINAL in recipes else recipes[0]
    if len(recipes) > 1:
        pairs = [(one, one._replace(recipe=first)) for one in detections if one.recipe != first]
    else:
        best = min(found.rows, key=lambda row: row.metrics.fpr95).score
        one = Detection(first, best)
        pairs = [(one, other) for other in detections if other != one]
    if not pairs:
        return Conclusion(of, (_alone(found.rows[0]),))
    changes = [(one, other, differences(found, one, other)["fpr95"]) for one, other in pairs]
    return Conclusion(of, tuple(_compared(*some) for some in changes))


def _alone(row: Row) -> str:
    ends = f" ({_range(*row.ends[0])})" if row.ends else ""
    name = _name(Detection(row.recipe, row.score))
    return f"{name} lets {100 * row.metrics.fpr95:.1f} % of the foreign ones through{ends}"


def _compared(one: Detection, other: Detection, change: Difference) -> str:
    """In the words of someone who never heard of either."""
    mine, theirs = _name(one), _name(other)
    if change.low is None or change.high is None:
        return f"{mine} lets {_points(change.value)} of the foreign ones through than {theirs}"
    if change.low == change.high == 0:
        return f"{mine} and {theirs} let the same share of the foreign ones through"
    if change.chance:
        return (
            f"no difference beyond chance between {mine} and {theirs} (from "
            f"{_points(change.low)} to {_points(change.high)} of the foreign ones let through)"
        )
    ends = sorted(abs(100 * end) for end in (change.low, change.high))
    return (
        f"{mine} lets {_points(change.value)} of the foreign ones through than {theirs} "
        f"({ends[0]:.1f} to {ends[1]:.1f})"
    )


def _points(share: float) -> str:
    points = f"{100 * abs(share):.1f}"
    return "0 points" if points == "0.0" else f"{points} points {'fewer' if share < 0 else 'more'}"


def _name(one: Detection) -> str:
    recipe = "the original weights" if one.recipe == ORIGINAL else one.recipe
    return f"{SCORES[one.score].title} with {recipe}"


def _range(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}"
