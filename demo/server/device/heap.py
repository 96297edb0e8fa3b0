"""What glibc keeps of the memory that it was given back; elsewhere there is nothing to do."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable
from typing import Any

M_ARENA_MAX, ARENAS = -8, 2  # of glibc's mallopt


def share_arenas() -> None:
    """Let all threads take memory from few pools.

    glibc gives each thread one of its own, and what a visitor's thread gave back would stay in it:
    30 MB less after 360 verdicts for six visitors at once.
    """
    if mallopt := _function("mallopt"):
        mallopt(M_ARENA_MAX, ARENAS)


def trim() -> None:
    """Give the system back what is free between what is used."""
    gc.collect()
    if malloc_trim := _function("malloc_trim"):
        malloc_trim(0)


def _function(name: str) -> Callable[..., Any] | None:
    return getattr(ctypes.CDLL(None), name, None) if os.name == "posix" else None
