"""A few labelled in-distribution images, and the threshold that they set."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .images import ImageError, batches, find_images
from .labels import LabelSet
from .metrics import recall_interval, threshold_at_recall

FEW = 20


@dataclass(frozen=True)
class Context:
    """What a score depends on besides the image: a threshold holds only where all of it holds.

    `recipe` and `labels` are fingerprints ("original" for the original weights).
    """

    backbone: str
    recipe: str
    labels: str
    score: str
    temperature: float
    local_weight: float

    def changes(self, other: Context) -> tuple[str, ...]:
        """The names of what differs."""
        pairs = zip(self.__dict__.items(), other.__dict__.values(), strict=True)
        return tuple(name.replace("_", " ") for (name, mine), theirs in pairs if mine != theirs)


@dataclass(frozen=True)
class Threshold:
    """An image is accepted when its score is at least `value`; and how that was found.

    Attributes:
        recall: the share of in-distribution images that was asked to be accepted.
        reached: the share of the `n` calibration images that `value` accepts.
        interval: where the true share lies with 95 % confidence (Clopper-Pearson).
        scores: the calibration images' own scores, for a histogram.
    """

    value: float
    recall: float
    reached: float
    interval: tuple[float, float]
    scores: tuple[float, ...]
    context: Context

    @property
    def n(self) -> int:
        return len(self.scores)

    @property
    def warning(self) -> str | None:
        """A sentence when there are too few images to trust; None from 20 on."""
        if self.n >= FEW:
            return None
        low, high = self.interval
        return (
            f"only {self.n} calibration images: the share of in-distribution images that this "
            f"threshold accepts may lie anywhere between {low:.0%} and {high:.0%}; "
            f"give at least {FEW}"
        )

    def check(self, context: Context) -> None:
        """Raises ValueError when the threshold was found under other conditions."""
        changed = self.context.changes(context)
        if changed:
            raise ValueError(
                f"the threshold {self.value:.6g} was found with another {', '.join(changed)}; "
                "calibrate again"
            )


def calibrate(scores: Sequence[float], recall: float, context: Context) -> Threshold:
    """The threshold that accepts a share `recall` of the calibration scores.

    Raises:
        ValueError: no score, one that is not finite, a recall outside (0, 1].
    """
    values = tuple(float(score) for score in scores)
    if not values:
        raise ValueError("there is no calibration image; give at least one, better 20 or more")
    if not all(map(math.isfinite, values)):
        raise ValueError("a calibration score is not a finite number; look for a broken image")
    check_recall(recall)
    value = threshold_at_recall(values, recall)
    accepted = sum(score >= value for score in values)
    reached = accepted / len(values)
    return Threshold(
        value, recall, reached, recall_interval(accepted, len(values)), values, context
    )


def check_recall(recall: float) -> None:
    """Raises ValueError for a share outside (0, 1]."""
    if not 0 < recall <= 1:
        raise ValueError(f"recall is {recall}; give a share above 0 and up to 1, such as 0.95")


@dataclass(frozen=True)
class CalibrationSet:
    """Labelled in-distribution images: `images (n, 3, H, W)`, `classes (n,)` as label indices."""

    images: Tensor
    classes: Tensor
    labels: LabelSet

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        labels: LabelSet,
        preprocess: Callable,
        on_error: Callable[[ImageError], object] | None = None,
    ) -> CalibrationSet:
        """Read a folder that holds one folder a class.

        Class i is the i-th folder in sorted order; where the folders' names are exactly the
        labels, each once, they are matched by name.

        Raises:
            ValueError: no folder there, or not as many as labels; no image could be read.
            ImageError: a bad file, when `on_error` is None.
        """
        folders = class_folders(folder, labels)
        known = {path: c for inside, c in folders for path in find_images([inside])}
        images, classes = [], []
        for batch in batches(known, preprocess, on_error=on_error):
            images.append(batch.pixels)
            classes += [known[path] for path in batch.paths]
        if not images:
            raise ValueError(f"no image in the {len(folders)} folders of {folder} could be read")
        return cls(torch.cat(images), torch.tensor(classes), labels)


def class_folders(folder: str | Path, labels: LabelSet) -> list[tuple[Path, int]]:
    """The class folders in sorted order, each with its label's index; as `CalibrationSet` says.

    Raises:
        ValueError: no such folder, or not one folder a label.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; give one that holds a folder a class")
    folders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    known = {_composed(name): i for i, name in enumerate(labels.names)}
    names = [_composed(path.name) for path in folders]
    if len(known) == len(labels) and sorted(names) == sorted(known):
        return [(path, known[name]) for path, name in zip(folders, names, strict=True)]
    if len(folders) != len(labels):
        raise ValueError(
            f"{folder} holds {len(folders)} folders and there are {len(labels)} labels; give one "
            "folder a label, in the labels' order or named as they are"
        )
    return list(zip(folders, range(len(labels)), strict=True))


def _composed(name: str) -> str:
    """The same letters in one form: macOS takes accents apart in names of files."""
    return unicodedata.normalize("NFC", name)
