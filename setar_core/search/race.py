"""The quick search's race: every candidate of a site in bf16, and in float32 those that may win.

A candidate's float32 objective is told from its bf16 one and the mean difference between the two
of networks measured in both. How far that may err is told from the same networks: how bf16 changes
the difference of two, an image at a time, taken as independent between images and as growing with
how far apart two networks are.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..backbones.base import Backbone
from ..recipe import Site
from .evaluator import Evaluator
from .plan import OBJECTIVES, SearchPlan
from .trial import Measures, Trial

SMALL = 2**19  # entries of a matrix: in a smaller network a look costs more than it spares
ERRORS = 3.0  # standard errors of an interval: 99.7 %


class Raced(NamedTuple):
    """What a race tells of a candidate; `left_out` as a `Trial` has it."""

    measures: Measures
    known: bool
    seconds: float
    left_out: tuple[float, float] | None = None


class Both(NamedTuple):
    """A network in float32 and in bf16: its objective, and each image's share of it `(n,)`."""

    exact: float
    rounded: float
    shift: Tensor  # float32 less bf16
    shares: Tensor  # in bf16


class HalfEvaluator(Evaluator):
    """In bf16, with the weights of blocks converted once; sums between blocks stay float32."""

    def _own(self, sites: Sequence[Site]) -> Backbone:
        model = super()._own(sites)
        halved = copy.copy(model)
        halved.model = _halved(model)
        halved.towers = model._cut(halved.model)
        return halved


class Race:
    """Races the candidates of one site after the other.

    Where a third of those that were looked at in a tower had to run in float32 as well, looking is
    given up there: it costs more than it spares.
    """

    def __init__(self, evaluator: Evaluator, rounded: Evaluator | None, plan: SearchPlan) -> None:
        """`rounded` measures in bf16; without it every candidate runs in float32."""
        self.evaluator = evaluator
        self.rounded = rounded
        self.plan = plan
        self.sign = -1 if OBJECTIVES[plan.objective].higher else 1
        self.looked: dict[str, int] = {}  # candidates, by tower
        self.left: dict[str, int] = {}  # and those of them that were left out
        self.shares: dict[tuple[Site, float], Tensor] = {}  # of the objective, in this step
        self.settled: Tensor | None = None  # the same of the network as settled

    def run(self, site: Site, best: float | None, done: Sequence[Trial]) -> dict[float, Raced]:
        """Every ratio at a site; `best` is the objective to better, `done` what a trace tells.

        A site that a trace tells only a part of is raced again, to the same values.
        """
        looks = self._looks(site)
        if len(done) == len(self.plan.ratios):
            for trial in done:
                if trial.left_out is None:
                    self.evaluator.learn(site, trial.ratio, trial.measures)
            found = {t.ratio: Raced(t.measures, True, t.seconds, t.left_out) for t in done}
        elif looks:
            found = self._raced(site, best)
        else:
            found = {ratio: self._exact(site, ratio) for ratio in self.plan.ratios}
        if looks:
            out = sum(raced.left_out is not None for raced in found.values())
            self.looked[site.tower] = self.looked.get(site.tower, 0) + len(found) - 1
            self.left[site.tower] = self.left.get(site.tower, 0) + out
        told = {trial.ratio for trial in done}
        return {r: raced._replace(known=raced.known or r in told) for r, raced in found.items()}

    def settle(self, site: Site, ratio: float) -> None:
        """Drop the ratio for good."""
        if self.rounded:
            self.rounded.settle(site, ratio)
        if ratio:
            self.settled = self.shares.get((site, ratio))
        self.shares = {}

    def expect(self, sites: Sequence[Site]) -> None:
        """Which sites will still be tried."""
        if self.rounded:
            self.rounded.expect(sites)

    def _looks(self, site: Site) -> bool:
        looked, left = self.looked.get(site.tower, 0), self.left.get(site.tower, 0)
        large = self.evaluator.source.weight(site).numel() >= SMALL
        return self.rounded is not None and large and 3 * left >= 2 * looked

    def _raced(self, site: Site, best: float | None) -> dict[float, Raced]:
        assert self.rounded
        plan, found = self.plan, {0.0: self._exact(site, 0.0)}
        self.settled = self.shares[site, 0.0]
        coarse: dict[float, tuple[Measures, Tensor]] = {}
        seconds = dict.fromkeys(plan.ratios, 0.0)
        for ratio in plan.ratios:
            started = time.perf_counter()
            builder = self.rounded.builder(site, ratio)
            coarse[ratio] = builder.build(), builder.shares()
            seconds[ratio] += time.perf_counter() - started
        both: list[Both] = []

        def verified(ratio: float) -> None:
            measures, shares = coarse[ratio]
            exact = found[ratio].measures.objective(plan.objective)
            rounded = measures.objective(plan.objective)
            both.append(Both(exact, rounded, self.shares[site, ratio] - shares, shares))

        verified(0.0)
        rest = [ratio for ratio in plan.ratios if ratio]
        rest.sort(key=lambda r: self.sign * coarse[r][0].objective(plan.objective))
        while rest:  # the most promising first
            lead = min(self.sign * each.exact for each in both)
            if best is not None:
                lead = min(lead, self.sign * best)
            low, high = self._interval(*coarse[rest[0]], both)
            if len(both) > 1 and min(self.sign * low, self.sign * high) > lead:
                break
            ratio = rest.pop(0)
            if ratio < max(found):  # a sum taken back would round otherwise than the exact search's
                self.evaluator.split = None
            found[ratio] = self._exact(site, ratio)
            verified(ratio)
        for ratio in rest:
            measures, shares = coarse[ratio]
            found[ratio] = Raced(measures, False, 0.0, self._interval(measures, shares, both))
        return {r: found[r]._replace(seconds=found[r].seconds + seconds[r]) for r in plan.ratios}

    def _interval(
        self, measures: Measures, shares: Tensor, both: Sequence[Both]
    ) -> tuple[float, float]:
        """Where the float32 objective of a network is, told from its bf16 measures; the variance
        grows with the distance to the nearest network that is known, as over the known pairs."""
        moved = sum(each.exact - each.rounded for each in both) / len(both)
        middle = measures.objective(self.plan.objective) + moved
        pairs = list(combinations(both, 2))
        squares = sum(error(a.shift, b.shift) ** 2 for a, b in pairs)
        apart = sum(error(a.shares, b.shares) for a, b in pairs)
        near = min(error(shares, each.shares) for each in both)
        wide = max(squares * near / apart, squares / len(pairs)) if apart else squares
        wide = ERRORS * wide**0.5
        return float(f"{middle - wide:.9g}"), float(f"{middle + wide:.9g}")

    def _exact(self, site: Site, ratio: float) -> Raced:
        started = time.perf_counter()
        measures = self.evaluator.recall(site, ratio)
        known, looks = measures is not None, self._looks(site)
        if not ratio and self.settled is not None:
            self.shares[site, ratio] = self.settled
        if measures is None or (looks and (site, ratio) not in self.shares):
            builder = self.evaluator.builder(site, ratio)
            if looks:
                self.shares[site, ratio] = builder.shares()
            measures = measures or builder.build()
            self.evaluator.learn(site, ratio, measures)
        return Raced(measures, known, time.perf_counter() - started)


def error(one: Tensor, other: Tensor) -> float:
    """The standard error of the mean difference of two, `(n,)` each, of which 0 is expected;
    infinite for fewer than two images."""
    if len(one) < 2:
        return float("inf")
    apart = one - other
    return float(apart.square().sum().div(len(apart) - 1).sqrt()) / len(apart) ** 0.5


def rounds_fast(device: torch.device) -> bool:
    """Whether the processor multiplies in bf16 faster than in float32."""
    if device.type == "cpu":
        told = [getattr(torch.cpu, name, None) for name in TOLD]
        return any(bool(ask()) for ask in told if ask is not None)
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


TOLD = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # PyTorch's own


def _halved(backbone: Backbone) -> nn.Module:
    """Its model with the matrices of all blocks in bf16; every other tensor is shared."""
    blocks = [block for tower in backbone.towers.values() for block in tower.blocks]
    memo: dict[int, object] = {id(p): p for p in backbone.model.parameters()}
    memo |= {id(buffer): buffer for buffer in backbone.model.buffers()}
    for layer in (module for block in blocks for module in block.modules()):
        if isinstance(layer, (nn.Linear, nn.MultiheadAttention)):
            for parameter in layer.parameters(recurse=False):
                half = nn.Parameter(parameter.detach().bfloat16(), requires_grad=False)
                memo[id(parameter)] = half
    return copy.deepcopy(backbone.model, memo)
