"""How many images were decided which way."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from demo.detect.batch import Batch
from demo.detect.components.chip import SIGNS
from demo.page.components.base import Part


class Count(NamedTuple):
    """The decisions by one of the weights, which have a `title` where there are others."""

    title: str
    decisions: str


class Counts(NamedTuple):
    weights: list[Count]
    differ: int


class Tally(Part):
    """Its value is `Counts`."""


def tally(batch: Batch) -> Counts:
    """What was decided of the batch, in one line."""
    counts = []
    for weights in batch.settings.weights:
        found = Counter(image.verdicts[weights].decision for image in batch.images)
        said = ", ".join(f"{found[words]} {words}" for words in SIGNS if found[words])
        title = f"{batch.settings.titles[weights]}: " if len(batch.settings.weights) > 1 else ""
        counts.append(Count(title, said))
    return Counts(counts, sum(image.differs for image in batch.images))
