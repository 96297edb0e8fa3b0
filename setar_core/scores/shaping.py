"""Features shaped between the network and its head: ReAct and ASH, then any score of logits.

Both were made for features that are never negative, as a ReLU leaves them. A ViT's come from a
LayerNorm, about half of them negative: there the sum that ASH rests on is near zero, and what is
kept says little. No paper shapes the features of a CLIP, whose head is its labels' text features.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("react", "ash-p", "ash-b", "ash-s")
EXAMPLE = "react:p90, react:1.0, ash-p:90, ash-b:90 or ash-s:95"


@dataclass(frozen=True)
class Shaping:
    """One way to shape features `(B, D)` before normalisation.

    `react` cuts every activation at `limit`, given or learned as the `percent` percentile of all
    activations of ID images (arXiv:2111.12797). `ash-p`, `ash-b` and `ash-s` drop the `percent` of
    an image's activations that are lowest; P leaves the others, B makes them alike with the same
    sum, S scales them by exp(sum before / sum after) (arXiv:2209.09858).
    """

    kind: str
    percent: float | None = None
    limit: float | None = None

    @classmethod
    def parse(cls, text: str) -> Shaping:
        """Raises ValueError for what is none."""
        found = re.fullmatch(r"(react|ash-[pbs]):(p?)(-?\d+(?:\.\d+)?)", text.strip())
        if not found or (found[2] and found[1] != "react"):
            raise ValueError(f"shaping {text[:60]!r} is none; use {EXAMPLE}")
        kind, number = found[1], float(found[3])
        if kind == "react" and not found[2]:
            return cls(kind, limit=number)
        if not 0 < number < 100:
            raise ValueError(f"shaping {text[:60]!r}: {number:g} is no percentage from 0 to 100")
        return cls(kind, number)

    @property
    def learns(self) -> bool:
        """Whether it has to see ID images first."""
        return self.kind == "react" and self.limit is None

    @property
    def asked(self) -> Shaping:
        """The same before it saw ID images."""
        return self if self.percent is None else replace(self, limit=None)

    def fit(self, features: Tensor) -> Shaping:
        """With the limit that ID images `(n, D)` set; itself where it learns nothing.

        Raises:
            ValueError: features that are no finite numbers.
        """
        if self.kind != "react" or self.percent is None:
            return self
        limit = float(np.percentile(features.cpu().numpy().ravel(), self.percent))
        if not math.isfinite(limit):
            raise ValueError(
                f"{self} finds features of ID images that are no finite numbers; use another "
                "backbone or other images"
            )
        return replace(self, limit=limit)

    def __call__(self, features: Tensor) -> Tensor:
        """Shaped features, `(B, D)`; those given stay as they are.

        Raises:
            ValueError: a limit is still to be learned, or nothing would be kept.
        """
        if self.kind == "react":
            if self.limit is None:
                raise ValueError(f"{self} learns from ID images; fit it on some first")
            return features.clamp(max=self.limit)
        assert self.percent is not None
        n = features.shape[-1]
        kept = n - int(np.round(n * self.percent / 100))
        if not kept:
            raise ValueError(f"{self} keeps none of {n} features; give a smaller percentage")
        values, places = features.topk(kept, dim=-1)
        before, after = features.sum(-1, keepdim=True), values.sum(-1, keepdim=True)
        if self.kind == "ash-b":
            values = (before / kept).expand_as(values)
        elif self.kind == "ash-s":
            values = values * (before / after).exp()
        return features.new_zeros(features.shape).scatter(-1, places, values)

    def __str__(self) -> str:
        if self.kind != "react":
            return f"{self.kind}:{self.percent:g}"
        if self.percent is None:
            return f"react:{self.limit!r}"
        at = "" if self.limit is None else f" at {self.limit!r}"
        return f"react:p{self.percent:g}{at}"
