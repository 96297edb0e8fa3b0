"""Folders of images turned into preprocessed batches; the reading of one image is `decoding.py`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from ..memory import IMAGES
from . import decoding
from .decoding import ImageError
from .formats import EXTENSIONS, MAX_ASPECT, MAX_BYTES, MAX_PIXELS, READABLE, signature
from .listing import names
from .shards import Member, expanded, images_in, is_shard, located

if TYPE_CHECKING:
    import torch

__all__ = (
    "MAX_ASPECT",
    "MAX_BYTES",
    "MAX_PIXELS",
    "Batch",
    "ImageError",
    "batches",
    "each_image",
    "find_images",
    "read_image",
)


class Batch(NamedTuple):
    paths: tuple[Path, ...]
    pixels: torch.Tensor  # (B, 3, H, W)


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The image files that `paths` name: files as given, folders recursively in sorted path order.

    In a folder a file counts when its extension or its first bytes are an image's, so that broken
    images are reported later and notes are not. What is `of_the_system` is left out, and so are
    symbolic links that lead out of the folder. A path that does not exist is kept: `read_image`
    reports it. A `.tar` stands for the images in it, and so do those of a folder that holds no
    image beside them; braces name several, as `expanded` says.

    Raises:
        ImageError: a folder or a tar that holds no image, or a folder that cannot be read.
    """
    return list(each_image(paths))


def each_image(
    paths: Iterable[str | os.PathLike[str]], passed: Counter[str] | None = None
) -> Iterator[Path]:
    """As `find_images`, one by one; what is passed over in shards is counted in `passed`."""
    for path in expanded(paths):
        if path.is_dir():
            yield from _some(path, "folder", _images_in(path), _in_shards(path, passed))
        elif is_shard(path):
            yield from _some(path, "tar", images_in(path, passed))
        else:
            yield path


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """The picture in a file, or in a shard, where its path is `shard.tar/key.jpg`.

    As `decoding.read_image`, which tells what it raises.
    """
    found = located(path)
    return found.read() if isinstance(found, Member) else decoding.read_image(found)


def batches(
    paths: Iterable[str | os.PathLike[str]],
    preprocess: Callable[[Image.Image], torch.Tensor],
    size: int = IMAGES,
    workers: int = 2,
    on_error: Callable[[ImageError], object] | None = None,
) -> Iterator[Batch]:
    """Preprocessed batches of at most `size` images, in the order of `paths`.

    Worker threads decode the next two batches while the consumer works on this one, and never more.
    A bad file goes to `on_error` (called in the consumer's thread, in order) and the rest goes on.

    Raises:
        ImageError: a bad file when `on_error` is None.
        ValueError: `size` or `workers` below 1.
    """
    if size < 1 or workers < 1:
        raise ValueError(f"size {size} and workers {workers} must be at least 1; give larger ones")
    return _batches(map(Path, paths), preprocess, size, workers, on_error)


def _batches(
    paths: Iterator[Path],
    preprocess: Callable[[Image.Image], torch.Tensor],
    size: int,
    workers: int,
    on_error: Callable[[ImageError], object] | None,
) -> Iterator[Batch]:
    import torch  # here, so that reading images does not wait for it

    from ..parallel.workers import prefetch

    def decoded(found: Path | Member) -> tuple[Path, torch.Tensor]:
        return Path(found), preprocess(read_image(found))

    good: list[tuple[Path, torch.Tensor]] = []

    def batch() -> Batch:
        paths, tensors = zip(*good, strict=True)
        good.clear()
        return Batch(paths, torch.stack(tensors))

    # The headers of a shard are read here, once, and not by each thread.
    with closing(prefetch(decoded, map(located, paths), 2 * size, workers)) as futures:
        for future in futures:
            try:
                good.append(future.result())
            except ImageError as error:
                if on_error is None:
                    raise
                on_error(error)
            if len(good) == size:
                yield batch()
    if good:
        yield batch()


def _some(path: Path, kind: str, *ways: Iterator[Path]) -> Iterator[Path]:
    """The first of these that gives anything; raises ImageError where none does."""
    for images in ways:
        for first in images:
            yield first
            yield from images
            return
    raise ImageError(path, f"this {kind} holds no image", f"put {READABLE} files in it")


def _images_in(folder: Path) -> Iterator[Path]:
    root = folder.resolve()
    for path in _files_in(folder):
        if path.is_symlink() and root not in path.resolve().parents:
            continue
        if path.suffix.lower() in EXTENSIONS or _looks_like_image(path):
            yield path


def _in_shards(folder: Path, passed: Counter[str] | None) -> Iterator[Path]:
    for path in _files_in(folder):
        if is_shard(path):
            yield from images_in(path, passed)


def _files_in(folder: Path) -> Iterator[Path]:
    """Every file in the folder and below it, in the order of their paths."""
    waiting = [_entries(folder)]
    while waiting:
        path, is_folder = next(waiting[-1], (None, False))
        if path is None:
            waiting.pop()
        elif not is_folder:
            yield path
        elif not path.is_symlink():
            waiting.append(_entries(path))


def _entries(folder: Path) -> Iterator[tuple[Path, bool]]:
    """What lies in a folder, in order, and whether each is a folder."""
    folders, files = names(folder)
    both = merge(((name, True) for name in folders), ((name, False) for name in files))
    return ((folder / name, is_folder) for name, is_folder in both)


def _looks_like_image(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return signature(file.read(64)) is not None
    except OSError:  # unreadable: with no extension to go by, not taken for an image
        return False
