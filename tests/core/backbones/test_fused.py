"""Fused layers compute what the plain operations do, and step aside where they do not apply."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from setar_core.backbones.linear import fused


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return torch.randn(3, 65, 32), nn.Linear(32, 48), torch.randn(3, 65, 48)


@pytest.fixture(params=[True, False], ids=["oneDNN", "plain"])
def way(request, monkeypatch):
    """With and without oneDNN's operators."""
    if not request.param:
        monkeypatch.setattr(fused, "_POINTWISE", None)
    elif fused._POINTWISE is None:
        pytest.skip("this PyTorch is built without oneDNN")
    return request.param


@pytest.mark.parametrize("bias", [True, False])
def test_values_are_those_of_the_plain_operations(way, layers, bias):
    x, layer, state = layers
    layer = layer if bias else nn.Linear(32, 48, bias=False)
    with torch.inference_mode():
        assert fused._applies(x, layer.weight) == way
        made = fused.linear(x, layer.weight, layer.bias)
        torch.testing.assert_close(made, layer(x), atol=1e-6, rtol=1e-5)
        bent = fused.linear_then(x, layer, nn.GELU())
        torch.testing.assert_close(bent, F.gelu(layer(x)), atol=1e-6, rtol=1e-5)
        before = state.clone()
        onto = fused.linear_onto(state, x, layer.weight, layer.bias, nn.Identity())
        torch.testing.assert_close(onto, state + layer(x), atol=1e-6, rtol=1e-5)
        assert torch.equal(state, before)


@pytest.mark.parametrize("activation", [nn.SiLU(), nn.GELU(approximate="tanh")])
def test_other_activations_and_scales_are_applied(way, layers, activation):
    x, layer, state = layers
    scale = nn.Threshold(0.0, 2.0)  # any module that changes values
    with torch.inference_mode():
        bent = fused.linear_then(x, layer, activation)
        torch.testing.assert_close(bent, activation(layer(x)))
        torch.testing.assert_close(
            fused.linear_onto(state, x, layer.weight, layer.bias, scale), state + scale(layer(x))
        )


def test_rows_of_a_larger_matrix_may_be_used(way, layers):
    x, layer, _ = layers
    with torch.inference_mode():
        rows, bias = layer.weight[16:], layer.bias[16:]
        torch.testing.assert_close(
            fused.linear(x, rows, bias), F.linear(x, rows, bias), atol=1e-6, rtol=1e-5
        )


def test_gradients_flow(way, layers):
    x, layer, state = layers
    hidden, down = fused.linear(x, layer.weight, layer.bias), nn.Linear(48, 48)
    made = fused.linear_onto(state, hidden, down.weight, down.bias, nn.Identity())
    fused.linear_then(made, nn.Linear(48, 8), nn.GELU()).sum().backward()
    assert layer.weight.grad.abs().sum() > 0


def test_autocast_and_other_types_are_respected(way, layers):
    x, layer, state = layers
    with torch.inference_mode():
        with torch.autocast("cpu", torch.bfloat16):
            assert fused.linear(x, layer.weight, layer.bias).dtype == torch.bfloat16
            assert fused.linear_then(x, layer, nn.GELU()).dtype == torch.bfloat16
        x, state, double = x.double(), state.double(), layer.double()
        assert fused.linear(x, double.weight, double.bias).dtype == torch.float64
        onto = fused.linear_onto(state, x, double.weight, double.bias, nn.Identity())
        assert onto.dtype == torch.float64
