"""Emoji sprites: drawn once from Noto Color Emoji, cropped, centred, kept as an image pyramid."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional as F

FONT_PLACES = (
    Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/google-noto-emoji/NotoColorEmoji.ttf"),
    Path.home() / ".local/share/fonts/NotoColorEmoji.ttf",
)
STRIKE = 109  # the only size in which the bitmap font exists, pixels per em
SIDE = 160  # of the largest sprite in the pyramid, pixels
FILL = 0.8  # the longer side of the drawing, as a share of SIDE; the margin holds the soft shadow


class Atlas(NamedTuple):
    """Sprites as premultiplied RGBA in [0, 1], each level half the side of the one before."""

    levels: tuple[torch.Tensor, ...]  # (S, 4, side, side)
    shadow: torch.Tensor  # (S, 1, 40, 40), blurred alpha

    def __len__(self) -> int:
        return len(self.shadow)


def font_path() -> Path:
    """Where Noto Color Emoji is installed.

    Raises: FileNotFoundError naming the remedy.
    """
    for place in FONT_PLACES:
        if place.is_file():
            return place
    raise FileNotFoundError(
        "NotoColorEmoji.ttf was not found in "
        + ", ".join(str(p.parent) for p in FONT_PLACES)
        + "; install it with: apt-get install fonts-noto-color-emoji"
    )


def atlas_of(characters: str | tuple[str, ...]) -> Atlas:
    """The pyramid of the sprites of `characters`, in their order."""
    return atlas_from(torch.stack([_sprite(char) for char in characters]))


def atlas_from(top: torch.Tensor) -> Atlas:
    """The pyramid over premultiplied RGBA sprites (S, 4, side, side)."""
    half = F.avg_pool2d(top, 2)
    levels = (top, half, F.avg_pool2d(half, 2))
    alpha = F.interpolate(top[:, 3:], size=40, mode="area")
    kernel = torch.exp(-torch.arange(-5.0, 6.0).square() / 8)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, 11)
    blurred = F.conv2d(F.conv2d(alpha, kernel, padding=(0, 5)), kernel.mT, padding=(5, 0))
    return Atlas(levels, blurred)


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_path()), STRIKE)


@cache
def _sprite(char: str) -> torch.Tensor:
    """One premultiplied sprite (4, SIDE, SIDE), its drawing FILL * SIDE long and centred."""
    canvas = Image.new("RGBA", (220, 220), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((30, 30), char + "\ufe0f", font=_font(), embedded_color=True)
    box = canvas.getchannel("A").getbbox()
    if box is None:
        raise ValueError(f"the font draws nothing for U+{ord(char):04X}; leave it out of the lists")
    pixels = np.asarray(canvas.crop(box), np.float32) / 255
    pixels[..., :3] *= pixels[..., 3:]
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    height, width = tensor.shape[2:]
    scale = FILL * SIDE / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    tensor = F.interpolate(tensor, size=size, mode="bicubic", antialias=True).clamp(0, 1)[0]
    sprite = torch.zeros(4, SIDE, SIDE)
    top, left = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    sprite[:, top : top + size[0], left : left + size[1]] = tensor
    sprite[:3] = torch.minimum(sprite[:3], sprite[3:])
    return sprite
