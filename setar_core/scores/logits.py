"""Scores of logits: pure functions, and what is shown beside them.

The temperature T divides the raw cosine (for classifiers: the logits); the scale in the logits is
taken out first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..backbones.base import Logits

GEN_LABELS, GEN_POWER = 100, 0.1


def mcm(logits: Logits, temperature: float = 1.0) -> Tensor:
    """Maximum concept matching (arXiv:2211.13445): max softmax over the labels; in (0, 1]."""
    return _softmax(logits, temperature).amax(dim=-1)


def l_mcm(logits: Logits, temperature: float = 1.0) -> Tensor:
    """The local half of GL-MCM (arXiv:2304.04521): the same maximum over all patches; in (0, 1]."""
    return _surest(logits.patches / (logits.scale * temperature)).amax(dim=-1)


def gl_mcm(logits: Logits, temperature: float = 1.0, local_weight: float = 1.0) -> Tensor:
    """Global and local concept matching (arXiv:2304.04521): `mcm + local_weight * l_mcm`."""
    return mcm(logits, temperature) + local_weight * l_mcm(logits, temperature)


def energy(logits: Logits, temperature: float = 1.0) -> Tensor:
    """Negative free energy (arXiv:2010.03759): `T * logsumexp(cos / T)`."""
    return temperature * (logits.whole / (logits.scale * temperature)).logsumexp(dim=-1)


def max_logit(logits: Logits) -> Tensor:
    """The largest cosine, for classifiers the largest logit (arXiv:1911.11132)."""
    return logits.whole.amax(dim=-1) / logits.scale


def msp(logits: Logits) -> Tensor:
    """Maximum softmax probability at the model's own scale (arXiv:1610.02136); in (0, 1]."""
    return probabilities(logits).amax(dim=-1)


def entropy(logits: Logits, temperature: float = 1.0) -> Tensor:
    """Negative entropy of the softmax, in nats (arXiv:2211.13445); in [-log K, 0]."""
    p = _softmax(logits, temperature)
    return torch.special.entr(p).sum(dim=-1).neg()


def variance(logits: Logits, temperature: float = 1.0) -> Tensor:
    """Variance of the softmax over the labels (arXiv:2406.12629); 0 when all are alike."""
    return _softmax(logits, temperature).var(dim=-1, correction=0)


def gen(logits: Logits) -> Tensor:
    """Generalised entropy (Liu, Lochman, Zach, CVPR 2023) at the model's own scale.

    Minus the sum of `(p (1 - p))^0.1` over the 100 most probable labels.
    """
    every = probabilities(logits)
    p, places = every.topk(min(GEN_LABELS, every.shape[-1]), dim=-1)
    others = 1 - p
    others[:, 0] = every.scatter(-1, places[:, :1], 0.0).sum(dim=-1)  # 1 - p would be 0 near 1
    return -(p * others).pow(GEN_POWER).sum(dim=-1)


def probabilities(logits: Logits) -> Tensor:
    """What is shown beside labels, `(B, K)`: the softmax of the logits at the model's own scale."""
    return logits.whole.softmax(dim=-1)


def patch_map(logits: Logits) -> Tensor:
    """How sure each patch is of its best label, `(B, h, w)` in (0, 1], at the model's scale."""
    return _surest(logits.patches).unflatten(1, logits.grid)


def patch_best(logits: Logits) -> Tensor:
    """The index of each patch's best label, `(B, h, w)`."""
    return logits.patches.argmax(dim=-1).unflatten(1, logits.grid)


def _surest(scaled: Tensor) -> Tensor:
    """The largest softmax of every patch, `(B, P, C)` to `(B, P)`; by way of a logarithm it would
    lose digits, and so the order of near patches."""
    return scaled.softmax(dim=-1).amax(dim=-1)


def _softmax(logits: Logits, temperature: float) -> Tensor:
    return (logits.whole / (logits.scale * temperature)).softmax(dim=-1)
