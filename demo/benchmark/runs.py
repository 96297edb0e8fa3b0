"""A visitor's benchmark: what was asked, how far it is, and what is looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.benchmark.sets import SetsAsked
from demo.server.jobs import Job, Steps
from demo.server.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    from setar_core.adapter import Change
    from setar_core.benchmark.results import Detection, Row
    from setar_core.benchmark.run import Benchmark
    from setar_core.benchmark.set_scores import SetScores


@dataclass(frozen=True)
class BenchmarkRequest:
    """Everything that the scores depend on; `recipes` by name, None for the original weights."""

    settings: Settings
    recipes: Mapping[str, Change | None]
    scores: tuple[str, ...]
    sets: SetsAsked


class Run(Job[None]):
    """A benchmark as a job; a stopped one goes on where it was.

    Attributes:
        made: its sets and detectors; None until they are there.
        look: the cell that is open.
    """

    def __init__(self, request: BenchmarkRequest, work: Callable[[Run], Steps[None]]) -> None:
        super().__init__("the benchmark", lambda: work(self))
        self.request = request
        self.made: Benchmark | None = None
        self.look: Look | None = None

    @property
    def bench(self) -> Benchmark:
        """What was made; for those who know that it is there."""
        assert self.made is not None
        return self.made

    @property
    def rows(self) -> list[Row]:
        return [row for rows in self.events for row in rows]

    @property
    def ready(self) -> list[str]:
        """OOD sets that have rows, in order."""
        named = {row.ood for row in self.rows}
        oods = self.made.oods if self.made else ()
        return [ood.images.name for ood in oods if ood.images.name in named]

    def ood(self, name: str) -> SetScores:
        return next(ood for ood in self.bench.oods if ood.images.name == name)

    def scores(self, look: Look) -> tuple[np.ndarray, np.ndarray]:
        """ID and OOD scores of what is looked at."""
        bench = self.bench
        ids, oods = bench.id, self.ood(look.ood)
        return bench.scores_of(ids, look.detection), bench.scores_of(oods, look.detection)


def detection(run: Run, place: object) -> Detection:
    """One of the run's detectors.

    Raises:
        ValueError: none at that place; a browser may send anything.
    """
    made = run.bench.detections
    if not isinstance(place, int) or not 0 <= place < len(made):
        raise ValueError("this detector is not in the table; choose another")
    return made[place]


@dataclass(frozen=True)
class Look:
    """One detector on one OOD set, at one threshold."""

    detection: Detection
    ood: str
    threshold: float
