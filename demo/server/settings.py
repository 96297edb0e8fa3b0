"""What a visitor asked for, once it was checked: `Settings`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from setar_core.labels import LabelSet
from setar_core.labels.examples import SHARE
from setar_core.recipe import ORIGINAL, Recipe
from setar_core.scores import ALONE, DEFAULTS, MINED, SCORES, ScoreOptions

if TYPE_CHECKING:
    from setar_core.adapter import Change
    from setar_core.detector import Detector

ALTERED = "altered"
DETECTOR = "detector"
RECIPE, ADAPTER = "SeTAR recipe", "Adapter"  # what visitors call them


@dataclass(frozen=True)
class Settings:
    """Everything that a threshold depends on, apart from the calibration images.

    `recipe` is what was dropped or trained.
    """

    backbone: str
    labels: LabelSet
    recipe: Change | None = None
    score: str = "mcm"
    options: ScoreOptions = DEFAULTS
    shaping: str = ""
    words: tuple[str, ...] = ()  # negatives of one's own
    learn_from: str = ""  # a zip of ID images
    examples: str = ""  # a zip of pictures of labels
    share: float = SHARE  # of the examples, beside a label's text
    opened: str = ""  # by which the library keeps the detector that says all this

    @property
    def weights(self) -> tuple[str, ...]:
        """`original`, and `altered` when a recipe changes something; or `detector`, where one was
        opened."""
        if self.opened:
            return (DETECTOR,)
        return (ORIGINAL, ALTERED) if self.recipe else (ORIGINAL,)

    def shares_labels(self, other: Settings) -> bool:
        """Whether pictures that show the labels of one show those of the other."""
        return self.labels.names == other.labels.names

    @property
    def alone(self) -> dict[str, Settings]:
        """What the scores of each of the weights hang on; those that need nothing come together."""
        score = next(iter(ALONE)) if self.score in ALONE else self.score
        altered = replace(self, score=score)
        original = replace(altered, recipe=None)
        return {w: original if w == ORIGINAL else altered for w in self.weights}

    @property
    def titles(self) -> dict[str, str]:
        """What a visitor calls the weights."""
        return {
            ORIGINAL: "Original weights",
            ALTERED: self._altered,
            DETECTOR: "Opened detector",
        }

    @property
    def _altered(self) -> str:
        if self.recipe is not None and not isinstance(self.recipe, Recipe):
            return ADAPTER
        strength = self.recipe.notes.get("strength") if self.recipe else None
        return f"{RECIPE} × {strength:g}" if isinstance(strength, float) else RECIPE

    @classmethod
    def of(cls, detector: Detector, backbone: str) -> Settings:
        """What a detector says, on a backbone of that name."""
        ways = sorted(SCORES[detector.score].needs & MINED)
        return cls(
            backbone,
            detector.labels,
            detector.backbone.adapter or detector.backbone.recipe,
            detector.score,
            detector.options,
            str(detector.shaping.asked) if detector.shaping else "",
            detector.negatives[ways[0]].words if ways else (),
        )

    def changed(self, before: Settings) -> list[str]:
        """What differs from an earlier settings, in words."""
        pairs = {
            "backbone": (before.backbone, self.backbone),
            "labels": (before.labels.names, self.labels.names),
            "prompt": (before.labels.prompt, self.labels.prompt),
            "recipe": (before.recipe or None, self.recipe or None),
            "score": (before.score, self.score),
            "shaping": (before.shaping, self.shaping),
            "negative words": (before.words, self.words),
            "pictures to learn from": (before.learn_from, self.learn_from),
            "examples of labels": (before.examples, self.examples),
            "share of examples": (before.share, self.share),
            "opened detector": (before.opened, self.opened),
        }
        changed = [what for what, (old, new) in pairs.items() if old != new]
        return [*changed, *self.options.changes(before.options)]
