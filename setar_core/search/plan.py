"""What a search tries, in which order, and what it refuses: `SearchPlan`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from ..data.strict import short
from ..labels import usual_top_k
from ..recipe import PRUNES, WEIGHTS, Site, dropped
from ..scores import ALONE, SCORES, ScoreOptions

if TYPE_CHECKING:
    from ..backbones.base import Backbone
    from ..data.calibration import CalibrationSet

ORDERS = {
    "visual_text": "image tower, then text tower",
    "text_visual": "text tower, then image tower",
    "visual_only": "image tower only",
    "text_only": "text tower only",
    "interleaved": "a block of each in turn",
    "layer_exhaustive": "any block first, the best one (slow)",
}
BLOCK_WEIGHTS = {
    "up": "W_up, the MLP's first matrix",
    "down": "W_down, the MLP's second matrix",
    "q": "W_q, the attention's queries",
    "k": "W_k, the attention's keys",
    "v": "W_v, the attention's values",
    "o": "W_o, the attention's output",
}
PRECISIONS = {"fp32": "fp32, exact", "tf32": "tf32, faster on CUDA", "bf16": "bf16"}
RATIOS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)


class Objective(NamedTuple):
    """What a better candidate betters: its title, and its name beside a number."""

    title: str
    name: str
    higher: bool = False  # is better


LOSSES = {
    "locoop_loss": Objective("LoCoOp loss: ID loss + λ · OOD loss", "loss"),
    "loss_id": Objective("ID loss alone", "ID loss"),
    "loss_ood": Objective("OOD loss alone", "OOD loss"),
}
METRICS = {
    "auroc": Objective(
        "AUROC of a score, pictures against OOD patches", "AUROC in percent", higher=True
    ),
    "aupr": Objective("AUPR of a score", "AUPR in percent", higher=True),
    "fpr": Objective("FPR95 of a score", "FPR95 in percent"),
}
OBJECTIVES = LOSSES | METRICS


@dataclass(frozen=True)
class SearchPlan:
    """The settings of a greedy search (arXiv:2406.12629); the defaults are the authors'.

    Attributes:
        order: which sites in turn, each tower from its top block down. `interleaved` alternates
            between the towers; `layer_exhaustive` tries every undecided block at each step and
            settles the best. None takes `visual_text`, which without a text tower is
            `visual_only`.
        weight: q, k, v, o, up or down of every block.
        ratios: increasing candidates; the first is 0.
        lambda_ood: the factor of `loss_ood` in `locoop_loss`.
        top_k: a patch is OOD when so many labels score above its own; None takes 0.3 of the
            labels.
        objective: a loss, or AUROC, AUPR or FPR95 of `score` between the images and their OOD
            patches.
        score: a name in SCORES; read only by the last three.
        temperature: divides the raw cosine inside the score.
        prune: which components a ratio drops: minor, principal or random.
        projection: each tower's projection is searched before its blocks.
        predicted_labels: the best label instead of the true one decides which patches are OOD.
        batch_size: images whose OOD patches share one mean.
        seed: of the random components.
        precision: of the towers; losses are always float32.
        quick: candidates are raced in bf16, and only those that may win are run in float32.
    """

    order: str | None = None
    weight: str = "up"
    ratios: tuple[float, ...] = RATIOS
    lambda_ood: float = 0.1
    top_k: int | None = None
    objective: str = "locoop_loss"
    score: str = "gl_mcm"
    temperature: float = 1.0
    prune: str = "minor"
    projection: bool = False
    predicted_labels: bool = False
    batch_size: int = 512
    seed: int = 0
    precision: str = "fp32"
    quick: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratios", tuple(self.ratios))
        blocks = sorted(BLOCK_WEIGHTS, key=WEIGHTS.index)
        for name, value, known in (
            ("order", "visual_text" if self.order is None else self.order, ORDERS),
            ("weight", self.weight, blocks),
            ("objective", self.objective, OBJECTIVES),
            ("score", self.score, ALONE),
            ("prune", self.prune, PRUNES),
            ("precision", self.precision, PRECISIONS),
        ):
            if name == "score" and value in tuple(SCORES) and value not in known:
                raise ValueError(
                    f"score {short(value)} needs more than a search has; use {', '.join(known)}"
                )
            if value not in tuple(known):  # a trace may have anything here
                raise ValueError(f"{name} {short(value)} is unknown; use {', '.join(known)}")
        _check_ratios(self.ratios)
        if not isinstance(self.quick, bool):
            raise ValueError(f"quick is {short(self.quick)}; give true or false")
        if self.quick and self.objective not in LOSSES:
            raise ValueError(
                f"a quick search cannot tell how far {self.objective} may err; use a loss as "
                f"objective ({', '.join(LOSSES)}), or leave quick out"
            )
        if self.quick and self.precision != "fp32":
            raise ValueError(
                f"a quick search ends in fp32, and precision is {self.precision}; leave one out"
            )
        if not _number(self.lambda_ood) or self.lambda_ood < 0:
            raise ValueError(
                f"lambda is {short(self.lambda_ood)}; give a finite number of at least 0"
            )
        ScoreOptions(self.temperature)
        for name, number, least in (
            ("top_k", self.top_k, 1),
            ("batch_size", self.batch_size, 1),
            ("seed", self.seed, 0),
        ):
            if number is not None and (type(number) is not int or number < least):
                raise ValueError(
                    f"{name} is {short(number)}; give a whole number of at least {least}"
                )

    @property
    def exhaustive(self) -> bool:
        return self.order == "layer_exhaustive"

    def better(self, value: float, best: float | None) -> bool:
        """Strictly better; an objective that could not be measured (NaN) never is."""
        if best is None:
            return not math.isnan(value)
        return value > best if OBJECTIVES[self.objective].higher else value < best

    def page(self) -> dict[str, Any]:
        """The settings as JSON takes them; of an exact search as before there were quick ones."""
        page = {**asdict(self), "ratios": list(self.ratios)}
        if not self.quick:
            del page["quick"]
        return page

    def candidates(self, sites: int) -> int:
        """How many candidates a search over so many sites tries."""
        rounds = sites * (sites + 1) // 2 if self.exhaustive else sites
        return rounds * len(self.ratios)


def resolve(plan: SearchPlan, backbone: Backbone, calibration: CalibrationSet) -> SearchPlan:
    """The plan for this backbone and these images, with nothing left open.

    Raises:
        ValueError: with the value, the reason and the remedy; see the messages.
    """
    n, k = len(calibration), len(calibration.labels)
    if n == 0:
        raise ValueError("there are no calibration images; give at least one, better one a class")
    if len(calibration.classes) != n:
        raise ValueError(f"{len(calibration.classes)} classes for {n} images; give one an image")
    low, high = int(calibration.classes.min()), int(calibration.classes.max())
    if low < 0 or high >= k:
        raise ValueError(
            f"an image is of class {low if low < 0 else high}, but the {k} labels are numbered "
            f"0 to {k - 1}; give the label set that the classes were taken from"
        )
    backbone.check_blocks()
    top_k = usual_top_k(k) if plan.top_k is None else plan.top_k
    if top_k >= k:
        raise ValueError(
            f"top-k is {top_k} of {k} labels, so no patch could ever be OOD and the OOD loss would "
            f"be 0; use fewer, about 0.3 of the labels: {max(1, round(0.3 * k))}"
        )
    order = plan.order or ("visual_text" if backbone.has_text else "visual_only")
    plan = replace(plan, order=order, top_k=top_k)
    _check_order(plan, backbone)
    if plan.precision == "tf32" and backbone.device.type != "cuda":
        raise ValueError(f"precision tf32 needs a CUDA device, not {backbone.device}; use fp32")
    largest = plan.ratios[-1]
    for site in sites(plan, backbone):
        rank = min(backbone.weight(site).shape)
        if dropped(rank, largest) == rank:
            raise ValueError(
                f"ratio {largest:g} drops all {rank} components at {site}; "
                f"use at most {(rank - 1) / rank:.4g}"
            )
    return plan


def sites(plan: SearchPlan, backbone: Backbone) -> list[Site]:
    """Every site in the order of the plan; the exhaustive order settles them in its own."""
    towers = {
        "text_visual": ("text", "visual"),
        "visual_only": ("visual",),
        "text_only": ("text",),
    }.get(plan.order or "", ("visual", "text"))
    columns = [list(_column(plan, backbone, name)) for name in towers if name in backbone.towers]
    if plan.order == "interleaved":
        return [site for row in zip(*columns, strict=True) for site in row]
    return [site for column in columns for site in column]


def _column(plan: SearchPlan, backbone: Backbone, tower: str) -> Iterator[Site]:
    if plan.projection:
        yield Site(tower, None, "proj")
    yield from backbone.sites(plan.weight, (tower,))


def _check_order(plan: SearchPlan, backbone: Backbone) -> None:
    if plan.order in ("text_only", "interleaved") and not backbone.has_text:
        raise ValueError(
            f"order {plan.order} needs a text tower, which {backbone.name} lacks; use visual_only"
        )
    if plan.order == "interleaved":
        depths = {name: tower.depth for name, tower in backbone.towers.items()}
        if len(set(depths.values())) > 1:
            raise ValueError(
                f"order interleaved pairs the blocks of both towers, and {backbone.name} has "
                f"{depths['visual']} in its image tower and {depths['text']} in its text tower; "
                "use visual_text"
            )
    if plan.projection:
        for name in {site.tower for site in sites(plan, backbone)}:
            try:
                backbone.weight(Site(name, None, "proj"))
            except AttributeError:
                raise ValueError(
                    f"the {name} tower of {backbone.name} has no projection; leave projection out"
                ) from None


def _check_ratios(ratios: tuple[float, ...]) -> None:
    shown = ",".join(map(str, ratios))
    if not all(_number(ratio) and 0 <= ratio < 1 for ratio in ratios):
        raise ValueError(f"ratios {shown}: each must be a number of at least 0 and below 1")
    if not ratios or ratios[0] != 0:
        raise ValueError(f"ratios {shown or '()'}: the first must be 0, the original weights")
    if any(a >= b for a, b in pairwise(ratios)):
        raise ValueError(f"ratios {shown}: each must be above the one before; sort them")


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
