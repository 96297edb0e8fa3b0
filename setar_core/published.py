"""What the authors of SeTAR published of their own runs, on real CLIP and SwinV2, as shipped facts.

From github.com/X1AOX1A/SeTAR, commit 1564daa, MIT (arXiv:2406.12629); `assets.build.published`
wrote the files. Nothing here is measured by us except what is recomputed from the histograms.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .metrics.bins import Binned, binned_separation, binned_threshold
from .metrics.separation import Metrics
from .paths import PUBLISHED
from .recipe import Recipe, Site

MEAN = "average"
VANILLA = "vanilla"
METHODS = (VANILLA, "LoRA", "SeTAR", "SeTAR+FT")  # as the authors' tables order them
BACKBONES = {  # the authors' name -> ours, and the one people say
    "openai/clip-vit-base-patch16": ("ViT-B-16/openai", "CLIP ViT-B/16"),
    "openai/clip-vit-large-patch14": ("ViT-L-14/openai", "CLIP ViT-L/14"),
    "microsoft/swinv2-base-patch4-window16-256": (
        "timm:swinv2_base_window16_256.ms_in1k",
        "SwinV2-B",
    ),
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


class Candidate(NamedTuple):
    """One line of a search's trace: a site with a ratio, and what it measured.

    Losses in nats, `accuracy` and `ood_patches` (the share of patches taken as OOD) in [0, 1].
    `improved` and `best` follow from the candidates before it, over all blocks.
    """

    step: int
    site: Site
    ratio: float
    loss: float
    loss_id: float
    loss_ood: float
    accuracy: float
    ood_patches: float
    improved: bool
    best: float


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

    def trace(self) -> tuple[Candidate, ...]:
        """Every candidate of its search, in order; empty without a published trace."""
        return _trace(self.slug) if self.searched else ()


class Line(NamedTuple):
    """One row of the authors' table, for one score.

    `change` is relative to the original network: -0.1 is a tenth less; None without such a run.
    """

    run: Run
    metrics: Mapping[str, Metrics]
    change: Mapping[str, Metrics] | None


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


def candidates(rows: Iterable[Mapping[str, Any]]) -> tuple[Candidate, ...]:
    """A trace's lines as candidates, with what each of them improved on."""
    read, least = [], float("inf")
    for row in rows:
        loss = row["locoop_loss"]
        improved, least = loss < least, min(loss, least)
        entry = [row[key] for key in ("tower", "weight", "layer", "ratio")]
        ((site, ratio),) = Recipe.loads(json.dumps([entry])).ratios.items()
        terms = (row["loss_id"], row["loss_ood"], row["acc"] / 100, row["ood_patch_percent"] / 100)
        read.append(Candidate(row["step"], site, ratio, loss, *terms, improved, least))
    return tuple(read)


def found(trace: Sequence[Candidate]) -> dict[Site, float]:
    """The recipe that a trace leads to: at each site the ratio of its last improvement, else 0."""
    ratios = {candidate.site: 0.0 for candidate in trace}
    return ratios | {c.site: c.ratio for c in trace if c.improved}


def trace_file(run: Run) -> Path:
    """The published trace as a file that a search can be replayed from."""
    return PUBLISHED / "traces" / f"{run.slug}.jsonl"


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
    recipe = Recipe.loads(json.dumps(entry["recipe"])) if entry["recipe"] else None
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
def _trace(slug: str) -> tuple[Candidate, ...]:
    lines = (PUBLISHED / "traces" / f"{slug}.jsonl").read_text(encoding="utf-8").splitlines()
    return candidates(map(json.loads, lines[1:]))  # the first line says whose search it was


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
