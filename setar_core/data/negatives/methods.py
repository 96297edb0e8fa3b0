"""How negative labels are mined: what each method reads around a word, leaves out and keeps."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

from ...labels import check_template
from ..strict import short

SHARE = 0.15  # of the candidates, as both papers have it
MAX_WORDS = 200_000  # WordNet has 139,000 nouns and adjectives
MAX_TEMPLATES = 100


@dataclass(frozen=True)
class Method:
    """What is a method's own.

    Attributes:
        nouns: the templates around labels and nouns; several are an ensemble.
        adjectives: those around adjectives.
        exclude: lists of WordNet that it does not read.
        too_like: a candidate with a larger cosine to any label is left out.
        superclasses: nouns, one of which is drawn and set behind each adjective.
    """

    nouns: tuple[str, ...]
    adjectives: tuple[str, ...]
    exclude: tuple[str, ...]
    too_like: float
    superclasses: tuple[str, ...] = ()


METHODS = {
    "neglabel": Method(  # arXiv:2403.20078
        ("the nice {}",), ("This is a {} photo",), ("noun.animal", "noun.food"), 1.0
    ),
    "csp": Method(  # arXiv:2410.08611
        (
            "a close-up photo of the nice {}.",
            "a photo with the nice {}.",
            "a good photo with the nice {}.",
            "a photo of the nice {}.",
            "{}",
            "the {}",
            "the good {}",
            "the nice {}",
        ),
        ("{}", "a nice photo of {}", "a good photo of {}", "a close-up photo of {}"),
        ("noun.animal", "noun.food", "noun.person", "noun.quantity", "noun.group", "adj.pert"),
        0.95,
        (
            *("environment", "space", "object", "scene", "place", "item", "area"),
            *("view", "thing", "pattern", "structure", "landscape", "vista", "creature"),
        ),
    ),
}


@dataclass(frozen=True)
class Mining:
    """What can be set of it; what is None is the method's own.

    Attributes:
        share: of nouns and of adjectives each, rounded down, counted before any is left out; None
            is 0.15, and all of a vocabulary.
        count: how many in all, in place of a share.
        quantile: of a word's cosines to the labels, its distance; the smallest are kept.
        too_like: a word with a larger cosine to any label is left out; 1 leaves out none.
        exclude: names of word lists that are not read.
        seed: of what CSP draws for adjectives.
        prompt: the templates around labels and nouns, one a line.

    Raises:
        ValueError: an unknown method, or a value out of its range.
    """

    method: str = "neglabel"
    share: float | None = None
    count: int | None = None
    quantile: float = 0.95
    too_like: float | None = None
    exclude: tuple[str, ...] | None = None
    seed: int = 0
    prompt: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or self.method not in METHODS:
            raise ValueError(f"method is {short(self.method)}; use {' or '.join(METHODS)}")
        if self.share is not None and self.count is not None:
            raise ValueError(
                f"share is {short(self.share)} and count {short(self.count)}; give one of them"
            )
        if self.share is not None:
            object.__setattr__(self, "share", _number("share", self.share, 0, 1, SHARE))
        if self.count is not None:
            _whole("count", self.count, 1, MAX_WORDS, 10_000)
        object.__setattr__(self, "quantile", _number("quantile", self.quantile, 0, 1, 0.95))
        if self.too_like is not None:
            object.__setattr__(self, "too_like", _number("too like", self.too_like, -1, 1, 0.95))
        _whole("seed", self.seed, 0, 2**63 - 1, 0)
        if self.exclude is not None:
            names = self.exclude
            if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
                raise ValueError(f"exclude is {short(names)}; give names of word lists")
        if self.prompt is not None:
            lines = self.prompt.split("\n") if isinstance(self.prompt, str) else [self.prompt]
            for line in lines[:MAX_TEMPLATES]:
                check_template(line)
            if len(lines) > MAX_TEMPLATES:
                raise ValueError(f"{len(lines)} templates are too many; use {MAX_TEMPLATES}")

    @property
    def templates(self) -> dict[str, tuple[str, ...]]:
        """Around labels and nouns, and around adjectives."""
        own = METHODS[self.method]
        nouns = own.nouns if self.prompt is None else tuple(self.prompt.split("\n"))
        return {"noun": nouns, "adj": own.adjectives}

    @property
    def nearest(self) -> float:
        """The largest cosine that a word may have to a label; infinite where any will do."""
        limit = METHODS[self.method].too_like if self.too_like is None else self.too_like
        return limit if limit < 1 else math.inf

    def page(self) -> dict[str, Any]:
        """As JSON values, without the method."""
        page = asdict(self)
        del page["method"]
        return page


def _number(name: str, value: Any, low: float, high: float, such: float) -> float:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # NaN is not
        raise ValueError(
            f"{name} is {short(value)}; give a number from {low} to {high}, such as {such}"
        )
    return float(value)


def _whole(name: str, value: Any, low: int, high: int, such: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(
            f"{name} is {short(value)}; give a whole number from {low} to {high}, such as {such}"
        )


DEFAULT = Mining()
