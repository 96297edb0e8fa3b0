"""Batches that several processes share; alone, nothing changes.

Each reads its share of a batch's pictures through the image tower. Features are gathered, so that
every process measures the loss of the whole batch, and what moves in the image tower gets the sum
of what the shares ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from ..backbones.tower import Features
from ..parallel.ranks import Ranks, heeded

VISUAL = "visual."  # what the image tower's tensors are called


@dataclass(frozen=True)
class Shares:
    """What is this process's of every batch."""

    ranks: Ranks

    def check(self, order: Sequence[Sequence[int]]) -> None:
        """Raises ValueError for a batch that leaves a process without a picture."""
        fewest = min(map(len, order))
        if fewest < self.ranks.size:
            raise ValueError(
                f"a batch has {fewest} images and {self.ranks.size} processes share it; start fewer"
            )

    def share(self, numbers: Sequence[int]) -> Sequence[int]:
        """This process's of a batch's pictures."""
        sizes = self._sizes(len(numbers))
        first = sum(sizes[: self.ranks.rank])
        return numbers[first : first + sizes[self.ranks.rank]]

    def together(self, features: Features, count: int) -> Features:
        """Those of the whole batch of `count`, in order; gradients flow into this share alone."""
        if self.ranks.size == 1:
            return features
        with heeded():
            return features.each(lambda x: self._gathered(x, count))

    def summed(self, names: Sequence[str], slopes: Sequence[Tensor]) -> list[Tensor]:
        """Gradients of the whole batch: of the image tower the shares' sum; all others are whole in
        each process, and made the same to the bit."""
        found = []
        for name, slope in zip(names, slopes, strict=True):
            if self.ranks.size > 1:
                slope = slope.contiguous() / (1 if name.startswith(VISUAL) else self.ranks.size)
                with heeded():
                    dist.all_reduce(slope)
            found.append(slope)
        return found

    def _sizes(self, count: int) -> list[int]:
        each, more = divmod(count, self.ranks.size)
        return [each + (i < more) for i in range(self.ranks.size)]

    def _gathered(self, mine: Tensor, count: int) -> Tensor:
        sizes = self._sizes(count)
        pad = (0, 0) * (mine.ndim - 1) + (0, sizes[0] - len(mine))
        padded = F.pad(mine.detach(), pad).contiguous()
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        rows = [part[:size] for part, size in zip(parts, sizes, strict=True)]
        rows[self.ranks.rank] = mine
        return torch.cat(rows)
