"""Linear layers together with what follows them, in one pass through memory.

On a CPU, oneDNN adds the bias, the GELU or the residual while a product is still in the cache, by
operators that PyTorch has for its compiler. Where they are not there, or do not apply, the plain
operations do the same.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .thin import narrowed

_THERE = torch.backends.mkldnn.is_available()
_POINTWISE: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if _THERE else None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`x W^T + b`, `(..., out)` of `x (..., in)`."""
    if _applies(x, weight):
        return _POINTWISE(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


def linear_then(x: Tensor, layer: Any, activation: nn.Module) -> Tensor:
    """The activation of what the layer makes."""
    x, layer = narrowed(x, layer)
    exact = type(activation) is nn.GELU and activation.approximate == "none"
    if exact and _applies(x, layer.weight):
        return _POINTWISE(x, layer.weight, layer.bias, "gelu", [], "none")
    hidden = layer(x)
    if exact and not torch.is_grad_enabled():  # nobody else holds it
        return torch.ops.aten.gelu_(hidden)
    return activation(hidden)


def linear_onto(
    state: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, scale: nn.Module
) -> Tensor:
    """`state + scale(x W^T + b)`; most networks have no scale, an identity."""
    if type(scale) is nn.Identity and _applies(x, weight):
        return _POINTWISE.binary(x, state, weight, bias, "add")
    return state + scale(F.linear(x, weight, bias))


def _applies(x: Tensor, weight: Tensor) -> bool:
    return (
        _POINTWISE is not None
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and bool(torch.backends.mkldnn.enabled)
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )
