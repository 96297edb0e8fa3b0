"""The drawing primitives of backgrounds, and the families that training never sees."""

from math import pi

import torch
from torch import Tensor
from torch.nn import functional as F


def uniform(gen: torch.Generator, n: int, low: float, high: float) -> Tensor:
    """(n, 1, 1, 1) numbers in [low, high)."""
    return torch.rand(n, 1, 1, 1, generator=gen) * (high - low) + low


def colours(
    gen: torch.Generator,
    n: int,
    hue: tuple[float, float] = (0.0, 1.0),
    saturation: tuple[float, float] = (0.1, 0.75),
    value: tuple[float, float] = (0.35, 1.0),
) -> Tensor:
    """(n, 3, 1, 1) RGB colours with hue (turns), saturation and value in the given ranges."""
    h, s, v = (uniform(gen, n, *span) for span in (hue, saturation, value))
    ramp = (h * 6 + torch.tensor([5.0, 3.0, 1.0]).view(1, 3, 1, 1)) % 6
    return v - v * s * torch.minimum(ramp, 4 - ramp).clamp(0, 1)


def grid(side: int) -> tuple[Tensor, Tensor]:
    """x and y of the pixel centres, each (1, 1, side, side) in (-0.5, 0.5)."""
    line = (torch.arange(side) + 0.5) / side - 0.5
    return line.view(1, 1, 1, side).expand(1, 1, side, side), line.view(1, 1, side, 1).expand(
        1, 1, side, side
    )


def turned(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """The coordinates after a turn by `angle` (n, 1, 1, 1), radians."""
    return x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()


def blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """`first` where share is 0, `second` where it is 1."""
    return first + (second - first) * share


def value_noise(gen: torch.Generator, n: int, side: int, rows: int, columns: int) -> Tensor:
    """(n, 1, side, side) smooth noise in [0, 1] with that many knots."""
    knots = torch.rand(n, 1, rows + 1, columns + 1, generator=gen)
    return F.interpolate(knots, size=side, mode="bicubic", align_corners=True).clamp(0, 1)


def fractal(gen: torch.Generator, n: int, side: int, knots: int) -> Tensor:
    """(n, 1, side, side) noise in [0, 1] summed over four octaves."""
    total = sum(value_noise(gen, n, side, knots * 2**k, knots * 2**k) / 2**k for k in range(4))
    return total / 1.875


def tartan(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = turned(*grid(side), (torch.rand(n, 1, 1, 1, generator=gen) < 0.5) * (pi / 4))
    picture = colours(gen, n, saturation=(0.4, 0.8), value=(0.4, 0.8))
    for share in (0.5, 0.35, 0.5):
        count, phase = uniform(gen, n, 2, 4).round(), uniform(gen, n, 0, 6)
        width, colour = uniform(gen, n, 0.0, 0.85), colours(gen, n)
        for axis in (x, y):
            band = torch.sigmoid((torch.sin(axis * 2 * pi * count + phase) - width) * 20)
            picture = blend(picture, colour, band * share)
    return picture


def chevron(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = grid(side)
    count = uniform(gen, n, 3, 6)
    saw = ((x * count) % 1 - 0.5).abs()
    wave = torch.sin((y * count + saw) * 2 * pi)
    return blend(colours(gen, n), colours(gen, n), torch.sigmoid(wave * 25))


def scales(n: int, side: int, gen: torch.Generator) -> Tensor:
    """Rows of overlapping round scales."""
    x, y = grid(side)
    count = uniform(gen, n, 4, 7)
    row = (y * count * 2).floor()
    across = (x * count + (row % 2) / 2) % 1 - 0.5
    radius = (across**2 + (((y * count * 2) % 1) / 2) ** 2).sqrt()
    shade = (torch.sin(radius * uniform(gen, n, 14, 26)) * 0.5 + 0.5) * 0.6 + radius * 0.5
    return blend(colours(gen, n), colours(gen, n), shade.clamp(0, 1))


def mosaic(n: int, side: int, gen: torch.Generator) -> Tensor:
    """Cells around random points, each of its own shade."""
    x, y = grid(side)
    points = torch.rand(n, 40, 2, generator=gen) - 0.5
    far = (x - points[:, :, :1, None]) ** 2 + (y - points[:, :, 1:, None]) ** 2
    near = far.topk(2, dim=1, largest=False)
    edge = near.values[:, 1:].sqrt() - near.values[:, :1].sqrt()
    shade = torch.sin(near.indices[:, :1] * 12.9898).abs()
    cell = blend(colours(gen, n), colours(gen, n), shade)
    return blend(cell * 0.3, cell, torch.sigmoid((edge - 0.012) * 300))


def rings(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = grid(side)
    radius = ((x - uniform(gen, n, -0.5, 0.5)) ** 2 + (y - uniform(gen, n, -0.5, 0.5)) ** 2).sqrt()
    wave = torch.sin(radius * 2 * pi * uniform(gen, n, 4, 10))
    return blend(colours(gen, n), colours(gen, n), torch.sigmoid(wave * 10))


def marble(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = grid(side)
    along, _ = turned(x, y, uniform(gen, n, 0, pi))
    vein = torch.sin((along * 2 + 1.6 * fractal(gen, n, side, 3)) * uniform(gen, n, 6, 14)).abs()
    stone = colours(gen, n, saturation=(0.02, 0.3), value=(0.7, 0.97))
    return blend(stone * uniform(gen, n, 0.25, 0.5), stone, vein.clamp(min=1e-3) ** 0.4)


def hexagons(n: int, side: int, gen: torch.Generator) -> Tensor:
    x, y = grid(side)
    frequency = uniform(gen, n, 18, 36)
    waves = sum(torch.cos(turned(x, y, torch.tensor(k * pi / 3))[0] * frequency) for k in range(3))
    return blend(colours(gen, n), colours(gen, n), torch.sigmoid(waves * 4))


def spots(n: int, side: int, gen: torch.Generator) -> Tensor:
    """Uneven blotches with rims, as on a pelt or a lichen."""
    field = value_noise(gen, n, side, 9, 9)
    rim = torch.sigmoid((0.08 - (field - 0.55).abs()) * 70)
    ground, mark = colours(gen, n), colours(gen, n, value=(0.1, 0.5))
    return blend(blend(ground, ground * 0.8, torch.sigmoid((field - 0.6) * 40)), mark, rim)


HELD_OUT = {
    f.__name__: f for f in (tartan, chevron, scales, mosaic, rings, marble, hexagons, spots)
}
