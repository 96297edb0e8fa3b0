"""NPOS: outliers are drawn around the ID features that lie farthest out (arXiv:2303.02966).

Of each class the last features are kept. Those whose k-th nearest neighbour in their class is
farthest are its boundary; noise is added to these, and of what comes out the farthest is kept. An
MLP on the energy learns to tell the batch's features from such outliers. A class takes part from
the moment on when it has more features than `neighbours`; the authors wait until every class's
queue is full, which few pictures never do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from .pictures import generator
from .plan import Plan

HIDDEN = 16  # of the MLP
UP, UP_BIAS, DOWN, DOWN_BIAS = (f"outliers/{part}" for part in ("up", "up.bias", "down", "bias"))
QUEUE, COUNT = "outliers/queue", "outliers/count"

Logits = Callable[[Tensor], Tensor]


class Outliers:
    """What NPOS draws and minimises.

    Attributes:
        first: the MLP's first values, by name: they are trained, and no part of an adapter.
        memory: the queues before the first step, `(C, Q, D)`, and how many features each class has
            had, `(C,)`.
    """

    def __init__(self, plan: Plan, classes: int, width: int, device: torch.device) -> None:
        self.plan = plan
        chance = generator(plan.seed, "outliers")
        up, up_bias = (2 * torch.rand(2, HIDDEN, generator=chance) - 1).to(device)  # of 1 input
        down, bias = 2 * torch.rand(HIDDEN, generator=chance) - 1, torch.zeros(1)
        self.first = {
            UP: up[:, None].clone(),
            UP_BIAS: up_bias.clone(),
            DOWN: (down[None] / HIDDEN**0.5).to(device),
            DOWN_BIAS: bias.to(device),
        }
        self.memory = {
            QUEUE: torch.zeros(classes, plan.queue, width, device=device),
            COUNT: torch.zeros(classes, dtype=torch.float32, device=device),
        }

    @torch.no_grad()
    def remembered(
        self, memory: Mapping[str, Tensor], features: Tensor, classes: Tensor
    ) -> dict[str, Tensor]:
        """The memory with a batch's features `(B, D)`; the old one stays as it is."""
        queue, count = memory[QUEUE].clone(), memory[COUNT].clone()
        for feature, c in zip(features.detach(), classes.tolist(), strict=True):
            queue[c, int(count[c]) % self.plan.queue] = feature
            count[c] += 1
        return {QUEUE: queue, COUNT: count}

    @torch.no_grad()
    def drawn(self, memory: Mapping[str, Tensor], step: int) -> Tensor:
        """Outliers `(N, D)`, not normalised; none while no class has enough features."""
        plan, chance = self.plan, generator(self.plan.seed, "outliers", step)
        queue, counts = memory[QUEUE], memory[COUNT].clamp(max=plan.queue).int().tolist()
        found = [queue.new_empty(0, queue.shape[2])]
        for features, count in zip(queue, counts, strict=True):
            if count <= plan.neighbours:
                continue
            mine = features[:count]
            far = _kth(mine, mine, plan.neighbours + 1)  # a feature is its own nearest
            edge = mine[far.topk(min(plan.boundary, count)).indices]
            noise = torch.randn(len(edge), plan.drawn, edge.shape[1], generator=chance)
            around = (edge[:, None] + plan.noise * noise.to(edge)).flatten(0, 1)
            far = _kth(around, mine, plan.neighbours)
            found.append(around[far.topk(min(plan.kept, len(around))).indices])
        return torch.cat(found)

    def loss(
        self, tensors: Mapping[str, Tensor], whole: Tensor, outliers: Tensor, logits: Logits
    ) -> Tensor:
        """The binary cross-entropy of the batch's logits `(B, C)` against the outliers; 0 where
        there are none."""
        if not len(outliers):
            return whole.new_zeros(())
        energy = torch.cat([whole, logits(outliers)]).logsumexp(dim=-1)
        hidden = F.relu(F.linear(energy[:, None], tensors[UP], tensors[UP_BIAS]))
        told = F.linear(hidden, tensors[DOWN], tensors[DOWN_BIAS])[:, 0]
        known = torch.cat([whole.new_ones(len(whole)), whole.new_zeros(len(outliers))])
        return F.binary_cross_entropy_with_logits(told, known)


def _kth(points: Tensor, among: Tensor, k: int) -> Tensor:
    """The distance of each point to the k-th nearest of others, `(N,)`."""
    return torch.cdist(points, among).kthvalue(min(k, len(among)), dim=1).values
