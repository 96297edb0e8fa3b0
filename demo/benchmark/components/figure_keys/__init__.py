"""Buttons that save figures. PNG and SVG are drawn in the browser, HTML is made by the server."""

from __future__ import annotations

from demo.page.components.base import Part


class FigureKeys(Part):
    """Its value is the titles of figures by name; asking for HTML is a `select` with the name."""
