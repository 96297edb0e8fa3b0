"""A few labelled in-distribution images, and the threshold that they set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..labels import LabelSet, few
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
    def missing(self) -> tuple[str, ...]:
        """Labels that no image shows."""
        shown = set(self.classes.tolist())
        return tuple(name for i, name in enumerate(self.labels.names) if i not in shown)

    @property
    def warning(self) -> str | None:
        """A sentence where most labels have no image."""
        missing, total = self.missing, len(self.labels)
        if 2 * len(missing) <= total:
            return None
        return (
            f"most labels, {len(missing):,} of {total:,}, have no picture, so a recipe found on "
            "these may not suit them; add pictures of more labels"
        )

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

        As `class_folders` finds them.

        Raises:
            ValueError: no such folders; one of them without an image that could be read.
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
            ValueError: a label whose folders have no image that could be read.
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
        wanted = {c for _, c in folders}
        if empty := sorted(wanted - set(classes)):
            names = few([labels.names[i] for i in empty])
            raise ValueError(
                f"there is no readable picture of {len(empty)} of the {len(wanted)} labels that "
                f"have a folder ({names}); add one to each, or remove the folders"
            )
        return cls(torch.cat(images), torch.tensor(classes), labels)


def class_folders(folder: str | Path, labels: LabelSet) -> list[tuple[Path, int]]:
    """The class folders in sorted order, each with its label's index, as `folder_classes` matches
    them; where they bear the labels' names, labels may be without one.

    Raises:
        ValueError: no such folder, folders that are not labels, or two of one label.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; give one that holds a folder a class")
    folders = listing(folder).folders
    classes, strangers = folder_classes([path.name for path in folders], labels)
    if not classes and len(folders) != len(labels):
        raise ValueError(
            f"{folder} holds {len(folders)} folders and there are {len(labels)} labels; give one "
            "folder a label, in the labels' order or named as they are"
        )
    if classes is None or len(set(classes.values())) < len(folders):
        odd = f"no label is called {strangers[0]!r}" if strangers else "two are the same label's"
        raise ValueError(f"{folder}: {odd}; name every folder as its label, or none")
    return [(path, classes[path.name]) for path in folders]
