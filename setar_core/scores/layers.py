"""MCM averaged over blocks, which are chosen on ID images by the lowest entropy.

Experimental: written from the paper (arXiv:2510.05782), whose code is not public; the number of
bins and their range are this project's choice.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from ..backbones.base import Logits

MOST = 5  # blocks, the last one always among them
BINS = 32  # the paper tries 16 to 128


def layers_learner(logits: Logits, layers: Tensor, temperature: float = 1.0) -> dict[str, Tensor]:
    """Which blocks are averaged, `(L,)` shares: those whose mean score has the histogram of lowest
    entropy over ID images, which need no class."""
    sure = _mcm(logits, layers, temperature).double()  # (n, L)
    depth = sure.shape[1]
    best = float("inf")
    chosen: tuple[int, ...] = (depth - 1,)
    for size in range(MOST):
        for others in combinations(range(depth - 1), size):
            blocks = (*others, depth - 1)
            entropy = _entropy(sure[:, blocks].mean(dim=1))
            if entropy < best:
                best, chosen = entropy, blocks
    shares = torch.zeros(depth)
    shares[list(chosen)] = 1 / len(chosen)
    return {"shares": shares}


def layers_mcm(logits: Logits, layers: Tensor, shares: Tensor, temperature: float = 1.0) -> Tensor:
    """The mean of MCM over the chosen blocks, each read by the network's own head
    (arXiv:2510.05782); in (0, 1]."""
    return _mcm(logits, layers, temperature) @ shares


def _mcm(logits: Logits, layers: Tensor, temperature: float) -> Tensor:
    return (layers / (logits.scale * temperature)).softmax(dim=-1).amax(dim=-1)


def _entropy(scores: Tensor) -> float:
    """Of the histogram of scores between their own ends, in nats."""
    counts = scores.histc(BINS)
    return float(torch.special.entr(counts / counts.sum()).sum())
