"""Long work: how far it is."""

from __future__ import annotations

from typing import NamedTuple


class Progress(NamedTuple):
    """What is going on, in words; `share` of it that is done, in [0, 1], where that is known."""

    sentence: str
    share: float | None = None
