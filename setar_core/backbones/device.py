"""The device that networks run on: whether it is there, what it is called, whether one fits."""

from __future__ import annotations

import torch
from torch import nn

from ..memory import OutOfMemory, is_out_of_memory, room, written
from .base import BackboneError


def check_device(name: str) -> None:
    """Raises BackboneError for a device that PyTorch cannot use here, with the reason."""
    kind, colon, number = name.partition(":")
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in there or (colon and not (number.isascii() and number.isdigit())):
        raise BackboneError(f"unknown device {name!r}; use cpu, cuda, cuda:1 or mps")
    if int(number or 0) < there[kind]:
        return
    cards = [f"cuda:{i}" for i in range(there["cuda"])]
    if kind != "cuda":
        reason, use = f"PyTorch finds {there[kind]} of the kind {kind}", "cpu"
    elif len(cards) > 1:
        reason, use = f"its cards are {' and '.join(cards)}", "one of them or cpu"
    elif cards:
        reason, use = f"its only card is {cards[0]}", "that or cpu"
    elif torch.backends.cuda.is_built():
        reason, use = "PyTorch finds no card or no driver for it", "cpu"
    else:
        reason, use = "this PyTorch was built without CUDA", "cpu, or install one with it"
    raise BackboneError(f"device {name!r} is not on this machine: {reason}; use {use}")


def title(device: str) -> str:
    """What people call it: `cuda:0 (NVIDIA H100 80GB HBM3)`, or `cpu`."""
    if not device.startswith("cuda"):
        return device
    return f"{device} ({torch.cuda.get_device_name(device)})"


def place(model: nn.Module, name: str, device: str) -> None:
    """Move a network to the device.

    Raises:
        BackboneError: another process keeps the device for itself.
        OutOfMemory: it does not fit there.
    """
    try:
        model.to(device)
        return
    except RuntimeError as error:
        full = is_out_of_memory(error)
        if not full and "busy or unavailable" not in str(error):
            raise
    if not full:
        raise BackboneError(
            f"{device} is kept by another process for itself alone; end that, or use cpu"
        )
    needed = sum(x.numel() * x.element_size() for x in (*model.parameters(), *model.buffers()))
    raise OutOfMemory(
        f"{name} takes {written(needed)}, and {room(torch.device(device))}; end what else runs "
        "there, or use a smaller backbone, or cpu"
    )
