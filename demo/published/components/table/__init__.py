"""The authors' table: methods by OOD set, change against the original weights, a picker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from demo.page.components.picker import Picker
from demo.published.words import MEASURES, METHODS, better, percent, picked, signed, unlike
from setar_core.published import MEAN, SETS, VANILLA, Line, best

ACCURACY = "imagenet1k"


class Cell(NamedTuple):
    """A number and its change, `kind` of which is good, worse, same or nothing; the mean has no
    picture behind it, so no place."""

    value: str
    best: bool
    change: str
    kind: str
    place: int | None = None
    told: str = ""
    chosen: bool = False


class Row(NamedTuple):
    """A method."""

    title: str
    what: str
    cells: Sequence[Cell]
    accuracy: str
    most_accurate: bool


class Table(NamedTuple):
    """One measure of all methods."""

    measure: str
    meaning: str
    heads: Sequence[str]
    rows: Sequence[Row]
    warning: str


class PublishedTable(Picker):
    """Its value is a `Table`; the index that is chosen is row * columns + column."""


def columns(lines: Sequence[Line]) -> tuple[str, ...]:
    """The columns of the table: the mean, which is seen first on a phone, then the OOD sets."""
    return (MEAN, *(name for name in lines[0].metrics if name != MEAN))


def table(lines: Sequence[Line], measure: str, method: str, ood_set: str) -> Table:
    """The table, with the cells that are looked at."""
    field, meaning = MEASURES[measure]
    names = columns(lines)
    most = max(line.run.accuracy[ACCURACY] for line in lines)
    rows = [
        Row(
            *METHODS[line.run.method],
            [
                _cell(lines, line, field, name)._replace(
                    place=None if name == MEAN else row * len(names) + at,
                    chosen=line.run.method in (method, VANILLA) and name == ood_set,
                )
                for at, name in enumerate(names)
            ],
            percent(line.run.accuracy[ACCURACY]),
            line.run.accuracy[ACCURACY] == most,
        )
        for row, line in enumerate(lines)
    ]
    heads = [f"{SETS[name]}\u00a0{measure[-1]}" for name in names]
    return Table(measure, meaning, heads, rows, unlike([line.run for line in lines]))


def _cell(lines: Sequence[Line], line: Line, field: str, name: str) -> Cell:
    value = picked(line.metrics[name], field)
    told = f"{METHODS[line.run.method][0]} on {SETS[name]}: {percent(value)}"
    cell = Cell(percent(value), value == picked(best(lines, name), field), "", "", told=told)
    if line.change is None:
        return cell
    vanilla = next(other for other in lines if other.run.method == VANILLA)
    right = better(value, picked(vanilla.metrics[name], field), field)
    sign, kind = {True: ("✓", "good"), False: ("✕", "worse"), None: ("=", "same")}[right]
    change = signed(picked(line.change[name], field), 1 if field == "fpr95" else 2)
    return cell._replace(change=f"{sign} {change}", kind=kind, told=f"{told} {sign} {change}")
