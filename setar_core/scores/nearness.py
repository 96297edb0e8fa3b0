"""Scores that learn from ID images where features lie: KNN, NNGuide, fDBD, Mahalanobis++.

A learner takes evidence of n ID images and gives named tensors; a score is a pure function of one
image's evidence and these.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..backbones.base import Classifier, Logits


def knn_learner(features: Tensor) -> dict[str, Tensor]:
    """The bank of unit features, `(n, D)`."""
    return {"bank": F.normalize(features, dim=-1)}


def knn(features: Tensor, bank: Tensor, neighbors: int = 10) -> Tensor:
    """Minus the distance to the k-th nearest ID image, between unit features (arXiv:2204.06507)."""
    k = _at_most(neighbors, bank)
    distances = torch.cdist(F.normalize(features, dim=-1), bank)
    return -distances.kthvalue(k, dim=-1).values


def nnguide_learner(logits: Logits, features: Tensor) -> dict[str, Tensor]:
    """The bank of unit features times their energy, `(n, D)`."""
    return {"bank": F.normalize(features, dim=-1) * _energy(logits)[:, None]}


def nnguide(logits: Logits, features: Tensor, bank: Tensor, neighbors: int = 10) -> Tensor:
    """Energy, guided by the ID images that are nearest (arXiv:2309.14888).

    `E(x)` times the mean of the k largest `E(x_i) cos(x, x_i)`, with the energy `logsumexp` of
    logits at the model's own scale.
    """
    k = _at_most(neighbors, bank)
    guide = F.normalize(features, dim=-1) @ bank.T
    return _energy(logits) * guide.topk(k, dim=-1).values.mean(dim=-1)


def fdbd_learner(features: Tensor) -> dict[str, Tensor]:
    """The mean of features before normalisation, `(D,)`."""
    return {"mean": features.mean(dim=0)}


def fdbd(features: Tensor, head: Classifier, mean: Tensor) -> Tensor:
    """How far the feature is from the decision boundaries, by its distance from the ID mean
    (arXiv:2312.11536): the mean over labels of `|z_y - z_c| / ||w_y - w_c||`, over `||f - mean||`.
    """
    weight, bias = head
    logits = F.linear(features, weight, bias)
    top, best = logits.max(dim=-1, keepdim=True)  # (B, 1)
    apart = torch.cdist(weight[best[:, 0]], weight)  # (B, K), 0 to itself
    distances = (top - logits) / apart.clamp(min=torch.finfo(apart.dtype).tiny)
    distances = distances.scatter(-1, best, 0.0).sum(dim=-1) / (logits.shape[-1] - 1)
    return distances / (features - mean).norm(dim=-1)


def mahalanobis_learner(
    features: Tensor, classes: Tensor, shrinkage: float | None = None
) -> dict[str, Tensor]:
    """Class means `(K, D)` of unit features, and what whitens their one shared covariance `(D, R)`.

    Raises:
        ValueError: images without a class, no class with two, or too few for a covariance.
    """
    x = F.normalize(features.double(), dim=-1)
    if bool((classes < 0).any()):
        raise ValueError(
            "Mahalanobis++ learns a mean of each class, and the class of "
            f"{int((classes < 0).sum())} of the ID images is not known; put them into folders that "
            "bear the labels' names"
        )
    which, index, counts = classes.unique(return_inverse=True, return_counts=True)
    if len(x) == len(which):
        raise ValueError(
            "Mahalanobis++ learns how images of one class differ, and no class of these ID images "
            "has two; give at least two a class"
        )
    means = x.new_zeros(len(which), x.shape[-1]).index_add(0, index, x) / counts[:, None]
    whitening = _whitening(x - means[index], len(x) - len(which), shrinkage)
    return {"means": means.float(), "whitening": whitening.float()}


def mahalanobis(features: Tensor, means: Tensor, whitening: Tensor) -> Tensor:
    """Minus the squared Mahalanobis distance of the unit feature to the nearest class mean
    (Mahalanobis++, arXiv:2505.18032)."""
    x = F.normalize(features, dim=-1)
    return -torch.cdist(x @ whitening, means @ whitening).square().amin(dim=-1)


def relative_mahalanobis_learner(
    features: Tensor, classes: Tensor, shrinkage: float | None = None
) -> dict[str, Tensor]:
    """The same, and the mean `(D,)` and whitening `(D, R)` of all images as one class."""
    x = F.normalize(features.double(), dim=-1)
    learned = mahalanobis_learner(features, classes, shrinkage)
    everywhere = _whitening(x - x.mean(dim=0), len(x) - 1, shrinkage)
    return {**learned, "mean": x.mean(dim=0).float(), "spread": everywhere.float()}


def relative_mahalanobis(
    features: Tensor, means: Tensor, whitening: Tensor, mean: Tensor, spread: Tensor
) -> Tensor:
    """Mahalanobis++ less the distance to one Gaussian of all ID images (arXiv:2505.18032)."""
    x = F.normalize(features, dim=-1)
    return ((x - mean) @ spread).square().sum(dim=-1) + mahalanobis(features, means, whitening)


def _whitening(centred: Tensor, freedom: int, shrinkage: float | None) -> Tensor:
    """`(D, R)` whose product with its transpose is the inverse of the covariance of n centred rows.

    Args:
        freedom: how many directions the rows can span.
        shrinkage: towards a multiple of the identity; None: by Ledoit and Wolf
            (doi:10.1016/S0047-259X(03)00096-4).
    """
    n, d = centred.shape
    covariance = centred.T @ centred / n
    level = covariance.trace() / d
    if shrinkage is None:
        away = (covariance - level * torch.eye(d, dtype=covariance.dtype)).square().sum()
        fourth = centred.square().sum(dim=-1).square().sum()
        noise = (fourth / n - covariance.square().sum()) / n
        shrinkage = float((noise / away).clamp(0, 1)) if away > 0 else 1.0
    elif shrinkage == 0 and freedom < d:
        raise ValueError(
            f"{n} ID images cannot show how features of {d} dimensions vary: their covariance is "
            "singular; give more, or a shrinkage such as 0.1"
        )
    covariance = (1 - shrinkage) * covariance
    covariance.diagonal().add_(shrinkage * level)
    values, vectors = torch.linalg.eigh(covariance)
    held = values > values[-1] * d * torch.finfo(values.dtype).eps
    return vectors[:, held] / values[held].sqrt()


def _energy(logits: Logits) -> Tensor:
    return logits.whole.logsumexp(dim=-1)


def _at_most(neighbors: int, bank: Tensor) -> int:
    if neighbors > len(bank):
        raise ValueError(
            f"neighbors is {neighbors}, but it learned from {len(bank)} ID images; use at most "
            f"{len(bank)}, or give more images"
        )
    return neighbors
