"""Scenes: where each object lies, how it is turned and lit, and the picture that this makes.

A `Layout` is resolution-free; `draw` renders it at any side, so training at 64 pixels and the
benchmark at 192 show the same world.
"""

from math import pi
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from assets.build.drawing.sprites import FILL, Atlas

MAX_OBJECTS = 3


class Layout(NamedTuple):
    """Up to three objects a scene, the main one first; every field is (n, MAX_OBJECTS)."""

    sprite: Tensor  # row of the atlas, -1: nothing here
    size: Tensor  # longer side of the object, in image sides
    x: Tensor  # centre, in image sides from the middle
    y: Tensor
    angle: Tensor  # radians
    mirror: Tensor  # -1 or 1
    hue: Tensor  # radians around the grey axis
    saturation: Tensor
    light: Tensor


def arrange(sprites: Tensor, gen: torch.Generator, crowded: Tensor | None = None) -> Layout:
    """Places objects at random: the first is the main one, unless a scene is crowded.

    sprites: (n, MAX_OBJECTS) rows of the atlas, -1 for none; crowded: (n,) bool, objects of like
    size around the middle instead of one large with small ones beside it.
    """
    n = len(sprites)
    alone = (sprites >= 0).sum(1) == 1
    crowded = (crowded if crowded is not None else torch.zeros(n, dtype=torch.bool)) & ~alone

    def span(low: float, high: float) -> Tensor:
        return torch.rand(n, MAX_OBJECTS, generator=gen) * (high - low) + low

    size = span(0.22, 0.38)
    size[:, 0] = span(0.46, 0.86)[:, 0]
    size = torch.where(crowded[:, None], span(0.3, 0.48), size)
    start = span(0, 2 * pi)[:, :1]
    turn = start + torch.tensor([pi, 0.0, 2.1]) + span(-0.4, 0.4)
    radius = span(0.3, 0.4)
    radius[:, 0] = torch.where(alone, 0.0, span(0.04, 0.12)[:, 0])
    ring = start + torch.tensor([0, 2.1, 4.2]) + span(-0.3, 0.3)
    turn = torch.where(crowded[:, None], ring, turn)
    radius = torch.where(crowded[:, None], span(0.22, 0.32), radius)
    slack = ((1.05 - size) / 2).clamp(min=0.02)
    x = (radius * turn.cos() + span(-0.12, 0.12)).clamp(-slack, slack)
    y = (radius * turn.sin() + span(-0.12, 0.12)).clamp(-slack, slack)
    tilt = torch.randn(n, MAX_OBJECTS, generator=gen).clamp(-2.2, 2.2) * 0.2
    mirror = (torch.rand(n, MAX_OBJECTS, generator=gen) < 0.5).float() * 2 - 1
    hue = torch.randn(n, MAX_OBJECTS, generator=gen).clamp(-2, 2) * 0.12
    return Layout(sprites, size, x, y, tilt, mirror, hue, span(0.75, 1.25), span(0.8, 1.12))


def draw(atlas: Atlas, layout: Layout, backgrounds: Tensor) -> Tensor:
    """The pictures (n, 3, side, side) in [0, 1], objects with soft shadows over `backgrounds`."""
    side = backgrounds.shape[-1]
    picture = backgrounds.clone()
    for k in range(MAX_OBJECTS):
        rows = (layout.sprite[:, k] >= 0).nonzero().flatten()
        if not len(rows):
            continue
        one = Layout(*(field[rows, k] for field in layout))
        shade = F.grid_sample(
            atlas.shadow[one.sprite],
            _grid(one, side, drop=0.035),
            padding_mode="zeros",
            align_corners=False,
        )
        pixels = _sampled(atlas, one, side)
        colour = torch.einsum("nij,njhw->nihw", _colour_matrix(one), pixels[:, :3])
        colour = torch.minimum(colour.clamp(min=0), pixels[:, 3:])
        behind = picture[rows] * (1 - 0.4 * shade)
        picture[rows] = behind * (1 - pixels[:, 3:]) + colour
    return picture.clamp(0, 1)


def boxes(atlas: Atlas, layout: Layout, side: int = 96) -> Tensor:
    """What each object covers, seen at `side`: (n, MAX_OBJECTS, 4) left, top, right and bottom in
    image sides; zeros where there is no object, or nothing of it in the picture."""
    found = torch.zeros(*layout.sprite.shape, 4)
    for k in range(MAX_OBJECTS):
        rows = (layout.sprite[:, k] >= 0).nonzero().flatten()
        if not len(rows):
            continue
        one = Layout(*(field[rows, k] for field in layout))
        covered = _sampled(atlas, one, side)[:, 3] > 0.5
        for row, here in zip(rows.tolist(), covered, strict=True):
            down, along = here.any(1).nonzero(), here.any(0).nonzero()
            if len(down):
                ends = along[0], down[0], along[-1] + 1, down[-1] + 1
                found[row, k] = torch.cat(ends) / side
    return found


def greyed(pictures: Tensor) -> Tensor:
    """The same pictures without colour (Rec. 601 luma)."""
    weights = pictures.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (pictures * weights).sum(1, keepdim=True).expand_as(pictures)


def hue_matrix(hue: Tensor, saturation: Tensor, light: Tensor) -> Tensor:
    """(n, 3, 3) colour matrices: a turn around the grey axis, then saturation and light."""
    third = torch.full((3, 3), 1 / 3)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
    cos, sin = hue.cos().view(-1, 1, 1), hue.sin().view(-1, 1, 1)
    turn = third * (1 - cos) + torch.eye(3) * cos + cross * sin
    grey = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)
    strength = saturation.view(-1, 1, 1)
    return light.view(-1, 1, 1) * (grey * (1 - strength) + torch.eye(3) * strength) @ turn


def _colour_matrix(one: Layout) -> Tensor:
    return hue_matrix(one.hue, one.saturation, one.light)


def _grid(one: Layout, side: int, drop: float = 0.0) -> Tensor:
    """Where each picture's pixels lie in its sprite, (n, side, side, 2); `drop` moves it down."""
    scale = FILL / one.size
    cos, sin = one.angle.cos() * scale, one.angle.sin() * scale
    dx, dy = 2 * one.x, 2 * (one.y + drop)
    mirror = one.mirror
    theta = torch.stack(
        (
            torch.stack((cos * mirror, sin * mirror, -(cos * dx + sin * dy) * mirror), 1),
            torch.stack((-sin, cos, sin * dx - cos * dy), 1),
        ),
        1,
    )
    return F.affine_grid(theta, [len(theta), 1, side, side], align_corners=False)


def _sampled(atlas: Atlas, one: Layout, side: int) -> Tensor:
    """Each sprite from the coarsest level that is not magnified, (n, 4, side, side)."""
    where = _grid(one, side)
    pixels = where.new_empty(len(where), 4, side, side)
    level = torch.zeros(len(where), dtype=torch.long)
    for k in range(1, len(atlas.levels)):
        level[one.size * side <= FILL * atlas.levels[k].shape[-1] * 1.1] = k
    for k, sprites in enumerate(atlas.levels):
        rows = (level == k).nonzero().flatten()
        if len(rows):
            pixels[rows] = F.grid_sample(
                sprites[one.sprite[rows]], where[rows], padding_mode="zeros", align_corners=False
            )
    return pixels
