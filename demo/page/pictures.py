"""Pictures for the page: thumbnails, what the model sees of an image, and its patch map."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

THUMBNAIL = 56  # CSS pixels, drawn at twice that
SHOWN = 448

_OUT, _BETWEEN, _IN = (np.array(c) for c in ((224, 112, 16), (236, 232, 226), (20, 110, 180)))


def thumbnail(image: Image.Image) -> str:
    """A small square of the image's middle, as a data URI."""
    return _uri(_square(image, 1.0).resize((THUMBNAIL * 2,) * 2, Image.Resampling.BILINEAR), 70)


def seen(image: Image.Image, preprocess: Callable) -> str:
    """The part of the image that the model looks at, larger than the model has it; a data URI."""
    shown = _square(image, _margin(preprocess)) if _crops(preprocess) else image
    shown = shown.resize((SHOWN, SHOWN), Image.Resampling.BICUBIC)
    return _uri(shown, 85)


class PatchMap(NamedTuple):
    """Colour and words of each patch, row by row."""

    width: int
    height: int
    label: str
    cells: list[tuple[str, str]]


def patch_map(patches: np.ndarray, labels: Sequence[Sequence[str]]) -> PatchMap:
    """Of `patches (h, w)`, how sure each is of its best label, one of `labels (h, w)`: blue high,
    orange low."""
    h, w = patches.shape
    cells = [
        (_colour(value), f"{label} {value:.2f}")
        for row, names in zip(patches.tolist(), labels, strict=True)
        for value, label in zip(row, names, strict=True)
    ]
    best = float(patches.max())
    label = f"Patch map of {h} by {w} patches; the best patch is {best:.2f} sure of one label"
    return PatchMap(w, h, label, cells)


def _colour(value: float) -> str:
    low, high, share = (
        (_OUT, _BETWEEN, 2 * value) if value < 0.5 else (_BETWEEN, _IN, 2 * value - 1)
    )
    red, green, blue = (low + (high - low) * share).astype(int)
    return f"rgb({red},{green},{blue})"


def _square(image: Image.Image, share: float) -> Image.Image:
    """The middle square whose side is `share` of the shorter side."""
    side = max(1, round(min(image.size) * share))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _steps(preprocess: Callable) -> dict[str, Any]:
    return {type(step).__name__: step for step in getattr(preprocess, "transforms", ())}


def _crops(preprocess: Callable) -> bool:
    """Whether a middle square is cut out; some models squash the image instead."""
    return "CenterCrop" in _steps(preprocess)


def _margin(preprocess: Callable) -> float:
    """The crop's side as a share of the resized image's shorter side."""
    steps = _steps(preprocess)
    crop, resize = _side(steps["CenterCrop"]), _side(steps.get("Resize", steps["CenterCrop"]))
    return min(1.0, crop / resize)


def _side(step: Any) -> int:
    size = step.size
    return min(size) if isinstance(size, (tuple, list)) else size


def _uri(image: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
