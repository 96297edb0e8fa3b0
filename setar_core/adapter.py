"""What fine-tuning changed of a backbone, and its file: `Adapter`.

A file is safetensors with JSON in its metadata, and everything in it is checked before it is used.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .data.strict import check_entries, is_text, loads, named_once, said, short
from .recipe import MAX_NAME, Recipe, Site

KEY = "setar_adapter"  # of what the file says of itself
VERSION = 1
MAX_BYTES = 2 * 2**30
MAX_PAGE = 8_000_000  # characters of JSON; 25,000 labels take less
MAX_TENSORS = 10_000
MOVES = ("minor", "lora", "context", "full")
CONTEXT = "context"  # the name of a context's tensor, (n, W)


@dataclass(frozen=True, eq=False)
class Adapter:
    """What moved, on top of a recipe of a backbone.

    Attributes:
        moves: minor, lora, context or full.
        tensors: float32 on the CPU: `visual.3.up/A (r, in)` and `/B (out, r)` by site, `context
            (n, W)`, or the parameters of a block, `visual.11/ln_1.weight`.
        backbone: its name, for people.
        weights: the fingerprint of its original weights, which decides.
        recipe: what is dropped below the tensors; None for the original weights.
        scale: `B A` is multiplied by it.
        plan: the settings of the training.
        losses: the mean loss of each epoch so far, in nats.
        steps: how many updates were made.
        labels: the names it was trained with.

    Raises:
        ValueError: names, shapes or numbers that no adapter has.
    """

    moves: str
    tensors: Mapping[str, Tensor]
    backbone: str
    weights: str
    recipe: Recipe | None = None
    scale: float = 1.0
    plan: Mapping[str, Any] = field(default_factory=dict)
    losses: tuple[float, ...] = ()
    steps: int = 0
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", dict(sorted(self.tensors.items())))
        if self.recipe is not None and not self.recipe:
            object.__setattr__(self, "recipe", None)
        if self.moves not in MOVES:
            raise ValueError(f"moves {short(self.moves)} is unknown; use {', '.join(MOVES)}")
        if not self.tensors:
            raise ValueError("the adapter holds no tensor; train one step at least")
        for name, tensor in self.tensors.items():
            if tensor.dtype != torch.float32 or not bool(torch.isfinite(tensor).all()):
                raise ValueError(
                    f"{short(name)} is no tensor of finite float32 numbers; train again at a "
                    "lower rate"
                )
        _check_names(self.moves, {name: tuple(x.shape) for name, x in self.tensors.items()})

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of all that a verdict depends on."""
        recipe = self.recipe.fingerprint if self.recipe else ""
        text = hashlib.sha256(
            json.dumps([self.moves, self.weights, recipe, self.scale], allow_nan=False).encode()
        )
        for name, tensor in self.tensors.items():
            text.update(f"{name} {tuple(tensor.shape)}".encode())
            text.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
        return text.hexdigest()

    @property
    def context(self) -> Tensor | None:
        """The trained context `(n, W)`, where that is what moved."""
        return self.tensors[CONTEXT] if self.moves == "context" else None

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites with a term of their own, for minor and lora."""
        if self.moves not in ("minor", "lora"):
            return ()
        return tuple(Site.parse(name[:-2]) for name in self.tensors if name.endswith("/A"))

    @property
    def size(self) -> int:
        """Bytes of its tensors."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())

    def check_weights(self, backbone: str, fingerprint: str) -> None:
        """Raises ValueError for a backbone of other weights than those it was trained on."""
        if fingerprint != self.weights:
            raise ValueError(
                f"the adapter was trained on {short(self.backbone)} with weights "
                f"{short(self.weights)}, this is {backbone!r} with {fingerprint!r}; load that "
                "backbone, or train on this one"
            )

    def term(self, site: Site) -> Tensor:
        """What is added to the matrix of a site, `(out, in)`."""
        return self.scale * (self.tensors[f"{site}/B"] @ self.tensors[f"{site}/A"])

    def matrices(self, weight: Callable[[Site], Tensor]) -> dict[Site, Tensor]:
        """The matrix of each site, `(out, in)`; `weight` is what it was with the recipe.

        Raises:
            ValueError: a matrix of another shape.
        """
        found = {}
        for site in self.sites:
            matrix, term = weight(site), self.term(site)
            _check_shape(str(site), term, matrix)
            found[site] = matrix + term.to(matrix.device)
        return found

    def put_into(self, block: Callable[[Site], nn.Module]) -> None:
        """Give whole blocks, which nobody else may share, the parameters that were trained.

        Raises:
            ValueError: no such parameter, or one of another shape.
        """
        for name, tensor in self.tensors.items() if self.moves == "full" else ():
            place, _, inside = name.partition("/")
            parent, _, last = inside.rpartition(".")
            try:
                module = block(Site.parse(f"{place}.up")).get_submodule(parent)
                mine = module.get_parameter(last)
            except AttributeError:
                raise ValueError(f"{place} has no {short(inside)}; train again") from None
            _check_shape(name, tensor, mine)
            setattr(module, last, nn.Parameter(tensor.to(mine.device), requires_grad=False))

    def dumps(self) -> bytes:
        """The file, the same bytes for the same adapter."""
        from safetensors.torch import save

        page = {
            "version": VERSION,
            "moves": self.moves,
            "backbone": self.backbone,
            "weights": self.weights,
            "recipe": json.loads(self.recipe.dumps()) if self.recipe else None,
            "scale": self.scale,
            "plan": dict(self.plan),
            "losses": list(self.losses),
            "steps": self.steps,
            "labels": list(self.labels),
        }
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        return save(tensors, {KEY: json.dumps(page, allow_nan=False)})

    def save(self, path: str | Path) -> None:
        """Write the file; what was there stays until it is whole.

        Raises:
            OSError: the disk is full, or gone; names the file.
        """
        write_whole(Path(path), self.dumps())

    @classmethod
    def load(cls, path: str | Path) -> Adapter:
        """Read a file.

        Raises:
            ValueError: no such file, or not an adapter; says what is wrong.
        """
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"no adapter {short(str(path))}; give a file that fine-tuning wrote")
        try:
            return cls(**_read(path))
        except ValueError as error:
            raise ValueError(f"adapter {path.name}: {error}") from None


Change = Recipe | Adapter  # of a backbone's weights


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under another name beside it, and rename it.

    Raises:
        OSError: the disk is full, or gone; names the file.
    """
    real = path.resolve()
    part = real.with_name(f"{real.name}.part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, real)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise OSError(
                f"{path} cannot be written ({error.strerror}); make room for it"
            ) from None
        raise


def read_tensors(path: Path, key: str, limit: int = MAX_BYTES) -> tuple[str, dict[str, Tensor]]:
    """What a safetensors file says under `key` of its metadata, and its tensors, all float32.

    Raises:
        ValueError: too large, not safetensors, no such key, tensors of another type.
    """
    from safetensors import SafetensorError, safe_open

    size = path.stat().st_size
    if size > limit:
        raise ValueError(f"it has {size} bytes; at most {limit} are read")
    try:
        with safe_open(path, framework="pt") as file:
            page = (file.metadata() or {}).get(key)
            if page is None or len(page) > MAX_PAGE:
                raise ValueError("it is not a file that fine-tuning wrote; give one")
            names = list(file.keys())
            if len(names) > MAX_TENSORS:
                raise ValueError(f"it holds {len(names)} tensors; at most {MAX_TENSORS} are read")
            for name in names:
                if (kind := file.get_slice(name).get_dtype()) != "F32":
                    raise ValueError(f"{short(name)} is {kind}, not float32; train again")
            return page, {name: file.get_tensor(name).clone() for name in names}
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ValueError(
            f"it is not a safetensors file ({said(error)}); a pickle is refused"
        ) from None


def _read(path: Path) -> dict[str, Any]:
    text, tensors = read_tensors(path, KEY)
    page = loads(text, named_once)
    kinds: dict[str, type | tuple[type, ...]] = {
        "version": int,
        "moves": str,
        "backbone": str,
        "weights": str,
        "recipe": (dict, type(None)),
        "scale": (int, float),
        "plan": dict,
        "losses": list,
        "steps": int,
        "labels": list,
    }
    check_entries(page, kinds, "version", VERSION, "train again")
    name, losses, labels = page["backbone"], page["losses"], page["labels"]
    if len(name) > MAX_NAME or len(page["weights"]) != 16 or page["steps"] < 0:
        raise ValueError(f"its backbone, weights or steps are odd ({short(name)}); train again")
    if not all(type(loss) in (int, float) for loss in losses):
        raise ValueError(f"its losses are {short(losses)}; train again")
    if not all(isinstance(label, str) and is_text(label) for label in labels):
        raise ValueError(f"its labels are {short(labels)}; train again")
    if not 0 <= page["scale"] < 1e6:
        raise ValueError(f"its scale is {short(page['scale'])}; train again")
    recipe = (
        None
        if page["recipe"] is None
        else Recipe.loads(json.dumps(page["recipe"], allow_nan=False))
    )
    del page["version"]
    return {
        **page,
        "tensors": tensors,
        "recipe": recipe,
        "scale": float(page["scale"]),
        "losses": tuple(map(float, losses)),
        "labels": tuple(labels),
    }


def _check_shape(name: str, tensor: Tensor, mine: Tensor) -> None:
    if tensor.shape != mine.shape:
        raise ValueError(
            f"{name} of the adapter is {tuple(tensor.shape)}, the network's {tuple(mine.shape)}; "
            "use the backbone it was trained on"
        )


def _check_names(moves: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises ValueError for names and shapes that do not belong to what moved."""
    if moves == "context":
        shape = shapes.get(CONTEXT, ())
        if set(shapes) != {CONTEXT} or len(shape) != 2 or not math.prod(shape):
            raise ValueError(f"a context is one tensor (n, W), not {short(shapes)}; train again")
        return
    for name, shape in shapes.items():
        place, slash, part = name.partition("/")
        Site.parse(f"{place}.up" if moves == "full" else place)
        if moves == "full":
            if not slash or not part or not math.prod(shape):
                raise ValueError(f"{short(name)} is no parameter of a block; train again")
            continue
        other = shapes.get(f"{place}/{'B' if part == 'A' else 'A'}", ())
        mine, rank = (shape[0], other[-1:]) if part == "A" else (shape[-1], other[:1])
        fits = len(shape) == len(other) == 2 and rank == (mine,) and math.prod(shape) > 0
        if part not in ("A", "B") or not fits:
            raise ValueError(
                f"{short(name)} is {shape}, beside {other or 'nothing'}; a site has A (r, in) and "
                "B (out, r), so train again"
            )
