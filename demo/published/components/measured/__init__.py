"""A table of the paper as `setar papers` measured it in the embedded world."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from demo.page.components.base import Part
from demo.page.downloads import new_file
from setar_core.papers.pages import as_html, lines_of, number
from setar_core.papers.report import Cell, Report
from setar_core.papers.report import Part as Found
from setar_core.paths import PAPERS
from setar_core.published import MEAN, TITLES

REPORT = PAPERS / "emoji.json"


class Number(NamedTuple):
    """Ours with its spread, and the authors' of their own pictures; empty where there is none."""

    ours: str
    theirs: str = ""


class Row(NamedTuple):
    """A row by one score; in percent of the picture's width where its dot is, where its interval
    begins and how wide it is."""

    title: str
    score: str
    dot: float
    begin: float
    width: float
    told: str
    numbers: Sequence[Number]


class Measured(NamedTuple):
    """A table: what is drawn and between which ends, columns and rows, what is not there."""

    drawn: str
    ends: tuple[str, str]
    heads: Sequence[str]
    rows: Sequence[Row]
    lacking: Sequence[str]


class MeasuredTable(Part):
    """Its value is `Measured`."""


@cache
def report() -> Report:
    """The one that ships."""
    return Report.from_page(json.loads(REPORT.read_text(encoding="utf-8")))


def tables() -> list[tuple[str, int]]:
    """The title of each table that has a number, and which it is."""
    there = [(at, p) for at, p in enumerate(report().parts) if any(x.cells for x in p.lines)]
    titles = [(at, p.name, p.title.removesuffix(f": {TITLES[0]}")) for at, p in there]
    return [(f"Table {n}: {title}" if n.isdigit() else title, at) for at, n, title in titles]


def measured(at: int) -> Measured:
    """A table of the report.

    Raises:
        ValueError: it has none of that number.
    """
    if at not in [place for _, place in tables()]:
        raise ValueError(f"there is no table {at!r}; choose one of the list")
    part = report().parts[at]
    columns = _columns(part)
    found = [
        (title, score, {(cell.column, cell.metric): cell for cell in line.cells})
        for title, score, _, line in lines_of(part)
        if line.cells
    ]
    ends = [end for *_, cells in found for end in _interval(cells[columns[0]])]
    low, high = min(ends), max(ends)

    def place(value: float) -> float:
        return round(100 * (value - low) / ((high - low) or 1), 2)

    def row(title: str, score: str, cells: dict[tuple[str, str], Cell]) -> Row:
        drawn = cells[columns[0]]
        begin, end = _interval(drawn)
        told = f"{drawn.value:.2f} %, between {begin:.2f} and {end:.2f}"
        numbers = [_number(cells.get(column)) for column in columns]
        width = round(place(end) - place(begin), 2)
        return Row(title, score, place(drawn.value), place(begin), width, told, numbers)

    accuracy = columns[0][1] == "accuracy"
    lacking = {
        f"{title}: {line.lacks}": None for title, _, _, line in lines_of(part) if not line.cells
    }
    return Measured(
        "Accuracy, more is better" if accuracy else "Mean FPR95, less is better",
        (f"{low:.1f} %", f"{high:.1f} %"),
        [_head(part, *column) for column in columns],
        [row(*each) for each in found],
        list(lacking),
    )


def written() -> str:
    """The whole report as a page for the browser to take."""
    file = new_file("papers.html")
    file.write_text(as_html(report()), encoding="utf-8")
    return str(file)


def _columns(part: Found) -> list[tuple[str, str]]:
    """Both measures of the mean, then FPR95 of each set; or accuracies."""
    there = {(cell.column, cell.metric) for line in part.lines for cell in line.cells}
    mean = [(MEAN, "fpr95"), (MEAN, "auroc")]
    each = [(name, metric) for name in part.columns for metric in ("fpr95", "accuracy")]
    return [column for column in dict.fromkeys((*mean, *each)) if column in there]


def _head(part: Found, column: str, metric: str) -> str:
    title = part.columns[column]
    sign = {"fpr95": "FPR95\u00a0↓", "auroc": "AUROC\u00a0↑", "accuracy": "accuracy\u00a0↑"}[metric]
    return f"{title} {sign}"


def _interval(cell: Cell) -> tuple[float, float]:
    low = cell.value if cell.low is None else cell.low
    return low, cell.value if cell.high is None else cell.high


def _number(cell: Cell | None) -> Number:
    if cell is None:
        return Number("")
    theirs = "" if cell.published is None else f"{cell.published:.2f}"
    return Number(number(cell), theirs)
