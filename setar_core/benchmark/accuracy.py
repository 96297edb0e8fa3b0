"""How often a picture's most probable labels hold its own: in all, and class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ..metrics.separation import recall_interval

TOP = 5  # labels, as ImageNet's other accuracy counts


class ClassAccuracy(NamedTuple):
    """One class: how many of its pictures were given it, and how many there are."""

    name: str
    right: int
    images: int


class Accuracy(NamedTuple):
    """Shares in [0, 1].

    Attributes:
        images: how many were asked of.
        top1: share whose most probable label is their class.
        top5: share whose class is among the five most probable; None for five labels or fewer.
        interval: where the true share of top1 lies with 95 % confidence (Clopper-Pearson).
        balanced: the mean of the classes' own shares.
        classes: those that have a picture, in the labels' order.
    """

    images: int
    top1: float
    top5: float | None
    interval: tuple[float, float]
    balanced: float
    classes: tuple[ClassAccuracy, ...]

    def page(self) -> dict[str, Any]:
        """As JSON has it, in percent."""
        return {
            "images": self.images,
            "top1": round(100 * self.top1, 10),
            "top5": None if self.top5 is None else round(100 * self.top5, 10),
            "ci": [round(100 * end, 10) for end in self.interval],
            "balanced": round(100 * self.balanced, 10),
            "classes": [one._asdict() for one in self.classes],
        }


def most_probable(logits: Tensor) -> np.ndarray:
    """The most probable labels' indices, `(B, min(5, labels))`, of whole-image logits `(B, C)`."""
    return logits.topk(min(TOP, logits.shape[-1]), dim=-1).indices.cpu().numpy()


def accuracy(nearest: np.ndarray, classes: Sequence[int], labels: Sequence[str]) -> Accuracy:
    """Of most probable labels `(n, k)` and each image's own label's index.

    Raises:
        ValueError: no image.
    """
    if not len(nearest):
        raise ValueError("none of the images could be read; there is nothing to count")
    truth = np.asarray(classes)
    hits = nearest == truth[:, None]
    right = hits[:, 0]
    each = tuple(
        ClassAccuracy(labels[c], int(right[truth == c].sum()), int((truth == c).sum()))
        for c in sorted(set(classes))
    )
    return Accuracy(
        len(truth),
        float(right.mean()),
        float(hits.any(axis=1).mean()) if len(labels) > TOP else None,
        recall_interval(int(right.sum()), len(truth)),
        float(np.mean([one.right / one.images for one in each])),
        each,
    )
