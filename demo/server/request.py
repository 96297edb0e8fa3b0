"""What a visitor asks for: backbone, labels, recipe and score, checked once at the door."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from demo.server.library import Library
from setar_core.labels import LabelSet
from setar_core.recipe import ORIGINAL, Recipe
from setar_core.scores import DEFAULTS, ScoreOptions

ALTERED = "altered"
TITLES = {ORIGINAL: "Original weights", ALTERED: "SeTAR recipe"}
NO_RECIPE = "none"
TEMPERATURES = (0.001, 1000)  # the lowest and the highest that a page takes


@dataclass(frozen=True)
class Settings:
    """Everything that a threshold depends on, apart from the calibration images."""

    backbone: str
    labels: LabelSet
    recipe: Recipe | None = None
    score: str = "mcm"
    options: ScoreOptions = DEFAULTS

    @property
    def weights(self) -> tuple[str, ...]:
        """`original`, and `altered` when a recipe changes something."""
        return (ORIGINAL, ALTERED) if self.recipe else (ORIGINAL,)

    def changed(self, before: Settings) -> list[str]:
        """What differs from an earlier settings, in words."""
        pairs = {
            "backbone": (before.backbone, self.backbone),
            "labels": (before.labels.names, self.labels.names),
            "prompt": (before.labels.prompt, self.labels.prompt),
            "recipe": (before.recipe or None, self.recipe or None),
            "score": (before.score, self.score),
        }
        changed = [what for what, (old, new) in pairs.items() if old != new]
        return [*changed, *self.options.changes(before.options)]


def read_settings(
    library: Library,
    backbone: str,
    labels: str,
    prompt: str,
    recipe: str | None,
    score: str,
    temperature: float | None,
    local_weight: float | None,
) -> Settings:
    """What the page's controls say.

    `recipe` is `NO_RECIPE`, a shipped recipe's title, or one by which the library keeps a recipe.

    Raises:
        ValueError: labels or a recipe that cannot be used, a temperature that is not above 0.
    """
    given = given_recipe(library, backbone, recipe)
    return checked_settings(backbone, labels, prompt, given, score, temperature, local_weight)


def checked_settings(
    backbone: str,
    labels: str | None,
    prompt: str | None,
    recipe: Recipe | None,
    score: str | None,
    temperature: float | None,
    local_weight: float | None,
) -> Settings:
    """What is asked for with this recipe; None stands for a field that was left empty.

    Raises:
        ValueError: labels that cannot be used, a number that is missing or out of its range.
    """
    options = ScoreOptions(
        _within("temperature", temperature, *TEMPERATURES),
        _within("local weight", local_weight, 0, 100),
    )
    return Settings(
        backbone,
        LabelSet.parse(labels or "", prompt or ""),
        recipe,
        score or "mcm",
        options,
    )


def given_recipe(library: Library, backbone: str, title: str | None) -> Recipe | None:
    """The recipe of that title.

    Raises:
        ValueError: none of that title for this backbone.
    """
    if title in (None, "", NO_RECIPE):
        return None
    made = library.made_recipe(title)
    if made is not None:
        return made
    shipped = library.recipes(backbone)
    if title not in shipped:
        raise ValueError(
            f"recipe {title[:80]!r} was not made for {backbone}; choose one of "
            f"{', '.join((NO_RECIPE, *shipped))}"
        )
    return Recipe.load(Path(shipped[title]))


def _within(name: str, value: float | None, low: float, high: float) -> float:
    if value is None or not low <= value <= high:
        said = "empty" if value is None else f"{value:g}"
        raise ValueError(f"the {name} is {said}; give a number from {low:g} to {high:g}")
    return value


RECALL = 0.95
