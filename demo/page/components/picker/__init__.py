"""Parts with something to choose: a click on a `button[data-index]` is a `select` with `index`."""

from __future__ import annotations

from demo.page.components.base import Part


class Picker(Part):
    """A part whose template has buttons with a `data-index`."""
