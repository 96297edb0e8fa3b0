"""Zips of images: looked through before anything is unpacked, then unpacked into one folder."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from .decoding import MAX_BYTES
from .images import EXTENSIONS

MAX_FILES = 20_000  # entries of any kind
MAX_TOTAL = 2_000_000_000  # bytes, unpacked
MAX_RATIO = 100  # unpacked to packed, of all images together; photographs have about 1
MAX_PART = 200  # bytes of one name in a path
MAX_DEPTH = 12
CHUNK = 2**20
ENCRYPTED = 0x1
# Small archives may well be dense: a drawing packs better than a photograph.
ALWAYS_ALLOWED = 20_000_000  # bytes, unpacked


class ArchiveError(ValueError):
    """A zip that is not opened; the message names the file, the reason and the remedy."""

    def __init__(self, path: str | os.PathLike, reason: str, remedy: str):
        name = repr(Path(path).name)[1:-1]
        super().__init__(f"{name}: {reason}; {remedy}")


class Contents(NamedTuple):
    """What a zip would unpack to: the images in it, and bytes in all."""

    images: tuple[zipfile.ZipInfo, ...]
    size: int


def look(
    path: str | os.PathLike, max_files: int = MAX_FILES, max_total: int = MAX_TOTAL
) -> Contents:
    """The images in a zip by its directory alone; nothing is unpacked.

    An image is told by its extension. Hidden files and other kinds are passed over.

    Raises:
        ArchiveError: not a zip, too many entries or bytes, a ratio that no images have, a name
            that leads out of the folder or occurs twice, a link, an encrypted entry, no image.
    """
    with _opened(path) as archive:
        return _contents(path, archive, max_files, max_total)


def unpack(
    path: str | os.PathLike,
    folder: str | os.PathLike,
    max_files: int = MAX_FILES,
    max_total: int = MAX_TOTAL,
) -> Path:
    """Unpack the images of a zip into `folder`, which is made; the folder that holds them.

    That is `folder`, or the one folder in it where the zip wraps everything into one. An entry that
    holds more bytes than the zip's directory says is refused where it does.

    Raises:
        ArchiveError: as `look`, or the zip is broken; what was unpacked so far is left behind.
    """
    for _ in unpacking(path, folder, max_files, max_total):
        pass
    return unwrapped(folder)


def unpacking(
    path: str | os.PathLike,
    folder: str | os.PathLike,
    max_files: int = MAX_FILES,
    max_total: int = MAX_TOTAL,
) -> Iterator[tuple[int, int]]:
    """As `unpack`, image by image: yields how many of how many are there."""
    folder = Path(folder)
    with _opened(path) as archive:
        contents = _contents(path, archive, max_files, max_total)
        for i, info in enumerate(contents.images, start=1):
            target = folder.joinpath(*PurePosixPath(info.filename).parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(path, archive, info, target)
            yield i, len(contents.images)


def unwrapped(folder: str | os.PathLike) -> Path:
    """The folder, or the innermost one where each holds a single folder and nothing else.

    A folder whose only folder holds just images is not unwrapped: that folder is a class.
    """
    folder = Path(folder)
    while True:
        inside = list(folder.iterdir())
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        if not any(path.is_dir() for path in inside[0].iterdir()):
            return folder
        folder = inside[0]


def _opened(path: str | os.PathLike) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise ArchiveError(path, "no such file", "check the path") from None
    except IsADirectoryError:
        raise ArchiveError(path, "is a folder", "give a zip file") from None
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        reason = f"is not a whole zip file ({_first_line(error)})"
        raise ArchiveError(path, reason, "pack or upload it again") from None


def _contents(
    path: str | os.PathLike, archive: zipfile.ZipFile, max_files: int, max_total: int
) -> Contents:
    entries = archive.infolist()
    if len(entries) > max_files:
        reason = f"has {len(entries):,} entries, over the limit of {max_files:,}"
        raise ArchiveError(path, reason, "give fewer images")
    for info in entries:
        _check_name(path, info)
    images = tuple(info for info in entries if _is_image(info))
    if not images:
        raise ArchiveError(path, "holds no image", "put JPEG, PNG or WebP files in it")
    seen: set[str] = set()
    for info in images:
        _check_image(path, info)
        name = PurePosixPath(info.filename).as_posix().casefold()
        if name in seen:
            raise ArchiveError(path, f"holds {_shown(info)} twice", "give each a name of its own")
        seen.add(name)
    size = sum(info.file_size for info in images)
    if size > max_total:
        reason = f"unpacks to {size / 1e6:,.0f} MB, over the limit of {max_total / 1e6:,.0f} MB"
        raise ArchiveError(path, reason, "give fewer or smaller images")
    packed = sum(info.compress_size for info in images)
    if size > max(ALWAYS_ALLOWED, MAX_RATIO * packed):
        reason = f"unpacks {packed / 1e6:.1f} MB to {size / 1e6:,.0f} MB, as no photographs do"
        raise ArchiveError(path, reason, "pack images as they come from a camera or the web")
    return Contents(images, size)


def _check_name(path: str | os.PathLike, info: zipfile.ZipInfo) -> None:
    """Every entry, also those that would be passed over: such a zip was made to harm."""
    name = info.filename
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]:
        reason = f"holds {_shown(info)}, a name that leads out of its folder"
        raise ArchiveError(path, reason, "pack it again from inside one folder")
    if len(parts) > MAX_DEPTH or any(len(os.fsencode(part)) > MAX_PART for part in parts):
        raise ArchiveError(path, f"holds an overlong name, {_shown(info)}", "shorten it")
    if not all(character.isprintable() for character in name):
        reason = f"holds {_shown(info)}, a name with control characters"
        raise ArchiveError(path, reason, "rename it")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ArchiveError(path, f"holds a link, {_shown(info)}", "pack the image itself")


def _check_image(path: str | os.PathLike, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & ENCRYPTED:
        raise ArchiveError(path, f"{_shown(info)} is encrypted", "pack it without a password")
    if info.file_size > MAX_BYTES:
        reason = f"{_shown(info)} has {info.file_size / 1e6:,.0f} MB, over {MAX_BYTES / 1e6:.0f} MB"
        raise ArchiveError(path, reason, "save it smaller")


def _is_image(info: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(info.filename).parts
    if info.is_dir() or any(part.startswith((".", "__MACOSX")) for part in parts):
        return False
    return PurePosixPath(info.filename).suffix.lower() in EXTENSIONS


def _copy(
    path: str | os.PathLike, archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path
) -> None:
    left = info.file_size
    try:
        with archive.open(info) as source, open(target, "xb") as out:
            while chunk := source.read(CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise ArchiveError(
                        path, f"{_shown(info)} is larger than it says", "pack it again"
                    )
                out.write(chunk)
    except FileExistsError:
        reason = f"{_shown(info)} is there already"
        raise ArchiveError(path, reason, "unpack into an empty folder") from None
    except (
        zipfile.BadZipFile,  # a wrong checksum, headers that contradict the directory
        zlib.error,
        EOFError,
        NotImplementedError,  # a compression that is not read here
        RuntimeError,
        OSError,
    ) as error:
        reason = f"{_shown(info)} cannot be unpacked ({_first_line(error)})"
        raise ArchiveError(path, reason, "pack or upload it again") from None


def _shown(info: zipfile.ZipInfo) -> str:
    name = info.filename
    return repr(name if len(name) <= 60 else f"{name[:40]}...{name[-16:]}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
