"""What a score may look at: `Evidence`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..backbones.base import Classifier, Logits


class Cosines(NamedTuple):
    """Of B whole images with the labels, `(B, K)`, and with M negative labels, `(B, M)`, both as
    one way of mining words reads them."""

    labels: Tensor
    negatives: Tensor


class NegativeClassifier(NamedTuple):
    """Unit text features of labels `(K, D)` and negatives `(M, D)`, the negatives' words, and a
    fingerprint of what they were mined of."""

    labels: Tensor
    negatives: Tensor
    words: tuple[str, ...]
    fingerprint: str

    def cosines(self, features: Tensor) -> Cosines:
        """Of unit image features `(B, D)`."""
        return Cosines(features @ self.labels.T, features @ self.negatives.T)


@dataclass(frozen=True)
class Evidence:
    """What is known of B images; what no score asked for is not computed.

    Attributes:
        logits: of whole images, and of patches where they were asked for.
        features: `(B, D)` of whole images, before normalisation and before the head.
        layers: `(B, L, C)`, scaled logits of what the head would take of each block.
        negatives: by the name of the way they were mined.
        head: what made the logits of `features`; the same for every image.
        classes: `(B,)`, the labels' indices where a person gave them; -1 for none.
        templates: `(B, T, C)`, scaled logits by each template of the prompt alone.
        support: `(B, P)`, as of `Backbone.support`.
    """

    logits: Logits
    features: Tensor | None = None
    layers: Tensor | None = None
    negatives: Mapping[str, Cosines] = field(default_factory=dict)
    head: Classifier | None = None
    classes: Tensor | None = None
    templates: Tensor | None = None
    support: Tensor | None = None

    @property
    def holds(self) -> frozenset[str]:
        """What is there, as `Score.needs` names it."""
        there = {
            "logits": True,
            "patches": self.logits.local is not None,
            "features": self.features is not None,
            "layers": self.layers is not None,
            "head": self.head is not None,
            "classes": self.classes is not None,
        }
        return frozenset(name for name, known in there.items() if known).union(self.negatives)

    def parts(self, needs: AbstractSet[str]) -> tuple[Any, ...]:
        """What the function of a score with these needs is given: logits, cosines with negatives,
        features, layers, the head, classes."""
        logits = (self.logits,) if needs & {"logits", "patches"} else ()
        cosines = tuple(found for name, found in self.negatives.items() if name in needs)
        others = ("features", "layers", "head", "classes")
        return (*logits, *cosines, *(getattr(self, name) for name in others if name in needs))

    def cpu(self) -> Evidence:
        return replace(
            self,
            logits=self.logits.cpu(),
            features=_cpu(self.features),
            layers=_cpu(self.layers),
            negatives={way: Cosines(*map(Tensor.cpu, x)) for way, x in self.negatives.items()},
            head=self.head and self.head.cpu(),
            classes=_cpu(self.classes),
            templates=_cpu(self.templates),
            support=_cpu(self.support),
        )

    @classmethod
    def join(cls, parts: Sequence[Evidence]) -> Evidence:
        """That of all images together, of parts that hold the same; at least one."""

        first = parts[0]
        return cls(
            Logits.join([part.logits for part in parts]),
            _cat([part.features for part in parts]),
            _cat([part.layers for part in parts]),
            {
                way: Cosines(*map(torch.cat, zip(*(p.negatives[way] for p in parts), strict=True)))
                for way in first.negatives
            },
            first.head,
            _cat([part.classes for part in parts]),
            _cat([part.templates for part in parts]),
            _cat([part.support for part in parts]),
        )


def _cpu(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.cpu()


def _cat(tensors: Sequence[Tensor | None]) -> Tensor | None:
    known = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(known) if known else None
