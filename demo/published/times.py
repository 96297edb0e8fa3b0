"""How long the authors' search took, and ours beside their procedure where both were measured."""

from __future__ import annotations

from html import escape

from demo.published.words import minutes
from setar_core.published import Run, SearchTime, SearchTimes


def times(run: Run, found: SearchTimes | None) -> str:
    """The authors' time in a line, and a pair of bars for each search that we measured."""
    candidates = len(run.trace())
    theirs = (
        f"<p>The authors' search took <b>{minutes(run.search_seconds)}</b> for {candidates} "
        f"candidates on one RTX 4090: {run.search_seconds / candidates:.1f} s a candidate.</p>"
    )
    if found is None:
        return f'<div class="times"><h3>Search time</h3>{theirs}</div>'
    pairs = "".join(_pair(time) for time in found.measured)
    commands = "".join(f"<li><code>{escape(time.command)}</code></li>" for time in found.measured)
    return (
        f'<div class="times"><h3>Search time</h3>{theirs}'
        "<p>How much faster the search of this app is, can only be told on one machine. Here both "
        f"ran one after the other on {escape(found.machine)}:</p>"
        f'<div class="pairs">{pairs}</div>'
        '<p class="hint">“Their procedure” is a lean replay of it: for every candidate fresh '
        "weights and decompositions, and both towers in full on a batch at a time. The RTX 4090 "
        "above is other hardware, so its time is not compared with these.</p>"
        f'<details class="hint"><summary>Measure it yourself</summary><ul>{commands}</ul></details>'
        "</div>"
    )


def _pair(time: SearchTime) -> str:
    longest = max(time.seconds, time.procedure_seconds)
    faster = (
        f"{time.ratio:.1f} times faster"
        if time.ratio >= 1
        else f"{1 / time.ratio:.1f} times slower"
    )
    sampled = f", of which their procedure was timed on {time.sampled}" if time.sampled else ""
    return (
        f'<figure role="img" aria-label="{escape(_told(time, faster))}"><figcaption>'
        f"<b>{escape(time.title)}</b> <strong>{faster}</strong>"
        f"<small>{time.images:,} images, {time.labels:,} labels, {time.candidates:,} candidates"
        f"{sampled}</small></figcaption>"
        + _bar("ours", "This app", time.seconds, longest)
        + _bar("theirs", "Their procedure", time.procedure_seconds, longest)
        + "</figure>"
    )


def _bar(kind: str, name: str, seconds: float, longest: float) -> str:
    return (
        f'<div class="pair {kind}"><span>{name}</span><span class="track"><i '
        f'style="width:{100 * seconds / longest:.1f}%"></i></span>'
        f"<span>{_length(seconds)}</span></div>"
    )


def _told(time: SearchTime, faster: str) -> str:
    return (
        f"{time.title}: this app {_length(time.seconds)}, their procedure "
        f"{_length(time.procedure_seconds)}, {faster}"
    )


def _length(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else minutes(round(seconds))
