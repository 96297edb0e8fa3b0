"""A folder of images, or shards, under one name, with each image's class where they tell it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..labels import LabelSet
from .classes import folder_classes
from .images import find_images
from .shards import expanded, is_shard, labels_in, shard_of, size_of

LAYOUTS = "datasets.md tells how to lay out the sets of the papers"
MEAN = "mean"  # what the mean over OOD sets is called; no set may be


@dataclass(frozen=True)
class ImageSet:
    """The images of one folder, or of shards that lie in one.

    Attributes:
        name: as tables write it.
        root: the folder, or the one shard.
        files: paths under `root`, in sorted order, with "/" between folders.
        classes: the label's index of each image; None where the folders do not tell.
        strangers: class folders that are no label, where some are and some are not.
    """

    name: str
    root: Path
    files: Sequence[str]
    classes: tuple[int, ...] | None = None
    strangers: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    def path(self, place: int) -> Path:
        return self.root / self.files[place]

    def paths(self) -> Iterator[Path]:
        return (self.root / file for file in self.files)

    @property
    def fingerprint(self) -> str:
        """Sixteen characters that change with the files' names or sizes, not with the folder."""
        text = hashlib.sha256()
        for file in self.files:
            text.update(f"{file!r} {size_of(self.root / file)}\n".encode())
        return text.hexdigest()[:16]

    @classmethod
    def from_folder(
        cls, folder: str | os.PathLike[str], name: str | None = None, labels: LabelSet | None = None
    ) -> ImageSet:
        """Every image in the folder and in those below it; or in a shard, or in those that braces
        name.

        With `labels`, the folders at the top are classes where `folder_classes` knows them, and so
        is what shards say of each image.

        Raises:
            ValueError: no such folder or shard, or no image in it.
        """
        parts = parts_of(folder)
        root = parts[0] if len(parts) == 1 else parts[0].parent
        try:
            found = find_images(parts)
        except ValueError as error:
            raise ValueError(f"{folder}: {error}. {LAYOUTS}") from None
        files = tuple(path.relative_to(root).as_posix() for path in found)
        name = name or Path(folder).resolve().name or str(root)
        if labels is None:
            return cls(name, root, files)
        shards = list(dict.fromkeys(path for path in map(shard_of, found) if path))
        try:
            said = [label for shard in shards for label in labels_in(shard)]
        except OSError as error:
            raise ValueError(f"{folder}: a shard cannot be read ({error.strerror})") from None
        classes, strangers = (
            _said(said, labels) if len(said) == len(found) else _classes(files, labels)
        )
        return cls(name, root, files, classes, strangers)


def parts_of(folder: str | os.PathLike[str]) -> list[Path]:
    """The folder or shard that is meant, or the shards of one folder that braces name.

    Raises:
        ValueError: one that is not there, or a file that is no shard.
    """
    parts = list(expanded([folder]))
    for part in parts:
        if part.is_file() and not is_shard(part):
            raise ValueError(f"{part} is a file; give a folder of images. {LAYOUTS}")
        if not part.exists():
            kind = "folder" if len(parts) == 1 else "shard"
            raise ValueError(f"{part}: no such {kind}; check its spelling. {LAYOUTS}")
    several = len(parts) > 1
    if several and ({part.parent for part in parts} != {parts[0].parent} or parts[0].is_dir()):
        raise ValueError(f"{folder} names several folders; give one, or shards of one folder")
    return parts


def open_sets(
    id_folder: str | os.PathLike[str],
    ood_folders: Sequence[str | os.PathLike[str]],
    labels: LabelSet,
    calibration: str | os.PathLike[str] | None = None,
) -> tuple[ImageSet, list[ImageSet], ImageSet | None]:
    """An ID set, OOD sets and calibration images, each under a name of its own.

    A set is named as its folder is; where two are alike, with their parents before them.

    Raises:
        ValueError: a folder that is not there or holds no image; an OOD folder that holds the ID
            folder, lies in it or in another OOD folder, or is given twice; a shard of two sets.
    """
    folders = [Path(folder) for folder in (id_folder, *ood_folders)]
    real = [folder.resolve() for folder in folders]
    check_apart(real, list(map(str, folders)))
    parts = Counter(part.resolve() for folder in folders for part in parts_of(folder))
    if twice := [part for part, count in parts.items() if count > 1]:
        raise ValueError(f"{twice[0]} is in two of the sets; give each shard to one. {LAYOUTS}")
    names = _names(real)
    inside = ImageSet.from_folder(folders[0], names[0], labels)
    outside = [
        ImageSet.from_folder(folder, name)
        for folder, name in zip(folders[1:], names[1:], strict=True)
    ]
    if calibration is None:
        return inside, outside, None
    name = f"{Path(calibration).resolve().name} (calibration)"
    return inside, outside, ImageSet.from_folder(calibration, name)


def check_apart(folders: Sequence[Path], names: Sequence[str]) -> None:
    """The first folder is the ID set's, the others are OOD sets.

    Raises:
        ValueError: an OOD folder that holds the ID folder, lies in it or in another OOD folder, or
            is given twice.
    """
    real = [folder.resolve() for folder in folders]
    for i, ood in enumerate(real[1:], start=1):
        if _nested(real[0], ood):
            raise ValueError(
                f"{names[0]} (ID) and {names[i]} (OOD) share images; give folders that lie "
                f"apart. {LAYOUTS}"
            )
        if ood in real[1:i]:
            raise ValueError(f"{names[i]} is given twice as an OOD set; give it once")
        for name, other in zip(names[1:i], real[1:i], strict=True):
            if _nested(other, ood):
                raise ValueError(
                    f"{name} and {names[i]} (both OOD) share images; give folders that lie "
                    f"apart. {LAYOUTS}"
                )


def _nested(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that differ from one another."""
    depth = [1] * len(folders)
    while True:
        names = [
            "/".join(part for part in folder.parts[-n:] if part != folder.anchor)
            for folder, n in zip(folders, depth, strict=True)
        ]
        counts = Counter(names)
        clash = [
            i
            for i, name in enumerate(names)
            if (counts[name] > 1 or name == MEAN) and depth[i] < len(folders[i].parts)
        ]
        if not clash:
            return names
        for i in clash:
            depth[i] += 1


def _classes(
    files: Sequence[str], labels: LabelSet
) -> tuple[tuple[int, ...] | None, tuple[str, ...]]:
    """Each file's label index, and the folders that bear no label's name where others do."""
    tops = [file.partition("/")[0] if "/" in file else None for file in files]
    if None in tops:
        return None, ()
    classes, strangers = folder_classes(sorted(set(filter(None, tops))), labels)
    if classes is None:
        return None, strangers
    return tuple(classes[top] for top in tops if top), ()


def _said(
    texts: Sequence[str | None], labels: LabelSet
) -> tuple[tuple[int, ...] | None, tuple[str, ...]]:
    """The same of what shards say of each image: labels' names, or their numbers from 0."""
    if None in texts:
        return None, ()
    said = [text for text in texts if text is not None]
    names = sorted(set(said))
    classes: dict[str, int] | None = {str(c): c for c in range(len(labels))}
    strangers: tuple[str, ...] = tuple(name for name in names if not name.isdecimal())
    if strangers or set(names) & set(labels.names):
        classes, strangers = folder_classes(names, labels)
    elif outside := tuple(name for name in names if name not in (classes or {})):
        classes, strangers = None, outside
    return (None, strangers) if classes is None else (tuple(classes[text] for text in said), ())
