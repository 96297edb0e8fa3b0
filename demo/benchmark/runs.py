"""A visitor's benchmark: what was asked, how far it is, and what is looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from demo.benchmark.sets import SetsAsked
from demo.server.jobs import Job, Steps
from demo.server.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    from setar_core.adapter import Change
    from setar_core.benchmark.mistakes import Scored
    from setar_core.benchmark.results import Detection, Row
    from setar_core.benchmark.run import Benchmark
    from setar_core.benchmark.set_scores import SetScores


BOTH, KNOWN, FOREIGN = "both", "known", "foreign"  # sides that can be brushed
WORST = 12  # mistakes a side


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


def usual_beside(run: Run, chosen: Detection) -> tuple[Detection, ...]:
    """The same score under the other weights; with one of the weights alone, the other scores."""
    others = [one for one in run.bench.detections if one != chosen]
    alike = [one for one in others if one.score == chosen.score]
    return tuple(alike or others)


def selected(run: Run, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Which of the ID and of the OOD images are looked at, `(n,)` and `(m,)` of bool."""
    ids, oods = run.scores(look)
    if look.brushed is None:
        return ids < look.threshold, oods >= look.threshold
    low, high, side = look.brushed
    return (
        (ids >= low) & (ids <= high) & (side != FOREIGN),
        (oods >= low) & (oods <= high) & (side != KNOWN),
    )


def pictures(run: Run, look: Look) -> list[Scored]:
    """Those that are looked at, the foreign ones first; of mistakes the worst."""
    from setar_core.benchmark.mistakes import between, worst_accepted, worst_rejected

    ood, detection, at = run.ood(look.ood), look.detection, look.threshold
    if look.brushed is None:
        return [
            *worst_accepted(run.bench, ood, detection, at, WORST),
            *worst_rejected(run.bench, detection, at, WORST),
        ]
    low, high, side = look.brushed
    foreign = between(run.bench, ood, detection, at, low, high) if side != KNOWN else []
    known = between(run.bench, run.bench.id, detection, at, low, high) if side != FOREIGN else []
    return [*foreign, *known]


def detection(run: Run, place: object) -> Detection:
    """One of the run's detectors.

    Raises:
        ValueError: none at that place; a browser may send anything.
    """
    made = run.bench.detections
    if not isinstance(place, int) or not 0 <= place < len(made):
        raise ValueError("this detector is not in the table; choose another")
    return made[place]


class Brushed(NamedTuple):
    """The pictures whose scores lie in `[low, high]`, of one `side` or of both."""

    low: float
    high: float
    side: str


@dataclass(frozen=True)
class Look:
    """One detector on one OOD set, at one threshold; the detectors `beside` it are drawn with it.

    Its mistakes are looked at, or what was `brushed`.
    """

    detection: Detection
    ood: str
    threshold: float
    beside: tuple[Detection, ...] = ()
    brushed: Brushed | None = None
