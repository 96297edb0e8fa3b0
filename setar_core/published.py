"""What the authors of SeTAR published of their own runs, on real CLIP and SwinV2, as shipped facts.

From github.com/X1AOX1A/SeTAR, commit 1564daa, MIT (arXiv:2406.12629); `assets.build.published`
wrote the files. Measured by us are only what is recomputed from the histograms, and the times that
searches took us beside the authors' procedure (`python -m tests.speed.search --record MACHINE`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .metrics.bins import Binned, binned_separation, binned_threshold
from .metrics.separation import Metrics
from .paths import PUBLISHED
from .recipe import AUTHORS_BACKBONES, Recipe
from .search.trace import replay
from .search.trial import Trial

MEAN = "average"
VANILLA = "vanilla"
SEARCH_TIMES = PUBLISHED / "search_times.json"
METHODS = (VANILLA, "LoRA", "SeTAR", "SeTAR+FT")  # as the authors' tables order them
TITLES = ("CLIP ViT-B/16", "CLIP ViT-L/14", "SwinV2-B")  # as people say
BACKBONES = {
    name: (ours, title)
    for (name, ours), title in zip(AUTHORS_BACKBONES.items(), TITLES, strict=True)
}  # the authors' name -> ours, and the one people say
SETS = {
    "imagenet1k": "ImageNet-1k",
    "pascal_voc": "Pascal VOC",
    "inaturalist": "iNaturalist",
    "sun": "SUN",
    "places": "Places",
    "textures": "Textures",
    "imagenet22k": "ImageNet-22k",
    "coco": "COCO",
    MEAN: "Mean",
}


class Histograms(NamedTuple):
    """Scores of one run in common bins: `edges` (b + 1,), `counts` of each data set (b,)."""

    id_set: str
    edges: np.ndarray
    counts: Mapping[str, np.ndarray]

    def separation(self, ood_set: str) -> Binned:
        """FPR95, AUROC and AUPR of an OOD set, recomputed from the bins."""
        return binned_separation(self.counts[self.id_set], self.counts[ood_set])

    @property
    def threshold(self) -> float:
        """The score that 95 % of the ID images reach, as far as the bins tell."""
        return binned_threshold(self.edges, self.counts[self.id_set])

    @property
    def span(self) -> tuple[float, float]:
        """From where to where all but one in a thousand scores of every set lie."""
        ends = [
            np.interp((0.001, 0.999), np.cumsum(counts) / counts.sum(), self.edges[1:])
            for counts in self.counts.values()
        ]
        return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


@dataclass(frozen=True)
class Run:
    """One published run: a network, an ID set and a method.

    Attributes:
        backbone: our name of the network; `title` is the one people say.
        metrics: score -> OOD set -> metrics as printed, and their mean under MEAN.
        accuracy: data set -> share in [0, 1]; never measured on Pascal VOC.
        recipe: None for a method that drops nothing.
        search_seconds: on one RTX 4090, where printed.
        images: data set -> how many were scored.
    """

    slug: str
    kind: str
    backbone: str
    title: str
    id_set: str
    method: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Metrics]]
    accuracy: Mapping[str, float]
    recipe: Recipe | None
    search_seconds: int | None
    images: Mapping[str, int]

    def ood_sets(self, score: str) -> tuple[str, ...]:
        return tuple(name for name in self.metrics[score] if name != MEAN)

    def histograms(self, score: str) -> Histograms:
        """The run's scores in bins."""
        page = _page(f"histograms/{self.slug}.json")
        counts = {name: np.asarray(row) for name, row in page["counts"][score].items()}
        return Histograms(self.id_set, np.asarray(page["edges"][score]), counts)

    @property
    def searched(self) -> bool:
        """Whether the trace of its search was published."""
        return self.search_seconds is not None

    @property
    def trace_file(self) -> Path:
        """Where the trace of its search lies, if it was published."""
        return PUBLISHED / "traces" / f"{self.slug}.jsonl"

    def trace(self) -> tuple[Trial, ...]:
        """Every candidate of its search, in order; empty without a published trace."""
        return _trace(self.trace_file) if self.searched else ()


class Line(NamedTuple):
    """One row of the authors' table, for one score.

    `change` is relative to the original network: -0.1 is a tenth less; None without such a run.
    """

    run: Run
    metrics: Mapping[str, Metrics]
    change: Mapping[str, Metrics] | None


class SearchTime(NamedTuple):
    """One search, by us and by the authors' procedure.

    `sampled` is how many of its candidates the procedure was timed on, where not on all; its
    `procedure_seconds` are for all `candidates` then too.
    """

    title: str
    images: int
    labels: int
    candidates: int
    seconds: float
    procedure_seconds: float
    sampled: int | None
    command: str

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.procedure_seconds / self.seconds


class SearchTimes(NamedTuple):
    """Everything that was measured on one machine, in words."""

    machine: str
    measured: tuple[SearchTime, ...]


@cache
def published_runs() -> tuple[Run, ...]:
    """All 21 runs, in the order of the authors' index."""
    return tuple(_run(entry) for entry in _page("runs.json")["runs"])


def scores_of(backbone: str, id_set: str) -> tuple[str, ...]:
    """The scores under which runs of this network and ID set were published."""
    runs = [run for run in published_runs() if (run.backbone, run.id_set) == (backbone, id_set)]
    order = [score for run in sorted(runs, key=_method_order) for score in run.metrics]
    return tuple(dict.fromkeys(order))


def id_sets_of(backbone: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run.id_set for run in published_runs() if run.backbone == backbone))


def table(backbone: str, id_set: str, score: str) -> tuple[Line, ...]:
    """The authors' table of one network, ID set and score; empty where nothing was published."""
    runs = [
        run
        for run in sorted(published_runs(), key=_method_order)
        if (run.backbone, run.id_set) == (backbone, id_set) and score in run.metrics
    ]
    vanilla = next((run.metrics[score] for run in runs if run.method == VANILLA), None)
    return tuple(Line(run, run.metrics[score], _change(run, score, vanilla)) for run in runs)


def best(lines: Sequence[Line], ood_set: str) -> Metrics:
    """The best of each metric in one column: the least FPR95, the greatest areas."""
    fpr95, auroc, aupr = zip(*(line.metrics[ood_set] for line in lines), strict=True)
    return Metrics(min(fpr95), max(auroc), max(aupr))


def search_times(path: Path = SEARCH_TIMES) -> SearchTimes | None:
    """The facts, None where nothing was measured yet.

    Raises:
        ValueError: a file that holds something else.
    """
    if not path.is_file():
        return None
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
        measured = tuple(_time(entry) for entry in page["measured"])
        return SearchTimes(str(page["machine"]), measured) if measured else None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path.name} holds no search times ({error}); measure them with "
            "python -m tests.speed.search --record MACHINE"
        ) from None


def _method_order(run: Run) -> int:
    return METHODS.index(run.method)


def _change(
    run: Run, score: str, vanilla: Mapping[str, Metrics] | None
) -> dict[str, Metrics] | None:
    if vanilla is None or run.method == VANILLA:
        return None
    return {
        name: Metrics(*((new - old) / old for new, old in zip(mine, vanilla[name], strict=True)))
        for name, mine in run.metrics[score].items()
    }


def _run(entry: dict[str, Any]) -> Run:
    backbone, title = BACKBONES[entry["backbone"]]
    method = VANILLA if entry["method"].startswith("Vanilla") else entry["method"]
    recipe = Recipe.loads(json.dumps(entry["recipe"], allow_nan=False)) if entry["recipe"] else None
    return Run(
        slug=entry["slug"],
        kind=entry["kind"],
        backbone=backbone,
        title=title,
        id_set=entry["id_dataset"],
        method=method,
        settings=entry["settings"],
        metrics={
            score: {name: _metrics(printed) for name, printed in columns.items()}
            for score, columns in entry["metrics"].items()
        },
        accuracy={name: percent / 100 for name, percent in entry["accuracy"].items()},
        recipe=recipe,
        search_seconds=entry["search_seconds_rtx4090"],
        images={name.partition("/")[0]: count for name, count in entry["scores"].items()},
    )


def _metrics(printed: dict[str, float]) -> Metrics:
    return Metrics(*(printed[name] / 100 for name in Metrics._fields))


@cache
def _page(name: str) -> dict[str, Any]:
    return json.loads((PUBLISHED / name).read_text(encoding="utf-8"))


@cache
def _trace(path: Path) -> tuple[Trial, ...]:
    return tuple(replay(path.read_text(encoding="utf-8")))


def _time(entry: Mapping[str, Any]) -> SearchTime:
    found = SearchTime(**entry)
    for name in ("images", "labels", "candidates", "seconds", "procedure_seconds"):
        if not getattr(found, name) > 0:
            raise ValueError(f"{name} of {found.title!r} is {getattr(found, name)!r}")
    return found
