"""Folders of images turned into preprocessed batches; the reading of one image is `decoding.py`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from ..memory import IMAGES
from .decoding import ImageError, read_image
from .formats import EXTENSIONS, MAX_ASPECT, MAX_BYTES, MAX_PIXELS, READABLE, signature
from .listing import listing

if TYPE_CHECKING:
    import torch

__all__ = (
    "MAX_ASPECT",
    "MAX_BYTES",
    "MAX_PIXELS",
    "Batch",
    "ImageError",
    "batches",
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
    reports it.

    Raises:
        ImageError: a folder that holds no image, or one in it that cannot be read.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(_images_in(path))
        if not inside:
            raise ImageError(path, "this folder holds no image", f"put {READABLE} files in it")
        found += inside
    return found


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

    from ..parallel import prefetch

    def decoded(path: Path) -> tuple[Path, torch.Tensor]:
        return path, preprocess(read_image(path))

    good: list[tuple[Path, torch.Tensor]] = []

    def batch() -> Batch:
        paths, tensors = zip(*good, strict=True)
        good.clear()
        return Batch(paths, torch.stack(tensors))

    with closing(prefetch(decoded, paths, 2 * size, workers)) as futures:
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


def _images_in(folder: Path) -> Iterator[Path]:
    root, waiting = folder.resolve(), [folder]
    while waiting:
        folders, files = listing(waiting.pop())
        waiting += [path for path in folders if not path.is_symlink()]
        for path in files:
            if path.is_symlink() and root not in path.resolve().parents:
                continue
            if path.suffix.lower() in EXTENSIONS or _looks_like_image(path):
                yield path


def _looks_like_image(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return signature(file.read(64)) is not None
    except OSError:  # unreadable: with no extension to go by, not taken for an image
        return False
