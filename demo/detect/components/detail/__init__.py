"""One judged image: what the model saw, its patch map, its best labels, the decision."""

from __future__ import annotations

from typing import NamedTuple

from demo.detect.batch import Batch, Judged
from demo.detect.components.chip import Chip, Decision, chip
from demo.page.components.base import Part
from demo.page.pictures import PatchMap, patch_map
from demo.page.words import number
from setar_core.verdict import OUT, Nearest, Verdict


class Column(NamedTuple):
    """What one of the weights makes of the image; `before` and `after` go around its `label`."""

    title: str
    chip: Decision
    before: str
    label: str
    after: str
    patches: PatchMap
    heading: str
    bars: list[tuple[str, float]]


class Shown(NamedTuple):
    """`picture` is a data URI, None when the file is gone."""

    name: str
    picture: str | None
    columns: list[Column]


class Detail(Part):
    """Its value is what is `Shown` of the image."""

    inside = (Chip,)


def detail(batch: Batch, image: Judged, picture: str | None, score_title: str) -> Shown:
    """One column for each of the weights."""
    columns = [
        _column(batch.settings.titles[weights], image.verdicts[weights], score_title)
        for weights in batch.settings.weights
    ]
    return Shown(image.name, picture, columns)


def _column(title: str, verdict: Verdict, score_title: str) -> Column:
    before, after = _sentence(verdict, f"{score_title} {number(verdict.score)}")
    if verdict.spread:
        low, high = map(number, verdict.spread)
        after += f" By each line of the prompt alone it lies between {low} and {high}."
    patches = patch_map(verdict.patches, verdict.patch_labels)
    label, bars, heading = verdict.top[0][0], list(verdict.top), "Best labels"
    if verdict.nearest:
        bars, heading = [_bar(near) for near in verdict.nearest], "Best labels and negatives"
        label = bars[0][0] if verdict.decided and verdict.side == OUT else label
    return Column(title, chip(verdict), before, label, after, patches, heading, bars)


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
