"""How far other detectors lie from the chosen one on the same pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from demo.benchmark.components.table import detector_name
from demo.benchmark.runs import Look, Run
from demo.page.components.base import Part
from setar_core.benchmark.tables import TITLES, arrows
from setar_core.metrics.curves import threshold_of_fpr95

if TYPE_CHECKING:
    import numpy as np

    from setar_core.benchmark.differences import Difference
    from setar_core.benchmark.results import Detection

MIDDLE, SIDE = 50, 46  # of an axis, in per cent of its width


class Cell(NamedTuple):
    """One metric's difference in points; `at`, `low`, `high` are places on an axis whose middle is
    no difference. `way` is better, worse, or level where it may be chance."""

    value: str
    interval: str
    way: str
    at: float
    low: float
    high: float
    told: str


class Row(NamedTuple):
    """One detector; `accepts` is how many of what is selected, at its own threshold."""

    name: str
    cells: list[Cell]
    accepts: str


class Compared(NamedTuple):
    """`of` is the detector that the others are compared with."""

    of: str
    ood: str
    metrics: list[str]
    accepts: str
    rows: list[Row]


class Differences(Part):
    """Its value is `Compared`; nothing is drawn where it has no rows."""


def compared(run: Run, look: Look, mine: tuple[np.ndarray, np.ndarray]) -> Compared:
    """The detectors beside the chosen one; `mine` are masks of what is selected."""
    from setar_core.benchmark.differences import differences

    found = run.bench.comparisons[look.ood]
    each = [differences(found, one, look.detection) for one in look.beside]
    reach = {
        metric: max((abs(v) for one in each for v in one[metric] if v is not None), default=0.0)
        for metric in (each[0] if each else ())
    }
    rows = [
        Row(
            detector_name(one),
            [
                _cell(title, change, reach[metric], metric == "fpr95")
                for title, (metric, change) in zip(TITLES, changes.items(), strict=True)
            ],
            _accepts(run, look, one, mine),
        )
        for one, changes in zip(look.beside, each, strict=True)
    ]
    of = detector_name(look.detection)
    return Compared(of, look.ood, arrows(), _accepts(run, look, look.detection, mine), rows)


def _accepts(run: Run, look: Look, one: Detection, mine: tuple[np.ndarray, np.ndarray]) -> str:
    ids, oods = run.scores(Look(one, look.ood, 0.0))
    line = look.threshold if one == look.detection else threshold_of_fpr95(ids, oods)
    accepted = int((ids[mine[0]] >= line).sum() + (oods[mine[1]] >= line).sum())
    return f"{accepted} of {int(mine[0].sum() + mine[1].sum())}"


def _cell(title: str, change: Difference, reach: float, less: bool) -> Cell:
    value, low, high = change
    better = (value < 0) == less
    way = "level" if change.chance or not value else "better" if better else "worse"
    ends = (value, value) if low is None or high is None else (low, high)
    at, start, end = (
        round(MIDDLE + SIDE * (v / reach if reach else 0.0), 2) for v in (value, *ends)
    )
    said = "" if low is None else f"{_points(ends[0])} to {_points(ends[1])}"
    word = {"level": "may be chance", "better": "better", "worse": "worse"}[way]
    return Cell(
        _points(value), said, way, at, start, end, f"{title} {_points(value)} points, {word}"
    )


def _points(share: float) -> str:
    text = f"{100 * share:+.2f}".replace("-", "−")
    return "0" if text.strip("+−") == "0.00" else text
