"""The list of verdicts as HTML: one row an image, every word of a visitor escaped."""

from __future__ import annotations

from collections import Counter
from html import escape

from demo.detect.batch import Batch, Judged
from demo.page.words import number
from demo.server.request import ALTERED, ORIGINAL, TITLES
from setar_core.verdict import IN, OPEN, OUT, Verdict

_SIGNS = {IN: ("id", "✓"), OUT: ("ood", "✕"), OPEN: ("open", "·")}


def chip(verdict: Verdict) -> str:
    """The decision as a coloured sign and words."""
    words = verdict.decision
    colour, sign = _SIGNS[words]
    return f'<span class="chip {colour}"><span aria-hidden="true">{sign}</span> {words}</span>'


def rows(batch: Batch, order: list[int], picked: int | None) -> str:
    """A button a row; `data-index` is the image's place in the batch."""
    if not batch.images:
        return (
            '<div class="empty"><strong>No pictures judged yet.</strong> Drop some on the left, '
            "or click an example.</div>"
        )
    scales = {weights: _scale(batch, weights) for weights in batch.settings.weights}
    items = "".join(_row(batch, i, i == picked, scales) for i in order)
    return f'<ul class="rows" aria-label="Verdicts">{items}</ul>'


def tally(batch: Batch) -> str:
    """How many were decided which way, by weights, in one line."""
    parts = []
    for weights in batch.settings.weights:
        counts = Counter(image.verdicts[weights].decision for image in batch.images)
        said = ", ".join(f"{counts[words]} {words}" for words in _SIGNS if counts[words])
        head = f"{TITLES[weights]}: " if len(batch.settings.weights) > 1 else ""
        parts.append(f"<span>{head}<b>{said or 'nothing judged'}</b></span>")
    differ = sum(image.differs for image in batch.images)
    if differ:
        parts.append(f"<span><b>≠ {differ}</b> decided differently</span>")
    return (
        f'<p class="tally">{"".join(parts)}</p><p class="hint">In-distribution: it shows one of '
        "your labels. Out-of-distribution: probably none of them.</p>"
    )


def _row(batch: Batch, i: int, picked: bool, scales: dict[str, tuple[float, float]]) -> str:
    image = batch.images[i]
    lines = "".join(
        _line(image, weights, scales[weights], len(batch.settings.weights) > 1)
        for weights in batch.settings.weights
    )
    differs = '<span class="differs">≠ they disagree</span>' if image.differs else ""
    current = "true" if picked else "false"
    return (
        f'<li><button type="button" class="row" data-index="{i}" aria-current="{current}">'
        f'<img src="{image.thumbnail}" alt="" width="56" height="56">'
        f'<span class="body"><span class="name">{escape(image.name)} {differs}</span>{lines}</span>'
        "</button></li>"
    )


def _line(image: Judged, weights: str, scale: tuple[float, float], named: bool) -> str:
    verdict = image.verdicts[weights]
    label, probability = verdict.top[0]
    words = verdict.decision
    near = f"nearest: {escape(label)}" if words == OUT else escape(label)
    short = {ORIGINAL: "original", ALTERED: "SeTAR"}[weights]
    head = f'<span class="weights">{short}</span>' if named else ""
    return (
        f'<span class="line">{head}{chip(verdict)}<span class="label">{near} '
        f"<b>{probability:.2f}</b></span>{_axis(verdict, scale)}"
        f'<span class="score">{number(verdict.score)}</span></span>'
    )


def _axis(verdict: Verdict, scale: tuple[float, float]) -> str:
    """The score as a dot on a line, the threshold as a tick across it."""
    low, high = scale
    colour, _ = _SIGNS[verdict.decision]
    tick = ""
    if verdict.threshold is not None:
        at = _place(verdict.threshold, low, high)
        tick = f'<line class="tick" x1="{at}" x2="{at}" y1="2" y2="16"/>'
    return (
        '<svg class="axis" viewBox="0 0 100 18" preserveAspectRatio="none" aria-hidden="true">'
        f'<line class="rule" x1="2" x2="98" y1="9" y2="9"/>{tick}</svg>'
        f'<span class="dot {colour}" style="--at:{_place(verdict.score, low, high)}%"></span>'
    ).join(('<span class="track">', "</span>"))


def _scale(batch: Batch, weights: str) -> tuple[float, float]:
    """The least and the greatest of the scores and the threshold."""
    verdicts = [image.verdicts[weights] for image in batch.images]
    values = [v.score for v in verdicts] + [
        v.threshold for v in verdicts if v.threshold is not None
    ]
    return min(values), max(values)


def _place(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(4 + 92 * min(1.0, max(0.0, share)), 2)
