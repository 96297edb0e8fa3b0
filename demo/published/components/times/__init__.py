"""How long the authors' search took, and ours beside their procedure where both were measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from demo.page.components.base import Part
from demo.published.words import minutes
from setar_core.published import Run, SearchTime, SearchTimes


class Bar(NamedTuple):
    """Whose time, and how long it is beside the longer one, in percent."""

    kind: str
    name: str
    share: float
    length: str


class Pair(NamedTuple):
    """Our time and their procedure's of one search."""

    title: str
    faster: str
    counts: str
    bars: Sequence[Bar]


class TimesTold(NamedTuple):
    """The authors' time, and what we measured on a machine, if anything."""

    theirs: str
    candidates: int
    each: str
    machine: str = ""
    pairs: Sequence[Pair] = ()
    commands: Sequence[str] = ()


class Times(Part):
    """Its value is `TimesTold`."""


def times(run: Run, found: SearchTimes | None) -> TimesTold:
    """The authors' time of a run, and a pair of bars for each search that we measured."""
    assert run.search_seconds is not None, "a published search was timed"
    candidates = len(run.trace())
    theirs = TimesTold(
        minutes(run.search_seconds), candidates, f"{run.search_seconds / candidates:.1f} s"
    )
    if found is None:
        return theirs
    return theirs._replace(
        machine=found.machine,
        pairs=[_pair(time) for time in found.measured],
        commands=[time.command for time in found.measured],
    )


def _pair(time: SearchTime) -> Pair:
    longest = max(time.seconds, time.procedure_seconds)
    faster = (
        f"{time.ratio:.1f} times faster"
        if time.ratio >= 1
        else f"{1 / time.ratio:.1f} times slower"
    )
    sampled = f", of which their procedure was timed on {time.sampled}" if time.sampled else ""
    return Pair(
        time.title,
        faster,
        f"{time.images:,} images, {time.labels:,} labels, {time.candidates:,} candidates{sampled}",
        [
            Bar(kind, name, round(100 * seconds / longest, 1), _length(seconds))
            for kind, name, seconds in (
                ("ours", "This app", time.seconds),
                ("theirs", "Their procedure", time.procedure_seconds),
            )
        ],
    )


def _length(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else minutes(round(seconds))
