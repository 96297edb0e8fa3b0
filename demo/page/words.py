"""Numbers and names as the page writes them."""

from __future__ import annotations


def number(value: float) -> str:
    """A score with the five digits that tell it from its neighbours, however small it is."""
    return f"{value:#.5g}".rstrip(".")
