"""Pictures for the page: thumbnails, what the model sees of an image, and its patch map."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

THUMBNAIL = 56  # CSS pixels, drawn at twice that
SHOWN = 448


def thumbnail(image: Image.Image) -> str:
    """A small square of the image's middle, as a data URI."""
    return _uri(_square(image, 1.0).resize((THUMBNAIL * 2,) * 2, Image.Resampling.BILINEAR), 70)


def seen(image: Image.Image, preprocess: Callable) -> str:
    """The part of the image that the model looks at, larger than the model has it; a data URI."""
    shown = _square(image, _margin(preprocess)) if _crops(preprocess) else image
    shown = shown.resize((SHOWN, SHOWN), Image.Resampling.BICUBIC)
    return _uri(shown, 85)


class PatchMap(NamedTuple):
    """How far each patch is veiled, from 0 to 1, and its words, row by row."""

    width: int
    height: int
    label: str
    cells: list[tuple[float, str]]


def patch_map(support: np.ndarray, name: str) -> PatchMap:
    """Of `support (h, w)`, what each patch adds to the label of that name: the more of the most
    that any adds, the clearer it is; what speaks against it is veiled."""
    h, w = support.shape
    most = max(float(support.max()), 0.0)
    shares = np.clip(support / most, 0, 1) if most else np.zeros_like(support)
    cells = [
        (round(1 - share, 2), f"{value:+.2f} for {name}")
        for share, value in zip(shares.ravel().tolist(), support.ravel().tolist(), strict=True)
    ]
    row, column = np.unravel_index(support.argmax(), support.shape)
    label = (
        f"Map of {h} by {w} places; row {row + 1}, column {column + 1} speaks most for {name}"
        if most
        else f"Map of {h} by {w} places; none speaks for {name}"
    )
    return PatchMap(w, h, label, cells)


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
