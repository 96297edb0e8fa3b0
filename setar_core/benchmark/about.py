"""What a table was measured with: the words under it, and the columns that say it of each row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..recipe import ORIGINAL
from ..scores import DEFAULTS, SCORES
from .differences import conclusion

if TYPE_CHECKING:
    from ..backbones.base import Backbone
    from .run import Benchmark

FEW = 12  # matrices of a recipe that are told one by one
SHORT = 12  # characters of a fingerprint that are read by a person


@dataclass(frozen=True)
class About:
    """All that the numbers of a benchmark depend on, as text.

    Attributes:
        weights, labels_fingerprint: of the backbone's weights and of the labels with their prompt.
        options: those of the scores that are not as by default.
        recipes: what each drops or adds, by name.
        fingerprints: SHA-256 by recipe name.
        known, foreign: images that were scored, by the name of their set.
        accuracy: by recipe, in [0, 1]; empty where the images' own labels are not known.
        resamples: of the bootstrap; 0 where there are no intervals.
        conclusion: what it comes to, empty before the first OOD set is complete.
    """

    backbone: str
    weights: str
    labels: int
    labels_fingerprint: str
    prompt: str
    options: Mapping[str, object]
    recipes: Mapping[str, str]
    fingerprints: Mapping[str, str]
    scores: tuple[str, ...]
    known: Mapping[str, int]
    foreign: Mapping[str, int]
    accuracy: Mapping[str, float]
    resamples: int
    conclusion: str

    @classmethod
    def of(cls, bench: Benchmark) -> About:
        """That of a benchmark, as far as it has come."""
        first = next(iter(bench.detectors.values()))
        usual = DEFAULTS.page()
        options: dict[str, object] = {
            name: value for name, value in first.options.page().items() if value != usual.get(name)
        }
        given = {kind: by for kind, by in bench.given.items() if any(by.values())}
        said = conclusion(bench.comparisons)
        return cls(
            first.backbone.name,
            first.backbone.fingerprint,
            len(first.labels),
            first.labels.fingerprint,
            first.labels.prompt,
            options | given,
            {name: _drops(d.backbone) for name, d in bench.detectors.items()},
            {name: d.context.recipe for name, d in bench.detectors.items()},
            bench.scores,
            {bench.id.images.name: len(bench.id.places)},
            {ood.images.name: len(ood.places) for ood in bench.oods},
            {r: a for r in bench.detectors if (a := bench.accuracy(r)) is not None},
            bench.resamples,
            str(said) if said else "",
        )

    @property
    def lines(self) -> list[str]:
        """Sentences for below a table or a figure."""
        templates = self.prompt.splitlines()
        prompt = (
            f"the prompt “{templates[0]}”" if len(templates) == 1 else f"{len(templates)} prompts"
        )
        told = [
            f"Backbone {self.backbone} (weights {self.weights[:SHORT]}), {self.labels:,} labels "
            f"({self.labels_fingerprint[:SHORT]}) in {prompt}.",
            f"Scores: {', '.join(SCORES[name].title for name in self.scores)}{_options(self)}.",
            f"Known: {_sizes(self.known)}; foreign: {_sizes(self.foreign)}.",
        ]
        told += [
            f"{name}: {drops} (SHA-256 {self.fingerprints[name][:SHORT]})."
            for name, drops in self.recipes.items()
            if name != ORIGINAL
        ]
        if self.accuracy:
            shares = ", ".join(
                f"{name} {100 * share:.2f} %" for name, share in self.accuracy.items()
            )
            told.append(f"Known images given their own label: {shares}.")
        return told

    @property
    def legend(self) -> str:
        """What the signs of a table mean."""
        level = (
            f"; ≈: the difference from the best may be chance (its 95 % interval over "
            f"{self.resamples:,} resamples of the images holds 0)"
            if self.resamples
            else ""
        )
        return (
            f"In percent. ↓ lower is better, ↑ higher is better; bold: best of its column{level}."
        )

    def columns(self, recipe: str) -> dict[str, str]:
        """What a line of a CSV says of itself."""
        share = self.accuracy.get(recipe)
        return {
            "id": next(iter(self.known)),
            "id_accuracy": "" if share is None else f"{100 * share:.6g}",
            "backbone": self.backbone,
            "weights": self.weights,
            "labels": str(self.labels),
            "labels_fingerprint": self.labels_fingerprint,
            "prompt": self.prompt,
            "recipe_fingerprint": self.fingerprints.get(recipe, ""),
            "options": json.dumps(self.options, allow_nan=False) if self.options else "",
            "resamples": str(self.resamples),
        }


def _drops(backbone: Backbone) -> str:
    """What was made of its weights, in words."""
    recipe = backbone.recipe
    ratios = {site: ratio for site, ratio in recipe.ratios.items() if ratio > 0} if recipe else {}
    told = []
    if recipe and ratios:
        each = ", ".join(f"{site} {100 * ratio:.3g} %" for site, ratio in ratios.items())
        many = f"drops {recipe.prune} components of {len(ratios)} matrices"
        told.append(f"{many}: {each}" if len(ratios) <= FEW else many)
    if backbone.adapter:
        told.append("trained weights")
    return "; ".join(told) or "nothing changed"


def _options(about: About) -> str:
    said = []
    for name, value in about.options.items():
        if isinstance(value, Mapping):  # by recipe; of words and statistics only that they are
            texts = dict.fromkeys(one for one in value.values() if isinstance(one, str))
            value = " / ".join(texts)
        said.append(f"{name.replace('_', ' ')} {value}".rstrip())
    together = ", ".join(said)
    return f" ({together})" if together else ""


def _sizes(sets: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,} images" for name, count in sets.items())
