"""A search to watch: the loss of each candidate, and, once it is over, the keys that replay it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from demo.page.components.base import Part
from demo.page.components.loss_chart import Chart, LossChart, chart, plain
from demo.page.components.ratio_map import RatioMap, Ratios, column, replayed
from demo.page.words import place
from setar_core.recipe import Site
from setar_core.search.plan import METRICS, OBJECTIVES
from setar_core.search.trial import Measures, Trial

TICKS = 5


class Candidate(NamedTuple):
    """What is said of a candidate; `best` is that of those before, where it did not improve."""

    place: str
    objective: str
    best: str | None
    loss_id: str
    loss_ood: str
    accuracy: str
    ood_patches: str


class Film(NamedTuple):
    """A search, and how it came to what it found.

    Attributes:
        name: another one has another.
        objective: what is drawn, in a word or two; `more`: whether more of it is better.
        told: the drawing in words.
        ratios: the recipe as a map, which follows the replay.
        candidates: to look back at; none while the search runs.
    """

    name: str
    objective: str
    more: bool
    told: str
    chart: Chart
    ratios: Ratios
    candidates: Sequence[Candidate] = ()


class Player(Part):
    """Its value has a `film`; `at` is how many candidates are shown, None for all, and `playing`
    whether more of them come by themselves."""

    inside: ClassVar[tuple[type[Part], ...]] = (LossChart, RatioMap)
    state: ClassVar[tuple[str, ...]] = ("at", "playing")


def film(
    name: str,
    trials: Sequence[Trial],
    sites: Sequence[Site],
    objective: str = "locoop_loss",
    total: int | None = None,
    over: bool = True,
) -> Film:
    """A search of `total` candidates so far; one that is `over` can be looked back at."""
    total = total or len(trials) or 1
    best = [trial.best.objective(objective) for trial in trials]
    _, title, higher = OBJECTIVES[objective]
    told = (
        f"{title}: {trials[0].measures.objective(objective):.4f} with the original weights, best "
        f"so far {best[-1]:.4f} after {len(trials)} candidates"
        if trials
        else ""
    )
    drawn = chart(
        [trial.objective for trial in trials],
        best,
        total,
        [trial.improved for trial in trials],
        [column(trial.site) for trial in trials],
        TICKS,
    )
    return Film(
        name,
        title,
        higher,
        told,
        drawn,
        replayed(sites, trials, finished=over and len(trials) == total),
        [_candidate(trial, objective) for trial in trials] if over else (),
    )


def where(trial: Trial) -> str:
    """A candidate in words."""
    return f"{place(trial.site)}, ratio {trial.ratio:g}"


def shown(measures: Measures, objective: str) -> str:
    """The objective as it is written."""
    value = measures.objective(objective)
    return f"{value:.2f} %" if objective in METRICS else plain(value, 4)


def _candidate(trial: Trial, objective: str) -> Candidate:
    losses = trial.measures.losses
    return Candidate(
        where(trial),
        shown(trial.measures, objective),
        None if trial.improved else shown(trial.best, objective),
        plain(losses.loss_id, 4),
        plain(losses.loss_ood, 4),
        f"{losses.accuracy:.1f} %",
        f"{losses.ood_patch_percent:.1f} %",
    )
