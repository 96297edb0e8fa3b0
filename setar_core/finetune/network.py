"""Features of pictures and labels with gradients: what nothing moves below is computed once.

A batch goes through the image tower in parts, and prompts beyond some thousand tokens through the
text tower in pieces, which are run again for their gradients in place of being kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..adapter import CONTEXT
from ..backbones.base import Classifier
from ..backbones.clip import context_prompts
from ..backbones.text import TextState, TextTower, label_rows, pieces
from ..backbones.tower import Features
from ..labels import LabelSet
from ..parallel.workers import rounding
from .adapters import Trained
from .pictures import Reader
from .plan import Plan

KEPT_BYTES = 2 * 2**30  # of states; not what is free, so that a run that is taken up does the same
PIECE_TOKENS = 2_048
KEPT_TOKENS = 8_192  # whose insides are kept, some 3 GB in a ViT-B/16's text tower

Result = TypeVar("Result")


class Ahead(Protocol):
    """A picture that is being read."""

    def result(self) -> Tensor: ...


Wanted = tuple[int, int]  # a picture's number, and the epoch


class Images:
    """Features of batches of pictures."""

    def __init__(self, trained: Trained, reader: Reader, plan: Plan) -> None:
        backbone = trained.backbone
        self.tower, self.device = backbone.tower("visual"), backbone.device
        self.reader, self.plan = reader, plan
        self.first = trained.lowest.get("visual")
        self._kept: dict[int, Tensor | Features] = {}
        self._keeps = not plan.augment and self._fits()

    def wanted(self, steps: Iterable[tuple[int, Sequence[int]]]) -> Iterator[Wanted]:
        """Which pictures will be read for these epochs and batches, in order."""
        seen: set[int] = set()
        for epoch, numbers in steps:
            for number in numbers:
                if not (self._keeps and number in seen):
                    seen.add(number)
                    yield number, epoch

    def read(self, wanted: Wanted) -> Tensor:
        number, epoch = wanted
        return (
            self.reader.changed(number, epoch) if self.plan.augment else self.reader.plain(number)
        )

    def features(self, numbers: Sequence[int], read: Iterator[Ahead]) -> Features:
        """Of these pictures; `read` gives what `wanted` asked for."""
        state = self._states(numbers, read)
        if isinstance(state, Features):
            return state
        parts = state.chunk(self.plan.accumulate)
        again = len(parts) > 1
        return Features.join([_run(self._finish, part, again) for part in parts])

    def _states(self, numbers: Sequence[int], read: Iterator[Ahead]) -> Tensor | Features:
        if not self._keeps:
            return self._frozen(torch.stack([next(read).result() for _ in numbers]))
        for number in numbers:  # one by one: in another company they would round otherwise
            if number not in self._kept:
                self._kept[number] = self._frozen(next(read).result()[None])
        return _together([self._kept[number] for number in numbers])

    @torch.no_grad()
    def _frozen(self, pixels: Tensor) -> Tensor | Features:
        with rounding(self.device, self.plan.precision):
            with torch.autocast(self.device.type, enabled=False):
                state: Tensor = self.tower.start(pixels.to(self.device, non_blocking=True))
            if self.first is None:
                features: Features = self.tower.run(state)
                return features.float()
            found: Tensor = self.tower.part(state, 0, self.first)
            return found

    def _finish(self, state: Tensor) -> Features:
        assert self.first is not None
        with rounding(self.device, self.plan.precision):
            features: Features = self.tower.finish(
                self.tower.part(state, self.first, 2 * self.tower.depth)
            )
        return features.float()

    def _fits(self) -> bool:
        state = self._frozen(self.reader.plain(0)[None])
        tensors = [state] if isinstance(state, Tensor) else [state.whole, state.local]
        each = sum(x.numel() * x.element_size() for x in tensors)
        return each * len(self.reader.pictures) <= KEPT_BYTES


class Texts:
    """The classifier of some labels, with gradients where the text tower or a context moves."""

    def __init__(self, trained: Trained, labels: LabelSet, plan: Plan) -> None:
        self.trained, self.labels, self.plan = trained, labels, plan
        self.first = trained.lowest.get("text")
        self._states: list[TextState] = []
        self._fixed: Classifier | None = None
        backbone = trained.backbone
        if self.first is None:
            if backbone.has_text:
                read = backbone.classifier(labels)
                self._fixed = Classifier(read.weight.clone(), None)
            return
        tower = backbone.tower("text")
        assert isinstance(tower, TextTower)
        self.tower = tower
        names = context_prompts(labels.names, plan.words)
        prompts = names if plan.moves == "context" else labels.prompts
        self.count = len(prompts)
        with torch.no_grad(), rounding(backbone.device, plan.precision):
            start = tower.start(prompts)
            if plan.moves == "context":
                self._states = list(pieces(start, PIECE_TOKENS))
            else:
                self._states = [
                    tower.part(piece, 0, self.first) for piece in pieces(start, PIECE_TOKENS)
                ]

    def classifier(self, tensors: dict[str, Tensor]) -> Classifier:
        """Of the network as these tensors make it."""
        if self._fixed is not None:
            return self._fixed
        if self.first is None:
            return self.trained.backbone.classifier(self.labels)
        parts, tokens = [], 0
        for state in self._states:
            tokens += state.groups[0].shape[0] * state.groups[0].shape[1]
            if self.plan.moves == "context":
                state = self.tower.with_context(state, tensors[CONTEXT])
            parts.append(_run(self._finish, state, tokens > KEPT_TOKENS))
        order = torch.cat([state.rows[0] for state in self._states])
        rows = torch.cat(parts)[order.argsort()]
        templates = 1 if self.plan.moves == "context" else len(self.labels.templates)
        return Classifier(label_rows(rows, templates), None)

    def _finish(self, state: TextState) -> Tensor:
        assert self.first is not None
        with rounding(self.trained.backbone.device, self.plan.precision):
            last = 2 * self.tower.depth
            found: Tensor = self.tower.finish(self.tower.part(state, self.first, last))
        return found.float()


State = TypeVar("State")


def _run(work: Callable[[State], Result], state: State, again: bool) -> Result:
    """`work`, whose insides are kept for the gradients or made again."""
    if not again:
        return work(state)
    found: Result = checkpoint(work, state, use_reentrant=False, preserve_rng_state=False)
    return found


def _together(states: Sequence[Tensor | Features]) -> Tensor | Features:
    features = [state for state in states if isinstance(state, Features)]
    if features:
        return Features.join(features)
    return torch.cat([state for state in states if isinstance(state, Tensor)])
