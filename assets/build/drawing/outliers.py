"""Objects that are nothing: blobs, joined halves, shuffled pieces, textured silhouettes.

Training shows them as counter-examples for every label. They are made from trained sprites and
trained background families only; held-out concepts, textures and glyphs play no part.
"""

from math import pi

import torch
from torch import Tensor
from torch.nn import functional as F

from assets.build.drawing import backgrounds
from assets.build.drawing.sprites import FILL
from assets.build.drawing.textures import blend, colours, grid, turned, uniform


def nothings(sprites: Tensor, n: int, gen: torch.Generator) -> Tensor:
    """`n` counter-examples, premultiplied RGBA (n, 4, side, side), made from `sprites` (S, ...)."""
    kinds = (blobs, badges, halves, halves, shuffled, dressed)
    sizes = [n // len(kinds)] * (len(kinds) - 1)
    sizes.append(n - sum(sizes))
    made = torch.cat([kind(sprites, m, gen) for kind, m in zip(kinds, sizes, strict=True) if m])
    return made[torch.randperm(n, generator=gen)]


def blobs(sprites: Tensor, n: int, gen: torch.Generator) -> Tensor:
    """Rounded random shapes in random paint, some with spots."""
    side = sprites.shape[-1]
    x, y = grid(side)
    theta, radius = torch.atan2(y, x), (x**2 + y**2).sqrt()

    def shape(scale: Tensor) -> Tensor:
        edge = scale
        for wave in (2, 3, 5, 7):
            edge = edge + scale * uniform(gen, n, 0, 0.55 / wave**0.5) * torch.sin(
                wave * theta + uniform(gen, n, 0, 2 * pi)
            )
        return torch.sigmoid((edge.clamp(max=FILL / 2) - radius) * 250)

    alpha = shape(uniform(gen, n, 0.2, 0.36))
    paint = _paint(n, side, gen)
    inner = torch.where(uniform(gen, n, 0, 1) < 0.6, shape(uniform(gen, n, 0.08, 0.2)), 0)
    paint = blend(paint, colours(gen, n), inner)
    for _ in range(3):
        dx, dy = x - uniform(gen, n, -0.2, 0.2), y - uniform(gen, n, -0.2, 0.2)
        spot = (dx**2 + dy**2).sqrt()
        dot = torch.sigmoid((uniform(gen, n, -0.04, 0.07) - spot) * 150)
        paint = blend(paint, colours(gen, n, value=(0, 1)), dot)
    return torch.cat((paint * alpha, alpha), 1)


def badges(sprites: Tensor, n: int, gen: torch.Generator) -> Tensor:
    """Random strokes, half of them on a disc or a rounded square of one colour."""
    x, y = grid(sprites.shape[-1])
    power = torch.where(uniform(gen, n, 0, 1) < 0.5, 2.0, 6.0)
    plate = torch.sigmoid(
        (
            uniform(gen, n, 0.3, 0.4)
            - (x.abs() ** power + y.abs() ** power).clamp(min=1e-9) ** (1 / power)
        )
        * 250
    )
    plate = torch.where(uniform(gen, n, 0, 1) < 0.5, plate, 0)
    strokes = torch.zeros_like(plate)
    for _ in range(4):
        along, across = turned(
            x - uniform(gen, n, -0.2, 0.2), y - uniform(gen, n, -0.2, 0.2), uniform(gen, n, 0, pi)
        )
        away = ((along.abs() - uniform(gen, n, 0, 0.25)).clamp(min=0) ** 2 + across**2).sqrt()
        line = torch.sigmoid((uniform(gen, n, 0.015, 0.06) - away) * 250)
        strokes = torch.maximum(strokes, line * (uniform(gen, n, 0, 1) < 0.75))
    ink = torch.where(uniform(gen, n, 0, 1) < 0.5, 0.97, colours(gen, n))
    paint = blend(colours(gen, n, saturation=(0.2, 0.9)), ink, strokes)
    alpha = torch.maximum(plate, strokes)
    return torch.cat((paint * alpha, alpha), 1)


def halves(sprites: Tensor, n: int, gen: torch.Generator) -> Tensor:
    """One half of a sprite joined to another half of another."""
    first = torch.randint(len(sprites), (n,), generator=gen)
    step = torch.randint(3, len(sprites) - 3, (n,), generator=gen)
    second = (first + step) % len(sprites)
    along, _ = turned(*grid(sprites.shape[-1]), uniform(gen, n, 0, 2 * pi))
    cut = torch.sigmoid((along - uniform(gen, n, -0.05, 0.05)) * 200)
    other = sprites[second]
    other = torch.where(uniform(gen, n, 0, 1) < 0.5, other, other.flip(3))
    return blend(sprites[first], other, cut)


def shuffled(sprites: Tensor, n: int, gen: torch.Generator) -> Tensor:
    """The pieces of a sprite, two or three a side, in another order."""
    made = []
    for count, m in ((2, n // 2), (3, n - n // 2)):
        picked = sprites[torch.randint(len(sprites), (m,), generator=gen)]
        side = sprites.shape[-1]
        inner = round(side * FILL / count) * count
        low = (side - inner) // 2
        crop = picked[..., low : low + inner, low : low + inner]
        piece = inner // count
        pieces = crop.unfold(2, piece, piece).unfold(3, piece, piece).flatten(2, 3)
        order = torch.rand(m, count**2, generator=gen).argsort(1)
        order = torch.where(
            (order == torch.arange(count**2)).all(1, keepdim=True), order.flip(1), order
        )
        moved = pieces.gather(2, order[:, None, :, None, None].expand_as(pieces))
        crop = moved.unflatten(2, (count, count)).permute(0, 1, 2, 4, 3, 5).reshape(crop.shape)
        made.append(F.pad(crop, (low, side - low - inner, low, side - low - inner)))
    return torch.cat(made)


def dressed(sprites: Tensor, n: int, gen: torch.Generator) -> Tensor:
    """The silhouette of a sprite filled with a texture."""
    alpha = sprites[torch.randint(len(sprites), (n,), generator=gen), 3:]
    return torch.cat((_paint(n, sprites.shape[-1], gen) * alpha, alpha), 1)


def _paint(n: int, side: int, gen: torch.Generator) -> Tensor:
    """Fillings from the trained background families, (n, 3, side, side)."""
    names = list(backgrounds.TRAINED)
    family = torch.randint(len(names), (n,), generator=gen)
    paint = torch.empty(n, 3, side, side)
    for k in family.unique().tolist():
        rows = family == k
        paint[rows] = backgrounds.draw_family(names[k], int(rows.sum()), side, gen)
    return paint
