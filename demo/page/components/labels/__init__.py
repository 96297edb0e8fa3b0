"""How many labels there are, which of them are doubtful, and words that the model never saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from demo.page.components.base import Part
from demo.page.notices import begun


class Summary(NamedTuple):
    """What is said of some labels: how many, the first of them, and what may be wrong with them;
    or the problem for which there are none."""

    total: str = ""
    names: str = ""
    warnings: Sequence[str] = ()
    problem: str = ""


class LabelSummary(Part):
    """Its value is a `Summary`."""


def summary(names: Sequence[str], doubts: Sequence[str], unknown: Sequence[str]) -> Summary:
    """Of labels that can be used, with sentences about those that are doubtful."""
    warnings = [f"{begun(doubt)}." for doubt in doubts]
    if unknown:
        warnings.append(
            f"Words this model has never seen: {_first(_quoted(unknown), 8)}. It knows only the "
            "words of its emoji world; what it says of these labels means little."
        )
    return Summary(f"{len(names):,} labels", _first(names, 8), warnings)


def _first(names: Sequence[str], count: int) -> str:
    more = f" and {len(names) - count:,} more" if len(names) > count else ""
    return f"{', '.join(names[:count])}{more}"


def _quoted(names: Sequence[str]) -> list[str]:
    return [f"“{name}”" for name in names]
