"""What a visitor asks for: backbone, labels, recipe and score, checked once at the door."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from demo.server.library import Library
from demo.server.settings import Settings
from setar_core.data.negatives import check_word, words_in
from setar_core.labels import MAX_LABELS, LabelSet
from setar_core.labels.examples import SHARE
from setar_core.recipe import Recipe
from setar_core.scores import DEFAULTS, ScoreOptions
from setar_core.scores.shaping import Shaping

if TYPE_CHECKING:
    from setar_core.adapter import Change

NO_RECIPE = "none"
TEMPERATURES = (0.001, 1000)  # the lowest and the highest that a page takes


class More(NamedTuple):
    """What few scores need; see `ScoreOptions`, `Shaping`."""

    words: str | None = None
    learn_from: str | None = None
    shaping: str | None = None
    negative_temperature: float | None = DEFAULTS.negative_temperature
    groups: float | None = None
    neighbors: float | None = None
    shrinkage: float | None = None
    examples: str | None = None
    share: float | None = SHARE
    detector: str | None = None
    strength: float | None = 1.0  # of a recipe, where it is not an opened detector's


def read_settings(
    library: Library,
    backbone: str,
    labels: str,
    prompt: str,
    recipe: str | None,
    score: str,
    temperature: float | None,
    local_weight: float | None,
    *more: Any,
) -> Settings:
    """What the page's controls say.

    `recipe` is `NO_RECIPE`, a shipped recipe's title, or one by which the library keeps a recipe;
    `more` is as `More` has it.

    Raises:
        ValueError: labels or a recipe that cannot be used, a temperature that is not above 0.
    """
    given, rest = given_recipe(library, backbone, recipe), More(*more)
    if isinstance(given, Recipe) and not rest.detector:
        given = given.scaled(_within("strength of the recipe", rest.strength, 0, 1))
    settings = checked_settings(
        backbone, labels, prompt, given, score, temperature, local_weight, rest
    )
    return library.settled(rest.detector, settings)


def checked_settings(
    backbone: str,
    labels: str | None,
    prompt: str | None,
    recipe: Change | None,
    score: str | None,
    temperature: float | None,
    local_weight: float | None,
    more: More | None = None,
) -> Settings:
    """What is asked for with this recipe; None stands for a field that was left empty.

    Raises:
        ValueError: labels that cannot be used, a number that is missing or out of its range.
    """
    more = more or More()
    options = ScoreOptions(
        _within("temperature", temperature, *TEMPERATURES),
        _within("local weight", local_weight, 0, 100),
        _within("temperature of negatives", more.negative_temperature, *TEMPERATURES),
        _whole(more.groups),
        _whole(more.neighbors),
        more.shrinkage,
    )
    return Settings(
        backbone,
        LabelSet.parse(labels or "", prompt or ""),
        recipe,
        score or "mcm",
        options,
        str(Shaping.parse(more.shaping)) if more.shaping else "",
        words_of(more.words),
        more.learn_from or "",
        more.examples or "",
        _within("share of examples", more.share, 0, 1),
    )


def given_recipe(library: Library, backbone: str, title: str | None) -> Change | None:
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


def recipe_of(change: Change | None) -> Recipe | None:
    """What is dropped: of an adapter the recipe below it."""
    return change if change is None or isinstance(change, Recipe) else change.recipe


def words_of(text: str | None) -> tuple[str, ...]:
    """Negative words of one's own, one a line, each once.

    Raises:
        ValueError: too many, or one that is no text.
    """
    words = tuple(words_in(text or ""))
    if len(words) > MAX_LABELS:
        raise ValueError(f"{len(words)} negative words are too many; use at most {MAX_LABELS}")
    for word in words:
        check_word(word)
    return words


def _whole(value: float | None) -> Any:
    """A number of the page, which is a float, as the whole number that it is; 0 is none."""
    if value is None or not math.isfinite(value):
        return value
    return (int(value) or None) if value == int(value) else value


def _within(name: str, value: float | None, low: float, high: float) -> float:
    if value is None or not low <= value <= high:
        said = "empty" if value is None else f"{value:g}"
        raise ValueError(f"the {name} is {said}; give a number from {low:g} to {high:g}")
    return value


RECALL = 0.95
