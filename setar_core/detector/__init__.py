"""An image in, a verdict out: `Detector`."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..backbones.base import Backbone, Classifier
from ..backbones.progress import Progress
from ..data.images import read_image
from ..data.strict import short
from ..labels import LabelSet
from ..scores import DEFAULTS, MINED, SCORES, ScoreOptions, fitting
from ..scores.evidence import Evidence, NegativeClassifier
from ..scores.logits import patch_best, patch_map, probabilities
from ..scores.scorer import OnError, Scorer
from ..scores.shaping import Shaping
from ..threshold import Context, Threshold, calibrate, check_recall
from ..verdict import Nearest, Verdict


class Detector(Scorer):
    """A backbone that knows its labels, a score, and where it may draw the line.

    The labels' features are computed once, when they are first needed.

    Args:
        threshold: a number, or a `Threshold` found by `calibrate` under the same conditions.
        top: how many labels a verdict names.
        classifier: of these labels, where they were read before.
        negatives: what the backbone, as it is, makes of negative labels, by the way of mining.
        shaping: what is done to the features of whole images before the head.

    Raises:
        ValueError: an unknown score, one that cannot be had with this shaping or without
            negatives, labels that do not fit the backbone, or a threshold that was found under
            other conditions.
    """

    def __init__(
        self,
        backbone: Backbone,
        labels: LabelSet,
        score: str = "mcm",
        options: ScoreOptions = DEFAULTS,
        threshold: float | Threshold | None = None,
        top: int = 5,
        progress: Progress | None = None,
        classifier: Classifier | None = None,
        negatives: Mapping[str, NegativeClassifier] | None = None,
        shaping: Shaping | None = None,
    ) -> None:
        self.top = top
        self.score = score
        super().__init__(backbone, labels, options, progress, classifier, negatives, shaping)
        self._set_threshold(threshold)

    @property
    def context(self) -> Context:
        """All that its score, and so a threshold, depends on."""
        score = SCORES[self.score]
        fitted = self._fitted.get(self.score)
        return Context(
            self.backbone.name,
            self.backbone.variant,
            self.labels.fingerprint,
            self.score,
            self.options.only(score.options),
            "".join(self.negatives[way].fingerprint for way in sorted(score.needs & MINED)),
            str(self.shaping) if self.shaping else "",
            fitting.fingerprint_of(fitted.learned) if fitted and fitted.learned else "",
            self.classifier.examples,
        )

    def with_score(self, score: str, options: ScoreOptions = DEFAULTS) -> Detector:
        """The same backbone and labels under another score, without a threshold.

        What was learned stays, but for scores that learned by other options.
        """
        other = self._other()
        other._fitted = {
            name: fitted
            for name, fitted in self._fitted.items()
            if self.options.only(fitted.learns_by) == options.only(fitted.learns_by)
        }
        other.score, other.options = score, options
        other._check()
        return other

    def with_threshold(self, threshold: float | Threshold | None) -> Detector:
        """The same detector that draws another line."""
        other = copy.copy(self)
        other._set_threshold(threshold)
        return other

    def score_of(self, evidence: Evidence, name: str | None = None) -> Tensor:
        """The score of that name, by default its own, `(B,)`."""
        return super().score_of(evidence, name or self.score)

    def fit(
        self,
        paths: Sequence[str | Path],
        scores: Iterable[str] | None = None,
        classes: Sequence[int] | None = None,
        on_error: OnError | None = None,
        on_refusal: fitting.OnRefusal | None = None,
    ) -> Detector:
        """As of a `Scorer`, by default for its own score; the threshold is gone."""
        return super().fit(paths, scores or (self.score,), classes, on_error, on_refusal)

    def scores_of(self, pixels: Tensor) -> Tensor:
        """Its own scores of preprocessed images `(B, 3, H, W)`, and nothing else of them."""
        pieces = self.evidence(pixels, SCORES[self.score].needs)
        return torch.cat([self.score_of(evidence) for _, evidence in pieces])

    def every_score_of(self, pixels: Tensor) -> dict[str, Tensor]:
        """All scores that can be had, by name, `(B,)` each, and nothing else of the images."""
        names = [name for name in SCORES if not self.lacks(name)]
        needs = frozenset[str]().union(*(SCORES[name].needs for name in names))
        pieces = [some for _, some in self.evidence(pixels, needs)]
        return {name: torch.cat([self.score_of(some, name) for some in pieces]) for name in names}

    def judge(self, evidence: Evidence) -> list[Verdict]:
        """Verdicts of evidence that was kept; no network runs.

        Raises:
            ValueError: a score that is no finite number.
        """
        logits, here = evidence.logits, evidence.holds
        every = {
            name: self.score_of(evidence, name).tolist()
            for name in SCORES
            if name == self.score or (not self.lacks(name) and SCORES[name].needs <= here)
        }
        for name, values in every.items():
            if not all(map(math.isfinite, values)):
                raise ValueError(
                    f"{SCORES[name].title} of a picture is no finite number, since what "
                    f"{self.backbone.name} computes of it leaves the range of float32; leave it "
                    "out, or use another temperature or backbone"
                )
        best = probabilities(logits).topk(min(self.top, len(self.labels)))
        seen = "patches" in here
        maps = patch_map(logits).numpy() if seen else [None] * len(logits)
        places = patch_best(logits).tolist() if seen else [()] * len(logits)
        assert evidence.support is not None
        support = evidence.support.unflatten(1, logits.grid).numpy()
        nearest, spread = self._nearest(evidence), self._spread(evidence)
        found = self.threshold
        line, band = (found.value, found.band) if isinstance(found, Threshold) else (found, None)
        verdicts = []
        for i, (chances, indices) in enumerate(zip(*map(Tensor.tolist, best), strict=True)):
            names = (self.labels.names[index] for index in indices)
            scores = {name: values[i] for name, values in every.items()}
            top = tuple(zip(names, chances, strict=True))
            labels = tuple(tuple(self.labels.names[at] for at in row) for row in places[i])
            verdicts.append(
                Verdict(
                    scores[self.score],
                    line,
                    top,
                    maps[i],
                    labels,
                    support[i],
                    scores,
                    nearest[i],
                    spread[i],
                    band,
                )
            )
        return verdicts

    def _nearest(self, evidence: Evidence) -> list[tuple[Nearest, ...]]:
        """Of each image, labels and negatives in one list where its score looks at negatives."""
        ways = sorted(SCORES[self.score].needs & MINED)
        if not ways:
            return [()] * len(evidence.logits)
        cosines = torch.cat(evidence.negatives[ways[0]], dim=-1)
        shares = (cosines / self.options.negative_temperature).softmax(dim=-1)
        names, count = self.labels.names + self.negatives[ways[0]].words, len(self.labels)
        best = shares.topk(min(self.top, len(names)))
        return [
            tuple(Nearest(names[at], share, at >= count) for share, at in zip(*row, strict=True))
            for row in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]

    def _spread(self, evidence: Evidence) -> list[tuple[float, float] | None]:
        """Of each image, its score by each template alone, from the lowest to the highest."""
        by_template = evidence.templates
        if by_template is None:
            return [None] * len(evidence.logits)
        alone = [
            self.score_of(Evidence(replace(evidence.logits, whole=whole, local=None)))
            for whole in by_template.unbind(dim=1)
        ]
        low, high = torch.stack(alone, dim=-1).aminmax(dim=-1)
        return list(zip(low.tolist(), high.tolist(), strict=True))

    @property
    def needs(self) -> frozenset[str]:
        several = self.classifier.templates is not None
        alone = SCORES[self.score].needs == {"logits"}
        return super().needs | ({"templates"} if several and alone else frozenset())

    def verdicts_of(self, pixels: Tensor) -> list[Verdict]:
        """The verdicts on preprocessed images `(B, 3, H, W)`."""
        return [v for _, some in self.evidence(pixels) for v in self.judge(some.cpu())]

    def verdict(self, image: str | Path | Image.Image) -> Verdict:
        """The verdict on one image file or picture.

        Raises:
            ImageError: the file cannot be read as an image.
        """
        picture = image if isinstance(image, Image.Image) else read_image(Path(image))
        return self.verdicts_of(self.backbone.preprocess(picture.convert("RGB"))[None])[0]

    def verdicts(
        self, paths: Iterable[str | Path], on_error: OnError | None = None
    ) -> Iterator[tuple[Path, Verdict]]:
        """The verdicts on many files, in order, as they come."""
        for some, evidence in self.read(paths, on_error):
            yield from zip(some, self.judge(evidence), strict=True)

    def calibrate(
        self,
        paths: Iterable[str | Path],
        recall: float = 0.95,
        on_error: OnError | None = None,
    ) -> Detector:
        """This detector with the threshold that accepts a share `recall` of these ID images.

        Raises:
            ValueError: no image, a recall outside (0, 1], or a score that was not fitted.
        """
        check_recall(recall)
        needs = SCORES[self.score].needs
        read = self.read(paths, on_error, needs)
        scores = [value for _, some in read for value in self.score_of(some).tolist()]
        return self.with_threshold(calibrate(scores, recall, self.context))

    def save(self, path: str | Path) -> None:
        """Write all that a verdict depends on to `NAME.json`, with the arrays as safetensors beside
        it, or to `NAME.zip`; what was there stays until the new one is whole.

        Raises:
            ValueError: another ending, or a score that does not name what it learns.
            OSError: the disk is full, or gone.
        """
        from .files import save

        save(self, path)

    @classmethod
    def load(
        cls,
        path: str | Path,
        backbone: Backbone | str | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Detector:
        """What `save` wrote; no label is read again, so it decides as the one that was saved.

        Args:
            backbone: the network, or where it lies now; by default the name that was saved.

        Raises:
            BackboneError: the backbone cannot be had.
            ValueError: no detector, other weights, arrays that are missing or differ, values that
                do not go together; names the file and says what is wrong.
        """
        from .files import load

        return load(path, backbone, device, progress)

    def _check(self) -> None:
        if self.score not in SCORES:
            known = ", ".join(SCORES)
            raise ValueError(f"score {short(self.score)} is unknown; use one of {known}")
        if reason := self._bars(self.score):
            raise ValueError(f"{SCORES[self.score].title} {reason}")

    def _other(self) -> Detector:
        other = copy.copy(self)
        other.threshold = None
        return other

    def _set_threshold(self, threshold: float | Threshold | None) -> None:
        if isinstance(threshold, Threshold):
            threshold.check(self.context)
        elif threshold is not None and not math.isfinite(threshold):
            raise ValueError(f"threshold is {threshold}; give a number")
        self.threshold = threshold
