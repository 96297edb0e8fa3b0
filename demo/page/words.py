"""Text, numbers and names as the page writes them."""

from __future__ import annotations

from html import escape

from setar_core.recipe import Site

TOWERS = {"visual": "Image tower", "text": "Text tower"}
STAY = ". You may leave this page open."  # it goes on


def text(words: str) -> str:
    """What anyone wrote, as HTML that shows it and does nothing, in an attribute too."""
    return escape(words).replace("`", "&#96;")


def number(value: float) -> str:
    """A score with the five digits that tell it from its neighbours, however small it is."""
    return f"{value:#.5g}".rstrip(".")


def duration(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 1.5:
        return "1 s" if seconds >= 0.5 else "under 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def left_out(count: int, what: str = "file") -> str:
    """How many of something could not be used."""
    return f"One {what} was left out" if count == 1 else f"{count} {what}s were left out"


def place(site: Site) -> str:
    """Where a matrix stands, without its name: `image tower, block 5`."""
    tower, block = TOWERS[site.tower].lower(), site.block
    if block is None:
        return f"{tower}, projection"
    at = f"stage {block[0]}, block {block[1]}" if isinstance(block, tuple) else f"block {block}"
    return f"{tower}, {at}"
