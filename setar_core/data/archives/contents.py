"""What a zip would unpack to, told by its directory alone, and every reason not to."""

from __future__ import annotations

import os
import stat
import struct
import unicodedata
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from ..formats import EXTENSIONS, MAX_BYTES
from ..listing import of_the_system
from .directory import UTF8, directory, overlapping

MAX_FILES = 20_000  # entries of any kind
MAX_TOTAL = 2_000_000_000  # bytes, unpacked
MAX_DIRECTORY = 50_000_000  # bytes of names, comments and what else is noted of the entries
MAX_RATIO = 100  # unpacked to packed, of all images together; photographs have about 1
MAX_PART = 255  # bytes of one name in a path, as disks hold
MAX_DEPTH = 12
ENCRYPTED = 0x1
OTHERS = {
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x1f\x8b": "packed with gzip",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"%PDF": "a PDF",
}
READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
# Controls, lone surrogates, separators of lines and paragraphs; what turns the text around.
# Spaces of every width and joiners are ordinary: macOS writes U+202F before "AM".
CONTROLS = {"Cc", "Cs", "Zl", "Zp"}  # categories of Unicode
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Small archives may well be dense: a drawing packs better than a photograph.
ALWAYS_ALLOWED = 20_000_000  # bytes, unpacked


class ArchiveError(ValueError):
    """A zip that is not opened; the message names the file, the reason and the remedy."""

    def __init__(self, path: str | os.PathLike[str], reason: str, remedy: str):
        name = repr(Path(path).name)[1:-1]
        super().__init__(f"{name}: {reason}; {remedy}")


class Contents(NamedTuple):
    """What a zip would unpack to: the images in it, bytes in all, and bytes as they are packed."""

    images: tuple[zipfile.ZipInfo, ...]
    size: int
    packed: int


def opened(path: str | os.PathLike[str], max_files: int) -> zipfile.ZipFile:
    """The zip, with its directory parsed; before that is done, its length is checked.

    Raises:
        ArchiveError: not a zip, too many entries, too long a directory.
    """
    try:
        entries, size = directory(path)
        _check_entries(path, entries, max_files)
        if size > MAX_DIRECTORY:
            reason = f"has a directory of {size / 1e6:,.0f} MB, over {MAX_DIRECTORY / 1e6:.0f} MB"
            raise ArchiveError(path, reason, "pack it again without comments")
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise ArchiveError(path, "no such file", "check the path") from None
    except IsADirectoryError:
        raise ArchiveError(path, "is a folder", "give a zip file") from None
    except ArchiveError:
        raise
    except (
        *(zipfile.BadZipFile, NotImplementedError, ValueError, EOFError),
        *(OverflowError, struct.error),  # places and sizes that no file has
    ) as error:
        if kind := _other_kind(path):
            raise ArchiveError(path, f"is {kind}, not a zip", "pack the folder as a zip") from None
        reason = f"is not a whole zip file ({first_line(error)})"
        raise ArchiveError(path, reason, "pack or upload it again") from None


def _other_kind(path: str | os.PathLike[str]) -> str | None:
    with open(path, "rb") as file:
        start = file.read(8)
    return next((kind for mark, kind in OTHERS.items() if start.startswith(mark)), None)


def contents(
    path: str | os.PathLike[str], archive: zipfile.ZipFile, max_files: int, max_total: int
) -> Contents:
    """The images of an opened zip, told by their extensions.

    Raises:
        ArchiveError: as `archives.inspect`.
    """
    entries = archive.infolist()
    _check_entries(path, len(entries), max_files)
    for info in entries:
        info.filename = _name(info)
        _check_name(path, info)
    if (first := overlapping(archive)) is not None:
        reason = f"{shown(first)} overlaps what follows it in the zip"
        raise ArchiveError(path, reason, "pack it again")
    images = tuple(info for info in entries if _is_image(info))
    if not images:
        reason = "holds no image (told by extensions such as .jpg)"
        raise ArchiveError(path, reason, "put JPEG, PNG or WebP files in it")
    for info in images:
        _check_image(path, info)
    _check_apart(path, images)
    size = sum(info.file_size for info in images)
    packed = min(sum(info.compress_size for info in images), os.path.getsize(path))
    found = Contents(images, size, packed)
    check_sizes(path, [found], max_total)
    return found


def check_sizes(path: str | os.PathLike[str], together: Sequence[Contents], max_total: int) -> None:
    """Raises ArchiveError, about the last of them, where zips unpack to more than they may."""
    size = sum(one.size for one in together)
    packed = sum(one.packed for one in together)
    others = f", with the {len(together) - 1} before it," if together[1:] else ""
    if size > max_total:
        limit = f"over the limit of {max_total / 1e6:,.0f} MB"
        reason = f"unpacks{others} to {size / 1e6:,.0f} MB, {limit}"
        raise ArchiveError(path, reason, "give fewer or smaller images")
    if size > max(ALWAYS_ALLOWED, MAX_RATIO * packed):
        reason = (
            f"unpacks{others} {packed / 1e6:.1f} MB to {size / 1e6:,.0f} MB, as no photographs do"
        )
        raise ArchiveError(path, reason, "pack images as they come from a camera or the web")


def shown(info: zipfile.ZipInfo) -> str:
    """The entry's name in quotes, shortened; what could drive a terminal is spelt out."""
    name = info.filename
    return repr(name if len(name) <= 60 else f"{name[:40]}...{name[-16:]}")


def first_line(error: BaseException) -> str:
    """What the error says, in short, without a path on this machine."""
    told = getattr(error, "strerror", None) or str(error)
    return (told.strip().splitlines() or [type(error).__name__])[0][:120]


def _check_entries(path: str | os.PathLike[str], entries: int, max_files: int) -> None:
    if entries > max_files:
        reason = f"has {entries:,} entries, over the limit of {max_files:,}"
        raise ArchiveError(path, reason, "give fewer images")


def _name(info: zipfile.ZipInfo) -> str:
    """The entry's name with "/" between folders and behind them.

    Windows writes "\\" there, and macOS UTF-8 without the mark that says so.
    """
    name = info.filename
    if not info.flag_bits & UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return PureWindowsPath(name).as_posix() + "/" * name.endswith(("/", "\\"))


def _check_name(path: str | os.PathLike[str], info: zipfile.ZipInfo) -> None:
    """Also of entries that are passed over: a zip that leads elsewhere was made to harm."""
    name = info.filename
    parts = PurePosixPath(name).parts
    if not parts or PureWindowsPath(name).anchor or ".." in parts:
        reason = f"holds {shown(info)}, a name that leads out of its folder"
        raise ArchiveError(path, reason, "pack it again from inside one folder")
    if len(parts) > MAX_DEPTH or any(len(os.fsencode(part)) > MAX_PART for part in parts):
        raise ArchiveError(path, f"holds an overlong name, {shown(info)}", "shorten it")
    written = "".join(part for part in parts if not of_the_system(part))  # macOS has an "Icon\r"
    if any(unicodedata.category(c) in CONTROLS or c in BIDI for c in written):
        reason = f"holds {shown(info)}, a name with control characters"
        raise ArchiveError(path, reason, "rename it")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ArchiveError(path, f"holds a link, {shown(info)}", "pack the image itself")


def _check_image(path: str | os.PathLike[str], info: zipfile.ZipInfo) -> None:
    if info.flag_bits & ENCRYPTED:
        raise ArchiveError(path, f"{shown(info)} is encrypted", "pack it without a password")
    if info.compress_type not in READ:
        reason = (
            f"{shown(info)} is packed in a way that is not read here (method {info.compress_type})"
        )
        raise ArchiveError(path, reason, "pack it again as an ordinary zip")
    if info.file_size > MAX_BYTES:
        reason = f"{shown(info)} has {info.file_size / 1e6:,.0f} MB, over {MAX_BYTES / 1e6:.0f} MB"
        raise ArchiveError(path, reason, "save it smaller")


def _check_apart(path: str | os.PathLike[str], images: Sequence[zipfile.ZipInfo]) -> None:
    """Names that differ in case alone are one name on many disks."""
    known: dict[str, zipfile.ZipInfo] = {}
    for info in images:
        name = PurePosixPath(info.filename).as_posix().casefold()
        if name in known:
            raise ArchiveError(path, f"holds {shown(info)} twice", "give each a name of its own")
        known[name] = info
    inner = {PurePosixPath(name).parent for name in known}
    folders = {folder.as_posix() for one in inner for folder in (one, *one.parents)}
    if both := sorted(folders & known.keys()):
        reason = f"holds {shown(known[both[0]])} as an image and as a folder"
        raise ArchiveError(path, reason, "give each a name of its own")


def _is_image(info: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(info.filename).parts
    if info.is_dir() or any(map(of_the_system, parts)):
        return False
    return PurePosixPath(info.filename).suffix.lower() in EXTENSIONS
