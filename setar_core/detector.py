"""An image in, a verdict out: `Detector` and `Verdict`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from setar_core.threshold import Context, Threshold, calibrate, check_recall

from .backbones.base import Backbone, Logits, Progress
from .backbones.tower import Features
from .data.images import ImageError, batches, read_image
from .labels import LabelSet
from .scores.logits import SCORES, check_temperature, patch_best, patch_map, probabilities

BATCH = 16  # images in the network at once
PATCH_LOGITS = 2**24  # at most so many of them at once: 64 MB


@dataclass(frozen=True)
class Verdict:
    """What a detector says of one image, and why.

    Attributes:
        score: higher is more in-distribution.
        threshold: accepted when `score >= threshold`; None where none was set.
        top: the best labels with their probabilities, at the model's own scale.
        patches: `(h, w)`, how sure each patch is of its best label.
        patch_labels: `(h, w)`, those labels, row by row.
        scores: every score of the image, by name, at the detector's temperature.
    """

    score: float
    threshold: float | None
    top: tuple[tuple[str, float], ...]
    patches: np.ndarray
    patch_labels: tuple[tuple[str, ...], ...]
    scores: dict[str, float]

    @property
    def decided(self) -> bool:
        return self.threshold is not None

    @property
    def in_distribution(self) -> bool:
        """Raises ValueError where there is no threshold: none is invented."""
        if self.threshold is None:
            raise ValueError(
                f"the score is {self.score:.6g}, but there is no threshold to hold it against; "
                "calibrate on a few in-distribution images, or give one"
            )
        return self.score >= self.threshold

    def __str__(self) -> str:
        label, probability = self.top[0]
        if not self.decided:
            return f"no threshold: score {self.score:.4g}, nearest {label}, {probability:.2f}"
        if self.in_distribution:
            return f"in-distribution: {label}, {probability:.2f}"
        return f"out-of-distribution (nearest: {label}, {probability:.2f})"


class Detector:
    """A backbone that knows its labels, a score, and where it may draw the line.

    The labels' features are computed once, when they are first needed.

    Args:
        threshold: a number, or a `Threshold` found by `calibrate` under the same conditions.
        top: how many labels a verdict names.

    Raises:
        ValueError: an unknown score, labels that do not fit the backbone, or a threshold that
            was found under other conditions.
    """

    def __init__(
        self,
        backbone: Backbone,
        labels: LabelSet,
        score: str = "mcm",
        temperature: float = 1.0,
        local_weight: float = 1.0,
        threshold: float | Threshold | None = None,
        top: int = 5,
        progress: Progress | None = None,
    ) -> None:
        self.backbone = backbone
        self.labels = labels
        self.top = top
        self._set_score(score, temperature, local_weight)
        self.classifier = backbone.classifier(labels, progress)
        self._set_threshold(threshold)

    @property
    def context(self) -> Context:
        """All that a score, and so a threshold, depends on."""
        recipe = self.backbone.recipe
        return Context(
            self.backbone.name,
            recipe.fingerprint if recipe else "original",
            self.labels.fingerprint,
            self.score,
            self.temperature,
            self.local_weight if SCORES[self.score].uses_weight else 1.0,
        )

    def with_score(
        self, score: str, temperature: float = 1.0, local_weight: float = 1.0
    ) -> Detector:
        """The same backbone and labels under another score, without a threshold."""
        other = copy.copy(self)
        other._set_score(score, temperature, local_weight)
        other.threshold = None
        return other

    def with_threshold(self, threshold: float | Threshold | None) -> Detector:
        """The same detector that draws another line."""
        other = copy.copy(self)
        other._set_threshold(threshold)
        return other

    def logits(self, pixels: Tensor) -> Logits:
        """Logits of preprocessed images `(B, 3, H, W)`, on the CPU."""
        features = self.backbone.features(pixels)
        return self.backbone.logits(features, self.classifier).cpu()

    def read(
        self,
        paths: Iterable[str | Path],
        on_error: Callable[[ImageError], object] | None = None,
    ) -> Iterator[tuple[tuple[Path, ...], Logits]]:
        """Image files to logits, a few files at a time; a bad one goes to `on_error`.

        Raises:
            ImageError: a bad file, when `on_error` is None.
        """
        for batch in batches(paths, self.backbone.preprocess, BATCH, on_error=on_error):
            for part, logits in self.split(self.backbone.features(batch.pixels)):
                yield batch.paths[part], logits.cpu()

    def split(self, features: Features) -> Iterator[tuple[slice, Logits]]:
        """Logits of a few images at a time, so that those of their patches fit in memory."""
        patches = features.local.shape[1] * len(self.classifier.weight)
        step = max(1, PATCH_LOGITS // max(1, patches))
        for first in range(0, len(features.whole), step):
            part = slice(first, first + step)
            some = features._replace(whole=features.whole[part], local=features.local[part])
            yield part, self.backbone.logits(some, self.classifier)

    def judge(self, logits: Logits) -> list[Verdict]:
        """Verdicts of logits that were kept; no network runs."""
        every = {
            name: score(logits, self.temperature, self.local_weight).tolist()
            for name, score in SCORES.items()
        }
        best = probabilities(logits).topk(min(self.top, len(self.labels)))
        maps, places = patch_map(logits).numpy(), patch_best(logits).tolist()
        line = self.threshold.value if isinstance(self.threshold, Threshold) else self.threshold
        verdicts = []
        for i, (chances, indices) in enumerate(zip(*map(Tensor.tolist, best), strict=True)):
            names = (self.labels.names[index] for index in indices)
            scores = {name: values[i] for name, values in every.items()}
            top = tuple(zip(names, chances, strict=True))
            labels = tuple(tuple(self.labels.names[at] for at in row) for row in places[i])
            verdicts.append(Verdict(scores[self.score], line, top, maps[i], labels, scores))
        return verdicts

    def verdict(self, image: str | Path | Image.Image) -> Verdict:
        """The verdict on one image file or picture.

        Raises:
            ImageError: the file cannot be read as an image.
        """
        picture = image if isinstance(image, Image.Image) else read_image(Path(image))
        pixels = self.backbone.preprocess(picture.convert("RGB"))
        return self.judge(self.logits(pixels[None]))[0]

    def verdicts(
        self,
        paths: Iterable[str | Path],
        on_error: Callable[[ImageError], object] | None = None,
    ) -> Iterator[tuple[Path, Verdict]]:
        """The verdicts on many files, in order, as they come."""
        for some, logits in self.read(paths, on_error):
            yield from zip(some, self.judge(logits), strict=True)

    def calibrate(
        self,
        paths: Iterable[str | Path],
        recall: float = 0.95,
        on_error: Callable[[ImageError], object] | None = None,
    ) -> Detector:
        """This detector with the threshold that accepts a share `recall` of these ID images.

        Raises:
            ValueError: no image, or a recall outside (0, 1].
        """
        check_recall(recall)
        scores: list[float] = []
        for _, logits in self.read(paths, on_error):
            scores += self.score_of(logits).tolist()
        return self.with_threshold(calibrate(scores, recall, self.context))

    def score_of(self, logits: Logits) -> Tensor:
        """This detector's own score of kept logits, `(B,)`."""
        return SCORES[self.score](logits, self.temperature, self.local_weight)

    def _set_score(self, score: str, temperature: float, local_weight: float) -> None:
        if score not in SCORES:
            raise ValueError(f"score {score!r} is unknown; use one of {', '.join(SCORES)}")
        check_temperature(temperature)
        if not 0 <= local_weight < math.inf:
            raise ValueError(f"the local weight is {local_weight}; give 0 or more, such as 1")
        self.score = score
        self.temperature = float(temperature)
        self.local_weight = float(local_weight)

    def _set_threshold(self, threshold: float | Threshold | None) -> None:
        if isinstance(threshold, Threshold):
            threshold.check(self.context)
        elif threshold is not None and not math.isfinite(threshold):
            raise ValueError(f"threshold is {threshold}; give a number")
        self.threshold = threshold
