"""What the events of every tab share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import gradio as gr

Kind = TypeVar("Kind")

# Options of an event of the page itself: no overlay, and no endpoint for clients.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
FAST = {**QUIET, "trigger_mode": "always_last"}  # what comes while one is at work: the last of it
PULSE = """const beat = new Blob(["setInterval(() => postMessage(0), 10000)"]);
new Worker(URL.createObjectURL(beat)).onmessage = () => document.hidden && trigger("select");
"""  # for a part of the page: its `select` comes every ten seconds while the tab is hidden
FORGOTTEN: dict = {}  # for a browser, names nothing; one that is told None keeps what it has
KEEP = gr.skip()


def sent(event: gr.EventData, name: str, kind: type[Kind]) -> Kind:
    """What a part's own event tells; a program may send anything.

    Raises:
        ValueError: nothing of that name and kind.
    """
    told = event._data.get(name) if isinstance(event._data, Mapping) else None
    if isinstance(told, int) and kind is float:
        told = float(told) if abs(told) < 2**53 else None
    finite = not isinstance(told, float) or math.isfinite(told)
    if not isinstance(told, kind) or isinstance(told, bool) or not finite:
        raise ValueError(f"the event tells no {name}; reload the page and try again")
    return told


def within(place: object, count: int) -> int:
    """A place among so many.

    Raises:
        ValueError: there is none.
    """
    if not isinstance(place, int) or not 0 <= place < count:
        raise ValueError("there is nothing at this place any more; reload the page and try again")
    return place
