"""Any detector as one of pytorch-ood's: its scores with their sign turned, `fit`, `predict`.

pip install pytorch-ood

detector = SetarDetector(Detector.load("mine.json"))
metrics.update(detector(pixels), y)   # pytorch_ood.metrics.OODMetrics
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from pytorch_ood.api import Detector as OodDetector
from pytorch_ood.api import RequiresFittingException
from torch import Tensor
from torch.utils.data import DataLoader

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..detector import Detector


class SetarDetector(OodDetector):  # type: ignore[misc]  # pytorch-ood has no types
    """A detector of ours: backbone, recipe, labels and score stay as they are.

    Args:
        detector: what scores; its threshold is not asked, since pytorch-ood draws none.

    Attributes:
        detector: the same, fitted once `fit` was called.
        requires_fit: whether its score or its shaping learns, and has not yet.
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    @property
    def requires_fit(self) -> bool:
        shaping = self.detector.shaping
        unfit = bool(shaping and shaping.learns and shaping.limit is None)
        return unfit or bool(self.detector.lacks(self.detector.score))

    @property
    def device(self) -> torch.device:
        return self.detector.backbone.device

    def to(self, device: str | torch.device) -> Self:
        """Raises ValueError for another device: backbones are loaded where they run."""
        if torch.device(device) != self.device:
            raise ValueError(
                f"the backbone is on {self.device}; load it on {device} "
                f"(load_backbone({self.detector.backbone.name!r}, {str(device)!r}))"
            )
        return self

    def fit(self, data_loader: DataLoader[Any]) -> Self:
        """Learn from batches of preprocessed images `(B, 3, H, W)` and labels' indices `(B,)`; of
        OOD images, whose index is negative, nothing is learned.

        Raises:
            ValueError: no ID image, or some that the score cannot learn from.
        """
        self.detector = self.detector.fit_batches(_Known(data_loader), (self.detector.score,))
        return self

    def predict(self, x: Tensor) -> Tensor:
        """Outlier scores `(B,)` of preprocessed images `(B, 3, H, W)`: larger for OOD.

        Raises:
            RequiresFittingException: its score or its shaping learns, and has not yet.
        """
        if self.requires_fit:
            raise RequiresFittingException
        return -self.detector.scores_of(x)


class _Known:
    """The ID images of a loader, as often as they are read."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in self.loader:
            known = y >= 0
            if bool(known.any()):
                yield x[known], y[known]
