"""Numbers and names as the page writes them."""

from __future__ import annotations

from html import escape

STAY = ". You may leave this page open."  # it goes on


def text(words: str) -> str:
    """What anyone wrote, as HTML that shows it and does nothing, in an attribute too."""
    return escape(words).replace("`", "&#96;")


def number(value: float) -> str:
    """A score with the five digits that tell it from its neighbours, however small it is."""
    return f"{value:#.5g}".rstrip(".")
