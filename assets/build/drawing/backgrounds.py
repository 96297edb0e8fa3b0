"""Procedural backgrounds, drawn in continuous coordinates: one seed gives one picture at any size.

`TRAINED` families may be drawn in training; `HELD_OUT` families make the OOD set "textures".
Each family is a function (n, side, generator) -> (n, 3, side, side) in [0, 1].
"""

from collections.abc import Callable
from math import pi

import torch
from torch import Tensor
from torch.nn import functional as F

from assets.build.drawing.textures import (
    HELD_OUT,
    blend,
    colours,
    fractal,
    grid,
    turned,
    uniform,
    value_noise,
)

Family = Callable[[int, int, torch.Generator], Tensor]
__all__ = ["HELD_OUT", "TRAINED", "draw_family", "noise"]


def draw_family(name: str, n: int, side: int, gen: torch.Generator) -> Tensor:
    """`n` backgrounds of one family, (n, 3, side, side) in [0, 1]."""
    return (TRAINED | HELD_OUT)[name](n, side, gen).clamp(0, 1)


def gradient(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = grid(side)
    along, _ = turned(x, y, uniform(gen, n, 0, 2 * pi))
    return blend(colours(gen, n), colours(gen, n), (along + 0.5).clamp(0, 1))


def spotlight(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = grid(side)
    radius = ((x - uniform(gen, n, -0.3, 0.3)) ** 2 + (y - uniform(gen, n, -0.3, 0.3)) ** 2).sqrt()
    inner = colours(gen, n, value=(0.75, 1.0), saturation=(0.1, 0.6))
    return blend(inner, inner * uniform(gen, n, 0.3, 0.7), (radius / 0.8).clamp(0, 1))


def stripes(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = grid(side)
    along, _ = turned(x, y, uniform(gen, n, 0, pi))
    wave = torch.sin(along * 2 * pi * uniform(gen, n, 2.5, 8) + uniform(gen, n, 0, 6))
    return blend(colours(gen, n), colours(gen, n), torch.sigmoid(wave * 25))


def checks(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = turned(*grid(side), uniform(gen, n, 0, pi / 2))
    count = uniform(gen, n, 2, 5)
    board = torch.sin(x * pi * count * 2) * torch.sin(y * pi * count * 2)
    return blend(colours(gen, n), colours(gen, n), torch.sigmoid(board * 60))


def bricks(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = grid(side)
    rows = uniform(gen, n, 5, 9).round()
    row = ((y + 0.5) * rows).floor()
    across = (x + 0.5) * rows / 2 + (row % 2) / 2
    to_side = torch.minimum(across % 1, 1 - across % 1) * 2
    to_top = torch.minimum(((y + 0.5) * rows) % 1, 1 - ((y + 0.5) * rows) % 1)
    clay = colours(gen, n, hue=(-0.02, 0.08), saturation=(0.3, 0.65), value=(0.45, 0.8))
    tint = 1 + 0.25 * torch.sin(row * 12.9 + across.floor() * 78.2 + uniform(gen, n, 0, 6))
    face = clay * (0.82 + 0.18 * tint) * (0.85 + 0.3 * fractal(gen, n, side, 16))
    mortar = colours(gen, n, saturation=(0, 0.12), value=(0.6, 0.9))
    return blend(mortar, face, torch.sigmoid((torch.minimum(to_side, to_top) - 0.06) * 90))


def tiles(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = grid(side)
    count = uniform(gen, n, 3, 6).round()
    edge = torch.minimum(*(torch.minimum((a * count) % 1, 1 - (a * count) % 1) for a in (x, y)))
    glaze = colours(gen, n, saturation=(0.05, 0.4), value=(0.7, 0.95))
    face = glaze * (0.9 + 0.15 * fractal(gen, n, side, 4))
    return blend(glaze * 0.7, face, torch.sigmoid((edge - 0.04) * 120))


def wood(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = grid(side)
    upright = (torch.rand(n, 1, 1, 1, generator=gen) < 0.5).float()
    along, across = blend(x, y, upright), blend(y, x, upright)
    planks = uniform(gen, n, 3, 6).round()
    plank = ((across + 0.5) * planks).floor()
    bend = value_noise(gen, n, side, 3, 3)
    rings = torch.sin((across * 3 + 0.15 * along + 0.3 * bend + plank * 0.37) * 40)
    timber = colours(gen, n, hue=(0.05, 0.11), saturation=(0.35, 0.65), value=(0.5, 0.85))
    tint = 1 + 0.12 * torch.sin(plank * 37.7 + uniform(gen, n, 0, 6))
    place = ((across + 0.5) * planks) % 1
    gap = torch.sigmoid((torch.minimum(place, 1 - place) - 0.025) * 120)
    return timber * tint * (0.93 + 0.07 * rings) * (0.45 + 0.55 * gap)


def grass(n: int, side: int, gen: torch.Generator) -> Tensor:
    blades = 0.6 * value_noise(gen, n, side, 8, 44) + 0.4 * value_noise(gen, n, side, 16, 60)
    dark = colours(gen, n, hue=(0.22, 0.36), saturation=(0.5, 0.8), value=(0.25, 0.45))
    light = colours(gen, n, hue=(0.2, 0.32), saturation=(0.4, 0.75), value=(0.6, 0.85))
    share = blades * 1.4 - 0.2 + 0.3 * value_noise(gen, n, side, 4, 4)
    return blend(dark, light, share.clamp(0, 1))


def sand(n: int, side: int, gen: torch.Generator) -> Tensor:
    base = colours(gen, n, hue=(0.07, 0.13), saturation=(0.2, 0.45), value=(0.7, 0.92))
    _, y = grid(side)
    ripple = torch.sin((y + 0.15 * value_noise(gen, n, side, 4, 4)) * uniform(gen, n, 25, 55))
    return base * (0.86 + 0.06 * ripple + 0.16 * value_noise(gen, n, side, 64, 64))


def sky(n: int, side: int, gen: torch.Generator) -> Tensor:
    _, y = grid(side)
    high = colours(gen, n, hue=(0.54, 0.64), saturation=(0.4, 0.75), value=(0.7, 0.95))
    low = colours(gen, n, hue=(0.5, 0.62), saturation=(0.1, 0.35), value=(0.9, 1.0))
    puffs = ((fractal(gen, n, side, 4) - uniform(gen, n, 0.42, 0.58)) * 5).clamp(0, 1)
    return blend(blend(high, low, (y + 0.5).clamp(0, 1)), torch.ones(n, 3, 1, 1), puffs * 0.85)


def water(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = grid(side)
    shift = value_noise(gen, n, side, 5, 3)
    ripple = torch.sin((y * 1.2 + 0.2 * shift + 0.05 * torch.sin(x * 17)) * uniform(gen, n, 25, 50))
    deep = colours(gen, n, hue=(0.5, 0.62), saturation=(0.45, 0.8), value=(0.4, 0.75))
    return blend(deep, torch.ones(n, 3, 1, 1), 0.12 + 0.12 * ripple) * (0.85 + 0.25 * shift)


def meadow(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = grid(side)
    hills = 0.06 * torch.sin(x * uniform(gen, n, 3, 8) + uniform(gen, n, 0, 6))
    below = torch.sigmoid((y - uniform(gen, n, -0.1, 0.3) + hills) * 90)
    return blend(sky(n, side, gen), grass(n, side, gen), below)


def lights(n: int, side: int, gen: torch.Generator) -> Tensor:
    """Soft discs of light on a dark ground."""
    x, y = grid(side)
    picture = gradient(n, side, gen) * uniform(gen, n, 0.25, 0.5)
    for _ in range(9):
        radius = (
            (x - uniform(gen, n, -0.55, 0.55)) ** 2 + (y - uniform(gen, n, -0.55, 0.55)) ** 2
        ).sqrt()
        disc = torch.sigmoid((uniform(gen, n, 0.04, 0.14) - radius) * 60)
        picture = picture + 0.4 * disc * colours(gen, n, value=(0.7, 1.0))
    return picture.clamp(0, 1)


def clouded(n: int, side: int, gen: torch.Generator) -> Tensor:
    """Smooth noise between two colours."""
    first, second = colours(gen, n), colours(gen, n)
    return blend(first, second, (fractal(gen, n, side, 3) * 1.8 - 0.4).clamp(0, 1))


def plain(n: int, side: int, gen: torch.Generator) -> Tensor:
    return colours(gen, n) * (0.97 + 0.06 * value_noise(gen, n, side, 4, 4))


TRAINED: dict[str, Family] = {
    f.__name__: f
    for f in (
        gradient,
        spotlight,
        stripes,
        checks,
        bricks,
        tiles,
        wood,
        grass,
        sand,
        sky,
        water,
        meadow,
        lights,
        clouded,
        plain,
    )
}


def noise(n: int, side: int, gen: torch.Generator) -> Tensor:
    """The OOD set "noise": independent pixels, salt and pepper, coarse grain; never trained on."""
    grain = F.interpolate(torch.rand(n, 3, 48, 48, generator=gen), size=side, mode="nearest")
    fine = torch.randn(n, 3, side, side, generator=gen) * 0.25 + 0.5
    grey = torch.rand(n, 1, side, side, generator=gen).expand(n, 3, side, side)
    salt = (torch.rand(n, 1, side, side, generator=gen) < 0.5).float().expand(n, 3, side, side)
    kind = torch.arange(n) % 4
    return torch.stack((grain, fine, grey, salt))[kind, torch.arange(n)].clamp(0, 1)
