"""What a head is, and what it says of images: `Classifier`, `Logits`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor


class Classifier(NamedTuple):
    """One row a label: `weight (C, D)` and `bias (C,)` or None; the fingerprint of the `examples`
    that are mixed into it, empty where none are; the rows `(T, C, D)` of each template, where there
    are several and they are not too large."""

    weight: Tensor
    bias: Tensor | None
    examples: str = ""
    templates: Tensor | None = None

    def cpu(self) -> Classifier:
        bias = None if self.bias is None else self.bias.cpu()
        return Classifier(self.weight.cpu(), bias, self.examples, self.templates)


@dataclass(frozen=True)
class Logits:
    """`whole (B, C)` of images, `local (B, P, C)` of their patches, and the `scale` in them.

    `whole / scale` is a cosine for CLIP; `scale` is 1 for classifiers.
    """

    whole: Tensor
    local: Tensor | None
    grid: tuple[int, int]
    scale: float

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, rows: slice) -> Logits:
        return self._each(lambda x: x[rows])

    def cpu(self) -> Logits:
        return self._each(Tensor.cpu)

    @classmethod
    def join(cls, parts: Sequence[Logits]) -> Logits:
        """Those of all images together; at least one part."""
        local = [part.local for part in parts if part.local is not None]
        whole = torch.cat([part.whole for part in parts])
        return replace(parts[0], whole=whole, local=torch.cat(local) if local else None)

    @property
    def patches(self) -> Tensor:
        """`local` where it has to be there."""
        if self.local is None:
            raise ValueError("the logits of patches were not computed; ask for them")
        return self.local

    def _each(self, change: Callable[[Tensor], Tensor]) -> Logits:
        local = None if self.local is None else change(self.local)
        return replace(self, whole=change(self.whole), local=local)
