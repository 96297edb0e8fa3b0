"""The heading of a part of the page, and what that part is for."""

from __future__ import annotations

from demo.page.components.base import Part


class Heading(Part):
    """Its value is a title and a sentence."""


def head(title: str, sentence: str) -> None:
    """A heading and what the part below is for."""
    Heading((title, sentence), elem_classes="section")
