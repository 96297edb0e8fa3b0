"""Fine-tuning, one `Step` an update: what moves, lowers what is minimised (SGD with momentum).

Nothing is printed or saved here, the backbone stays as it is, and a training that is stopped leaves
nothing behind. On a CPU the same seed gives the same bytes, wherever a run was taken up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..adapter import Adapter
from ..backbones.base import Backbone, Classifier
from ..backbones.tower import Features
from ..labels import LabelSet
from ..losses import outside_terms
from ..parallel.ranks import SINGLE, Ranks
from ..parallel.workers import prefetch
from ..recipe import Recipe
from .adapters import Trained, started
from .network import Images, Texts
from .outliers import Outliers
from .pictures import Reader, TrainingSet, batches
from .plan import Plan, resolve
from .shares import Shares

READERS = 4  # threads that read pictures ahead
WORSE = 10  # times its first value and that of chance: a loss that diverges


class Diverged(ValueError):
    """A loss or a gradient left all bounds; `adapter` is the last that had none of it, or None."""

    def __init__(self, reason: str, adapter: Adapter | None) -> None:
        super().__init__(reason)
        self.adapter = adapter


@dataclass(frozen=True)
class State:
    """All that a run goes on from: its tensors, and what an update remembers of those before.

    Attributes:
        step: how many updates were made.
        tensors, momentum: by name as in an Adapter.
        losses: by epoch, the sum of the steps' losses and their number.
        memory: what outliers are drawn from; empty for other losses.
    """

    step: int
    tensors: Mapping[str, Tensor]
    momentum: Mapping[str, Tensor]
    losses: tuple[tuple[float, int], ...] = ()
    memory: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass
class Moment:
    """What a step can still be asked for; let go of at the next step, unless it was asked for."""

    trained: Trained
    labels: tuple[str, ...]
    state: State | None

    @cached_property
    def adapter(self) -> Adapter:
        state = self.taken
        means = tuple(total / count for total, count in state.losses)
        return self.trained.adapter(state.tensors, means, state.step, self.labels)

    @cached_property
    def norms(self) -> dict[str, float]:
        return self.trained.norms(self.taken.tensors)

    @property
    def taken(self) -> State:
        if self.state is None:
            raise ValueError("the training has gone on; ask a step before the next one is made")
        return self.state


@dataclass(frozen=True)
class Step:
    """One update, and everything to keep if the training stopped here.

    Its losses are those before the update, of its own batch.

    Attributes:
        step, steps: its number from 0, and how many there will be.
        epoch, epochs: likewise.
        rate: of this update.
        loss: what is minimised, in nats.
        loss_id: of the right labels.
        loss_ood: of OOD patches, before lambda; None where it is not minimised.
        loss_npos: of outliers, before its factor; None likewise.
        accuracy: images of the batch that are given their own label, in percent.
        ood_patch_percent: patches of the batch that are OOD.
        seconds: what the step took.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    rate: float
    loss: float
    loss_id: float
    loss_ood: float | None
    loss_npos: float | None
    accuracy: float
    ood_patch_percent: float
    seconds: float
    moment: Moment = field(repr=False, compare=False)

    @property
    def last(self) -> bool:
        """Whether it is the last of its epoch."""
        return self.step + 1 == self.steps or (self.step + 1) * self.epochs % self.steps == 0

    @property
    def adapter(self) -> Adapter:
        """What moved until after this update; to be asked for before the next."""
        return self.moment.adapter

    @property
    def norms(self) -> dict[str, float]:
        """How much of each site changed, as `Trained.norms`; to be asked for before the next."""
        return self.moment.norms

    @property
    def state(self) -> State:
        """What the run goes on from; to be asked for before the next."""
        return self.moment.taken


def finetune(
    backbone: Backbone,
    images: TrainingSet,
    labels: LabelSet,
    plan: Plan,
    *,
    recipe: Recipe | None = None,
    start: Mapping[str, Tensor] | None = None,
    order: Sequence[Sequence[int]] | None = None,
    resume: State | None = None,
    ranks: Ranks = SINGLE,
) -> Iterator[Step]:
    """Train on labelled images; every step is an update.

    Args:
        backbone: stays as it is; its recipe counts where no other is given.
        start: first values by name, in place of the plan's.
        order: the images' numbers of each step, in place of chance.
        resume: the state of a step of the same run.
        ranks: this process among those that share each batch.

    Raises:
        ValueError: the plan does not fit the backbone, the labels or the images (at once, before
            the first step).
        Diverged: a loss or a gradient is no finite number, or a loss ten times what it was.
    """
    plan = resolve(plan, len(labels))
    images.check(labels)
    recipe = backbone.recipe if recipe is None else recipe
    epochs, order = _order(plan, len(images), order)
    shares = Shares(ranks)
    shares.check(order)
    trained = Trained(backbone, plan, recipe)
    first = started(trained.first, start)
    outliers = None
    if plan.loss == "npos":
        one = backbone.preprocess(images.read(0))[None]
        width = backbone.features(one).whole.shape[1]
        outliers = Outliers(plan, len(labels), width, backbone.device)
        first |= outliers.first
    zeros = {name: torch.zeros_like(x) for name, x in first.items()}
    begin = State(0, first, zeros, memory=outliers.memory if outliers else {})
    if resume:
        begin = _taken_up(begin, resume, len(order))
    return _train(trained, outliers, images, labels, plan, begin, order, epochs, shares)


def _train(
    trained: Trained,
    outliers: Outliers | None,
    images: TrainingSet,
    labels: LabelSet,
    plan: Plan,
    state: State,
    order: Sequence[Sequence[int]],
    epochs: int,
    shares: Shares,
) -> Iterator[Step]:
    steps = len(order)
    pictures = Images(trained, Reader(images, trained.source.preprocess, plan), plan)
    texts = Texts(trained, labels, plan)
    classes = torch.tensor(images.classes)
    todo = [(number * epochs // steps, order[number]) for number in range(state.step, steps)]
    moment, good = Moment(trained, labels.names, None), None
    mine = [(epoch, shares.share(numbers)) for epoch, numbers in todo]
    ahead = prefetch(pictures.read, pictures.wanted(mine), 2 * plan.batch_size, READERS)
    with closing(ahead):
        for (epoch, numbers), (_, share) in zip(todo, mine, strict=True):
            began = time.perf_counter()
            rate = plan.rate_of(state.step, steps, epochs)
            with torch.enable_grad():
                tensors = {n: x.detach().requires_grad_() for n, x in state.tensors.items()}
                trained.load(tensors)
                features = shares.together(pictures.features(share, ahead), len(numbers))
                classifier = texts.classifier(tensors)
                of = classes[list(numbers)].to(features.whole.device)
                found = _measured(trained.backbone, features, classifier, of, plan)
                if outliers:
                    found = _beside(
                        found, outliers, trained.backbone, features, classifier, state, tensors
                    )
                mine_alone = torch.autograd.grad(
                    found.loss, list(tensors.values()), materialize_grads=True
                )
                slopes = shares.summed(list(tensors), mine_alone)
            size = torch.stack([slope.norm() for slope in slopes]).norm()
            told = torch.stack([*found[1:], size, found.loss.detach()]).tolist()
            _check(told, state, good, moment, rate, len(labels))
            good = state
            state = _updated(state, slopes, plan, rate, epoch, told[-1])
            if outliers:
                memory = outliers.remembered(state.memory, features.whole, of)
                state = replace(state, memory=memory)
            moment.state = None
            moment = Moment(trained, labels.names, state)
            loss_id, loss_ood, loss_npos, accuracy, percent = told[:5]
            yield Step(
                state.step - 1,
                steps,
                epoch,
                epochs,
                rate,
                told[-1],
                loss_id,
                loss_ood if plan.loss == "locoop" else None,
                loss_npos if plan.loss == "npos" else None,
                accuracy,
                percent,
                time.perf_counter() - began,
                moment,
            )


class Measured(NamedTuple):
    """Of a batch: the loss with its gradient, and its terms, accuracy and OOD share in percent."""

    loss: Tensor
    loss_id: Tensor
    loss_ood: Tensor
    loss_npos: Tensor
    accuracy: Tensor
    ood_patch_percent: Tensor


def _measured(
    backbone: Backbone, features: Features, classifier: Classifier, classes: Tensor, plan: Plan
) -> Measured:
    assert plan.top_k is not None
    whole = backbone.similar(features.whole, classifier)
    with torch.set_grad_enabled(plan.loss == "locoop"):
        local = backbone.similar(features.local, classifier)
        outside = outside_terms(local, classes, plan.top_k)
    loss_ood = outside.neg_entropy.sum() / outside.ood.sum().clamp(min=1)
    loss_id = F.cross_entropy(whole, classes)
    loss = loss_id + plan.lambda_ood * loss_ood if plan.loss == "locoop" else loss_id
    hits = (whole.argmax(dim=-1) == classes).float().mean()
    share = outside.ood.float().mean()
    none = whole.new_zeros(())
    terms = (loss_id, loss_ood, none, 100 * hits, 100 * share)
    return Measured(loss, *(x.detach() for x in terms))


def _beside(
    found: Measured,
    outliers: Outliers,
    backbone: Backbone,
    features: Features,
    classifier: Classifier,
    state: State,
    tensors: Mapping[str, Tensor],
) -> Measured:
    """The same with the loss of outliers."""
    whole = backbone.similar(features.whole, classifier)
    drawn = backbone.placed(outliers.drawn(state.memory, state.step))
    loss = outliers.loss(tensors, whole, drawn, lambda x: backbone.similar(x, classifier))
    total = found.loss + outliers.plan.lambda_npos * loss
    return found._replace(loss=total, loss_npos=loss.detach())


def _taken_up(begin: State, resume: State, steps: int) -> State:
    """Raises ValueError for the state of another run."""
    same = all(
        {name: x.shape for name, x in getattr(begin, part).items()}
        == {name: x.shape for name, x in getattr(resume, part).items()}
        for part in ("tensors", "momentum", "memory")
    )
    if not same or not 0 <= resume.step <= steps:
        raise ValueError("the state to resume from is of another run; start anew")
    device = next(iter(begin.tensors.values())).device
    tensors, momentum, memory = (
        {name: x.to(device) for name, x in part.items()}
        for part in (resume.tensors, resume.momentum, resume.memory)
    )
    return replace(resume, tensors=tensors, momentum=momentum, memory=memory)


@torch.no_grad()
def _updated(
    state: State, slopes: Sequence[Tensor], plan: Plan, rate: float, epoch: int, loss: float
) -> State:
    """SGD's next state; the old one's tensors stay as they are."""
    tensors, momentum = {}, {}
    for (name, value), slope in zip(state.tensors.items(), slopes, strict=True):
        if value.ndim > 1:
            slope = slope.add(value, alpha=plan.weight_decay)
        momentum[name] = slope.add(state.momentum[name], alpha=plan.momentum)
        tensors[name] = value.detach().sub(momentum[name], alpha=rate)
    losses = list(state.losses)
    losses += [(0.0, 0)] * (epoch + 1 - len(losses))
    losses[epoch] = (losses[epoch][0] + loss, losses[epoch][1] + 1)
    return State(state.step + 1, tensors, momentum, tuple(losses), state.memory)


def _check(
    told: Sequence[float],
    state: State,
    good: State | None,
    moment: Moment,
    rate: float,
    labels: int,
) -> None:
    """Raises Diverged for numbers from which training does not come back."""
    loss, slope = told[-1], told[-2]
    bound = math.inf
    if state.losses:
        total, count = state.losses[0]
        bound = WORSE * (max(0.0, total / count) + math.log(labels))
    if math.isfinite(loss) and math.isfinite(slope) and loss <= bound:
        return
    last = state if math.isfinite(loss) and loss <= bound else good
    adapter = None
    if last is not None and last.step:
        moment.state = last
        adapter = moment.adapter
    what = f"the loss is {loss:.4g}" if not loss <= bound else f"the gradient is {slope:.4g}"
    raise Diverged(
        f"step {state.step}: {what} at rate {rate:.3g}; try a rate of {rate / 10:.1g}, or a "
        "smaller lambda",
        adapter,
    )


def _order(
    plan: Plan, count: int, order: Sequence[Sequence[int]] | None
) -> tuple[int, Sequence[Sequence[int]]]:
    """How many epochs there are, and the images' numbers of each step."""
    if order is None:
        return plan.epochs, batches(plan, count, range(plan.epochs))
    if not order or not all(order):
        raise ValueError("the order has a step without images; give each step at least one")
    worst = max((n for step in order for n in step), key=lambda n: n if n >= 0 else math.inf)
    if not 0 <= worst < count:
        raise ValueError(
            f"the order names image {worst}, and there are {count}, counted from 0; give theirs"
        )
    if plan.by_epoch and len(order) % plan.epochs:
        raise ValueError(
            f"{plan.epochs} epochs do not divide the {len(order)} steps of the order; give a "
            "number that does"
        )
    passes = max(1, sum(map(len, order)) // count)
    return plan.epochs if plan.by_epoch else min(passes, len(order)), order
