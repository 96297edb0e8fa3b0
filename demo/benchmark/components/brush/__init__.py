"""What is selected of one cell: by a drag or a click in a figure, or typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from demo.benchmark.runs import BOTH, FOREIGN, KNOWN, Brushed, Look, Run
from demo.page.components.base import Part
from demo.page.events import sent
from demo.page.words import number

if TYPE_CHECKING:
    import gradio as gr
    import numpy as np

SIDES = {BOTH: "of both", KNOWN: "known", FOREIGN: "foreign"}


class Told(NamedTuple):
    """`known` and `foreign` are how many are selected; `low` and `high` of what scores, empty
    where the mistakes are."""

    known: int
    foreign: int
    low: str
    high: str
    side: str
    sides: dict[str, str]


class Brush(Part):
    """Its value is `Told`. A `select` tells `low`, `high` and `side` of what was brushed; an empty
    `side` lets it go."""


def brush(run: Run, look: Look, mine: tuple[np.ndarray, np.ndarray]) -> Told:
    """What is selected, as masks of the ID and of the OOD images."""
    counts = int(mine[0].sum()), int(mine[1].sum())
    if look.brushed is None:
        return Told(*counts, "", "", BOTH, SIDES)
    low, high, side = look.brushed
    return Told(*counts, number(low), number(high), side, SIDES)


def brushed(event: gr.EventData) -> Brushed | None:
    """What a `select` tells; None where it lets go.

    Raises:
        ValueError: no such side, numbers that are none.
    """
    side = sent(event, "side", str)
    if not side:
        return None
    if side not in SIDES:
        raise ValueError(f"there is no side {side[:20]!r}; choose one of {', '.join(SIDES)}")
    low, high = sorted((sent(event, "low", float), sent(event, "high", float)))
    return Brushed(low, high, side)
