"""The benchmark's table: a row a detector, a button a detector and OOD set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from demo.benchmark.runs import Look, Run
from demo.page.components.picker import Picker
from setar_core.benchmark.results import Detection
from setar_core.benchmark.results import Row as Measured
from setar_core.benchmark.tables import arrows, by_detection
from setar_core.data.sets import MEAN
from setar_core.scores import SCORES


class Number(NamedTuple):
    """One metric, its standing in the column (best, level or nothing), and its interval."""

    value: str
    standing: str | None
    interval: str


class Cell(NamedTuple):
    """The metrics of one OOD set; those of the mean have no scores behind them, so no place."""

    numbers: Sequence[Number]
    place: int | None
    told: str
    chosen: bool


class Row(NamedTuple):
    """A detector; its cells are None where nothing is scored yet."""

    recipe: str
    score: str
    cells: Sequence[Cell | None]
    accuracy: str


class Table(NamedTuple):
    """`accuracy` is whether the ID images' own classes are known."""

    heads: Sequence[str]
    metrics: Sequence[str]
    rows: Sequence[Row]
    accuracy: bool


class BenchmarkTable(Picker):
    """Its value is a `Table`; the place that is chosen is row * OOD sets + column. `metric` is the
    place of the only metric that is shown; null for all."""

    state = ("metric",)


def table(run: Run, look: Look | None) -> Table:
    """What is scored so far, and which cell of it is open."""
    sets = [ood.images.name for ood in run.bench.oods]
    heads = [MEAN, *sets] if len(sets) > 1 else sets  # the mean is seen first on a phone
    measured = by_detection(run.rows)
    classes = run.bench.id.complete and run.bench.id.images.classes is not None
    rows = []
    for place, detection in enumerate(run.bench.detections):
        found = measured.get(detection, {})
        cells = [
            _cell(
                detection,
                found[ood],
                None if ood == MEAN else place * len(sets) + sets.index(ood),
                look is not None and (look.detection, look.ood) == (detection, ood),
            )
            if ood in found
            else None
            for ood in heads
        ]
        share = run.bench.accuracy(detection.recipe) if classes else None
        accuracy = "" if share is None else f"{100 * share:.2f}"
        rows.append(Row(detection.recipe, score_title(detection), cells, accuracy))
    return Table(heads, arrows(), rows, classes)


def score_title(detection: Detection) -> str:
    return SCORES[detection.score].title


def detector_name(one: Detection) -> str:
    return f"{one.recipe}, {score_title(one)}"


def options(detections: Sequence[Detection]) -> list[tuple[str, int]]:
    """Detectors for a dropdown, by place."""
    return [(detector_name(one), i) for i, one in enumerate(detections)]


def _cell(detection: Detection, row: Measured, place: int | None, chosen: bool) -> Cell:
    numbers = [
        Number(
            f"{100 * value:.2f}",
            row.standing[i],
            f"{100 * row.low[i]:.0f}–{100 * row.high[i]:.0f}" if row.low and row.high else "",
        )
        for i, value in enumerate(row.metrics)
    ]
    told = f"{detector_name(detection)} on {row.ood}:"
    return Cell(numbers, place, told, chosen)
