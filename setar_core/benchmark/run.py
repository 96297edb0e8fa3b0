"""ID images against OOD sets under any number of recipes and scores; yields one Row after another.

Every image is read once: its pixels go through the network of each recipe, and the logits through
every score. Only scores are kept, so an image costs a few floats however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.images import ImageError, batches
from ..data.sets import MEAN, ImageSet
from ..detector import Detector
from ..memory import IMAGES
from ..metrics.bootstrap import RESAMPLES
from ..parallel.ranks import SINGLE, Ranks
from ..scores import SCORES, check_scores
from ..threshold import Threshold, calibrate
from .results import Comparison, Detection, Row, compare, mean
from .set_scores import SetScores


class Step(NamedTuple):
    """A few more images of one set, how far the whole run is, and the rows that this completed."""

    set_scores: SetScores
    places: tuple[int, ...]  # scored now
    left_out: tuple[int, ...]
    done: int  # images, of all sets
    total: int
    rows: tuple[Row, ...] = ()


class Found(NamedTuple):
    """What one process found of a few images of one set.

    `values` are the scores, `(n, R, S)`, and `labels` the nearest, `(n, R)`, of `places`;
    `left_out` tells by place why an image has none.
    """

    places: list[int]
    values: np.ndarray
    labels: np.ndarray
    left_out: dict[int, str]


class Benchmark:
    """Holds the sets and what is known of their images.

    Args:
        detectors: by recipe name, of one backbone and the same labels; the options of the scores
            are the detectors'.
        scores: names in `SCORES`.
        calibration: ID images that set a threshold for each detector.
        resamples: of the bootstrap; 0 leaves the intervals out.
        ranks: this process among those that share the images; all of them know every score.

    Raises:
        ValueError: no detector, detectors that differ in more than the recipe, no OOD set, a score
            that is unknown, named twice or cannot be had, two sets of one name.
    """

    def __init__(
        self,
        detectors: Mapping[str, Detector],
        id_set: ImageSet,
        ood_sets: Sequence[ImageSet],
        scores: Sequence[str] = ("mcm",),
        calibration: ImageSet | None = None,
        resamples: int = RESAMPLES,
        seed: int = 0,
        ranks: Ranks = SINGLE,
    ) -> None:
        self.detectors = dict(detectors)
        self.scores = tuple(scores)
        self.resamples, self.seed, self.ranks = resamples, seed, ranks
        self._check(ood_sets)
        sets = [id_set, *ood_sets, *([calibration] if calibration else [])]
        if len({s.name for s in sets}) < len(sets):
            raise ValueError(f"two sets share a name in {', '.join(s.name for s in sets)}")
        made = [SetScores(images, len(self.detectors), len(self.scores)) for images in sets]
        self.id, self.oods = made[0], made[1 : 1 + len(ood_sets)]
        self.calibration = made[-1] if calibration else None
        self.comparisons: dict[str, Comparison] = {}  # by OOD set as it is complete, and the mean
        self._needs = frozenset[str]().union(*(SCORES[name].needs for name in self.scores))

    @property
    def sets(self) -> list[SetScores]:
        """In the order in which they are scored."""
        return [*([self.calibration] if self.calibration else []), self.id, *self.oods]

    @property
    def detections(self) -> list[Detection]:
        return [Detection(recipe, score) for recipe in self.detectors for score in self.scores]

    @property
    def labels(self) -> tuple[str, ...]:
        return self._first.labels.names

    @property
    def given(self) -> dict[str, dict[str, Any]]:
        """By recipe, what the scores were mined, shaped and fitted with, as JSON values."""
        every = {name: d.given(self.scores) for name, d in self.detectors.items()}
        kinds = dict.fromkeys(kind for given in every.values() for kind in given)
        return {kind: {name: given.get(kind) for name, given in every.items()} for kind in kinds}

    def steps(self, batch_size: int = IMAGES) -> Iterator[Step]:
        """Score what is not scored yet; the rows of an OOD set come when it is complete.

        Raises:
            ValueError: no ID image, no calibration image, or no OOD image at all could be read.
        """
        self.comparisons = {}
        for scored in self.sets:
            scored.take(self.ranks.agreed(scored.known))
        for scored in self.sets:
            yield from self._pass(scored, batch_size)
            if scored in self.oods:
                if not len(scored.places):  # told in the steps; the other sets go on
                    continue
                self.comparisons[scored.images.name] = compared = self._compare(scored)
                yield self._step(scored, rows=compared.rows)
            elif not len(scored.places):
                raise ValueError(_unreadable(scored))
        if not self.comparisons:
            raise ValueError("; ".join(map(_unreadable, self.oods)))
        if len(self.comparisons) > 1:
            together = mean(self.detections, list(self.comparisons.values()))
            self.comparisons[MEAN] = together
            yield self._step(self.oods[-1], rows=together.rows)

    def scores_of(self, scored: SetScores, detection: Detection) -> np.ndarray:
        """One detector's scores of the images that have any, `(n,)`, in the order of `good`."""
        recipe = list(self.detectors).index(detection.recipe)
        return scored.values[scored.places, recipe, self.scores.index(detection.score)]

    def nearest(self, scored: SetScores, recipe: str) -> np.ndarray:
        """The label's index of the same images, `(n,)`."""
        return scored.labels[scored.places, list(self.detectors).index(recipe)]

    def accuracy(self, recipe: str) -> float | None:
        """Share of ID images whose most probable label is their class; None where not known."""
        classes = self.id.images.classes
        if classes is None or not len(self.id.places):
            return None
        return float((self.nearest(self.id, recipe) == np.array(classes)[self.id.places]).mean())

    def threshold(self, detection: Detection, recall: float = 0.95) -> Threshold:
        """The threshold that the calibration images set for one detector."""
        if self.calibration is None:
            raise ValueError("there are no calibration images; give a folder of them")
        detector = self.detectors[detection.recipe]
        context = detector.with_score(detection.score, detector.options).context
        return calibrate(self.scores_of(self.calibration, detection).tolist(), recall, context)

    def _pass(self, scored: SetScores, batch_size: int) -> Iterator[Step]:
        todo: list[int] = np.flatnonzero(~scored.seen).tolist()
        mine = [todo[i] for i in self.ranks.mine(len(todo), batch_size)]
        for found in self.ranks.turns(self._found(scored.images, mine, batch_size)):
            for place, reason in found.left_out.items():
                scored.leave_out(place, reason)
            scored.put(found.places, found.values, found.labels)
            yield self._step(scored, tuple(found.places), tuple(found.left_out))

    def _found(self, images: ImageSet, todo: Sequence[int], batch_size: int) -> Iterator[Found]:
        """What is found of these images, batch by batch, in their order."""
        at = 0
        errors: list[ImageError] = []
        paths = (images.path(place) for place in todo)
        preprocess = self._first.backbone.preprocess
        for batch in batches(paths, preprocess, batch_size, on_error=errors.append):
            values, labels = self._look(batch.pixels)
            places, unread = [], []
            for path in batch.paths:
                while images.path(todo[at]) != path:  # what lies between could not be read
                    unread.append(todo[at])
                    at += 1
                places.append(todo[at])
                at += 1
            left_out = dict(zip(unread, map(str, errors), strict=False))
            del errors[: len(unread)]
            finite = np.isfinite(values).all(axis=(1, 2))
            for place in np.array(places)[~finite].tolist():
                left_out[place] = f"{images.path(place).name!r}: its scores are no numbers"
            good: list[int] = np.array(places)[finite].tolist()
            yield Found(good, values[finite], labels[finite], left_out)
        if rest := todo[at:]:
            values, labels = self._nothing(0)
            yield Found([], values, labels, dict(zip(rest, map(str, errors), strict=True)))

    def _nothing(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Room for scores `(count, R, S)` and nearest labels `(count, R)`."""
        shape = count, len(self.detectors)
        return np.empty((*shape, len(self.scores))), np.empty(shape, dtype=np.int32)

    @torch.inference_mode()
    def _look(self, pixels: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Scores `(B, R, S)` and nearest labels `(B, R)` of pixels `(B, 3, H, W)`."""
        values, labels = self._nothing(len(pixels))
        pixels = pixels.to(self._first.backbone.device, non_blocking=True)
        for r, detector in enumerate(self.detectors.values()):
            for part, evidence in detector.evidence(pixels, self._needs):
                found = [detector.score_of(evidence, name) for name in self.scores]
                values[part, r] = torch.stack(found, dim=-1).cpu().numpy()
                nearest = evidence.logits.whole.argmax(dim=-1)
                labels[part, r] = nearest.cpu().numpy()
        return values, labels

    def _compare(self, ood: SetScores) -> Comparison:
        inside, outside = (
            scored.values[scored.places].reshape(len(scored.places), -1)
            for scored in (self.id, ood)
        )
        stream = self.oods.index(ood)
        return compare(
            self.detections, inside, outside, ood.images.name, self.resamples, self.seed, stream
        )

    def _step(
        self,
        scored: SetScores,
        places: tuple[int, ...] = (),
        left_out: tuple[int, ...] = (),
        rows: tuple[Row, ...] = (),
    ) -> Step:
        done = sum(int(s.seen.sum()) for s in self.sets)
        return Step(scored, places, left_out, done, sum(len(s.images) for s in self.sets), rows)

    @property
    def _first(self) -> Detector:
        return next(iter(self.detectors.values()))

    def _check(self, ood_sets: Sequence[ImageSet]) -> None:
        if not self.detectors:
            raise ValueError("there is no detector; give at least one recipe, or the original")
        if not ood_sets:
            raise ValueError("there is no OOD set; give at least one folder of images")
        check_scores(self.scores)
        if not self.scores or len(set(self.scores)) < len(self.scores):
            raise ValueError(f"scores are {', '.join(self.scores)!r}; name each once")
        for recipe, detector in self.detectors.items():
            for name in self.scores:
                if reason := detector.lacks(name):
                    raise ValueError(f"{SCORES[name].title} {reason} ({recipe})")
        contexts = [
            replace(
                d.context,
                options=d.options,
                negatives="",  # each recipe reads words and learns for itself
                fit="",
                shaping=str(d.shaping.asked) if d.shaping else "",
            )
            for d in self.detectors.values()
        ]
        for context in contexts[1:]:
            changed = set(contexts[0].changes(context)) - {"recipe"}
            if changed:
                raise ValueError(
                    f"detectors differ in {', '.join(sorted(changed))}; only recipes are compared"
                )


def benchmark(
    detectors: Mapping[str, Detector],
    id_set: ImageSet,
    ood_sets: Sequence[ImageSet],
    scores: Sequence[str] = ("mcm",),
    batch_size: int = IMAGES,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Iterator[Row]:
    """One Row for each detector and OOD set as its last image is scored, then their means.

    `Benchmark.steps` is the same with a sign of life every few images. Raises as it does.
    """
    run = Benchmark(detectors, id_set, ood_sets, scores, None, resamples, seed)
    for step in run.steps(batch_size):
        yield from step.rows


def _unreadable(scored: SetScores) -> str:
    reason = next(iter(scored.left_out.values()), "")
    return (
        f"none of the {len(scored.images)} images of {scored.images.name} could be read ({reason})"
    )
