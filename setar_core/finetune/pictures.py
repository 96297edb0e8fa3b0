"""Pictures to train on, read again in each epoch, and what is done to them by chance.

What chance does to a picture depends on the seed, the epoch and its number alone: not on the order,
on threads, or on where a run was taken up.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from ..data.calibration import class_folders
from ..data.images import ImageError, find_images, read_image
from ..labels import LabelSet
from .plan import Plan

RATIO = 4 / 3  # of a crop's sides, at most
TRIES = 10
ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


@dataclass(frozen=True)
class TrainingSet:
    """Pictures or their files, and each one's class as a label's index.

    Raises:
        ValueError: no picture, or not one class a picture.
    """

    pictures: tuple[Path | Image.Image, ...]
    classes: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pictures", tuple(self.pictures))
        object.__setattr__(self, "classes", tuple(int(c) for c in self.classes))
        if not self.pictures or len(self.pictures) != len(self.classes):
            raise ValueError(
                f"{len(self.pictures)} pictures have {len(self.classes)} classes; give at least "
                "one picture, and a class for each"
            )

    def __len__(self) -> int:
        return len(self.pictures)

    def read(self, number: int) -> Image.Image:
        """Raises ImageError for a file that cannot be read."""
        picture = self.pictures[number]
        return read_image(picture) if isinstance(picture, Path) else picture.convert("RGB")

    def check(self, labels: LabelSet) -> None:
        """Raises ValueError for a class that is no label's index."""
        worst = max(self.classes, key=lambda c: c if c >= 0 else math.inf)
        if not 0 <= worst < len(labels):
            raise ValueError(f"class {worst} is no label; they count from 0 to {len(labels) - 1}")

    @property
    def fingerprint(self) -> str:
        """Sixteen characters that change with the pictures' bytes, their order or classes."""
        text = hashlib.sha256()
        for picture, c in zip(self.pictures, self.classes, strict=True):
            data = picture.read_bytes() if isinstance(picture, Path) else picture.tobytes()
            text.update(f"{c} {len(data)} ".encode() + hashlib.sha256(data).digest())
        return text.hexdigest()[:16]

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        labels: LabelSet,
        on_error: Callable[[ImageError], object] | None = None,
    ) -> TrainingSet:
        """The images of a folder with one folder a class, as `class_folders` finds them, in the
        order of `find_images`.

        Raises:
            ValueError: no such folders, or no picture that can be read.
            ImageError: a bad file, when `on_error` is None.
        """
        known = {
            path: c for inside, c in class_folders(folder, labels) for path in find_images([inside])
        }
        good = []
        for path in sorted(known):
            try:
                read_image(path)
            except ImageError as error:
                if on_error is None:
                    raise
                on_error(error)
            else:
                good.append(path)
        return cls(tuple(good), tuple(known[path] for path in good))


class Reader:
    """From a picture's number to what the network takes, `(3, H, W)`."""

    def __init__(
        self, pictures: TrainingSet, preprocess: Callable[[Image.Image], Tensor], plan: Plan
    ) -> None:
        self.pictures, self.preprocess, self.plan = pictures, preprocess, plan
        black, white = (preprocess(Image.new("RGB", (8, 8), (s,) * 3)) for s in (0, 255))
        self.size = (black.shape[2], black.shape[1])
        self.low = black.mean(dim=(1, 2), keepdim=True)  # preprocessing is linear in a pixel
        self.spread = (white.mean(dim=(1, 2), keepdim=True) - self.low) / 255

    def plain(self, number: int) -> Tensor:
        return self.preprocess(self.pictures.read(number))

    def changed(self, number: int, epoch: int) -> Tensor:
        """Cropped, flipped and, where the plan says so, in other colours."""
        picture = self.pictures.read(number)
        chance = generator(self.plan.seed, "picture", epoch, number)
        box = crop(picture.size, self.plan.crop, chance)
        picture = picture.crop(box).resize(self.size, Image.Resampling.BICUBIC)
        if torch.rand((), generator=chance) < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.plan.jitter:
            order = torch.randperm(len(ENHANCERS), generator=chance).tolist()
            for i in order:
                factor = 1 + self.plan.jitter * (2 * float(torch.rand((), generator=chance)) - 1)
                picture = ENHANCERS[i](picture).enhance(factor)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        return self.low + pixels * self.spread


def crop(
    size: tuple[int, int], smallest: float, chance: torch.Generator
) -> tuple[int, int, int, int]:
    """A box of at least the share `smallest` of the area, sides at most 4 : 3, as torchvision draws
    it."""
    width, height = size
    for _ in range(TRIES):
        u = torch.rand(2, generator=chance, dtype=torch.float64).tolist()
        area = width * height * (smallest + (1 - smallest) * u[0])
        ratio = math.exp(math.log(RATIO) * (2 * u[1] - 1))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left = int(torch.randint(width - w + 1, (), generator=chance))
            top = int(torch.randint(height - h + 1, (), generator=chance))
            return left, top, left + w, top + h
    w = min(width, round(height * RATIO))
    h = min(height, round(width * RATIO))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def generator(seed: int, *of: int | str) -> torch.Generator:
    """Chance for one purpose, the same wherever it is asked for."""
    text = " ".join(map(str, (seed, *of)))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
    return torch.Generator().manual_seed(number)


def batches(plan: Plan, count: int, epochs: Sequence[int]) -> list[list[int]]:
    """The numbers of the images of each step of these epochs."""
    found: list[list[int]] = []
    size = min(plan.batch_size, count)
    for epoch in epochs:
        order = torch.randperm(count, generator=generator(plan.seed, "order", epoch)).tolist()
        last = count - count % size if plan.drop_last else count
        found += [order[i : min(i + size, last)] for i in range(0, last, size)]
    return found
