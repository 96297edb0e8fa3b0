"""One number of each candidate of a search: dots, the best so far as a step line, a cursor.

The drawing is stretched to its place, so lines of no length with round ends are its dots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from demo.page.components.base import Part

WIDE, HIGH = 1000, 300


class Chart(NamedTuple):
    """What is drawn.

    Attributes:
        total: candidates of the whole search.
        tried, improved, line: the paths of the dots and of the best so far.
        heights: of each candidate from the top, in percent; None where it could not be measured.
        better: whether each candidate improved on those before.
        ticks: heights in percent, and the numbers there.
        groups: where a tower or a stage begins, in percent, and its name.
        at: how many candidates are shown in full; None for all.
    """

    total: int
    tried: str
    improved: str
    line: str
    heights: Sequence[float | None]
    better: Sequence[bool] = ()
    ticks: Sequence[tuple[float, str]] = ()
    groups: Sequence[tuple[float, str]] = ()
    at: int | None = None


class LossChart(Part):
    """Its value is a `Chart`."""


class _Scale(NamedTuple):
    """From values to heights in the drawing."""

    low: float
    high: float

    def y(self, value: float) -> float:
        return round(HIGH * (self.high - value) / (self.high - self.low), 1)

    def percent(self, value: float) -> float:
        return round(100 * (self.high - value) / (self.high - self.low), 2)


def chart(
    values: Sequence[float],
    best: Sequence[float],
    total: int,
    improved: Sequence[bool] = (),
    groups: Sequence[str] = (),
    ticks: int = 0,
) -> Chart:
    """Values and the best so far, NaN where there is none, of the first of `total` candidates.

    `improved` and `groups` (names, equal ones in a row) go by candidate; about `ticks` are drawn.
    """
    scale = _scale([value for value in (*values, *best) if not math.isnan(value)])
    dots: dict[bool, list[str]] = {True: [], False: []}
    for i, value in enumerate(values):
        if not math.isnan(value):
            better = bool(improved) and improved[i]
            dots[better].append(f"M{WIDE * (i + 0.5) / total:.1f} {scale.y(value)}h0")
    return Chart(
        total,
        "".join(dots[False]),
        "".join(dots[True]),
        _steps(best, total, scale),
        [None if math.isnan(value) else scale.percent(value) for value in values],
        improved,
        _ticks(scale, ticks) if ticks else (),
        _groups(groups, total),
    )


def plain(value: float, digits: int) -> str:
    """A number with a minus that is one."""
    return f"{value:.{digits}f}".replace("-", "−")


def _scale(values: Sequence[float]) -> _Scale:
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = (high - low) * 0.08 or max(abs(high), 1.0) * 0.01
    return _Scale(low - margin, high + margin)


def _steps(best: Sequence[float], total: int, scale: _Scale) -> str:
    """The best so far; nothing where it could not be measured."""
    parts, before = [], None
    for i, value in enumerate(best):
        if math.isnan(value):
            continue
        if before is None:
            parts.append(f"M{WIDE * i / total:.1f} {scale.y(value)}")
        elif value != before:
            parts.append(f"H{WIDE * (i + 0.5) / total:.1f}V{scale.y(value)}")
        before = value
    return "".join([*parts, f"H{WIDE * len(best) / total:.1f}"]) if parts else ""


def _ticks(scale: _Scale, about: int) -> list[tuple[float, str]]:
    rough = (scale.high - scale.low) / about
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    digits = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(scale.low / step), math.floor(scale.high / step)
    return [(scale.percent(step * k), plain(step * k, digits)) for k in range(first, last + 1)]


def _groups(names: Sequence[str], total: int) -> list[tuple[float, str]]:
    """Where each begins, a narrow stage by its number alone; none where they come in turns."""
    starts: dict[str, int] = {}
    for i, name in enumerate(names):
        if name not in starts:
            starts[name] = i
        elif names[i - 1] != name:
            return []
    ends = [*starts.values(), total][1:]
    return [
        (
            round(100 * start / total, 2),
            name if end - start > total / 6 else name.removeprefix("Stage "),
        )
        for (name, start), end in zip(starts.items(), ends, strict=True)
    ]
