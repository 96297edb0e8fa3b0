"""The list of verdicts: a row an image, to be chosen with a click or with the arrow keys."""

from __future__ import annotations

from typing import NamedTuple

from demo.detect.batch import Batch
from demo.detect.components.chip import Chip, Decision, chip
from demo.page.components.picker import Picker
from demo.page.words import number
from demo.server.settings import ADAPTER, ALTERED, ORIGINAL
from setar_core.verdict import OUT, Verdict

BOTH = "both"  # where the weights agree


class Line(NamedTuple):
    """One verdict; `at` and `threshold` are places on its axis, in per cent of the width."""

    weights: str
    chip: Decision
    label: str
    probability: str
    score: str
    at: float
    threshold: float | None


class Row(NamedTuple):
    """One image; `place` is where it is in the batch."""

    place: int
    picked: bool
    thumbnail: str
    name: str
    known: str
    differs: bool
    lines: list[Line]


class Rows(Picker):
    """Its value is a list of `Row`s; a list without any says how to get some."""

    inside = (Chip,)


def rows(batch: Batch, order: list[int], picked: int | None) -> list[Row]:
    """The batch's images in the order given."""
    weights, trained = batch.settings.weights, batch.settings.titles[ALTERED] == ADAPTER
    short = {ORIGINAL: "original", ALTERED: "adapter" if trained else "SeTAR"}
    scales: dict[str, tuple[str, float, float]] = {}
    for one in weights:
        low, high = _scale(batch, one)
        scales[one] = (short[one] if len(weights) > 1 else "", low, high)
    return [_row(batch, i, i == picked, scales) for i in order]


def _row(batch: Batch, i: int, picked: bool, scales: dict[str, tuple[str, float, float]]) -> Row:
    image = batch.images[i]
    labels = {verdict.top[0][0] for verdict in image.verdicts.values()}
    if len(scales) > 1 and not image.changed and len(labels) == 1:
        last, (_, low, high) = list(scales.items())[-1]
        scales = {last: (BOTH, low, high)}
    lines = [_line(image.verdicts[weights], *scale) for weights, scale in scales.items()]
    known = batch.known.get(image.path, "")
    return Row(i, picked, image.thumbnail, image.name, known, image.differs, lines)


def _line(verdict: Verdict, weights: str, low: float, high: float) -> Line:
    label, probability = verdict.top[0]
    limit = verdict.threshold
    return Line(
        weights,
        chip(verdict),
        f"nearest: {label}" if verdict.decided and verdict.side == OUT else label,
        f"{probability:.2f}",
        number(verdict.score),
        _place(verdict.score, low, high),
        None if limit is None else _place(limit, low, high),
    )


def _scale(batch: Batch, weights: str) -> tuple[float, float]:
    """The least and the greatest of the scores and the threshold."""
    verdicts = [image.verdicts[weights] for image in batch.images]
    limits = [v.threshold for v in verdicts if v.threshold is not None]
    values = [v.score for v in verdicts] + limits
    return min(values, default=0.0), max(values, default=0.0)


def _place(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(4 + 92 * min(1.0, max(0.0, share)), 2)
