"""What a score may look at: `Evidence`."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..backbones.base import Logits


class Evidence(NamedTuple):
    """What is known of B images; what no score asked for is not computed.

    `logits` have the negatives' columns where there are negatives, and those of patches where they
    were asked for; `features (B, D)` are those of whole images, before the head.
    """

    logits: Logits
    features: Tensor | None = None

    @property
    def holds(self) -> frozenset[str]:
        """What is there, as `Score.needs` names it."""
        there = {
            "logits": True,
            "patches": self.logits.local is not None,
            "negatives": self.logits.whole.shape[-1] > self.logits.num_id,
            "features": self.features is not None,
        }
        return frozenset(name for name, known in there.items() if known)

    def parts(self, needs: AbstractSet[str]) -> tuple[Any, ...]:
        """What the function of a score with these needs is given: logits, without the negatives'
        columns if those are not needed, then features."""
        logits = (self.logits if "negatives" in needs else self.logits.among_id(),)
        return (
            *(logits if needs - {"features"} else ()),
            *((self.features,) if "features" in needs else ()),
        )

    def cpu(self) -> Evidence:
        return Evidence(self.logits.cpu(), None if self.features is None else self.features.cpu())

    @classmethod
    def join(cls, parts: Sequence[Evidence]) -> Evidence:
        """That of all images together, of parts that hold the same; at least one."""
        first = parts[0]
        features = None
        if first.features is not None:
            features = torch.cat([part.features for part in parts if part.features is not None])
        return cls(Logits.join([part.logits for part in parts]), features)
