"""An image in, a verdict out: `Detector`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .backbones.base import Backbone, Classifier, Progress
from .data.images import ImageError, batches, read_image
from .data.strict import short
from .labels import LabelSet
from .memory import IMAGES_WATCHED
from .recipe import ORIGINAL
from .scores import DEFAULTS, MINED, NEEDS, SCORES, Score, ScoreOptions, check_scores, fitting
from .scores.evidence import Cosines, Evidence, NegativeClassifier
from .scores.logits import patch_best, patch_map, probabilities
from .scores.shaping import Shaping
from .threshold import Context, Threshold, calibrate, check_recall
from .verdict import Nearest, Verdict

OnError = Callable[[ImageError], object]
Read = tuple[tuple[Path, ...], Evidence]


class Detector:
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
        self.backbone = backbone
        self.labels = labels
        self.top = top
        self.negatives = dict(negatives or {})
        self.shaping = shaping
        self.options = options
        self._fitted: dict[str, Score] = {}
        self._set_score(score, options)
        self.classifier = classifier or backbone.classifier(labels, progress)
        self._set_threshold(threshold)

    @property
    def context(self) -> Context:
        """All that its score, and so a threshold, depends on."""
        recipe, score = self.backbone.recipe, SCORES[self.score]
        fitted = self._fitted.get(self.score)
        return Context(
            self.backbone.name,
            recipe.fingerprint if recipe else ORIGINAL,
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
        other = copy.copy(self)
        other._set_score(score, options)
        other.threshold = None
        return other

    def with_negatives(self, negatives: Mapping[str, NegativeClassifier]) -> Detector:
        """The same detector with negative labels too, by the way of mining; without a threshold."""
        other = copy.copy(self)
        other.negatives = {**self.negatives, **negatives}
        other.threshold = None
        return other

    def with_shaping(self, shaping: Shaping | None) -> Detector:
        """The same detector under another shaping, without a threshold and what was learned.

        Raises:
            ValueError: its score cannot be had with this shaping.
        """
        other = copy.copy(self)
        other.shaping = shaping
        other._fitted = {}
        other.threshold = None
        other._set_score(self.score, self.options)
        return other

    def with_threshold(self, threshold: float | Threshold | None) -> Detector:
        """The same detector that draws another line."""
        other = copy.copy(self)
        other._set_threshold(threshold)
        return other

    def evidence(
        self, pixels: Tensor, needs: AbstractSet[str] | None = None
    ) -> Iterator[tuple[slice, Evidence]]:
        """What is known of preprocessed images `(B, 3, H, W)`, a few at a time.

        Args:
            needs: as `Score.needs`; only that is computed. None: all that a verdict tells.
        """
        needs = self.needs if needs is None else needs
        backbone, head = self.backbone, self.classifier
        features = backbone.features(pixels, "layers" in needs)
        mined = {way: self.negatives[way].cosines(features.whole) for way in sorted(needs & MINED)}
        raw, layers = features.raw, features.layers
        if self.shaping:
            whole = backbone.placed(self.shaping(raw))
            features = features._replace(whole=whole)
        for piece, logits in backbone.logits_in_pieces(features, head, "patches" in needs):
            yield (
                piece,
                Evidence(
                    logits,
                    raw[piece] if "features" in needs else None,
                    None if layers is None else backbone.similar(layers[piece], head),
                    {way: Cosines(*(x[piece] for x in found)) for way, found in mined.items()},
                    head if "head" in needs else None,
                ),
            )

    def read(
        self,
        paths: Iterable[str | Path],
        on_error: OnError | None = None,
        needs: AbstractSet[str] | None = None,
    ) -> Iterator[Read]:
        """The same of image files, on the CPU; a bad one goes to `on_error`.

        Raises:
            ImageError: a bad file, when `on_error` is None.
        """
        for batch in batches(paths, self.backbone.preprocess, IMAGES_WATCHED, on_error=on_error):
            for piece, evidence in self.evidence(batch.pixels, needs):
                yield batch.paths[piece], evidence.cpu()

    def score_of(self, evidence: Evidence, name: str | None = None) -> Tensor:
        """The score of that name, by default its own, `(B,)`."""
        name = name or self.score
        return self._fitted.get(name, SCORES[name])(evidence, self.options)

    def scores_of(self, pixels: Tensor) -> Tensor:
        """Its own scores of preprocessed images `(B, 3, H, W)`, and nothing else of them."""
        pieces = self.evidence(pixels, SCORES[self.score].needs)
        return torch.cat([self.score_of(evidence) for _, evidence in pieces])

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
        maps, places = patch_map(logits).numpy(), patch_best(logits).tolist()
        nearest = self._nearest(evidence)
        line = self.threshold.value if isinstance(self.threshold, Threshold) else self.threshold
        verdicts = []
        for i, (chances, indices) in enumerate(zip(*map(Tensor.tolist, best), strict=True)):
            names = (self.labels.names[index] for index in indices)
            scores = {name: values[i] for name, values in every.items()}
            top = tuple(zip(names, chances, strict=True))
            labels = tuple(tuple(self.labels.names[at] for at in row) for row in places[i])
            verdicts.append(
                Verdict(scores[self.score], line, top, maps[i], labels, scores, nearest[i])
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

    def fit(
        self,
        paths: Sequence[str | Path],
        scores: Iterable[str] | None = None,
        classes: Sequence[int] | None = None,
        on_error: OnError | None = None,
        on_refusal: fitting.OnRefusal | None = None,
    ) -> Detector:
        """This detector with what its shaping and these scores learn from ID images.

        Args:
            scores: by default its own; those that learn nothing are left as they are.
            classes: the images' labels by index, -1 where that is not known.
            on_refusal: told of a score that cannot learn from these images, and why.

        Raises:
            ValueError: no image that can be read; a score that cannot learn from them, when
                `on_refusal` is None.
        """
        check_scores(names := tuple(scores or (self.score,)))
        if not paths:
            raise ValueError("there is no ID image to learn from; give a folder of them")
        known = dict(zip(map(Path, paths), classes or [-1] * len(paths), strict=True))
        other = copy.copy(self)
        other.threshold = None
        if self.shaping and self.shaping.learns:
            plain = copy.copy(self)
            plain.shaping = None
            seen = [some for _, some in plain.read(paths, on_error, {"features"})]
            features = fitting.together(seen).features
            assert features is not None
            other.shaping, other._fitted = self.shaping.fit(features), {}
        learners = []
        for name in dict.fromkeys(names):
            if not SCORES[name].learns:
                continue
            if reason := self._bars(name):
                fitting.refuse(name, f"{SCORES[name].title} {reason}", on_refusal)
            else:
                learners.append(SCORES[name])
        if learners:
            needs = frozenset[str]().union(*(score.needs | score.learns_from for score in learners))
            parts = [
                replace(some, classes=torch.tensor([known[path] for path in files]))
                for files, some in other.read(paths, on_error, needs - {"classes"})
            ]
            learned = fitting.learned(learners, parts, self.options, on_refusal)
            other._fitted = {**other._fitted, **learned}
        return other

    def given(self, scores: Iterable[str]) -> dict[str, Any]:
        """What these scores were mined, shaped and fitted with, as JSON values; without what they
        were not."""
        names = tuple(scores)
        ways = frozenset[str]().union(*(SCORES[name].needs for name in names)) & MINED
        found = {
            "negatives": {way: self.negatives[way].fingerprint for way in sorted(ways)},
            "shaping": str(self.shaping) if self.shaping else "",
            "fit": {
                name: fitting.fingerprint_of(score.learned)
                for name, score in self._fitted.items()
                if name in names and score.learned
            },
        }
        return {name: value for name, value in found.items() if value}

    @property
    def fitted(self) -> dict[str, Score]:
        """The scores that have learned, by name, with what they learned."""
        return dict(self._fitted)

    def save_fit(self, path: str | Path) -> None:
        """Write what its shaping and its scores learned to a .safetensors file.

        Raises:
            ValueError: nothing was learned, or a score does not name what it learns.
        """
        fitting.save(path, self._fitted, self.options, self._ground)

    def with_fit(self, path: str | Path) -> Detector:
        """This detector with what another one learned and wrote, without a threshold.

        Raises:
            ValueError: no such file, another backbone, recipe, labels, shaping or options, or
                tensors that do not fit.
        """
        sizes = {
            "D": self.classifier.weight.shape[1],
            "K": len(self.labels),
            "L": self.backbone.towers["visual"].depth if self.backbone.has_layers else 0,
        }
        limit, fitted = fitting.load(path, self.options, self._ground, sizes)
        other = copy.copy(self)
        other.threshold = None
        if self.shaping and limit is not None:
            other.shaping = replace(self.shaping, limit=limit)
        other._fitted = {**self._fitted, **fitted}
        return other

    def lacks(self, name: str) -> str:
        """Why a score cannot be had of this detector, as the end of a sentence; empty if it can."""
        if (reason := self._bars(name)) or not SCORES[name].learns or name in self._fitted:
            return reason
        return "learns from ID images, and was not fitted on any"

    @property
    def needs(self) -> frozenset[str]:
        """What a verdict tells: a patch map, and every score that can be had."""
        return frozenset({"patches"}).union(*(SCORES[n].needs for n in SCORES if not self.lacks(n)))

    def _set_score(self, score: str, options: ScoreOptions) -> None:
        if score not in SCORES:
            raise ValueError(f"score {short(score)} is unknown; use one of {', '.join(SCORES)}")
        if reason := self._bars(score):
            raise ValueError(f"{SCORES[score].title} {reason}")
        self._fitted = {
            name: fitted
            for name, fitted in self._fitted.items()
            if self.options.only(fitted.learns_by) == options.only(fitted.learns_by)
        }
        self.score = score
        self.options = options

    def _bars(self, name: str) -> str:
        """Why a score cannot be had, whatever it learns; as `lacks`."""
        score = SCORES[name]
        looks = score.needs | score.learns_from
        if missing := looks & MINED - set(self.negatives):
            there = (
                "there are none" if self.backbone.has_text else f"{self.backbone.name} reads none"
            )
            return f"needs {NEEDS[min(missing)]}, and {there}"
        if self.shaping and not looks <= {"logits"}:
            return f"looks at more than the logits that {self.shaping.asked} shapes"
        if "layers" in looks and not self.backbone.has_layers:
            return (
                f"looks at every block, and those of {self.backbone.name} have no token that "
                "stands for the whole image"
            )
        return ""

    @property
    def _ground(self) -> fitting.Ground:
        return fitting.Ground(
            self.backbone.fingerprint,
            self.context.recipe,
            self.labels.fingerprint,
            self.shaping,
        )

    def _set_threshold(self, threshold: float | Threshold | None) -> None:
        if isinstance(threshold, Threshold):
            threshold.check(self.context)
        elif threshold is not None and not math.isfinite(threshold):
            raise ValueError(f"threshold is {threshold}; give a number")
        self.threshold = threshold
