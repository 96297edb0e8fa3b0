"""The labels that foreign images are taken for, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from demo.page.components.base import Part

if TYPE_CHECKING:
    from setar_core.benchmark.mistakes import FalsePositives

SHOWN = 10


class Bar(NamedTuple):
    """How many images whose nearest label this is were accepted; `share` in percent of the most."""

    label: str
    accepted: int
    nearest: int
    share: float


class Taken(NamedTuple):
    """The labels of one OOD set that draw the most, and how many more images under how many."""

    ood: str
    bars: Sequence[Bar]
    more: int
    more_labels: int


class TakenFor(Part):
    """Its value is `Taken`."""


def taken(found: Sequence[FalsePositives], ood: str) -> Taken:
    """What an OOD set is taken for, the most frequent label first."""
    bars = [
        Bar(one.label, one.accepted, one.nearest, round(100 * one.accepted / found[0].accepted, 1))
        for one in found[:SHOWN]
    ]
    return Taken(ood, bars, sum(one.accepted for one in found[SHOWN:]), len(found) - len(bars))
