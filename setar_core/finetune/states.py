"""The file from which a training is taken up: its state, and what it is the state of.

It is written whole, now and then; between two of them nothing is lost but time, since a run that is
taken up makes the same steps again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..adapter import read_tensors, write_whole
from ..backbones.base import Backbone
from ..data.strict import loads, named_once
from ..journal import check_same
from ..labels import LabelSet
from ..recipe import ORIGINAL, Recipe
from .pictures import TrainingSet
from .plan import Plan
from .train import State

KEY = "setar_training"
PARTS = ("tensors", "momentum", "memory")


def header(
    backbone: Backbone,
    images: TrainingSet,
    labels: LabelSet,
    plan: Plan,
    recipe: Recipe | None,
    start: Mapping[str, Tensor] | None = None,
    order: Sequence[Sequence[int]] | None = None,
) -> dict[str, Any]:
    """All that a step depends on, as JSON values."""
    recipe = backbone.recipe if recipe is None else recipe
    return {
        "backbone": backbone.name,
        "weights": backbone.fingerprint,
        "recipe": recipe.fingerprint if recipe else ORIGINAL,
        "labels": labels.fingerprint,
        "images": images.fingerprint,
        "device": backbone.device.type,
        "plan": plan.page(),
        "start": _digest({name: x.tolist() for name, x in (start or {}).items()}),
        "order": _digest(None if order is None else [list(step) for step in order]),
    }


def save_state(path: str | Path, top: Mapping[str, Any], state: State) -> None:
    """Write the file; what was there stays until it is whole.

    Raises:
        OSError: the disk is full, or gone; names the file.
    """
    from safetensors.torch import save

    page = {"run": dict(top), "step": state.step, "losses": [list(x) for x in state.losses]}
    tensors = {
        f"{part}:{name}": tensor.detach().cpu().contiguous().clone()
        for part in PARTS
        for name, tensor in getattr(state, part).items()
    }
    write_whole(Path(path), save(tensors, {KEY: json.dumps(page, allow_nan=False)}))


def load_state(path: str | Path, top: Mapping[str, Any]) -> State:
    """Read the file, if it is of this run.

    Raises:
        ValueError: not such a file, or of another run; names what differs.
    """
    path = Path(path)
    text, tensors = read_tensors(path, KEY)
    page = loads(text, named_once)
    odd = f"{path.name} is no state of a training; start without --resume"
    if not isinstance(page, dict) or set(page) != {"run", "step", "losses"}:
        raise ValueError(odd)
    if not isinstance(page["run"], dict) or type(page["step"]) is not int:
        raise ValueError(odd)
    check_same(path, page["run"], top)
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for name, tensor in tensors.items():
        part, _, inside = name.partition(":")
        if part not in parts or not bool(torch.isfinite(tensor).all()):
            raise ValueError(odd)
        parts[part][inside] = tensor
    try:
        losses = tuple((float(total), int(count)) for total, count in page["losses"])
    except (TypeError, ValueError):
        raise ValueError(odd) from None
    return State(page["step"], parts["tensors"], parts["momentum"], losses, parts["memory"])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, allow_nan=False).encode()).hexdigest()
