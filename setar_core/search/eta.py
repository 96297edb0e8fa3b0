"""How long a search still takes, told from the candidates that it has run."""

from __future__ import annotations

from ..backbones.base import Backbone
from ..recipe import Site
from .plan import SearchPlan, sites
from .trial import Trial

JUDGING = 0.1  # of a tower's whole pass: what a candidate costs besides the blocks it runs


class Eta:
    """Learns from each trial what a whole pass through a tower takes; `remaining` is a guess.

    A candidate runs the blocks from its own to the top, so that those near the input take longer.
    The first one runs both towers in full. A tower that was not searched yet is taken to be as
    slow as that pass was on average.
    """

    def __init__(self, plan: SearchPlan, backbone: Backbone) -> None:
        """`plan` has nothing left open; see `resolve`."""
        self.plan = plan
        self.sites = tuple(sites(plan, backbone))
        self.shares = {site: _share(backbone, site) + JUDGING for site in self.sites}
        self.whole = len(backbone.towers) * (1 + JUDGING)
        self.spent = dict.fromkeys(backbone.towers, (0.0, 0.0))  # seconds, passes
        self.first = (0.0, 0.0)
        self.done = 0

    def update(self, trial: Trial) -> None:
        """The next trial; one that was known without running it tells nothing."""
        self.done = trial.index + 1
        if trial.index == 0:
            self.first = (trial.seconds, self.whole)
        elif not trial.known:
            seconds, passes = self.spent[trial.site.tower]
            share = self.shares[trial.site]
            self.spent[trial.site.tower] = (seconds + trial.seconds, passes + share)

    @property
    def total(self) -> int:
        return self.plan.candidates(len(self.sites))

    @property
    def remaining(self) -> float | None:
        """Seconds until the end; None before the first trial."""
        if not self.done:
            return None
        each = len(self.plan.ratios)
        if self.plan.exhaustive:  # which sites will be left is not known
            run = (self.total - self.done) * (each - 1) / each
            return run * sum(map(self._cost, self.sites)) / len(self.sites)
        rest = 0.0
        for i, site in enumerate(self.sites):
            open_ones = min(each - 1, max(0, (i + 1) * each - self.done))
            rest += open_ones * self._cost(site)
        return rest

    def _cost(self, site: Site) -> float:
        seconds, passes = self.spent[site.tower]
        if not passes:
            seconds, passes = self.first
        return self.shares[site] * seconds / passes if passes else 0.0


def _share(backbone: Backbone, site: Site) -> float:
    """The part of its tower that a change at the site makes to be run again, in [0, 1]."""
    tower = backbone.tower(site.tower)
    place = tower.sites()[site.block, site.weight]
    if place is None:
        return 0.0
    return 1 - (2 * place + (site.weight in ("up", "down"))) / (2 * tower.depth)
