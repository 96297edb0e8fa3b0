"""What training asks of the features; cosines are raw, targets are rows over all trained labels."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

LOCAL_TAU = 0.05  # of the log-sum-exp that pools patch cosines


class Terms(NamedTuple):
    """The parts of the loss of one batch, each a mean over its scenes."""

    labels: Tensor  # cross-entropy of the class token over all label prompts
    presence: Tensor  # each label on its own: there or not there
    captions: Tensor  # InfoNCE with the captions of the batch
    local: Tensor  # the first two, for pooled patches

    @property
    def total(self) -> Tensor:
        return self.labels + 0.5 * self.captions + self.presence + self.local


def pooled(cosines: Tensor) -> Tensor:
    """(B, P, C) -> (B, C): a soft maximum over the patches, less what P equal patches would add."""
    lse = torch.logsumexp(cosines / LOCAL_TAU, 1)
    return LOCAL_TAU * (lse - torch.log(torch.tensor(float(cosines.shape[1]))) * 0.25)


def label_loss(cosines: Tensor, scale: Tensor, target: Tensor, there: Tensor) -> Tensor:
    """Cross-entropy (B,) to soft targets (B, C); labels there but not asked for do not compete."""
    logits = (cosines * scale).masked_fill(there & (target == 0), -1e4)
    return -(target * logits.log_softmax(-1)).sum(-1)


def presence_loss(
    cosines: Tensor, scale: Tensor, bias: Tensor, there: Tensor, ignored: Tensor | None = None
) -> Tensor:
    """Sum over labels (B,) of the binary cross-entropy of "this label is in the picture"."""
    loss = F.binary_cross_entropy_with_logits(
        scale * (cosines - bias), there.float(), reduction="none"
    )
    return (loss if ignored is None else loss.masked_fill(ignored, 0)).sum(-1)


def caption_loss(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """CLIP's symmetric InfoNCE of (B, D) image and caption features."""
    logits = images @ texts.T * scale
    goal = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, goal) + F.cross_entropy(logits.T, goal)) / 2
