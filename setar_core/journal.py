"""Files of JSON lines that outlive a killed process: the first says what the others are of.

Such a file is taken up where its last whole line ends; what follows may be anything, and is cut.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, NamedTuple


class Line(NamedTuple):
    """A whole line: its number from 1, its bytes, and where in the file it ends."""

    number: int
    content: bytes
    end: int

    @property
    def page(self) -> dict[str, Any] | None:
        """What it holds; None where that is no JSON object."""
        try:
            page = json.loads(self.content)
        except (ValueError, RecursionError):
            return None
        return page if isinstance(page, dict) else None


class Journal:
    """A file that grows line by line; what was appended is on the disk."""

    def __init__(self, path: Path, first: Mapping[str, Any], end: int = 0) -> None:
        """Go on after the first `end` bytes of what is there, or begin anew with the line `first`.

        Raises:
            OSError: the disk is full, or gone; names the file.
        """
        self.path, self._end = path, end
        if end:
            os.truncate(path, end)
        self._file = open(path, "ab" if end else "wb")  # noqa: SIM115
        if not end:
            self.append(first)

    def append(self, *pages: Mapping[str, Any]) -> list[int]:
        """Add a line for each page; the bytes at which they begin.

        Raises:
            OSError: the disk is full, or gone; names the file.
        """
        lines = [(json.dumps(page, allow_nan=False) + "\n").encode() for page in pages]
        append(self._file, b"".join(lines))
        *begin, self._end = accumulate(map(len, lines), initial=self._end)
        return begin

    def close(self) -> None:
        with suppress(OSError):  # only of a line that could not be written, which was said then
            self._file.close()


def append(file: IO[bytes], data: bytes) -> None:
    """Write to a file's end, and on to the disk.

    Raises:
        OSError: the disk is full, or gone; names the file.
    """
    try:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise OSError(
            f"{file.name} cannot be written ({error.strerror}); make room and resume from it"
        ) from None


def whole_lines(path: Path, kind: str, beginning: bytes, most: int) -> Iterator[Line]:
    """The lines that were written to their end.

    Args:
        kind: what the file is to be, in a word.
        beginning: of every file of this kind; one that has no whole line must not differ from it.
        most: bytes of a line.

    Raises:
        ValueError: another kind of file, or a line that is too long.
    """
    end = 0
    with open(path, "rb") as file:
        for number, content in enumerate(iter(lambda: file.readline(most), b""), start=1):
            if not content.endswith(b"\n"):
                if len(content) == most:
                    raise ValueError(f"{path}, line {number}: too long for a {kind}")
                if number == 1 and not beginning.startswith(content[: len(beginning)]):
                    raise ValueError(f"{path} is no {kind}; give another file")
                return
            end += len(content)
            yield Line(number, content, end)


def differences(
    found: Mapping[str, Any], wanted: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """What a first line has otherwise than the one that is wanted: the key, theirs, ours.

    The backbone's name is for people; whether it is the same one, its weights decide.
    """
    mine = json.loads(json.dumps(wanted, allow_nan=False))
    for key in dict.fromkeys((*mine, *found)):
        if key != "backbone" and found.get(key) != mine.get(key):
            yield key, found.get(key), mine.get(key)


def check_same(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises ValueError that names the first difference between two first lines."""
    for key, theirs, ours in differences(found, wanted):
        raise ValueError(
            f"{path} was made with {_visible(key)} {brief(theirs)}, this run has "
            f"{brief(ours)}; resume with the same, or start without --resume"
        )


def _visible(key: str) -> str:
    """A key in words; as Python writes it where parts of it cannot be printed."""
    words = key[:60].replace("_", " ")
    return words if words.isprintable() else repr(words)


def brief(value: Any) -> str:
    """A value as Python writes it, of at most 200 characters."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
