"""What was decided, as a coloured sign and words."""

from __future__ import annotations

from typing import NamedTuple

from demo.page.components.base import Part
from setar_core.verdict import CLOSE, IN, OPEN, OUT, Verdict

SIGNS = {IN: ("id", "✓"), OUT: ("ood", "✕"), CLOSE: ("close", "≈"), OPEN: ("open", "·")}


class Decision(NamedTuple):
    colour: str
    sign: str
    words: str


class Chip(Part):
    """Its value is a `Decision`."""


def chip(verdict: Verdict) -> Decision:
    """What a verdict decided; of a close call also the side."""
    side = {True: ", in", False: ", out"}[verdict.in_distribution] if verdict.close else ""
    return Decision(*SIGNS[verdict.decision], verdict.decision + side)
