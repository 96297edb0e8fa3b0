"""The line under the bar: what is loaded, where it runs, what is running."""

from __future__ import annotations

from typing import NamedTuple

from demo.page.components.base import Part


class State(NamedTuple):
    loaded: str
    running: str
    device: str
    busy: bool


class Status(Part):
    """Its value is a `State`."""
