"""Images in tars, as WebDataset keeps them: `shard.tar/key.jpg` is the path of one.

A sample is what follows one another under one key: the folder, and the name up to its first dot.
Its image is read where it lies in the tar. Nothing is unpacked, links lead nowhere, pickles and
whatever else is there are passed over and counted. A shard that is cut short or broken keeps the
images before that place, and its own path stands for the rest: reading that tells what is wrong.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import tarfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from PIL import Image

from .archives.contents import BIDI, CONTROLS, MAX_DEPTH, MAX_PART, OTHERS, first_line
from .decoding import ImageError, check_bytes, decode_image
from .formats import EXTENSIONS
from .listing import of_the_system
from .names import Names

ENDING = ".tar"
LABELS = {"cls": 2, "json": 1}  # a sample's own label: where both are there, of the larger number
JSON_KEYS = ("label", "cls", "class")
MAX_LABEL = 1_000_000  # bytes
MAX_HEADER = 2**16  # bytes of a long name or of notes on a member
MAX_MEMBERS = 10_000_000
MAX_SHARDS = 1_000_000  # that braces may name
KINDS = 20  # of what is passed over, that are told apart
AGAIN = "pack it or download it again"

# What tarfile raises on broken or hostile bytes.
TAR_ERRORS = (
    *(tarfile.TarError, OSError, EOFError),
    *(ValueError, OverflowError),  # texts that are no numbers, places that no file has
    *(LookupError, TypeError, AttributeError, ArithmeticError),
    *(RecursionError, MemoryError),  # headers of headers
)


class Shard(NamedTuple):
    """What a tar holds, by its headers.

    Attributes:
        images: their names in the tar.
        spans: `(n, 2)`, the byte at which each begins, and how many there are.
        labels: `(n, 3)`, the same of its label, and of which kind that is; zeros where none is.
        passed: how many of what was passed over.
        fault: what is wrong with the rest of the tar, and the remedy; None where it is whole.
    """

    images: Names
    spans: np.ndarray
    labels: np.ndarray
    passed: Counter[str]
    fault: tuple[str, str] | None = None


class Member(NamedTuple):
    """An image in a shard: where its bytes are, or why there are none."""

    path: Path
    shard: Path
    start: int = 0
    size: int = 0
    fault: tuple[str, str] | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    def read(self) -> Image.Image:
        """As `read_image`. Raises ImageError."""
        if self.fault:
            raise ImageError(self.path, *self.fault)
        check_bytes(self.path, self.size)
        try:
            with open(self.shard, "rb") as file:
                file.seek(self.start)
                data = file.read(self.size)
        except OSError as error:
            reason = f"cannot be read ({error.strerror or error})"
            raise ImageError(self.path, reason, "check the shard and its permissions") from None
        return decode_image(self.path, io.BytesIO(data))


def is_shard(path: str | os.PathLike[str]) -> bool:
    """Whether this is a tar, by its name."""
    return os.fspath(path).lower().endswith(ENDING) and os.path.isfile(path)


def expanded(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """The paths, and those that braces name: `{000..099}` counts, `{a,b}` lists.

    Raises:
        ValueError: braces that name too many.
    """
    for given in paths:
        path = os.fspath(given)
        if "{" in path and not os.path.exists(path):
            yield from map(Path, _braces(path))
        else:
            yield Path(path)


def located(path: str | os.PathLike[str]) -> Path | Member:
    """Where an image lies: itself, or its place in a shard; what is wrong is told when it is read.

    The headers of the last few shards are kept, so images of one shard are best asked in a row.
    """
    if isinstance(path, Member):
        return path
    path = Path(path)
    shard = shard_of(path)
    if shard is None:
        return path
    found = opened(shard)
    if shard == path:
        return Member(path, shard, fault=found.fault) if found.fault else path
    place = found.images.place(_inside(path, shard))
    if place is None:
        return Member(path, shard, fault=("is not in this shard", "check its name"))
    start, size = found.spans[place].tolist()
    return Member(path, shard, start, size)


def size_of(path: Path) -> int:
    """Bytes of the file, or of the shard that an image lies in; -1 where there is none."""
    shard = shard_of(path)
    try:
        whole = shard or path
        return whole.stat().st_size if whole.is_file() else -1
    except OSError:
        return -1


def opened(path: Path) -> Shard:
    """What a tar holds; its headers are read again where the file has changed."""
    try:
        status = os.stat(path)
    except OSError as error:
        return _nothing(f"cannot be read ({error.strerror or error})", "check its permissions")
    return _headers(str(path), status.st_size, status.st_mtime_ns)


def images_in(path: Path, passed: Counter[str] | None = None) -> Iterator[Path]:
    """The images of a shard, in its order; last its own path, where something is wrong with it."""
    shard = opened(path)
    yield from (path / name for name in shard.images)
    if shard.fault:
        yield path
    if passed is not None:
        passed += shard.passed


def labels_in(path: Path) -> Iterator[str | None]:
    """What `.cls` or `.json` says of each of `images_in`; None where they say nothing."""
    shard = opened(path)
    if len(shard.images):
        with open(path, "rb") as file:
            for start, size, kind in shard.labels.tolist():
                file.seek(start)
                yield _label(file.read(size), kind) if kind and size <= MAX_LABEL else None
    if shard.fault:
        yield None


def told(passed: Counter[str]) -> str:
    """`3 .pkl, 12 links`, the most frequent first."""
    return ", ".join(f"{count:,} {kind}" for kind, count in passed.most_common())


def _braces(path: str) -> Iterator[str]:
    parts = re.split(r"\{([^{}]*)\}", path)
    choices = [_choices(part) if i % 2 else [part] for i, part in enumerate(parts)]
    if math.prod(map(len, choices)) > MAX_SHARDS:
        raise ValueError(f"{path} names over {MAX_SHARDS:,} files; give several, or a folder")
    return map("".join, product(*choices))


def _choices(text: str) -> list[str]:
    found = re.fullmatch(r"(\d{1,12})\.\.(\d{1,12})", text)
    if not found:
        return text.split(",") if "," in text else [f"{{{text}}}"]
    first, last = int(found[1]), int(found[2])
    if abs(last - first) >= MAX_SHARDS:
        raise ValueError(f"{{{text}}} counts over {MAX_SHARDS:,}; give several, or a folder")
    width = len(found[1]) if found[1].startswith("0") else 0
    step = 1 if first <= last else -1
    return [f"{i:0{width}d}" for i in range(first, last + step, step)]


def shard_of(path: Path) -> Path | None:
    """The path up to the first file that is a shard by its name."""
    if ENDING not in os.fspath(path).lower():
        return None
    return next((one for one in (*reversed(path.parents), path) if is_shard(one)), None)


def _inside(path: Path, shard: Path) -> str:
    return str(path)[len(str(shard)) + 1 :].replace(os.sep, "/")


@lru_cache(maxsize=4)
def _headers(path: str, size: int, changed: int) -> Shard:
    """Read the headers of a tar; `size` and `changed` tell one file from the next of its name."""
    found = _Found()
    try:
        with open(path, "rb") as file:
            fault = _read_headers(file, size, found)
    except TAR_ERRORS as error:
        fault = (f"is broken ({first_line(error)})", AGAIN)
        start = _beginning(path)
        for mark, kind in OTHERS.items():
            if start.startswith(mark):
                fault = f"is {kind}, not a plain tar", "unpack that, so that a .tar remains"
    if fault and len(found.names):
        fault = f"{fault[0]}, behind {len(found.names):,} images", fault[1]
    return found.shard(fault)


def _beginning(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(8)
    except OSError:
        return b""


def _read_headers(file: BinaryIO, size: int, found: _Found) -> tuple[str, str] | None:
    with tarfile.open(fileobj=cast(BinaryIO, _Headers(file)), mode="r:") as tar:
        before = -1
        while (member := tar.next()) is not None:
            cast(Any, tar).members = []  # it would keep every header
            if member.size < 0 or tar.offset <= before:
                return f"is broken at byte {member.offset:,}", AGAIN
            before = tar.offset
            if member.offset_data + member.size > size:
                return "is cut short", AGAIN
            found.add(member)
            if found.members > MAX_MEMBERS:
                return f"has over {MAX_MEMBERS:,} files", "pack it as several shards"
        file.seek(tar.offset)
        end = file.read(tarfile.BLOCKSIZE)
    if end.strip(b"\0"):
        return f"is broken at byte {tar.offset:,}", AGAIN
    return ("is cut short", AGAIN) if len(end) < tarfile.BLOCKSIZE else None


class _Headers:
    """A file of which tarfile reads nothing long, and not again and again at its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._ended = file, False
        self.name, self.mode = "", "rb"
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        data = self._file.read(size)
        if not data and self._ended:
            raise tarfile.ReadError("it ends within a header")
        self._ended = not data
        return data


class _Found:
    """What is found of a shard, member by member."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.members = 0
        self._spans, self._labels = array("q"), array("q")
        self._passed: Counter[str] = Counter()
        self._key: str | None = None
        self._whole = False  # whether the sample has its image
        self._label = (0, 0, 0)

    def add(self, member: tarfile.TarInfo) -> None:
        self.members += 1
        if member.isdir():
            return
        if not member.isreg() or member.issparse():
            return self._pass("links, devices or sparse files")
        name = PurePosixPath(member.name)
        if not _is_plain(name):
            return self._pass("names of systems or that lead elsewhere")
        stem, _, ending = name.name.partition(".")
        ending = ending.lower()
        if (key := str(name.with_name(stem))) != self._key:
            self._key, self._whole, self._label = key, False, (0, 0, 0)
        if f".{ending}" in EXTENSIONS:
            if self._whole:
                return self._pass("second images of a sample")
            self._whole = True
            self.names.append(str(name))
            self._spans.extend((member.offset_data, member.size))
            self._labels.extend(self._label)
        elif (kind := LABELS.get(ending, 0)) > self._label[2]:
            self._label = (member.offset_data, member.size, kind)
            if self._whole:
                self._labels[-3:] = array("q", self._label)
        elif not kind:
            self._pass(f".{ending[:20]}" if ending.isprintable() and ending else "others")

    def shard(self, fault: tuple[str, str] | None) -> Shard:
        names = Names(self.names)
        spans = np.frombuffer(self._spans, np.int64).reshape(-1, 2)
        labels = np.frombuffer(self._labels, np.int64).reshape(-1, 3)
        if not names.first.all():
            keep = names.first
            self._passed["names that were there before"] += int((~keep).sum())
            names = Names(self.names[place] for place in np.flatnonzero(keep).tolist())
            spans, labels = spans[keep], labels[keep]
        return Shard(names, spans, labels, self._passed, fault)

    def _pass(self, kind: str) -> None:
        known = kind in self._passed or len(self._passed) < KINDS
        self._passed[kind if known else "others"] += 1


def _is_plain(name: PurePosixPath) -> bool:
    """Whether it is the name of a user's file in the tar, without what drives terminals."""
    import unicodedata

    parts = name.parts
    if not name.name.partition(".")[0] or name.is_absolute() or ".." in parts:
        return False
    if len(parts) > MAX_DEPTH or any(len(os.fsencode(part)) > MAX_PART for part in parts):
        return False
    if any(map(of_the_system, parts)) or any(part.lower().endswith(ENDING) for part in parts):
        return False
    text = str(name)
    return (text.isascii() and text.isprintable()) or not any(
        unicodedata.category(c) in CONTROLS or c in BIDI for c in text
    )


def _nothing(reason: str, remedy: str) -> Shard:
    none = np.empty((0, 3), np.int64)
    return Shard(Names(()), none[:, :2], none, Counter(), (reason, remedy))


def _label(data: bytes, kind: int) -> str | None:
    try:
        text = data.decode()
        if kind == LABELS["cls"]:
            return text.strip() or None
        page = json.loads(text)
    except (ValueError, RecursionError):
        return None
    values = [page[key] for key in JSON_KEYS if key in page] if isinstance(page, dict) else []
    return str(values[0]) if values and type(values[0]) in (int, str) else None
