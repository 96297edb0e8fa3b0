"""Printed metrics beside those recomputed from the bins, and how far the bins may err."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from demo.page.components.base import Part
from demo.published.words import MEASURES, METHODS, percent
from setar_core.metrics.bins import Binned
from setar_core.published import SETS, Line


class Compared(NamedTuple):
    """One OOD set: of each method and measure what was printed, what the bins say, and ±."""

    ood_set: str
    measures: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[str, str, str]]]]


class Bins(Part):
    """Its value is `Compared`."""


def compared(shown: Sequence[tuple[Line, Binned]], ood_set: str) -> Compared:
    """The table of the runs that are looked at."""
    rows = [
        (
            METHODS[line.run.method][0],
            [
                (percent(printed), percent(value), bound(error))
                for printed, value, error in zip(
                    line.metrics[ood_set], binned.metrics, binned.error, strict=True
                )
            ],
        )
        for line, binned in shown
    ]
    return Compared(SETS[ood_set], list(MEASURES), rows)


def bound(error: float) -> str:
    """An error bound to two digits, never rounded down."""
    return f"{math.ceil(error * 1e4) / 100:.2f}"
