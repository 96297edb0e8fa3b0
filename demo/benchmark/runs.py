"""A visitor's benchmark: what was asked, how far it is, and what is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from demo.benchmark.sets import Opened, SetsAsked
from demo.server.store import Store
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe
from setar_core.scores import ScoreOptions

if TYPE_CHECKING:
    import numpy as np

    from setar_core.benchmark.results import Detection, Row
    from setar_core.benchmark.run import Benchmark
    from setar_core.benchmark.set_scores import SetScores

KEPT_RUNS = 12


@dataclass(frozen=True)
class BenchmarkRequest:
    """Everything that the scores depend on; `recipes` by name, None for the original weights."""

    backbone: str
    labels: LabelSet
    recipes: Mapping[str, Recipe | None]
    scores: tuple[str, ...]
    options: ScoreOptions
    sets: SetsAsked


@dataclass
class Run:
    """A benchmark under way or done; a stopped one goes on where it was."""

    request: BenchmarkRequest
    bench: Benchmark
    opened: Opened
    rows: list[Row] = field(default_factory=list)
    look: Look | None = None  # the cell that is open
    done: bool = False

    @property
    def ready(self) -> list[str]:
        """OOD sets that have rows, in order."""
        wanted = [ood.images.name for ood in self.bench.oods]
        return [name for name in wanted if any(row.ood == name for row in self.rows)]

    def ood(self, name: str) -> SetScores:
        return next(ood for ood in self.bench.oods if ood.images.name == name)

    def scores(self, look: Look) -> tuple[np.ndarray, np.ndarray]:
        """ID and OOD scores of what is looked at."""
        bench = self.bench
        ids, oods = bench.id, self.ood(look.ood)
        return bench.scores_of(ids, look.detection), bench.scores_of(oods, look.detection)


@dataclass(frozen=True)
class Look:
    """One detector on one OOD set, at one threshold."""

    detection: Detection
    ood: str
    threshold: float


class Runs(Store[Run]):
    """The last runs of all visitors.

    A browser keeps the name of its last run, so several pages may hold one; it goes with the last.
    """

    def __init__(self) -> None:
        super().__init__(KEPT_RUNS)
        self._pages: Counter[str] = Counter()  # beside the page that made it

    def again(self, name: object) -> Run | None:
        """The run for one page more, or None when it is no longer kept."""
        run = self.find(name) if isinstance(name, str) else None
        if run is not None:
            with self._lock:
                self._pages[name] += 1
        return run

    def drop(self, name: object) -> None:
        if isinstance(name, str) and self._pages[name]:
            with self._lock:
                self._pages[name] -= 1
        else:
            super().drop(name)
