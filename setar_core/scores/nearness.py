"""Scores that learn from ID images where features lie: KNN, NNGuide, fDBD, Mahalanobis++.

A learner takes evidence of n ID images and gives named tensors; a score is a pure function of one
image's evidence and these.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..backbones.base import Classifier, Logits

NEIGHBORS = 10  # unless it is set
EXACT = "donot_use_mm_for_euclid_dist"  # a product of matrices loses what is near


def knn_learner(features: Tensor) -> dict[str, Tensor]:
    """The bank of unit features, `(n, D)`."""
    return {"bank": F.normalize(features, dim=-1)}


def knn(features: Tensor, bank: Tensor, neighbors: int | None = None) -> Tensor:
    """Minus the distance to the k-th nearest ID image, between unit features (arXiv:2204.06507);
    in [-2, 0].

    Raises:
        ValueError: more neighbours than ID images.
    """
    x = F.normalize(features, dim=-1)
    nearest = torch.cdist(x, bank).topk(_count(neighbors, bank), dim=-1, largest=False)
    places = nearest.indices[..., -1]
    return -(x - bank[places]).norm(dim=-1)


def nnguide_learner(logits: Logits, features: Tensor) -> dict[str, Tensor]:
    """The bank of unit features times their energy, `(n, D)`."""
    return {"bank": F.normalize(features, dim=-1) * _energy(logits)[:, None]}


def nnguide(logits: Logits, features: Tensor, bank: Tensor, neighbors: int | None = None) -> Tensor:
    """Energy, guided by the ID images that are nearest (arXiv:2309.14888).

    `E(x)` times the mean of the k largest `E(x_i) cos(x, x_i)`, with the energy `logsumexp` of
    logits at the model's own scale.

    Raises:
        ValueError: more neighbours than ID images.
    """
    guide = F.normalize(features, dim=-1) @ bank.T
    nearest = guide.topk(_count(neighbors, bank), dim=-1).values
    return _energy(logits) * nearest.mean(dim=-1)


def fdbd_learner(features: Tensor) -> dict[str, Tensor]:
    """The mean of features before normalisation, `(D,)`."""
    return {"mean": features.mean(dim=0)}


def fdbd(features: Tensor, head: Classifier, mean: Tensor) -> Tensor:
    """How far the feature is from the decision boundaries, by its distance from the ID mean
    (arXiv:2312.11536): the mean over labels of `|z_y - z_c| / ||w_y - w_c||`, over `||f - mean||`.

    A label whose row of the head is that of the best label has no boundary to it and counts 0.
    """
    weight, bias = head[:2]
    logits = F.linear(features, weight, bias)
    top, best = logits.max(dim=-1, keepdim=True)  # (B, 1)
    apart = torch.cdist(weight[best[:, 0]], weight, compute_mode=EXACT)  # (B, K), 0 to itself
    distances = torch.where(apart > 0, (top - logits) / apart, 0.0)
    away = (features - mean).norm(dim=-1).clamp(min=1e-8)
    return distances.sum(dim=-1) / (max(1, logits.shape[-1] - 1) * away)


def mahalanobis_learner(
    features: Tensor, classes: Tensor, shrinkage: float | None = None
) -> dict[str, Tensor]:
    """The mean `(D,)` of unit features, what whitens the one covariance that classes share
    `(D, R)`, and where it takes the class means, from the mean on, `(C, R)`.

    Raises:
        ValueError: images without a class, no class with two, or too few for a covariance.
    """
    if unknown := int((classes < 0).sum()):
        raise ValueError(
            f"Mahalanobis++ learns a mean of each class, and the class of {unknown} of the "
            f"{len(classes)} ID images is not known; put them into folders that bear the labels' "
            "names"
        )
    which, index, counts = classes.unique(return_inverse=True, return_counts=True)
    if len(classes) == len(which):
        raise ValueError(
            "Mahalanobis++ learns how images of one class differ, and no class of these "
            f"{len(classes)} ID images has two; give at least two a class"
        )
    x = F.normalize(features.double(), dim=-1)
    means = x.new_zeros(len(which), x.shape[-1]).index_add(0, index, x) / counts[:, None]
    mean = x.mean(dim=0)
    whitening = _whitening(x - means[index], len(x) - len(which), shrinkage)
    learned = {"mean": mean, "whitening": whitening, "centres": (means - mean) @ whitening}
    return {name: tensor.float() for name, tensor in learned.items()}


def mahalanobis(features: Tensor, mean: Tensor, whitening: Tensor, centres: Tensor) -> Tensor:
    """Minus the squared Mahalanobis distance of the unit feature to the nearest class mean
    (Mahalanobis++, arXiv:2505.18032)."""
    x = (F.normalize(features, dim=-1) - mean) @ whitening
    return -torch.cdist(x, centres, compute_mode=EXACT).square().amin(dim=-1)


def relative_mahalanobis_learner(
    features: Tensor, classes: Tensor, shrinkage: float | None = None
) -> dict[str, Tensor]:
    """The same, and what whitens the covariance of all images as one class, `(D, Q)`.

    Raises:
        ValueError: as `mahalanobis_learner`.
    """
    learned = mahalanobis_learner(features, classes, shrinkage)
    x = F.normalize(features.double(), dim=-1)
    spread = _whitening(x - x.mean(dim=0), len(x) - 1, shrinkage)
    return {**learned, "spread": spread.float()}


def relative_mahalanobis(
    features: Tensor, mean: Tensor, whitening: Tensor, centres: Tensor, spread: Tensor
) -> Tensor:
    """Mahalanobis++ less the distance to one Gaussian of all ID images (arXiv:2505.18032)."""
    x = F.normalize(features, dim=-1)
    everywhere = ((x - mean) @ spread).square().sum(dim=-1)
    return everywhere + mahalanobis(features, mean, whitening, centres)


def _whitening(centred: Tensor, freedom: int, shrinkage: float | None) -> Tensor:
    """`(D, R)` whose product with its transpose is the inverse of the covariance of n centred rows;
    directions in which they do not vary are left out.

    Args:
        freedom: how many directions the rows can span.
        shrinkage: towards a multiple of the identity; None: by Ledoit and Wolf
            (doi:10.1016/S0047-259X(03)00096-4).
    """
    n, d = centred.shape
    if shrinkage == 0 and freedom < d:
        raise ValueError(
            f"{n} ID images cannot show how features of {d} dimensions vary: their covariance is "
            "singular; give more, or a shrinkage such as 0.1"
        )
    covariance = centred.T @ centred / n
    level = covariance.trace() / d
    if level < torch.finfo(torch.float32).eps ** 2:  # of unit features
        raise ValueError(
            f"the features of the {n} ID images do not differ within a class, so there is no "
            "covariance to learn; give other images of it, not copies of one"
        )
    if shrinkage is None:
        away = (covariance - level * torch.eye(d).to(covariance)).square().sum()
        fourth = centred.square().sum(dim=-1).square().sum()
        noise = (fourth / n - covariance.square().sum()) / n
        shrinkage = float((noise / away).clamp(0, 1)) if away > 0 else 1.0
    covariance = (1 - shrinkage) * covariance
    covariance.diagonal().add_(shrinkage * level)
    values, vectors = torch.linalg.eigh(covariance)
    held = values > values[-1] * d * torch.finfo(values.dtype).eps
    return vectors[:, held] / values[held].sqrt()


def _energy(logits: Logits) -> Tensor:
    return logits.whole.logsumexp(dim=-1)


def _count(neighbors: int | None, bank: Tensor) -> int:
    """How many neighbours count: those asked for, or 10, or all where there are fewer."""
    if neighbors is None:
        return min(NEIGHBORS, len(bank))
    if neighbors > len(bank):
        raise ValueError(
            f"neighbors is {neighbors}, but it learned from {len(bank)} ID images; use at most "
            f"{len(bank)}, or give more images"
        )
    return neighbors
