"""One judged image, large: what was decided, how near the line, and what speaks for its label."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from demo.detect.batch import Batch, Judged
from demo.detect.components.chip import Chip, Decision, chip
from demo.page.components.base import Part
from demo.page.pictures import PatchMap, patch_map
from demo.page.words import number
from setar_core.scores import SCORES
from setar_core.verdict import OUT, Nearest, Verdict

REACH = 1.5  # how far an axis goes to either side, in widths of a close call
MIDDLE, SIDE = 50, 46  # of an axis, in per cent of its width


class Said(NamedTuple):
    """What one of the weights, or all alike, decides; `before` and `after` go around `label`."""

    title: str
    chip: Decision
    before: str
    label: str
    after: str


class Dot(NamedTuple):
    """A score on an axis whose middle is its threshold, in per cent; a close call lies between
    `low` and `high`."""

    title: str
    chip: Decision
    at: float
    low: float
    high: float


class Evidence(NamedTuple):
    """What speaks for the best label of one of the weights."""

    title: str
    label: str
    patches: PatchMap
    heading: str
    bars: list[tuple[str, float]]


class Shown(NamedTuple):
    """`picture` is a data URI, None when the file is gone; `scores` are all that it has, each
    against its own threshold."""

    name: str
    known: str
    picture: str | None
    lead: str
    said: list[Said]
    dots: list[Dot]
    evidence: list[Evidence]
    scores: list[Dot]
    tally: str


class Detail(Part):
    """Its value is what is `Shown` of the image; the map can be taken away."""

    inside = (Chip,)
    state = ("plain",)


def detail(batch: Batch, image: Judged, picture: str | None, score_title: str) -> Shown:
    """What differs between the weights stands side by side, what they agree on once."""
    titles, weights = batch.settings.titles, batch.settings.weights
    last = image.verdicts[weights[-1]]
    labels = dict.fromkeys(image.verdicts[one].top[0][0] for one in reversed(weights))
    shown = [
        next(w for w in reversed(weights) if image.verdicts[w].top[0][0] == label)
        for label in labels
    ]
    alike = len(weights) > 1 and not image.changed and len(labels) == 1
    said = [
        _said("" if len(weights) == 1 else titles[one], image.verdicts[one], score_title)
        for one in weights
    ]
    if alike:
        before = number(image.verdicts[weights[0]].score)
        said = [said[-1]._replace(title="Both", after=f"{said[-1].after} (Original: {before}.)")]
    found = batch.every.get(weights[-1], {})
    scores = [
        _dot(
            SCORES[name].title,
            replace(last, score=value, threshold=found[name].value, band=found[name].band),
        )
        for name, value in last.scores.items()
        if name in found
    ]
    return Shown(
        image.name,
        batch.known.get(image.path, ""),
        picture,
        _lead(image) if len(weights) > 1 and last.decided else "",
        said,
        [_dot(titles[one], image.verdicts[one], batch.reach(one)) for one in weights]
        if last.decided
        else [],
        [_evidence(titles[one] if len(shown) > 1 else "", image.verdicts[one]) for one in shown],
        scores,
        _tally(scores),
    )


def _lead(image: Judged) -> str:
    if image.differs:
        return "≠ The recipe changes this verdict."
    if image.changed:
        return "≈ The recipe moves it into or out of what is too close to call."
    return ""


def _tally(scores: list[Dot]) -> str:
    refused = [dot.title for dot in scores if dot.at < MIDDLE]
    if not refused:
        return f"All {len(scores)} scores take it for one of your labels"
    if len(refused) == len(scores):
        return f"All {len(scores)} scores refuse it"
    return f"{len(refused)} of {len(scores)} scores refuse it"


def _dot(title: str, verdict: Verdict, reach: float = 0.0) -> Dot:
    """On an axis that reaches a little farther than a close call does, or as far as is said."""
    line = verdict.threshold
    assert line is not None
    low, high = verdict.band or (line, line)
    reach = REACH * max(high - line, line - low) or reach or 1.0
    at, low, high = (
        round(MIDDLE + SIDE * min(1.0, max(-1.0, (value - line) / reach)), 2)
        for value in (verdict.score, low, high)
    )
    return Dot(title, chip(verdict), at, low, high)


def _evidence(title: str, verdict: Verdict) -> Evidence:
    label = verdict.top[0][0]
    bars, heading = list(verdict.top), "Best labels"
    if verdict.nearest:
        bars, heading = [_bar(near) for near in verdict.nearest], "Best labels and negatives"
    return Evidence(title, label, patch_map(verdict.support, label), heading, bars)


def _said(title: str, verdict: Verdict, score_title: str) -> Said:
    before, after = _sentence(verdict, f"{score_title} {number(verdict.score)}")
    if verdict.spread:
        low, high = map(number, verdict.spread)
        after += f" By each line of the prompt alone it lies between {low} and {high}."
    label = verdict.top[0][0]
    if verdict.nearest and verdict.decided and verdict.side == OUT:
        label = _bar(verdict.nearest[0])[0]
    return Said(title, chip(verdict), before, label, after)


def _bar(near: Nearest) -> tuple[str, float]:
    return f"{near.name} (not one of yours)" if near.negative else near.name, near.share


def _sentence(verdict: Verdict, score: str) -> tuple[str, str]:
    """What is said of the best label, before it and after it."""
    if verdict.threshold is None:
        return "The nearest label is ", f": {score}. Without a threshold nothing is decided."
    line = number(verdict.threshold)
    if verdict.in_distribution:
        return "It shows one of your labels, most likely ", f": {score} reaches {line}."
    return "It is probably none of your labels; ", f" is nearest: {score} is below {line}."
