"""How many images were decided which way, and how many of them the recipe changes."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from demo.detect.batch import Batch
from demo.detect.components.chip import SIGNS
from demo.page.components.base import Part
from demo.server.settings import ADAPTER
from setar_core.verdict import CLOSE, IN, OUT


class Counts(NamedTuple):
    """The decisions by the last of the weights, and what they change of the first's."""

    decisions: str
    changes: str


class Tally(Part):
    """Its value is `Counts`."""


def tally(batch: Batch) -> Counts:
    """What was decided of the batch."""
    weights = batch.settings.weights
    found = Counter(image.verdicts[weights[-1]].decision for image in batch.images)
    said = ", ".join(
        f"{count} {words}{'s' if words == CLOSE and count > 1 else ''}"
        for words in SIGNS
        if (count := found[words])
    )
    if len(weights) == 1 or not batch.thresholds:
        return Counts(said, "")
    return Counts(said, _changes(batch))


def _changes(batch: Batch) -> str:
    last = batch.settings.weights[-1]
    what = "adapter" if batch.settings.titles[last] == ADAPTER else "recipe"
    now = Counter(image.verdicts[last].side for image in batch.images if image.differs)
    count = len(batch.images)
    if count == 1:
        return f"≠ The {what} changes it to {next(iter(now))}." if now else f"The {what} keeps it."
    if not now:
        return f"The {what} changes none of these {count} verdicts."
    ways = " and ".join(f"{now[side]} to {side}" for side in (IN, OUT) if now[side])
    return f"≠ The {what} changes {now.total()} of these {count} verdicts: {ways}."
