"""Files that a command writes: checked before the work, whole or not at all after it."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .console import say


def check_outputs(*paths: str | None) -> None:
    """Find out now what could not be written in the end; None is an output that was not asked for.

    Raises:
        ValueError: two outputs in one file, a folder that is not there or cannot be written to,
            something there that is no file.
    """
    known: set[Path] = set()  # the outputs, and where each is written first
    for path in (given for given in paths if given is not None):
        real = Path(path).resolve()
        if not known.isdisjoint((real, _part(real))):
            raise ValueError(f"{path} is to hold two outputs; give each a file of its own")
        known |= {real, _part(real)}
        if not real.parent.is_dir():
            raise ValueError(f"{path}: its folder does not exist; make it first")
        if real.is_dir():
            raise ValueError(f"{path or repr(path)} is a folder; give a file")
        if real.exists() and not real.is_file():
            raise ValueError(f"{path} is a device or a pipe; give a file")
        try:
            with tempfile.TemporaryFile(dir=real.parent):
                pass
            if real.exists():
                with real.open("ab"):
                    pass
        except OSError as error:
            raise ValueError(
                f"{path} cannot be written ({error.strerror}); give a file in a folder of yours"
            ) from None


def save_whole(path: str, text: str) -> None:
    """What was there stays until the new text is written; a link stays a link.

    Raises:
        OSError: the disk is full, or gone; names the file.
    """
    with whole_file(path) as file:
        file.write(text.encode())


@contextmanager
def whole_file(path: str) -> Iterator[IO[bytes]]:
    """A file for what `path` is to hold, and holds when it is written to its end.

    Raises:
        OSError: the disk is full, or gone; names the file.
    """
    real = Path(path).resolve()
    part = _part(real)
    try:
        with open(part, "wb") as file:
            yield file
        os.replace(part, real)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise OSError(f"{path} cannot be written ({reason}); make room for it") from None
        raise


def set_aside_unfinished(out: str, *files: Path) -> None:
    """Keep what a run that did not end has left: files that are newer than `out`, or without it."""
    known = Path(out).stat().st_mtime if Path(out).exists() else -math.inf
    for path in files:
        if path.exists() and path.stat().st_mtime > known:
            kept = set_aside(path)
            say(f"{path} is of a run that did not end; it is now {kept} (--resume would go on)")


def set_aside(path: Path) -> Path:
    """Rename a file to the first free of `.old`, `.old2`, ...; nothing is written over."""
    number = 1
    while (kept := path.with_name(f"{path.name}.old{number if number > 1 else ''}")).exists():
        number += 1
    os.rename(path, kept)
    return kept


def _part(real: Path) -> Path:
    return real.with_name(f"{real.name}.part")
