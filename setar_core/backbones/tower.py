"""A stack of blocks cut into halves, so that a part of a network can be run alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK_WEIGHTS = ("q", "k", "v", "o", "up", "down")


class Features(NamedTuple):
    """`whole (B, D)` of each image, `local (B, P, D)` of its patches, `grid (h, w)`, P = h * w.

    Of a network that `has_patches` no more, `local` are the places of its last map.

    Unit length for CLIP; as the head takes them for classifiers. `before (B, D)` are those of whole
    images before normalisation, None where they are never normalised. Where they were asked for,
    `layers (B, L, D)` are what the head would take of each block, and `parts (B, P, D)` what each
    patch adds to `whole` in the last step that mixes patches.
    """

    whole: Tensor
    local: Tensor
    grid: tuple[int, int]
    before: Tensor | None = None
    layers: Tensor | None = None
    parts: Tensor | None = None

    @property
    def raw(self) -> Tensor:
        """Those of whole images before any normalisation, `(B, D)`."""
        return self.whole if self.before is None else self.before

    def some(self, rows: slice) -> Features:
        """Those of some of the images."""
        return self.each(lambda x: x[rows])

    def float(self) -> Features:
        """In float32."""
        return self.each(Tensor.float)

    @classmethod
    def join(cls, parts: Sequence[Features]) -> Features:
        """Those of all images together; at least one part."""
        if len(parts) == 1:
            return parts[0]
        whole, local, _, *others = zip(*parts, strict=True)
        more = (None if other[0] is None else torch.cat(other) for other in others)
        return cls(torch.cat(whole), torch.cat(local), parts[0].grid, *more)

    def each(self, change: Callable[[Tensor], Tensor]) -> Features:
        """With each tensor changed."""
        more = (None if part is None else change(part) for part in self[3:])
        return Features(change(self.whole), change(self.local), self.grid, *more)


class Slot(NamedTuple):
    """Where a site's matrix lives: `rows` of the parameter `name` of `module`."""

    module: nn.Module
    name: str
    rows: slice = slice(None)

    @property
    def matrix(self) -> Tensor:
        return getattr(self.module, self.name).detach()[self.rows]


class Tower(ABC):
    """A stack of blocks, each in two halves, so that a part of it can be run alone.

    `start` makes the state that enters block 0; `attend(i)` and `feed(i)` are the attention and
    the MLP half of block i; `finish` makes features of the last state. In the last block, `attend`
    makes only the rows that `finish` needs, among them the patches attending to themselves alone.
    """

    depth: int
    blocks: Any  # modules, from the input on

    def block_id(self, i: int) -> int | tuple[int, int]:
        """How recipes number block i, counted from the input."""
        return i

    @abstractmethod
    def start(self, inputs: Any) -> Any: ...

    @abstractmethod
    def attend(self, i: int, state: Any) -> Any: ...

    @abstractmethod
    def feed(self, i: int, state: Any) -> Any: ...

    def opens(self, i: int) -> bool:
        """Whether `feed` of block i can be run in parts: `leave(i, state, up(i)(enter(i, state)))`.

        Only then are `enter` and `leave` there.
        """
        return False

    def enter(self, i: int, state: Any) -> Tensor:
        """What W_up of block i multiplies, `(..., W)`."""
        raise NotImplementedError

    def up(self, i: int) -> nn.Linear:
        """The W_up of block i, with its bias."""
        layer = self.slot(i, "up").module
        assert isinstance(layer, nn.Linear)
        return layer

    def leave(self, i: int, state: Any, hidden: Tensor) -> Any:
        """What `feed` gives, from what W_up made."""
        raise NotImplementedError

    @abstractmethod
    def finish(self, state: Any) -> Any: ...

    @abstractmethod
    def slot(self, i: int | None, weight: str) -> Slot:
        """The place of a weight in block i, or of the projection (`None`, "proj")."""

    def run(self, state: Any, first: int = 0) -> Any:
        """From the state that enters block `first` to the features."""
        return self.finish(self.through(state, first))

    def through(self, state: Any, first: int = 0) -> Any:
        """From the state that enters block `first` to the one that leaves the last."""
        for i in range(first, self.depth):
            state = self.feed(i, self.attend(i, state))
        return state

    def part(self, state: Any, first: int, last: int) -> Any:
        """From the state at position `first` to the one at `last`.

        A position counts half blocks: 2i is the input of block i, 2i + 1 what its attention leaves,
        and 2 * depth what the last block leaves.
        """
        for position in range(first, last):
            half = self.feed if position % 2 else self.attend
            state = half(position // 2, state)
        return state

    def run_with(self, state: Any, layers: bool, parts: bool) -> Features:
        """As `run`, with what else of `Features` is asked for.

        Raises:
            ValueError: `layers` of blocks that have no token that stands for the whole image.
        """
        seen, entering = [], state
        for i in range(self.depth):
            entering = state
            state = self.feed(i, self.attend(i, entering))
            if layers and i < self.depth - 1:
                seen.append(self.pool(state))
        features: Features = self.finish(state)
        if layers:  # of the last block it is what `finish` made, to the bit
            features = features._replace(layers=torch.stack([*seen, features.whole], dim=1))
        return features._replace(parts=self.parts(entering, state)) if parts else features

    def parts(self, entering: Any, state: Any) -> Tensor:
        """What each patch adds to the feature of the whole image, `(B, P, D)`.

        Of the states that enter and leave the last block. In a ViT it is what the class token
        takes from the patch there, through the last norm (arXiv:2310.05916); where patches are
        averaged, its share of the mean (arXiv:1512.04150).
        """
        raise NotImplementedError

    @property
    def pools(self) -> bool:
        """Whether there is a `pool`: a token that stands for the whole image."""
        return type(self).pool is not Tower.pool

    def pool(self, state: Any) -> Tensor:
        """What the head would take of a state, `(B, D)`."""
        raise ValueError(
            "the blocks of this network have no token that stands for the whole image; "
            "use another score, or a ViT"
        )

    def sites(self) -> dict[tuple[Any, str], int | None]:
        blocks = {
            (self.block_id(i), weight): i for i in range(self.depth) for weight in BLOCK_WEIGHTS
        }
        module, name, _ = self.slot(None, "proj")
        projected = getattr(module, name) is not None  # a few CLIPs have none
        return {**blocks, **({(None, "proj"): None} if projected else {})}


def taken(shares: Tensor, values: Tensor, out: Tensor) -> Tensor:
    """What a token takes from each of all: `shares (B, n, P)` times their `values (B, P, W)`, both
    a head at a time, through `out (W, W)`; `(B, P, W)`."""
    n = shares.shape[1]
    weighted = shares.transpose(1, 2)[..., None] * values.unflatten(-1, (n, -1))  # (B, P, n, d)
    return F.linear(weighted.flatten(2), out)


def through_norm(parts: Tensor, norm: Any, whole: Tensor) -> Tensor:
    """Parts `(B, P, W)` of `whole (B, W)` as its norm, of a layer or of mean squares, scales them;
    its bias is part of none."""
    if isinstance(norm, nn.LayerNorm):
        parts, whole = (x - x.mean(dim=-1, keepdim=True) for x in (parts, whole))
    size = (whole.square().mean(dim=-1) + norm.eps).rsqrt()[:, None, None]
    return parts * size if norm.weight is None else parts * size * norm.weight


def heads(x: Tensor, n: int) -> Tensor:
    """`(B, L, W)` to `(B, n, L, W / n)`."""
    return x.unflatten(-1, (n, -1)).transpose(1, 2)


def attention(q: Tensor, k: Tensor, v: Tensor, causal: bool = False) -> Tensor:
    """Softmax attention over heads, `(B, n, L, d)` to `(B, L, W)`; causal: the queries are the
    last of the keys."""
    mask = None
    if causal and q.shape[2] > 1:
        allowed = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device)
        mask = allowed.tril(k.shape[2] - q.shape[2])
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
