"""NegLabel and CSP: how much of the belief the labels keep when negative labels may have some."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .evidence import Cosines

GROUPS = 100
SEED = 0  # of the permutation, as both papers' code has it


def neglabel(
    cosines: Cosines, negative_temperature: float = 0.01, groups: int | None = None
) -> Tensor:
    """The labels' share of a softmax over them and a group of negatives, averaged over groups.

    NegLabel (arXiv:2403.20078), and CSP (arXiv:2410.08611) on other negatives. The groups are runs
    of a fixed permutation; M mod `groups` negatives are left out from the end of the list.
    In float64: near 1, where images of the labels lie, float32 would make many of them alike.

    Raises:
        ValueError: more groups than negatives.
    """
    if cosines.labels.device.type != "mps":  # which has no float64
        cosines = Cosines(*map(Tensor.double, cosines))
    count = cosines.negatives.shape[-1]
    groups = groups_of(count, groups)
    order = _permutation(count - count % groups, groups, cosines.negatives.device)
    theirs = cosines.negatives[:, order] / negative_temperature  # (B, groups, M / groups)
    ours = (cosines.labels / negative_temperature).logsumexp(dim=-1, keepdim=True)
    return (ours - theirs.logsumexp(dim=-1)).sigmoid().mean(dim=-1)


def groups_of(count: int, groups: int | None = None) -> int:
    """How many groups `count` negatives are divided into: those asked for, or 100 at most.

    Raises:
        ValueError: more groups than negatives, or no negative at all.
    """
    if groups is None:
        groups = min(GROUPS, count)
    if not 1 <= groups <= count:
        raise ValueError(
            f"{groups} groups of {count} negative labels cannot be made; use at most {count} groups"
            if count
            else "there is no negative label; mine some, or give a list of words"
        )
    return groups


@lru_cache(maxsize=8)
def _permutation(used: int, groups: int, device: torch.device) -> Tensor:
    """Drawn on the CPU, whatever the device: a GPU would draw another."""
    drawn = torch.randperm(used, generator=torch.Generator().manual_seed(SEED))
    return drawn.view(groups, -1).to(device)
