"""Photographs told from drawn scenes by statistics of their pixels, for a backbone that knows only
the latter.

What a lens and a sensor leave behind is fine detail at every scale, whose channels go together and
whose strength hardly changes from place to place; what is drawn has flat parts and hard edges.
Boosted trees weigh the statistics; they were grown on photographs and scenes that nothing else uses
(`python -m assets.build.photographs`).
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from .paths import BACKBONES

SIDE = 128  # pixels of the middle square that is looked at
TILES = 8  # a side
FILE = BACKBONES / "emoji" / "photographs.safetensors"

Array = np.ndarray[Any, np.dtype[np.float32]]


class Trees(NamedTuple):
    """Nodes of all trees, `(n,)` each; a leaf is its own child. `line` is where a photograph
    begins."""

    roots: np.ndarray[Any, np.dtype[np.int64]]
    feature: np.ndarray[Any, np.dtype[np.int64]]
    threshold: Array
    left: np.ndarray[Any, np.dtype[np.int64]]
    right: np.ndarray[Any, np.dtype[np.int64]]
    value: Array
    line: Array

    def __call__(self, statistics: Array) -> float:
        """The sum of the leaves that the statistics `(S,)` come to."""
        at = self.roots
        while True:
            goes = statistics[self.feature[at]] <= self.threshold[at]
            to = np.where(goes, self.left[at], self.right[at])
            if (to == at).all():
                return float(self.value[at].sum())
            at = to


def is_photograph(image: Image.Image) -> bool:
    """Whether an RGB image is a photograph rather than a drawn scene; one colour is neither."""
    trees, pixels = _trees(), np.asarray(image)
    plain = bool((pixels == pixels[0, 0]).all())
    return not plain and trees(statistics(image)) > float(trees.line[0])


@cache
def _trees() -> Trees:
    return Trees(**load_file(FILE))


def statistics(image: Image.Image) -> Array:
    """What is measured of the middle square of an RGB image, `(S,)` float32."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    way = Image.Resampling.BICUBIC if side < SIDE else Image.Resampling.LANCZOS
    small = square.resize((SIDE, SIDE), way)
    pixels: Array = np.asarray(small, dtype=np.float32) / np.float32(255)
    grey = pixels.mean(axis=2)
    halved = small.convert("L").resize((SIDE // 2, SIDE // 2), Image.Resampling.BOX)
    coarse = halved.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    fine = grey - np.asarray(coarse, dtype=np.float32) / 255
    found = [*_edges(grey), *_places(grey, fine), *_fine(fine), *_spectrum(grey), *_colours(pixels)]
    return np.nan_to_num(np.array(found, dtype=np.float32))


def _edges(grey: Array) -> list[float]:
    """How strong edges are, and which way they run."""
    across, down = np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1]
    strength = np.hypot(across, down)
    logs = np.log(strength + 1e-4)
    centred = logs - logs.mean()
    spread = logs.std() + 1e-6
    ways = np.histogram(np.arctan2(down, across) % np.pi, 8, (0, np.pi), weights=strength)[0]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    curved = np.abs(4 * grey[1:-1, 1:-1] - around)
    return [
        *np.quantile(logs, (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)),
        *np.histogram(logs, 12, (-9.3, 0))[0] / logs.size,
        spread,
        (centred**3).mean() / spread**3,
        (centred**4).mean() / spread**4,
        *np.sort(ways / (ways.sum() + 1e-6))[::-1],
        np.log(curved.mean() + 1e-4),
        np.log(np.median(curved) + 1e-4),
    ]


def _places(grey: Array, fine: Array) -> list[float]:
    """How much contrast, edges and detail change from place to place."""
    strength = np.hypot(np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1])
    found = []
    for values in (
        np.log(_tiles(grey).std(axis=(1, 2)) + 1e-3),
        np.log(_tiles(strength).mean(axis=(1, 2)) + 1e-3),
        np.log(_tiles(np.abs(fine)).mean(axis=(1, 2)) + 1e-4),
    ):
        found += [*np.quantile(values, (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)), values.std()]
    return [*found, _tiles(grey).mean(axis=(1, 2)).std()]


def _tiles(values: Array) -> Array:
    size = values.shape[0] // TILES
    cut = values[: size * TILES, : size * TILES]
    return cut.reshape(TILES, size, TILES, size).transpose(0, 2, 1, 3).reshape(-1, size, size)


def _fine(fine: Array) -> list[float]:
    """How strong detail of a pixel is, and how far it goes together."""
    strong = np.log(np.quantile(np.abs(fine), (0.5, 0.75, 0.9, 0.99)) + 1e-4)
    along = [_together(fine[:, :-k], fine[:, k:]) for k in (1, 2, 3)]
    down = [_together(fine[:-k], fine[k:]) for k in (1, 2, 3)]
    return [*strong, *along, *down]


def _together(one: Array, other: Array) -> float:
    spread = one.std() * other.std()
    return float(((one - one.mean()) * (other - other.mean())).mean() / spread) if spread else 0.0


def _spectrum(grey: Array) -> list[float]:
    """The power at five scales."""
    window = np.outer(np.hanning(SIDE), np.hanning(SIDE))
    power = np.abs(np.fft.fftshift(np.fft.fft2((grey - grey.mean()) * window))) ** 2
    axis = np.arange(SIDE) - SIDE // 2
    radius = np.hypot(*np.meshgrid(axis, axis))
    bands = ((1, 4), (4, 8), (8, 16), (16, 32), (32, 64))
    return [np.log(power[(radius >= low) & (radius < high)].mean() + 1e-6) for low, high in bands]


def _colours(pixels: Array) -> list[float]:
    """How light, how colourful, how many colours, and whether the channels change together."""
    grey, flat = pixels.mean(axis=2), pixels.reshape(-1, 3)
    colourful = pixels.max(axis=2) - pixels.min(axis=2)
    steps = [
        np.concatenate([np.diff(pixels[..., c], axis=axis).ravel() for axis in (0, 1)])
        for c in range(3)
    ]
    alike = [_together(steps[i], steps[j]) for i, j in ((0, 1), (1, 2), (0, 2))]
    cells = (pixels * 7.99).astype(int) @ np.array([64, 8, 1])
    shares = np.bincount(cells.ravel(), minlength=512) / cells.size
    held = shares[shares > 0]
    red, green, blue = np.moveaxis(pixels, 2, 0)
    hue = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)
    hues = np.histogram(hue, 8, (-np.pi, np.pi), weights=colourful)[0]
    spread = np.linalg.eigvalsh(np.cov(flat.T)) + 1e-6
    return [
        *alike,
        *np.quantile(grey, (0.02, 0.05, 0.25, 0.5, 0.75, 0.95, 0.98)),
        grey.std(),
        *np.quantile(colourful, (0.1, 0.25, 0.5, 0.75, 0.9, 0.95)),
        colourful.mean(),
        colourful.std(),
        -(held * np.log(held)).sum(),
        *np.sort(shares)[::-1][:8],
        *np.sort(hues / (hues.sum() + 1e-6))[::-1],
        *np.log(spread),
    ]
