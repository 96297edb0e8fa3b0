"""What a benchmark finds: a `Row` for each detector and OOD set, from scores alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..data.sets import MEAN
from ..metrics.bootstrap import BEST, LEVEL, Standing, interval, resampled, standings
from ..metrics.separation import Metrics, separation

BETTER = ("down", "up", "up")  # which way each metric is better


class Detection(NamedTuple):
    """What tells ID from OOD: a recipe by its name, and a score by its name."""

    recipe: str
    score: str


@dataclass(frozen=True)
class Row:
    """One detector on one OOD set, or the mean over all of them.

    Attributes:
        ood: the set's name, or `MEAN`.
        metrics: each in [0, 1]; `page()` has them in percent.
        low, high: the bootstrap's 95 % interval; None without resamples.
        standing: by metric, `best` of this OOD set, `level` when the difference from the best may
            be chance, or "".
        n_ood: images, of all sets together in the mean.
    """

    recipe: str
    score: str
    ood: str
    metrics: Metrics
    low: Metrics | None
    high: Metrics | None
    standing: Standing
    n_id: int
    n_ood: int

    @property
    def ends(self) -> list[tuple[float, float]]:
        """The interval of each metric; none without resamples."""
        if self.low is None or self.high is None:
            return []
        return list(zip(self.low, self.high, strict=True))

    def page(self) -> dict[str, Any]:
        """As `results.json` has it: metrics and intervals in percent."""

        def percent(share: float) -> float:
            return round(100 * share, 10)  # 27.5, not 27.500000000000004

        return {
            "recipe": self.recipe,
            "score": self.score,
            "ood": self.ood,
            **{name: percent(value) for name, value in self.metrics._asdict().items()},
            "ci": {
                name: [percent(low), percent(high)]
                for name, (low, high) in zip(Metrics._fields, self.ends, strict=False)
            }
            or None,
            "n_id": self.n_id,
            "n_ood": self.n_ood,
        }


class Comparison(NamedTuple):
    """The rows of one OOD set, and the resamples `(D, count, 3)` behind their intervals."""

    rows: tuple[Row, ...]
    resamples: np.ndarray | None


def compare(
    detections: Sequence[Detection],
    ids: np.ndarray,
    oods: np.ndarray,
    ood: str,
    count: int,
    seed: int = 0,
    stream: int = 0,
) -> Comparison:
    """D detectors on one OOD set: ID scores `(n, D)`, OOD scores `(m, D)`.

    Args:
        count: resamples; 0 leaves the intervals out.
        stream: another number for each OOD set.
    """
    points = [separation(ids[:, d], oods[:, d]) for d in range(len(detections))]
    draws = resampled(ids.T, oods.T, count, seed, stream) if count else None
    return Comparison(_rows(detections, ood, points, draws, len(ids), len(oods)), draws)


def mean(detections: Sequence[Detection], comparisons: Sequence[Comparison]) -> Comparison:
    """The mean over OOD sets; its interval is that of the resamples' means."""
    sets = [comparison.rows for comparison in comparisons]
    points = [
        Metrics(*np.mean([rows[d].metrics for rows in sets], axis=0).tolist())
        for d in range(len(detections))
    ]
    draws = [some.resamples for some in comparisons if some.resamples is not None]
    together = np.mean(draws, axis=0) if draws else None
    n_ood = sum(rows[0].n_ood for rows in sets)
    rows = _rows(detections, MEAN, points, together, sets[0][0].n_id, n_ood)
    return Comparison(rows, together)


def leaders(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For each OOD set and metric: which detectors are best, and which are level with them."""
    found = []
    for ood in dict.fromkeys(row.ood for row in rows):
        mine = [row for row in rows if row.ood == ood]
        for i, metric in enumerate(Metrics._fields):
            by = {
                rank: [[row.recipe, row.score] for row in mine if row.standing[i] == rank]
                for rank in (BEST, LEVEL)
            }
            found.append({"ood": ood, "metric": metric, **by})
    return found


def _rows(
    detections: Sequence[Detection],
    ood: str,
    points: Sequence[Metrics],
    draws: np.ndarray | None,
    n_id: int,
    n_ood: int,
) -> tuple[Row, ...]:
    several = len(detections) > 1
    ranks = standings(points, draws) if several else [Standing()]
    ends: Sequence[tuple[Metrics | None, Metrics | None]] = [(None, None)] * len(points)
    if draws is not None:
        ends = [interval(some, point) for some, point in zip(draws, points, strict=True)]
    return tuple(
        Row(*detection, ood, point, *end, rank, n_id, n_ood)
        for detection, point, end, rank in zip(detections, points, ends, ranks, strict=True)
    )
