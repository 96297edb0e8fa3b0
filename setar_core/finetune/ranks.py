"""Several processes that share each batch, as `torchrun` starts them; alone, nothing changes.

Each reads its share of a batch's pictures through the image tower. Features are gathered, so that
every process measures the loss of the whole batch, and what moves in the image tower gets the sum
of what the shares ask for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from ..backbones.tower import Features

VISUAL = "visual."  # what the image tower's tensors are called


@dataclass(frozen=True)
class Ranks:
    """This process's number among so many."""

    rank: int = 0
    size: int = 1

    def check(self, order: Sequence[Sequence[int]]) -> None:
        """Raises ValueError for a batch that leaves a process without a picture."""
        fewest = min(map(len, order))
        if fewest < self.size:
            raise ValueError(
                f"a batch has {fewest} images and {self.size} processes share it; start fewer"
            )

    def share(self, numbers: Sequence[int]) -> Sequence[int]:
        """This process's of a batch's pictures."""
        sizes = self._sizes(len(numbers))
        first = sum(sizes[: self.rank])
        return numbers[first : first + sizes[self.rank]]

    def together(self, features: Features, count: int) -> Features:
        """Those of the whole batch of `count`, in order; gradients flow into this share alone."""
        return features if self.size == 1 else features.each(lambda x: self._gathered(x, count))

    def summed(self, names: Sequence[str], slopes: Sequence[Tensor]) -> list[Tensor]:
        """Gradients of the whole batch: of the image tower the shares' sum; all others are whole in
        each process, and made the same to the bit."""
        found = []
        for name, slope in zip(names, slopes, strict=True):
            if self.size > 1:
                slope = slope.contiguous() / (1 if name.startswith(VISUAL) else self.size)
                dist.all_reduce(slope)
            found.append(slope)
        return found

    def _sizes(self, count: int) -> list[int]:
        each, more = divmod(count, self.size)
        return [each + (i < more) for i in range(self.size)]

    def _gathered(self, mine: Tensor, count: int) -> Tensor:
        sizes = self._sizes(count)
        pad = (0, 0) * (mine.ndim - 1) + (0, sizes[0] - len(mine))
        padded = F.pad(mine.detach(), pad).contiguous()
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        rows = [part[:size] for part, size in zip(parts, sizes, strict=True)]
        rows[self.rank] = mine
        return torch.cat(rows)


@contextmanager
def joined(device: str) -> Iterator[tuple[Ranks, str]]:
    """This process's place, and its device of this name, among those that `torchrun` started."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks(), device
        return
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Ranks(dist.get_rank(), size), device
    finally:
        dist.destroy_process_group()
