"""The thresholds, and how each was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from demo.detect.batch import Batch
from demo.detect.teaching import mistakes
from demo.page.components.base import Part
from demo.page.words import number

if TYPE_CHECKING:
    from setar_core.threshold import Threshold


class Found(NamedTuple):
    title: str
    sentence: str


class ThresholdList(Part):
    """Its value is a list of the thresholds `Found`."""


def thresholds(batch: Batch | None) -> list[Found]:
    """Each of the batch's thresholds."""
    if batch is None:
        return []
    titles = batch.settings.titles
    return [
        Found(titles[weights], f"{_sentence(line)}{_mistakes(batch, weights)}")
        for weights, line in batch.thresholds.items()
    ]


def _mistakes(batch: Batch, weights: str) -> str:
    found = mistakes(batch, weights)
    if found is None:
        return ""
    return (
        f" Refused by mistake: {found.refused.sentence}. Accepted by mistake: "
        f"{found.accepted.sentence}."
    )


def _sentence(threshold: Threshold | float) -> str:
    if isinstance(threshold, float):
        return f"{number(threshold)}, set by hand"
    low, high = threshold.interval
    cut = sum(score < threshold.value for score in threshold.scores)
    return (
        f"{number(threshold.value)}: accepts {threshold.reached:.1%} of {threshold.n} calibration "
        f"images, cuts {cut}. For new images of this kind expect {low:.1%} to {high:.1%} "
        "(95 % confidence)."
    )
