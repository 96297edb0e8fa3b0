"""The LoCoOp objective (arXiv:2306.01293): what the search lowers and fine-tuning trains.

An out-of-distribution (OOD) patch is one whose top K labels leave out the label of its image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .backbones.base import Logits

EPSILON = 1e-5  # inside the logarithm, as the authors have it


class Terms(NamedTuple):
    """What the losses need of each image.

    `cross_entropy (B,)` in nats; `neg_entropy (B,)`, summed over the image's OOD patches;
    `hits (B,)`, True where the best label is the true one; `ood (B, P)`, True for OOD patches.
    """

    cross_entropy: Tensor
    neg_entropy: Tensor
    hits: Tensor
    ood: Tensor


class Outside(NamedTuple):
    """The last of them: `neg_entropy (B,)` and `ood (B, P)`."""

    neg_entropy: Tensor
    ood: Tensor


def ood_patches(local: Tensor, classes: Tensor, top_k: int) -> Tensor:
    """Which patches are OOD, `(B, P)`: at least `top_k` labels score above the image's own.

    A count, which needs no sort; labels that score the same as the own one do not push it out.
    """
    index = classes.view(-1, 1, 1).expand(-1, local.shape[1], 1)
    return (local > local.gather(-1, index)).sum(dim=-1, dtype=torch.int32) >= top_k


def neg_entropy(logits: Tensor) -> Tensor:
    """`sum_c p_c log(p_c + 1e-5)` over the last dimension, p the softmax; never above 0.00001."""
    p = logits.softmax(dim=-1)
    return torch.linalg.vecdot(p, (p + EPSILON).log())


def terms(logits: Logits, classes: Tensor, top_k: int, predicted: bool = False) -> Terms:
    """The terms of each image; `classes (B,)` are label indices.

    With `predicted`, the best label instead of the true one decides which patches are OOD.
    Differentiable in the logits.
    """
    whole = logits.whole
    best = whole.argmax(dim=-1)
    outside, ood = outside_terms(logits.patches, best if predicted else classes, top_k)
    return Terms(F.cross_entropy(whole, classes, reduction="none"), outside, best == classes, ood)


def outside_terms(local: Tensor, classes: Tensor, top_k: int) -> Outside:
    """Those of the patches `(B, P, C)`; differentiable in them."""
    ood = ood_patches(local.detach(), classes, top_k)
    if local.is_cuda:  # a choice of rows would wait for the GPU
        return Outside((neg_entropy(local) * ood).sum(dim=-1), ood)
    rows = ood.nonzero()[:, 0]
    return Outside(local.new_zeros(len(local)).index_add(0, rows, neg_entropy(local[ood])), ood)


def locoop_loss(logits: Logits, classes: Tensor, lambda_ood: float, top_k: int) -> Tensor:
    """The loss of one batch, a scalar with a gradient: `CE + lambda_ood * L_ood`.

    `L_ood` is the mean over the batch's OOD patches, 0 when there is none.
    """
    cross_entropy, outside, _, ood = terms(logits, classes, top_k)
    return cross_entropy.mean() + lambda_ood * outside.sum() / ood.sum().clamp(min=1)
