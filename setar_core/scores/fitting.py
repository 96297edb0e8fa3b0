"""What scores learn, and what they learned as a file: safetensors, never a pickle.

A file holds on the same weights, recipe, labels, shaping and options alone, and is looked at before
a tensor of it is read: its size, then every name, type and shape.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..data.strict import loads, said, short
from . import SCORES, Score, ScoreOptions
from .evidence import Evidence
from .shaping import Shaping

OnRefusal = Callable[[str, str], object]  # a score's name, and the reason
VERSION = 1
MAX_BYTES = 4 * 2**30  # a million images of 1,024 dimensions
KEY = "setar"  # of what the file says of itself


class Ground(NamedTuple):
    """What all that was learned rests on: fingerprints of the original weights, the recipe and the
    labels, and the shaping."""

    weights: str
    recipe: str
    labels: str
    shaping: Shaping | None

    def page(self) -> dict[str, str]:
        """As JSON values."""
        shaping = str(self.shaping.asked) if self.shaping else ""
        return {**self._asdict(), "shaping": shaping}


def fingerprint_of(learned: Mapping[str, Tensor]) -> str:
    """Sixteen characters that change with any of the tensors."""
    text = hashlib.sha256()
    for name, tensor in sorted(learned.items()):
        text.update(f"{name} {tuple(tensor.shape)}".encode())
        text.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return text.hexdigest()[:16]


def learned(
    scores: Iterable[Score],
    parts: Sequence[Evidence],
    options: ScoreOptions,
    on_refusal: OnRefusal | None = None,
) -> dict[str, Score]:
    """The scores that could learn from ID images, with what they learned, each tried on some.

    Args:
        parts: the images' evidence; that of all together is learned from.
        on_refusal: told of a score that could not, and why.

    Raises:
        ValueError: no image; a score that could not, when `on_refusal` is None.
    """
    images, found = together(parts), {}
    for score in scores:
        try:
            fitted = score.fit(images, options)
            sure = bool(fitted(parts[0], options).isfinite().all())
        except ValueError as error:
            refuse(score.name, str(error), on_refusal)
            continue
        if sure:
            found[score.name] = fitted
        else:
            reason = "of the ID images it learned from is no finite number; give other images"
            refuse(score.name, f"{score.title} {reason}", on_refusal)
    return found


def together(parts: Sequence[Evidence]) -> Evidence:
    """That of all ID images; raises ValueError where none could be read."""
    if not parts:
        raise ValueError("none of the ID images to learn from could be read; give others")
    return Evidence.join(parts)


def refuse(name: str, reason: str, on_refusal: OnRefusal | None) -> None:
    """Tell of it; raises ValueError where nobody is told."""
    if on_refusal is None:
        raise ValueError(reason)
    on_refusal(name, reason)


def save(
    path: str | Path, fitted: Mapping[str, Score], options: ScoreOptions, ground: Ground
) -> None:
    """Write what scores learned by these options, and the limit that the shaping learned.

    What was there stays until the new file is whole.

    Raises:
        ValueError: nothing was learned, or a score does not name what it learns.
        OSError: the disk is full, or gone.
    """
    from safetensors.torch import save as as_bytes

    limit = ground.shaping.limit if ground.shaping else None
    if not fitted and limit is None:
        raise ValueError("nothing was learned yet; fit it on ID images first")
    tensors: dict[str, Tensor] = {}
    for name, score in fitted.items():
        learned = score.learned or {}
        if learned.keys() != score.tensors.keys():
            raise ValueError(
                f"{score.title} learned {', '.join(learned)}, and names {dict(score.tensors)} in "
                "the catalogue; name there what it learns to keep it"
            )
        tensors |= {f"{name}.{part}": x.cpu().contiguous() for part, x in learned.items()}
    page = {
        "version": VERSION,
        **ground.page(),
        "limit": limit,
        "options": {name: _by(score, options) for name, score in fitted.items()},
    }
    if not tensors:
        tensors["nothing"] = torch.zeros(1)  # a file of safetensors has a tensor
    _write(Path(path), as_bytes(tensors, {KEY: json.dumps(page, allow_nan=False)}))


def load(
    path: str | Path, options: ScoreOptions, ground: Ground, sizes: Mapping[str, int]
) -> tuple[float | None, dict[str, Score]]:
    """The limit that the shaping learned, and the scores with what they learned.

    Args:
        sizes: of the axes that the backbone and the labels decide, as `Score.tensors` names them.

    Raises:
        ValueError: no such file, no safetensors, learned on another ground or by other options,
            or tensors that are not those of a score.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give one that a detector's fit was saved in")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes; at most {MAX_BYTES} are read")
    try:
        with safe_open(path, framework="pt") as file:
            page = _page(path, file.metadata())
            _check_ground(path, page, options, ground)
            wanted = _names(page)
            if set(file.keys()) != (set(wanted) or {"nothing"}):
                raise ValueError(
                    f"{path} holds the tensors {short(sorted(file.keys()))}, and not those that "
                    f"{short(sorted(page['options']))} learn; fit again"
                )
            for name in wanted:
                part = file.get_slice(name)
                if part.get_dtype() != "F32":
                    raise ValueError(f"{path}: {name} is {part.get_dtype()}, not F32; fit again")
            _check_shapes(path, {n: file.get_slice(n).get_shape() for n in wanted}, sizes)
            tensors = {name: file.get_tensor(name) for name in wanted}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is not a safetensors file ({said(error)}); a renamed pickle is refused. Save "
            "the fit again"
        ) from None
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"{path}: {name} holds what is no finite number; fit again")
    fitted = {
        name: replace(
            SCORES[name],
            learned={part: tensors[f"{name}.{part}"] for part in SCORES[name].tensors},
        )
        for name in page["options"]
    }
    return page["limit"], fitted


def _by(score: Score, options: ScoreOptions) -> dict[str, Any]:
    return {name: asdict(options)[name] for name in score.learns_by}


def _page(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """What the file says of itself, every value of its own kind."""
    text = (metadata or {}).get(KEY)
    if text is None:
        raise ValueError(f"{path} is no fit that a detector saved; give one")
    try:
        page = loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is no fit that a detector saved: {error}") from None
    kinds: dict[str, type | tuple[type, ...]] = {
        "version": int,
        "weights": str,
        "recipe": str,
        "labels": str,
        "shaping": str,
        "limit": (float, type(None)),
        "options": dict,
    }
    if not isinstance(page, dict) or page.get("version") != VERSION:
        raise ValueError(f"{path} is no fit of version {VERSION}; fit again")
    for name, kind in kinds.items():
        if name not in page or not isinstance(page[name], kind):
            raise ValueError(f"{path}: its {name} is {short(page.get(name))}; fit again")
    return page


def _check_ground(
    path: Path, page: Mapping[str, Any], options: ScoreOptions, ground: Ground
) -> None:
    for name, ours in ground.page().items():
        if page[name] != ours:
            raise ValueError(
                f"{path} was learned with other {name}: {short(page[name])}, here it is "
                f"{short(ours)}; fit again"
            )
    learns = bool(ground.shaping and ground.shaping.asked.learns)
    if learns != (page["limit"] is not None):
        raise ValueError(f"{path}: its limit is {page['limit']}; fit again")
    for name, by in page["options"].items():
        if name not in SCORES or not SCORES[name].tensors:
            raise ValueError(f"{path}: no score {short(name)} learns what is kept; fit again")
        here = _by(SCORES[name], options)
        if by != here:
            raise ValueError(
                f"{path}: {SCORES[name].title} learned by {short(by)}, here it is {short(here)}; "
                "fit again"
            )


def _names(page: Mapping[str, Any]) -> dict[str, str]:
    """The axes of each tensor that the file has to hold."""
    return {
        f"{name}.{part}": axes
        for name in page["options"]
        for part, axes in SCORES[name].tensors.items()
    }


def _check_shapes(path: Path, shapes: Mapping[str, list[int]], sizes: Mapping[str, int]) -> None:
    """Raises ValueError unless each axis has one size wherever a score names it."""
    known: dict[tuple[str, str], int] = {}
    for name, shape in shapes.items():
        score, _, part = name.partition(".")
        axes = SCORES[score].tensors[part].split()
        wanted = [sizes[axis] if axis in sizes else known.get((score, axis), 0) for axis in axes]
        fits = len(shape) == len(axes) and all(
            have > 0 and want in (0, have) for have, want in zip(shape, wanted, strict=True)
        )
        if not fits:
            expected = " x ".join(
                str(want) if want else axis for want, axis in zip(wanted, axes, strict=True)
            )
            raise ValueError(f"{path}: {name} is {short(shape)}, not {expected}; fit again")
        known |= {(score, axis): size for axis, size in zip(axes, shape, strict=True)}


def _write(path: Path, data: bytes) -> None:
    real = path.resolve()
    part = real.with_name(f"{real.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, real)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
