"""Linear layers in two: a matrix of low rank as the product of two thin ones.

Only layers that are called as such can be two: the thirds of a fused matrix, what
`nn.MultiheadAttention` reads of itself, projections and heads stay whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from ...data.strict import short

CALLED = ("mlp.c_fc", "mlp.c_proj", "mlp.fc1", "mlp.fc2", "attn.proj")


class Thin(nn.Sequential):
    """`second(first(x))`, in place of a linear layer of rank `first.out_features`."""

    def __init__(self, whole: nn.Linear, rank: int) -> None:
        made = {"device": whole.weight.device, "dtype": whole.weight.dtype}
        first = nn.Linear(whole.in_features, rank, bias=False, **made)
        super().__init__(
            first, nn.Linear(rank, whole.out_features, bias=whole.bias is not None, **made)
        )

    @property
    def first(self) -> nn.Linear:
        return cast("nn.Linear", self[0])

    @property
    def second(self) -> nn.Linear:
        return cast("nn.Linear", self[1])

    @property
    def weight(self) -> Tensor:
        """The matrix that both are, `(out, in)`."""
        return self.second.weight @ self.first.weight

    @property
    def bias(self) -> nn.Parameter | None:
        return self.second.bias

    def whole(self) -> nn.Linear:
        """One layer again, whose bias is shared."""
        out, width = self.second.out_features, self.first.in_features
        layer = nn.Linear(width, out, bias=False, device="meta")
        layer.weight = nn.Parameter(self.weight.detach(), requires_grad=False)
        layer.register_parameter("bias", self.bias)
        return layer


def narrowed(x: Tensor, layer: nn.Module) -> tuple[Tensor, Any]:
    """What the second of two thin layers multiplies, and that layer; both as given where the layer
    is whole."""
    return (layer.first(x), layer.second) if isinstance(layer, Thin) else (x, layer)


def saves(out: int, width: int, rank: int) -> bool:
    """Whether two thin matrices have fewer parameters, and so fewer operations, than one."""
    return rank * (out + width) < out * width


def thin_layers(model: nn.Module) -> dict[str, int]:
    """The rank of every layer in two, by its name."""
    named = model.named_modules()
    return {name: layer.first.out_features for name, layer in named if isinstance(layer, Thin)}


def make_thin(model: nn.Module, layers: Mapping[str, Any]) -> None:
    """Put two empty layers in place of each that is named.

    Raises:
        ValueError: no such layer, one that must stay whole, or a rank that saves nothing.
    """
    named = dict(model.named_modules())
    for name, rank in layers.items():
        layer = named.get(name)
        if type(layer) is not nn.Linear or not name.endswith(CALLED):
            raise ValueError(f"{short(name)} is no layer that can be two; export it again")
        out, width = layer.weight.shape
        if type(rank) is not int or rank < 1 or not saves(out, width, rank):
            raise ValueError(
                f"{short(name)} is {out} x {width}, and rank {short(rank)} saves nothing; "
                "export it again"
            )
        model.set_submodule(name, Thin(layer, rank).requires_grad_(False))


def make_whole(model: nn.Module) -> None:
    """One layer again of every two; all that is not theirs stays as it is."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, Thin):
            model.set_submodule(name, layer.whole())
