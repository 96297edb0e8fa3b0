"""A zip's directory by its bytes: how much it lists, and whether the entries lie apart.

Python's zipfile makes an object of every entry before it tells their number, and believes every
size.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

END = struct.Struct("<4s4H2LH")  # the end record, behind the directory
END64 = struct.Struct("<4sQ2H2L4Q")  # the same with long numbers, where there are many
LOCATOR = struct.Struct("<4sLQL")  # between the two: where the long one begins
END_MARK, END64_MARK, LOCATOR_MARK = b"PK\5\6", b"PK\6\6", b"PK\6\7"
ENTRY_MARK = b"PK\1\2"
MAX_COMMENT = 2**16  # bytes behind the end record
HEADER = 30  # bytes before an entry's name
UTF8 = 0x800
CHUNK = 2**20


class Directory(NamedTuple):
    """How many entries a zip lists, and in how many bytes."""

    entries: int
    size: int


def directory(path: str | os.PathLike[str]) -> Directory:
    """What the end record says, or what is there where that is more; nothing is parsed.

    Some packers count only up to 65,535, and a hostile one as it likes: so the entries' marks are
    counted too. Zeros where there is no end record.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        claims = list(_claims(file))
        if not claims:
            return Directory(0, 0)
        stop = max(place for place, _ in claims)
        start = max(0, min(place - claim.size for place, claim in claims))
        entries = max(claim.entries for _, claim in claims)
        return Directory(max(entries, _marks(file, start, stop)), stop - start)


def overlapping(archive: zipfile.ZipFile) -> zipfile.ZipInfo | None:
    """The first entry that reaches into the next one, or into the directory, by the sizes told.

    Bytes that many entries share are unpacked many times, and no packer shares any.
    """
    entries = sorted(archive.infolist(), key=lambda info: info.header_offset)
    limits = [*(info.header_offset for info in entries), archive.start_dir][1:]
    for info, limit in zip(entries, limits, strict=True):
        name = info.orig_filename.encode("utf-8" if info.flag_bits & UTF8 else "cp437")
        if info.header_offset + HEADER + len(name) + info.compress_size > limit:
            return info
    return None


def _claims(file: BinaryIO) -> Iterator[tuple[int, Directory]]:
    """Where a directory ends and what is said of it; Pythons differ in which they believe."""
    end = _end(file)
    if end is None:
        return
    _, _, _, _, entries, size, _, _ = _record(file, END, end)
    short: Directory | None = Directory(entries, size)
    long_at = end - LOCATOR.size - END64.size
    mark, _, pointed, _ = _record(file, LOCATOR, end - LOCATOR.size)
    for place in {long_at, pointed} if mark == LOCATOR_MARK else ():
        mark, _, _, _, _, _, _, entries, size, _ = _record(file, END64, place)
        if mark == END64_MARK:
            yield place, Directory(entries, size)
            short = None if place == long_at else short
    if short is not None:
        yield end, short


def _end(file: BinaryIO) -> int | None:
    """Where the end record begins, found as zipfile finds it."""
    length = file.seek(0, os.SEEK_END)
    mark, *_, comment = _record(file, END, length - END.size)
    if mark == END_MARK and not comment:
        return length - END.size
    first = max(0, length - MAX_COMMENT - END.size)
    file.seek(first)
    found = file.read().rfind(END_MARK)
    return None if found < 0 or first + found + END.size > length else first + found


def _record(file: BinaryIO, record: struct.Struct, place: int) -> tuple[Any, ...]:
    """The record's fields; zeros where it would not lie in the file."""
    length = file.seek(0, os.SEEK_END)
    if not 0 <= place <= length - record.size:
        return record.unpack(bytes(record.size))
    file.seek(place)
    return record.unpack(file.read(record.size))


def _marks(file: BinaryIO, start: int, stop: int) -> int:
    """How often an entry's mark is there: never less than there are entries."""
    file.seek(start)
    found, rest = 0, b""
    while chunk := file.read(min(CHUNK, stop - file.tell())):
        found += (rest + chunk).count(ENTRY_MARK)
        rest = chunk[1 - len(ENTRY_MARK) :]
    return found
