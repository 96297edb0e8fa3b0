"""Images in, evidence and scores out: `Scorer`, a backbone with all that scores look at."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..backbones.base import Backbone, Classifier
from ..backbones.progress import Progress
from ..data.images import ImageError, batches
from ..labels import LabelSet
from ..memory import IMAGES_WATCHED
from . import DEFAULTS, MINED, NEEDS, SCORES, Score, ScoreOptions, check_scores, fitting
from .evidence import Cosines, Evidence, NegativeClassifier
from .shaping import Shaping

if TYPE_CHECKING:
    from typing_extensions import Self

OnError = Callable[[ImageError], object]
Read = tuple[tuple[Path, ...], Evidence]
Taught = tuple[Tensor, Evidence]  # classes `(B,)` by index, -1 where that is not known
Reader = Callable[["Scorer", AbstractSet[str]], Iterator[Taught]]  # of what these scores need


class Scorer:
    """A backbone that knows its labels, and negatives, a shaping or ID images where scores need
    them; nothing of it changes once it was made.

    Args:
        classifier: of these labels, where they were read before.
        negatives: what the backbone, as it is, makes of negative labels, by the way of mining.
        shaping: what is done to the features of whole images before the head.

    Raises:
        ValueError: labels that do not fit the backbone.
    """

    def __init__(
        self,
        backbone: Backbone,
        labels: LabelSet,
        options: ScoreOptions = DEFAULTS,
        progress: Progress | None = None,
        classifier: Classifier | None = None,
        negatives: Mapping[str, NegativeClassifier] | None = None,
        shaping: Shaping | None = None,
    ) -> None:
        self.backbone = backbone
        self.labels = labels
        self.options = options
        self.negatives = dict(negatives or {})
        self.shaping = shaping
        self._fitted: dict[str, Score] = {}
        self._check()
        self.classifier = classifier or backbone.classifier(labels, progress)

    def with_classifier(self, classifier: Classifier) -> Self:
        """The same with other rows for its labels, without what was learned by the old ones."""
        other = self._other()
        other.classifier, other._fitted = classifier, {}
        return other

    def with_negatives(self, negatives: Mapping[str, NegativeClassifier]) -> Self:
        """The same with negative labels too, by the way of mining."""
        other = self._other()
        other.negatives = {**self.negatives, **negatives}
        return other

    def with_shaping(self, shaping: Shaping | None) -> Self:
        """The same under another shaping, without what was learned.

        Raises:
            ValueError: a score that was chosen cannot be had with this shaping.
        """
        other = self._other()
        other.shaping = shaping
        other._fitted = {}
        other._check()
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
        features = backbone.features(pixels, "layers" in needs, "support" in needs)
        mined = {way: self.negatives[way].cosines(features.whole) for way in sorted(needs & MINED)}
        raw, layers = features.raw, features.layers
        if self.shaping:
            whole = backbone.placed(self.shaping(raw))
            features = features._replace(whole=whole)
        rows, templates = head.templates, None
        if "templates" in needs and rows is not None:
            templates = torch.einsum("bd,tcd->btc", features.whole * backbone.scale, rows)
        for piece, logits in backbone.logits_in_pieces(features, head, "patches" in needs):
            support = None
            if "support" in needs:
                support = backbone.support(features.some(piece), logits, head)
            yield (
                piece,
                Evidence(
                    logits,
                    raw[piece] if "features" in needs else None,
                    None if layers is None else backbone.similar(layers[piece], head),
                    {way: Cosines(*(x[piece] for x in found)) for way, found in mined.items()},
                    head if "head" in needs else None,
                    templates=None if templates is None else templates[piece],
                    support=support,
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

    def score_of(self, evidence: Evidence, name: str) -> Tensor:
        """The score of that name, `(B,)`."""
        return self._fitted.get(name, SCORES[name])(evidence, self.options)

    def fit(
        self,
        paths: Sequence[str | Path],
        scores: Iterable[str],
        classes: Sequence[int] | None = None,
        on_error: OnError | None = None,
        on_refusal: fitting.OnRefusal | None = None,
    ) -> Self:
        """The same with what its shaping and these scores learn from ID images.

        Args:
            scores: those of them that learn nothing are left as they are.
            classes: the images' labels by index, -1 where that is not known.
            on_refusal: told of a score that cannot learn from these images, and why.

        Raises:
            ValueError: no image that can be read; a score that cannot learn from them, when
                `on_refusal` is None.
        """
        if not paths:
            raise ValueError("there is no ID image to learn from; give a folder of them")
        known = dict(zip(map(Path, paths), classes or [-1] * len(paths), strict=True))

        def read(by: Scorer, needs: AbstractSet[str]) -> Iterator[Taught]:
            for files, some in by.read(paths, on_error, needs):
                yield torch.tensor([known[path] for path in files]), some

        return self._fit(read, tuple(scores), on_refusal)

    def fit_batches(
        self,
        batches: Iterable[tuple[Tensor, Tensor]],
        scores: Iterable[str],
        on_refusal: fitting.OnRefusal | None = None,
    ) -> Self:
        """As `fit`, of preprocessed ID images `(B, 3, H, W)` with their labels' indices `(B,)`, -1
        where that is not known; a `DataLoader`, which is read once for each that learns.

        Raises:
            ValueError: as `fit`.
        """

        def read(by: Scorer, needs: AbstractSet[str]) -> Iterator[Taught]:
            for pixels, classes in batches:
                for piece, some in by.evidence(pixels, needs):
                    yield classes[piece].cpu(), some.cpu()

        return self._fit(read, tuple(scores), on_refusal)

    def _fit(
        self, read: Reader, names: tuple[str, ...], on_refusal: fitting.OnRefusal | None
    ) -> Self:
        """With what its shaping and these scores learn of what `read` gives."""
        check_scores(names)
        other = self._other()
        if self.shaping and self.shaping.learns:
            plain = self._other()
            plain.shaping = None
            seen = [some for _, some in read(plain, {"features"})]
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
                replace(some, classes=classes) for classes, some in read(other, needs - {"classes"})
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
            "examples": self.classifier.examples,
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

    def with_fit(self, path: str | Path) -> Self:
        """The same with what another one learned and wrote.

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
        other = self._other()
        if self.shaping and limit is not None:
            other.shaping = replace(self.shaping, limit=limit)
        other._fitted = {**self._fitted, **fitted}
        return other

    def lacks(self, name: str) -> str:
        """Why a score cannot be had of this, as the end of a sentence; empty if it can."""
        if (reason := self._bars(name)) or not SCORES[name].learns or name in self._fitted:
            return reason
        return "learns from ID images, and was not fitted on any"

    @property
    def needs(self) -> frozenset[str]:
        """What a verdict tells: patch maps, and every score that can be had."""
        maps = {"support"} | ({"patches"} if self.backbone.has_patches else set())
        return frozenset(maps).union(*(SCORES[n].needs for n in SCORES if not self.lacks(n)))

    def _check(self) -> None:
        """Raises ValueError where what was chosen does not go together."""

    def _other(self) -> Self:
        """A copy to be changed before anybody sees it."""
        return copy.copy(self)

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
        if "patches" in looks and not self.backbone.has_patches:
            return (
                f"looks at patches, and {self.backbone.name} sees none without its neighbours; use "
                "a score of the whole image"
            )
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
            self.backbone.variant,
            self.labels.fingerprint,
            self.shaping,
        )
