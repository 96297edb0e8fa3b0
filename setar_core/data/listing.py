"""What of a folder is looked at: one rule for the top, for every folder below, and for zips."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from .decoding import ImageError

# What systems keep among the files of their users, in lower case; names with a dot come on top.
SYSTEM = {
    *("__macosx", "icon\r", "network trash folder", "temporary items"),  # macOS
    *("$recycle.bin", "system volume information"),  # Windows
    *("lost+found", "~snapshot"),  # Linux, NetApp
    *("@eadir", "#recycle", "#snapshot", "@sharebin", "@tmp"),  # Synology
    *("@recycle", "@recently-snapshot"),  # QNAP
}


class Listing(NamedTuple):
    """Of one folder, in sorted order; links are listed as what they lead to."""

    folders: list[Path]
    files: list[Path]


def of_the_system(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or a system's own."""
    return name.startswith(".") or name.lower() in SYSTEM


def listing(folder: str | os.PathLike[str]) -> Listing:
    """What lies in the folder itself and is not `of_the_system`.

    Raises:
        ImageError: it cannot be read.
    """
    folders, files = names(folder)
    return Listing(*([Path(folder, name) for name in some] for some in (folders, files)))


def names(folder: str | os.PathLike[str]) -> tuple[list[str], list[str]]:
    """The same by names alone, which take a tenth of the memory: folders and files.

    Raises:
        ImageError: it cannot be read.
    """
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not of_the_system(entry.name):
                    (folders if entry.is_dir() else files).append(entry.name)
    except OSError as error:
        reason = f"this folder cannot be read ({error.strerror or error})"
        raise ImageError(folder, reason, "check its permissions, or leave it out") from None
    return sorted(folders, key=os.path.normcase), sorted(files, key=os.path.normcase)
