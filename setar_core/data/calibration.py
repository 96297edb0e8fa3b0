"""A few labelled in-distribution images, and the threshold that they set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..labels import LabelSet
from .classes import folder_classes
from .images import ImageError, batches, find_images
from .listing import listing


@dataclass(frozen=True)
class CalibrationSet:
    """Labelled in-distribution images: `images (n, 3, H, W)`, `classes (n,)` as label indices."""

    images: Tensor
    classes: Tensor
    labels: LabelSet

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """Sixteen characters that change with the images and their classes."""
        text = hashlib.sha256()
        for tensor in (self.images, self.classes):
            text.update(tensor.cpu().contiguous().numpy().tobytes())
        return text.hexdigest()[:16]

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        labels: LabelSet,
        preprocess: Callable[[Image.Image], Tensor],
        on_error: Callable[[ImageError], object] | None = None,
    ) -> CalibrationSet:
        """Read a folder that holds one folder a class.

        One folder for each label, as `folder_classes` matches them.

        Raises:
            ValueError: no folder there, or not as many as labels; no image could be read.
            ImageError: a bad file, when `on_error` is None.
        """
        steps = cls.reading(class_folders(folder, labels), labels, preprocess, on_error)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    @classmethod
    def reading(
        cls,
        folders: Sequence[tuple[Path, int]],
        labels: LabelSet,
        preprocess: Callable[[Image.Image], Tensor],
        on_error: Callable[[ImageError], object] | None = None,
    ) -> Generator[tuple[int, int], None, CalibrationSet]:
        """Folders of images, each with its label's index, batch by batch: yields how many of how
        many files are read.

        Raises:
            ValueError: no image could be read.
            ImageError: a bad file, when `on_error` is None.
        """
        known = {path: c for inside, c in folders for path in find_images([inside])}
        images, classes = [], []
        for batch in batches(known, preprocess, on_error=on_error):
            images.append(batch.pixels)
            classes += [known[path] for path in batch.paths]
            yield len(classes), len(known)
        if not images:
            parent = folders[0][0].parent
            raise ValueError(f"no image in the {len(folders)} folders of {parent} could be read")
        return cls(torch.cat(images), torch.tensor(classes), labels)


def class_folders(folder: str | Path, labels: LabelSet) -> list[tuple[Path, int]]:
    """The class folders in sorted order, each with its label's index; as `CalibrationSet` says.

    Raises:
        ValueError: no such folder, or not one folder a label.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; give one that holds a folder a class")
    folders = listing(folder).folders
    if len(folders) != len(labels):
        raise ValueError(
            f"{folder} holds {len(folders)} folders and there are {len(labels)} labels; give one "
            "folder a label, in the labels' order or named as they are"
        )
    classes, strangers = folder_classes([path.name for path in folders], labels)
    if classes is None or len(set(classes.values())) < len(labels):
        odd = f"no label is called {strangers[0]!r}" if strangers else "two are the same label's"
        raise ValueError(f"{folder}: {odd}; name every folder as its label, or none")
    return [(path, classes[path.name]) for path in folders]
