"""What was decided, as a coloured sign and words."""

from __future__ import annotations

from typing import NamedTuple

from demo.page.components.base import Part
from setar_core.verdict import IN, OPEN, OUT, Verdict

SIGNS = {IN: ("id", "✓"), OUT: ("ood", "✕"), OPEN: ("open", "·")}


class Decision(NamedTuple):
    colour: str
    sign: str
    words: str


class Chip(Part):
    """Its value is a `Decision`."""


def chip(verdict: Verdict) -> Decision:
    """What a verdict decided."""
    return Decision(*SIGNS[verdict.decision], verdict.decision)
