"""Held pictures: judged while a training goes on, and never trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from demo.finetune.request import TrainingRequest
from demo.server.device.card import Work
from demo.server.jobs import Progress, Steps
from demo.server.library import Library
from setar_core.data.images import read_image
from setar_core.labels import LabelSet

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from setar_core.adapter import Adapter, Change
    from setar_core.backbones import Backbone
    from setar_core.scores import ScoreOptions

HELD = 120  # pictures on each side
FEWEST = 8  # ID pictures from which figures say anything
FLIPPED, SIDE = 8, 160  # pictures that are shown, and their pixels

Labelled = tuple[Path, int]  # a picture and its label's index


@dataclass(frozen=True)
class Epoch:
    """What held pictures say after so many epochs; 0 is before the training.

    `inside` and `outside` are scores in the order of `Held`, higher for ID; `accuracy` in percent,
    None without held ID pictures; `adapter` None before the training; `norms` by site; `flipped`
    some pictures whose verdict is another than before, with words.
    """

    epoch: int
    inside: np.ndarray
    outside: np.ndarray
    accuracy: float | None
    adapter: Adapter | None = None
    norms: dict[str, float] = field(default_factory=dict)
    flipped: tuple[tuple[Image.Image, str], ...] = ()


@dataclass(frozen=True)
class Held:
    """Pictures that are judged and not trained on: their files, and the ID ones' labels."""

    inside: tuple[Path, ...]
    classes: tuple[int, ...]
    outside: tuple[Path, ...]


def held_of(inside: Sequence[Labelled], outside: Sequence[Path]) -> Held:
    some = spread(inside, HELD)
    return Held(tuple(path for path, _ in some), tuple(c for _, c in some), tuple(outside))


def judged(
    library: Library,
    backbone: Backbone,
    request: TrainingRequest,
    labels: LabelSet,
    held: Held,
    change: Change | None,
) -> Steps[tuple[np.ndarray, np.ndarray, float | None]]:
    """Scores of held ID and OOD pictures, and the accuracy of the ID ones in percent."""
    import numpy as np

    from setar_core.memory import IMAGES_WATCHED

    settings = request.settings
    paths = (*held.inside, *held.outside)
    work = Work(looks, (change, labels, request.score, settings.options, paths), _seen)
    hits: list[bool] = []
    known = dict(zip(held.inside, held.classes, strict=True))
    sides: list[list[float]] = [[], []]
    with library.stepping(settings.backbone, backbone, work, 0) as steps:
        what, done = "reading labels", 0
        while True:
            look = steps.next(what, 1 + -(-(len(paths) - done) // IMAGES_WATCHED))
            if look is None:
                break
            what, done = "judging held pictures", done + len(look.paths)
            for path, score, label in zip(look.paths, look.scores, look.best, strict=True):
                sides[path not in known].append(score)
                if path in known:
                    hits.append(label == known[path])
            if look.paths:
                yield Progress("Judging held pictures", done / len(paths))
    accuracy = 100 * sum(hits) / len(hits) if hits else None
    return np.array(sides[0]), np.array(sides[1]), accuracy


class Look(NamedTuple):
    """Some pictures, with their scores and the indices of their labels."""

    paths: tuple[Path, ...] = ()
    scores: Sequence[float] = ()
    best: Sequence[int] = ()


def looks(
    backbone: Backbone,
    change: Change | None,
    labels: LabelSet,
    score: str,
    options: ScoreOptions,
    paths: Sequence[Path],
    seen: int,
) -> Iterator[Look]:
    """Pictures judged after the first so many: none at first, when the labels are read."""
    import torch

    from setar_core.data.images import batches
    from setar_core.detector import Detector
    from setar_core.memory import IMAGES_WATCHED

    detector = Detector(backbone.altered(change), labels, score, options)
    yield Look()
    for batch in batches(paths[seen:], backbone.preprocess, IMAGES_WATCHED):
        parts = [evidence for _, evidence in detector.evidence(batch.pixels)]
        scores = torch.cat([detector.score_of(part, score) for part in parts])
        best = torch.cat([part.logits.whole.argmax(-1) for part in parts])
        yield Look(tuple(batch.paths), scores.tolist(), best.tolist())


def _seen(seen: int, look: Look) -> int:
    return seen + len(look.paths)


def flipped(
    held: Held, before: Epoch, inside: np.ndarray, outside: np.ndarray
) -> tuple[tuple[Image.Image, str], ...]:
    """Some of the held pictures that lie on the other side now, each time of the line that 95 % of
    the known ones pass."""
    from setar_core.metrics.separation import threshold_at_recall

    if min(len(inside), len(outside)) < FEWEST:
        return ()
    lines = threshold_at_recall(before.inside), threshold_at_recall(inside)
    found = []
    for paths, old, new, what in (
        (held.inside, before.inside, inside, "known"),
        (held.outside, before.outside, outside, "foreign"),
    ):
        for path, was, now in zip(paths, old >= lines[0], new >= lines[1], strict=True):
            if was != now:
                found.append((path, f"{what}: {'now passes' if now else 'now refused'}"))
    shown = []
    for path, words in spread(found, FLIPPED):
        picture = read_image(path)
        picture.thumbnail((SIDE, SIDE))
        shown.append((picture, words))
    return tuple(shown)


def spread(some: Sequence, most: int) -> list:
    """At most so many of them, from all over."""
    return [some[i * len(some) // most] for i in range(most)] if len(some) > most else list(some)
