"""The rows of the papers' tables and of the ablations, as data: `assets/papers/plan.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ..paths import PAPERS
from ..published import Run, table

TABLES = ("1", "2", "3", "4")  # of the paper; every other name is an ablation's
ABLATIONS = "ablations"


@dataclass(frozen=True)
class Weights:
    """What is done to a network.

    Attributes:
        kind: original, search or train.
        settings: of the search, where they are not the authors'; `top_share` is K as a share of
            the labels.
        preset: of the training.
        seeds: one run each; none for what has no chance in it.
    """

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    preset: str = ""
    seeds: tuple[int, ...] = ()

    @property
    def usual(self) -> bool:
        """The search of the authors, for which their recipes were published."""
        return self.kind == "search" and not self.settings


@dataclass(frozen=True)
class Row:
    """A line of a table on one network and ID set.

    Attributes:
        means: FPR95 and AUROC in percent over the OOD sets, by score, where only these are
            published.
        run: the authors' run by score, where it is published.
    """

    title: str
    network: str
    known: str
    weights: Weights
    means: Mapping[str, tuple[float, float]]
    run: Mapping[str, Run]


@dataclass(frozen=True)
class Table:
    """Rows under one title, and what is measured of each.

    Attributes:
        name: by which it is asked for.
        scores: of the separation; none in a table of accuracies.
        foreign: OOD sets other than those of the ID set.
        sorts: sets whose classes are told apart, for accuracy.
    """

    name: str
    title: str
    scores: tuple[str, ...]
    rows: tuple[Row, ...]
    foreign: tuple[str, ...] = ()
    sorts: tuple[str, ...] = ()


@cache
def tables() -> tuple[Table, ...]:
    """All of them, in the paper's order."""
    page = json.loads((PAPERS / "plan.json").read_text(encoding="utf-8"))
    return tuple(_table(entry) for entry in page["tables"])


def chosen(names: Sequence[str]) -> tuple[Table, ...]:
    """Those of these names; `ablations` are all that the paper does not number.

    Raises:
        ValueError: a name that is none.
    """
    known = list(dict.fromkeys(table.name for table in tables()))
    for name in names:
        if name not in (*known, ABLATIONS):
            raise ValueError(f"table {name!r} is unknown; use {', '.join(known)} or {ABLATIONS}")
    wanted = set(names)
    if ABLATIONS in wanted:
        wanted |= set(known) - set(TABLES)
    return tuple(table for table in tables() if not names or table.name in wanted)


def _table(entry: Mapping[str, Any]) -> Table:
    scores = tuple(entry["scores"])
    rows = [
        _row(row, network, known, scores) for network, known in entry["on"] for row in entry["rows"]
    ]
    more = {name: tuple(entry[name]) for name in ("foreign", "sorts") if name in entry}
    return Table(entry["name"], entry["title"], scores, tuple(rows), **more)


def _row(entry: Mapping[str, Any], network: str, known: str, scores: Sequence[str]) -> Row:
    weights = dict(entry["weights"])
    weights["seeds"] = tuple(weights.get("seeds", ()))
    means = {score: (pair[0], pair[1]) for score, pair in entry.get("means", {}).items()}
    method = entry.get("published")
    runs = {
        score: line.run
        for score in scores or ("mcm",)
        for line in table(NETWORKS[network], known, score)
        if line.run.method == method
    }
    return Row(entry["title"], network, known, Weights(**weights), means, runs)


NETWORKS = {  # as the plan calls them -> as `published` does
    "vit-b-16": "ViT-B-16/openai",
    "vit-l-14": "ViT-L-14/openai",
    "swinv2-b": "timm:swinv2_base_window16_256.ms_in1k",
}
