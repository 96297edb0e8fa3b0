"""What the steps found, beside what the authors published: a `Report`, as JSON and as tables."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..published import MEAN
from .plan import Row, Table
from .steps import Measured
from .worlds import World

METRICS = {"fpr95": "FPR95", "auroc": "AUROC"}  # what the paper's tables print


class Cell(NamedTuple):
    """One number in percent, and the authors'.

    Attributes:
        value: the mean over the seeds; `spread` their standard deviation, None of one run.
        low, high: the bootstrap's interval, the widest of the seeds'; None where there is none.
        published: None where no number was published for it.
        within: whether the interval holds the published number; None where one of them is missing
            or the pictures are others.
    """

    column: str
    metric: str
    value: float
    spread: float | None = None
    low: float | None = None
    high: float | None = None
    published: float | None = None
    within: bool | None = None

    @property
    def difference(self) -> float | None:
        """From the published number, in points."""
        return None if self.published is None else self.value - self.published


class Line(NamedTuple):
    """A row for one score: its cells, or why there are none; the last of its commands."""

    title: str
    network: str
    known: str
    score: str
    cells: tuple[Cell, ...]
    lacks: str
    commands: tuple[str, ...]


class Part(NamedTuple):
    """A table: its columns, OOD sets and their mean or the sets that were classified."""

    name: str
    title: str
    columns: dict[str, str]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Report:
    """All tables of one run.

    Attributes:
        comparable: the pictures are the papers' own.
        doubts: sets that are missing or have another number of images.
        notes: how it was made.
    """

    world: str
    comparable: bool
    doubts: tuple[str, ...]
    notes: tuple[str, ...]
    parts: tuple[Part, ...]

    def page(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "world": self.world,
            "comparable": self.comparable,
            "doubts": list(self.doubts),
            "notes": list(self.notes),
            "tables": [
                {
                    "name": part.name,
                    "title": part.title,
                    "columns": part.columns,
                    "rows": [
                        {
                            **line._asdict(),
                            "cells": [
                                {**cell._asdict(), "difference": cell.difference}
                                for cell in line.cells
                            ],
                            "commands": list(line.commands),
                        }
                        for line in part.lines
                    ],
                }
                for part in self.parts
            ],
        }

    @classmethod
    def from_page(cls, page: Mapping[str, Any]) -> Report:
        """What `page` gave.

        Raises:
            ValueError: something else.
        """
        try:
            parts = tuple(
                Part(
                    table["name"],
                    table["title"],
                    dict(table["columns"]),
                    tuple(_line(row) for row in table["rows"]),
                )
                for table in page["tables"]
            )
            doubts, notes = tuple(page["doubts"]), tuple(page["notes"])
            return cls(page["world"], page["comparable"], doubts, notes, parts)
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no report of `setar papers` ({error})") from None

    @property
    def measured(self) -> int:
        """How many cells there are."""
        return sum(len(line.cells) for part in self.parts for line in part.lines)


def part_of(
    table: Table,
    world: World,
    measured: Sequence[Measured],
    failed: Mapping[Path, str],
    commands: Mapping[Path, str],
) -> Part:
    """A table from the files that are there; a row without them says why."""
    lines: list[Line] = []
    for one in measured:
        scores = table.scores or ("",)
        for score in scores[:1] if one.lacks else scores:
            cells = _separated(one, world, table, score) if score else _classified(one, world)
            files = [file for some in one.files.values() for file in some]
            why = next((failed[file] for file in files if file in failed), "not measured yet")
            lacks = "" if cells else one.lacks or why
            made = tuple(dict.fromkeys(commands[file] for file in files if file in commands))
            row = one.row
            lines.append(Line(row.title, row.network, row.known, score, cells, lacks, made))
    titles = {name: pictures.title for name, pictures in world.foreign.items()}
    titles |= {name: known.pictures.title for name, known in world.known.items()} | {MEAN: "Mean"}
    used = {cell.column for line in lines for cell in line.cells}
    columns = {name: title for name, title in titles.items() if name in used}
    return Part(table.name, table.title, columns, tuple(lines))


def _separated(one: Measured, world: World, table: Table, score: str) -> tuple[Cell, ...]:
    """FPR95 and AUROC of each OOD set and of their mean, from the files of all seeds."""
    pages = list(_pages(one.files.get("", ())))
    if not pages or len(pages) < len(one.files[""]):
        return ()
    there = world.there(one.row.known, table.foreign)
    cells = []
    columns = dict(zip(pages[0]["settings"]["ood"], there, strict=True))
    columns |= {"mean": MEAN} if len(there) > 1 else {}
    for ood, column in columns.items():
        found = [row for page in pages for row in page["rows"]]
        rows = [row for row in found if (row["score"], row["ood"]) == (score, ood)]
        for metric in METRICS if len(rows) == len(pages) else ():  # none of its images was readable
            whole = column != MEAN or len(there) == len(table.foreign or _foreign(world, one.row))
            same = world.published or column == MEAN  # other sets may bear the same name
            theirs = _theirs(one.row, score, column, metric) if whole and same else None
            ends = [row["ci"][metric] for row in rows if row["ci"]]
            cells.append(
                _cell(column, metric, [row[metric] for row in rows], ends, theirs, world.published)
            )
    return tuple(cells)


def _classified(one: Measured, world: World) -> tuple[Cell, ...]:
    cells = []
    for name, files in one.files.items():
        pages = list(_pages(files))
        if not pages or len(pages) < len(files):
            continue
        run = one.row.run.get("mcm")
        share = run.accuracy.get(name) if run else None
        theirs = None if share is None else 100 * share
        values, ends = [page["top1"] for page in pages], [page["ci"] for page in pages]
        cells.append(_cell(name, "accuracy", values, ends, theirs, world.published))
    return tuple(cells)


def _cell(
    column: str,
    metric: str,
    values: Sequence[float],
    ends: Sequence[Sequence[float]],
    theirs: float | None,
    comparable: bool,
) -> Cell:
    low = min(low for low, _ in ends) if ends else None
    high = max(high for _, high in ends) if ends else None
    within = None
    if comparable and theirs is not None and low is not None and high is not None:
        within = low <= theirs <= high
    spread = statistics.stdev(values) if len(values) > 1 else None
    mean = round(statistics.fmean(values), 10)
    return Cell(column, metric, mean, spread, low, high, theirs, within)


def _theirs(row: Row, score: str, column: str, metric: str) -> float | None:
    """The authors' number in percent."""
    if column == MEAN and score in row.means:
        return row.means[score][list(METRICS).index(metric)]
    run = row.run.get(score)
    found = run.metrics[score].get(column) if run else None
    return None if found is None else round(100 * float(getattr(found, metric)), 10)


def _foreign(world: World, row: Row) -> tuple[str, ...]:
    return world.known[row.known].foreign


def _pages(files: Iterable[Path]) -> Iterable[dict[str, Any]]:
    for file in files:
        if file.exists():
            yield json.loads(file.read_text(encoding="utf-8"))


def _line(row: Mapping[str, Any]) -> Line:
    cells = tuple(Cell(**{name: cell[name] for name in Cell._fields}) for cell in row["cells"])
    values = {name: row[name] for name in Line._fields}
    return Line(**{**values, "cells": cells, "commands": tuple(row["commands"])})
