"""How long searches took us beside the authors' procedure, as measured facts that are shipped.

`python -m tests.speed.search --record MACHINE` writes them: both in one run, on one machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .paths import PUBLISHED

FILE = PUBLISHED / "search_times.json"


class SearchTime(NamedTuple):
    """One search, by us and by the authors' procedure.

    `sampled` is how many of its candidates the procedure was timed on, where not on all; its
    `procedure_seconds` are for all `candidates` then too.
    """

    title: str
    images: int
    labels: int
    candidates: int
    seconds: float
    procedure_seconds: float
    sampled: int | None
    command: str

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.procedure_seconds / self.seconds


class SearchTimes(NamedTuple):
    """Everything that was measured on one machine, in words."""

    machine: str
    measured: tuple[SearchTime, ...]


def search_times(path: Path = FILE) -> SearchTimes | None:
    """The facts, None where nothing was measured yet.

    Raises:
        ValueError: a file that holds something else.
    """
    if not path.is_file():
        return None
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
        measured = tuple(_time(entry) for entry in page["measured"])
        return SearchTimes(str(page["machine"]), measured) if measured else None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path.name} holds no search times ({error}); measure them with "
            "python -m tests.speed.search --record MACHINE"
        ) from None


def _time(entry: Mapping[str, Any]) -> SearchTime:
    found = SearchTime(**entry)
    for name in ("images", "labels", "candidates", "seconds", "procedure_seconds"):
        if not getattr(found, name) > 0:
            raise ValueError(f"{name} of {found.title!r} is {getattr(found, name)!r}")
    return found
