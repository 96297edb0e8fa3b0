"""What one candidate of a search was measured to be: `Trial`, `Measures` and `Losses`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..metrics.separation import Metrics
from ..recipe import Recipe, Site
from .plan import LOSSES

if TYPE_CHECKING:
    from torch import Tensor


class Losses(NamedTuple):
    """Means over batches: the losses in nats, the accuracy and the OOD share in percent."""

    locoop_loss: float
    loss_id: float
    loss_ood: float
    accuracy: float
    ood_patch_percent: float


@dataclass(frozen=True)
class Measures:
    """What one candidate was measured to be.

    Attributes:
        losses: means over the batches; see `Losses`.
        metrics: of the plan's score between the images and all their OOD patches; None where the
            objective is a loss, or no patch is OOD.
        ood: `(m, h, w)`, the OOD patches of the first images, at most 24; None in a replay.
    """

    losses: Losses
    metrics: Metrics | None = None
    ood: Tensor | None = None

    def objective(self, name: str) -> float:
        """A loss in nats; AUROC, AUPR or FPR95 in percent, NaN where no patch is OOD."""
        if name in LOSSES:
            return float(getattr(self.losses, name))
        if self.metrics is None:
            return math.nan
        return 100 * float(getattr(self.metrics, {"fpr": "fpr95"}.get(name, name)))


@dataclass(frozen=True)
class Trial:
    """One candidate, and everything to keep if the search stopped here.

    Attributes:
        index, total: its number from 0, and how many there will be.
        step: how many sites were settled before it.
        site, ratio: what was tried on top of the settled recipe.
        measures: what came of it.
        objective: of the measures, as the plan names it; AUROC, AUPR and FPR in percent.
        improved: strictly better than everything before.
        recipe: the best so far: the settled sites and, where this step found a better ratio, that.
        best: the measures of that recipe.
        seconds: what the candidate took; next to nothing when its value was `known`.
        known: it was not run, because the same network was measured before.
        left_out: in a quick search, the interval of the objective by which it was left out; its
            measures are then those in bf16. None where they are exact.
    """

    index: int
    total: int
    step: int
    site: Site
    ratio: float
    measures: Measures
    objective: float
    improved: bool
    recipe: Recipe
    best: Measures
    seconds: float
    known: bool = False
    left_out: tuple[float, float] | None = None

    @property
    def loss(self) -> float:
        """The LoCoOp loss of this candidate, whatever the objective."""
        return self.measures.losses.locoop_loss
