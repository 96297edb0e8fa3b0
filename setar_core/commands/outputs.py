"""Files that a command writes: checked before the work, whole or not at all after it."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


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
    real = Path(path).resolve()
    part = _part(real)
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, real)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise OSError(f"{path} cannot be written ({error.strerror}); make room for it") from None


def set_aside(path: Path) -> Path:
    """Rename a file to the first free of `.old`, `.old2`, ...; nothing is written over."""
    number = 1
    while (kept := path.with_name(f"{path.name}.old{number if number > 1 else ''}")).exists():
        number += 1
    os.rename(path, kept)
    return kept


def _part(real: Path) -> Path:
    return real.with_name(f"{real.name}.part")
