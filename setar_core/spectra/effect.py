"""What a ratio does to the function: how far outputs move when matrices lose components."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..backbones.base import Backbone
from ..recipe import Recipe, Site


class Probe:
    """One tower at work on fixed inputs; the states that enter its blocks are kept.

    Errors are relative: the Frobenius norm of the change, all tokens of all inputs together, over
    the norm of what was there before. At least 0; 0.01 is 1 %.

    Args:
        backbone: with its original weights.
        tower: "visual" or "text".
        inputs: preprocessed images `(B, 3, H, W)`, or prompts.
    """

    @torch.inference_mode()
    def __init__(self, backbone: Backbone, tower: str, inputs: Tensor | Sequence[str]) -> None:
        self.backbone = backbone
        self.tower = tower
        self.count = len(inputs)
        start = inputs.to(backbone.device) if isinstance(inputs, Tensor) else inputs
        self._states = [backbone.tower(tower).start(start)]  # grows as far as was asked

    @torch.inference_mode()
    def errors(
        self, site: Site, ratios: Iterable[float], prune: str = "minor", seed: int = 0
    ) -> list[float]:
        """Change of the block's output at each ratio of one of its matrices.

        The output is what the next block is given, the shortcut around the block included. For a
        projection, which is in no block, it is the features, for a classifier's head the logits.

        Raises:
            ValueError: the site is in another tower, not here, or a ratio drops a whole matrix.
        """
        if site.tower != self.tower:
            raise ValueError(f"{site} is not in the {self.tower} tower; probe the other tower")
        mine = self.backbone.with_weights({site: self.backbone.weight(site)})  # a matrix of our own
        i = mine.tower(self.tower).sites()[site.block, site.weight]
        before = self._last() if i is None else self._state(i + 1)
        found = []
        for ratio in ratios:
            matrix = self.backbone.dropped_from(site, ratio, prune, seed)
            mine.slot(site).matrix.copy_(matrix)
            if i is None:
                after = _finished(mine, self.tower, self._state(None))
            else:
                tower = mine.tower(self.tower)
                after = tower.feed(i, tower.attend(i, self._state(i)))
            found.append(difference(after, before))
        return found

    @torch.inference_mode()
    def recipe_error(self, recipe: Recipe) -> float:
        """Change of the tower's features, one vector an input, under a whole recipe."""
        other = self.backbone.with_recipe(recipe)
        state, tower = self._states[0], other.tower(self.tower)
        for i in range(tower.depth):
            state = tower.feed(i, tower.attend(i, state))
        return difference(_finished(other, self.tower, state), self._last())

    def _last(self) -> Tensor:
        return _finished(self.backbone, self.tower, self._state(None))

    def _state(self, i: int | None) -> Any:
        """The state that enters block i, or that leaves the last."""
        tower = self.backbone.tower(self.tower)
        i = tower.depth if i is None else i
        while len(self._states) <= i:
            last = len(self._states) - 1
            self._states.append(tower.feed(last, tower.attend(last, self._states[last])))
        return self._states[i]


def difference(after: Any, before: Any) -> float:
    """Norm of the change over the norm before, of states of any tower; 0 when nothing changed."""
    pairs = list(zip(_tensors(after), _tensors(before), strict=True))
    change = sum(float((a.double() - b.double()).square().sum()) for a, b in pairs)
    size = sum(float(b.double().square().sum()) for _, b in pairs)
    return math.sqrt(change / size) if change else 0.0


def _finished(backbone: Backbone, tower: str, state: Any) -> Tensor:
    """One vector an input: CLIP's features, a classifier's logits."""
    features = backbone.tower(tower).finish(state)
    if isinstance(features, Tensor):
        return features
    if backbone.has_text:
        return features.whole
    return backbone.slot(Site(tower, None, "proj")).module(features.whole)


def _tensors(state: Any) -> Iterator[Tensor]:
    """The numbers of a state; indices are none."""
    if isinstance(state, Tensor):
        if state.is_floating_point():
            yield state
    else:
        for part in state:
            yield from _tensors(part)
