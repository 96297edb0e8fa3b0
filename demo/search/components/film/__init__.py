"""A search from all sides: its loss, its ratios, the terms of its loss, and an example picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from demo.page.components.loss_chart import Chart, LossChart, chart, plain
from demo.page.components.player import Film, Player, film
from demo.page.components.ratio_map import RatioMap
from setar_core.recipe import Site
from setar_core.search.trial import Trial

if TYPE_CHECKING:
    from torch import Tensor

    from demo.search.work import Example

TERMS = (
    ("ID term", "loss_id", "How badly the labels are named; less is better", 4, ""),
    ("OOD term", "loss_ood", "How sure patches without the object are; less is better", 4, ""),
    ("Accuracy", "accuracy", "Pictures whose best label is right", 1, " %"),
    ("OOD patches", "ood_patch_percent", "Patches taken to show none of the label", 1, " %"),
)


class Term(NamedTuple):
    """A part of the loss, the accuracy or the share of OOD patches.

    `best` is that of the best candidate so far, of the last candidates or of all.
    """

    title: str
    told: str
    chart: Chart
    best: Sequence[str]


class Patches(NamedTuple):
    """What is marked on the example pictures.

    Attributes:
        labels: of the pictures, which are `--picture-0` and so on.
        size: how many patches high and wide they are.
        marks: of the last candidates or of all, for each picture its patches row by row, four to a
            hexadecimal digit, OOD ones as 1; None of a candidate that was read from a trace.
    """

    labels: Sequence[str]
    size: tuple[int, int]
    marks: Sequence[Sequence[str] | None]


class Shown(NamedTuple):
    """Everything; `patches` are None where there never will be any."""

    film: Film
    terms: Sequence[Term]
    patches: Patches | None


class SearchFilm(Player):
    """Its value is `Shown`; `picked` is the example picture that is looked at."""

    inside = (Player, LossChart, RatioMap)
    state = (*Player.state, "picked")


def shown(
    name: str,
    trials: Sequence[Trial],
    sites: Sequence[Site],
    examples: Sequence[Example] | None,
    objective: str,
    total: int,
    over: bool,
) -> Shown:
    """A search so far; the numbers of all its candidates only once it is `over`."""
    return Shown(
        film(name, trials, sites, objective, total, over),
        [_term(trials, total, over, *term) for term in TERMS],
        None if examples is None else _patches(trials if over else trials[-1:], examples),
    )


def _term(
    trials: Sequence[Trial],
    total: int,
    over: bool,
    title: str,
    field: str,
    told: str,
    digits: int,
    unit: str,
) -> Term:
    values = [getattr(trial.measures.losses, field) for trial in trials]
    best = [getattr(trial.best.losses, field) for trial in trials]
    written = [f"{plain(value, digits)}{unit}" for value in (best if over else best[-1:])]
    return Term(title, told, chart(values, best, total), written)


def _patches(trials: Sequence[Trial], examples: Sequence[Example]) -> Patches:
    tables = [trial.measures.ood for trial in trials]
    sizes = ((table.shape[1], table.shape[2]) for table in tables if table is not None)
    marks = [
        None if table is None else [_hexadecimal(table[example.place]) for example in examples]
        for table in tables
    ]
    return Patches([example.label for example in examples], next(sizes, (1, 1)), marks)


def _hexadecimal(table: Tensor) -> str:
    bits = "".join("1" if ood else "0" for ood in table.flatten().tolist())
    return "".join(f"{int(bits[i : i + 4].ljust(4, '0'), 2):x}" for i in range(0, len(bits), 4))
