"""Zips of images: looked through before anything is unpacked, then unpacked into one folder."""

from __future__ import annotations

import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from ..listing import listing
from .contents import (
    MAX_FILES,
    MAX_TOTAL,
    ArchiveError,
    Contents,
    check_sizes,
    contents,
    first_line,
    opened,
    shown,
)

CHUNK = 2**20


def inspect(
    path: str | os.PathLike[str], max_files: int = MAX_FILES, max_total: int = MAX_TOTAL
) -> Contents:
    """The images in a zip by its directory alone; nothing is unpacked.

    An image is told by its extension; what is `of_the_system` and other kinds are passed over.
    Names are taken as Windows and macOS write them too: with "\\", in UTF-8 that is not marked.

    Raises:
        ArchiveError: not a zip, too many entries or bytes, a ratio that no images have, entries
            that overlap, a name that leads out of the folder, occurs twice or is a folder too, a
            link, an encrypted entry, a compression that is not read, no image.
    """
    with opened(path, max_files) as archive:
        return contents(path, archive, max_files, max_total)


def inspect_all(
    paths: Sequence[str | os.PathLike[str]],
    max_files: int = MAX_FILES,
    max_total: int = MAX_TOTAL,
) -> list[Contents]:
    """As `inspect`, of several zips whose images, bytes and ratio count together.

    Raises:
        ArchiveError: as `inspect`; also where all of them up to one hold too much.
    """
    found: list[Contents] = []
    left = max_files
    for path in paths:
        found.append(inspect(path, left, max_total))
        left -= len(found[-1].images)
        check_sizes(path, found, max_total)
    return found


def unpack(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    max_files: int = MAX_FILES,
    max_total: int = MAX_TOTAL,
) -> Path:
    """Unpack the images of a zip into `folder`, which is made; the folder that holds them.

    That is `folder`, or the one folder in it where the zip wraps everything into one. An entry that
    holds more bytes than the zip's directory says is refused where it does.

    Raises:
        ArchiveError: as `inspect`, or the zip is broken; what was unpacked so far is left behind.
    """
    for _ in unpacking(path, folder, max_files, max_total):
        pass
    return unwrapped(folder)


def unpacking(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    max_files: int = MAX_FILES,
    max_total: int = MAX_TOTAL,
) -> Iterator[tuple[int, int]]:
    """As `unpack`, image by image: yields how many of how many are there."""
    folder = Path(folder)
    with opened(path, max_files) as archive:
        images = contents(path, archive, max_files, max_total).images
        for i, info in enumerate(images, start=1):
            _copy(path, archive, info, folder.joinpath(*PurePosixPath(info.filename).parts))
            yield i, len(images)


def unwrapped(folder: str | os.PathLike[str]) -> Path:
    """The folder, or the innermost one where each holds a single folder and nothing else.

    What is `of_the_system` counts as nothing. A folder whose only folder holds just images is not
    unwrapped: that folder is a class.
    """
    folder = Path(folder)
    while True:
        folders, files = listing(folder)
        if files or len(folders) != 1 or not listing(folders[0]).folders:
            return folder
        folder = folders[0]


def _copy(
    path: str | os.PathLike[str], archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path
) -> None:
    left = info.file_size
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source, open(target, "xb") as out:
            while chunk := source.read(CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise ArchiveError(
                        path, f"{shown(info)} is larger than it says", "pack it again"
                    )
                out.write(chunk)
    except ArchiveError:
        raise
    except FileExistsError:
        reason = f"{shown(info)} is there already"
        raise ArchiveError(path, reason, "unpack into an empty folder") from None
    except (
        zipfile.BadZipFile,  # a wrong checksum, headers that contradict the directory
        *(zlib.error, lzma.LZMAError, EOFError, struct.error),
        NotImplementedError,  # a way of packing that is not read here
        *(ValueError, OverflowError),  # a name that is no text, a place that no file has
        MemoryError,  # LZMA asks for as much as the entry says
        RuntimeError,
        OSError,
    ) as error:
        reason = f"{shown(info)} cannot be unpacked ({first_line(error)})"
        raise ArchiveError(path, reason, "pack or upload it again") from None
