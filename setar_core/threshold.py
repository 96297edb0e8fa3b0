"""Where a score draws the line, how that was found, and under which conditions it holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .metrics.separation import recall_interval, threshold_at_recall
from .scores import ScoreOptions

FEW = 20


@dataclass(frozen=True)
class Context:
    """What a score depends on besides the image: a threshold holds only where all of it holds.

    `recipe` and `labels` are fingerprints (`ORIGINAL` for the original weights); `options` are
    those that the score uses, the others as they are by default. `negatives`, `shaping`, `fit` and
    `examples` are what it was mined, shaped, fitted and mixed with, empty where it was not.
    """

    backbone: str
    recipe: str
    labels: str
    score: str
    options: ScoreOptions
    negatives: str = ""
    shaping: str = ""
    fit: str = ""
    examples: str = ""

    def changes(self, other: Context) -> tuple[str, ...]:
        """The names of what differs."""
        mine, theirs = self.page(), other.page()
        names = dict.fromkeys((*mine, *theirs))
        return tuple(n.replace("_", " ") for n in names if mine.get(n) != theirs.get(n))

    def page(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "backbone": self.backbone,
            "recipe": self.recipe,
            "labels": self.labels,
            "score": self.score,
            **self.options.page(),
            **{
                name: getattr(self, name)
                for name in ("negatives", "shaping", "fit", "examples")
                if getattr(self, name)
            },
        }


@dataclass(frozen=True)
class Threshold:
    """An image is accepted when its score is at least `value`; and how that was found.

    Attributes:
        recall: the share of in-distribution images that was asked to be accepted.
        reached: the share of the `n` calibration images that `value` accepts.
        interval: where the true share lies with 95 % confidence (Clopper-Pearson).
        scores: the calibration images' own scores, for a histogram.
    """

    value: float
    recall: float
    reached: float
    interval: tuple[float, float]
    scores: tuple[float, ...]
    context: Context

    @property
    def n(self) -> int:
        return len(self.scores)

    @property
    def band(self) -> tuple[float, float]:
        """Where the threshold may as well lie: from the one that accepts as many of these images as
        the interval's upper end says to the one for its lower end. A score in it is a close call.
        """
        low, high = self.interval
        lower, upper = (threshold_at_recall(self.scores, share) for share in (high, low))
        return min(lower, self.value), max(upper, self.value)

    @property
    def warning(self) -> str | None:
        """A sentence when there are too few images to trust; None from 20 on."""
        if self.n >= FEW:
            return None
        low, high = self.interval
        return (
            f"only {self.n} calibration images: the share of in-distribution images that this "
            f"threshold accepts may lie anywhere between {low:.0%} and {high:.0%}; "
            f"give at least {FEW}"
        )

    def page(self) -> dict[str, Any]:
        """As JSON values: how it was found, without the images' own scores."""
        return {
            "value": self.value,
            "recall": self.recall,
            "reached": self.reached,
            "interval": list(self.interval),
            "band": list(self.band),
            "n": self.n,
            "context": self.context.page(),
        }

    def check(self, context: Context) -> None:
        """Raises ValueError when the threshold was found under other conditions."""
        changed = self.context.changes(context)
        if changed:
            raise ValueError(
                f"the threshold {self.value:.6g} was found with another {', '.join(changed)}; "
                "calibrate again"
            )


def calibrate(scores: Sequence[float], recall: float, context: Context) -> Threshold:
    """The threshold that accepts a share `recall` of the calibration scores.

    Raises:
        ValueError: no score, one that is not finite, a recall outside (0, 1].
    """
    values = tuple(float(score) for score in scores)
    if not values:
        raise ValueError("there is no calibration image; give at least one, better 20 or more")
    if not all(map(math.isfinite, values)):
        raise ValueError(
            "a calibration score is no finite number, since the network computes beyond the range "
            "of float32; use another temperature or backbone"
        )
    check_recall(recall)
    value = threshold_at_recall(values, recall)
    accepted = sum(score >= value for score in values)
    reached = accepted / len(values)
    return Threshold(
        value, recall, reached, recall_interval(accepted, len(values)), values, context
    )


def check_recall(recall: float) -> None:
    """Raises ValueError for a share outside (0, 1]."""
    if not 0 < recall <= 1:
        raise ValueError(f"recall is {recall}; give a share above 0 and up to 1, such as 0.95")
