"""Buttons that save figures. PNG and SVG are drawn in the browser, HTML is made by the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from demo.page.components.base import Part


class Keys(NamedTuple):
    """The titles of figures by name, and what they were measured with."""

    figures: Mapping[str, str]
    caption: str


class FigureKeys(Part):
    """Its value is `Keys`; asking for HTML is a `select` with the figure's name."""
