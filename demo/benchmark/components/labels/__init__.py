"""The labels that foreign images are taken for, as bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from demo.page.components.base import Part

if TYPE_CHECKING:
    import numpy as np

    from setar_core.benchmark.mistakes import FalsePositives

SHOWN = 10


class Bar(NamedTuple):
    """How many images whose nearest label this is were accepted, `rate` in percent of them, and
    how many of those are selected; None where nothing is."""

    label: str
    accepted: int
    nearest: int
    rate: str
    selected: int | None


class Taken(NamedTuple):
    """The labels of one OOD set that draw the most, and how many more images under how many."""

    ood: str
    bars: Sequence[Bar]
    more: int
    more_labels: int


class TakenFor(Part):
    """Its value is `Taken`."""


def taken(
    found: Sequence[FalsePositives],
    ood: str,
    selected: np.ndarray | None = None,
    names: Sequence[str] = (),
) -> Taken:
    """What an OOD set is taken for, the most frequent label first; `selected` are the places in
    `names` of what the selected images resemble most."""
    lit = Counter(names[i] for i in ([] if selected is None else selected.tolist()))
    bars = [
        Bar(
            one.label,
            one.accepted,
            one.nearest,
            f"{100 * one.rate:.0f}",
            None if selected is None else lit[one.label],
        )
        for one in found[:SHOWN]
    ]
    return Taken(ood, bars, sum(one.accepted for one in found[SHOWN:]), len(found) - len(bars))
