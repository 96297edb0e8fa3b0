"""What can be set of scores, without PyTorch: `ScoreOptions`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from numbers import Real
from typing import Any

from ..data.strict import short


@dataclass(frozen=True)
class ScoreOptions:
    """What can be set of scores; each score reads only those that it `uses`.

    A new one is a field here, with its `symbol` in formulas and the `range` in which float32 can
    form a score; commands, thresholds and results read the fields.

    Raises:
        ValueError: a value that is no number, or out of its range.
    """

    temperature: float = field(
        default=1.0,
        metadata={"symbol": "T", "help": "divides the raw cosine", "range": (1e-6, 1e6)}
        | {"always": True},
    )
    local_weight: float = field(
        default=1.0,
        metadata={"symbol": "W", "help": "the factor of L-MCM in GL-MCM", "range": (0, 1e6)}
        | {"always": True},
    )
    negative_temperature: float = field(
        default=0.01,
        metadata={
            "symbol": "T",
            "help": "divides the raw cosine in NegLabel and CSP",
            "range": (1e-6, 1e6),
        },
    )
    groups: int | None = field(
        default=None,
        metadata={
            "symbol": "N",
            "help": "into how many groups negatives are divided; all there are, at most 100",
            "range": (1, 100_000),
            "kind": int,
            "such": 100,
        },
    )
    neighbors: int | None = field(
        default=None,
        metadata={
            "symbol": "K",
            "help": "how many of the nearest ID images count in KNN and NNGuide; each has its own",
            "range": (1, 1_000_000),
            "kind": int,
            "such": 10,
        },
    )
    shrinkage: float | None = field(
        default=None,
        metadata={
            "symbol": "S",
            "help": "of the covariance in Mahalanobis++, from 0 for none to 1; chosen by the "
            "images (Ledoit-Wolf) where it is left out",
            "range": (0, 1),
            "such": 0.1,
        },
    )

    def __post_init__(self) -> None:
        for option in fields(self):
            value, (low, high) = getattr(self, option.name), option.metadata["range"]
            if value is None and option.default is None:
                continue
            kind = option.metadata.get("kind", float)
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not low <= value <= high or kind(value) != value:
                such = option.metadata.get("such", option.default)
                raise ValueError(
                    f"{_words(option.name)} is {short(value)}; give a "
                    f"{'whole ' * (kind is int)}number from {low:g} to {high:g}, such as {such:g}"
                )
            object.__setattr__(self, option.name, kind(value))

    def given(self, names: Iterable[str]) -> dict[str, Any]:
        """Those of these names that are not None."""
        every = {name: getattr(self, name) for name in names}
        return {name: value for name, value in every.items() if value is not None}

    def only(self, names: Iterable[str]) -> ScoreOptions:
        """These options, and the defaults for all others."""
        return ScoreOptions(**{name: getattr(self, name) for name in names})

    def changes(self, other: ScoreOptions) -> tuple[str, ...]:
        """What differs, in words."""
        theirs = asdict(other)
        return tuple(_words(name) for name, mine in asdict(self).items() if mine != theirs[name])

    def page(self) -> dict[str, float | None]:
        """As JSON takes them: the first two, and of the others those that were set."""
        every = {option.name: (getattr(self, option.name), option) for option in fields(self)}
        return {
            name: value
            for name, (value, option) in every.items()
            if option.metadata.get("always") or value != option.default
        }


DEFAULTS = ScoreOptions()  # as published


def _words(name: str) -> str:
    return name.replace("_", " ")
