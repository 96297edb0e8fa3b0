"""What a detector says of one image: `Verdict`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

IN, OUT = "in-distribution", "out-of-distribution"
CLOSE, OPEN = "close call", "no threshold yet"


class Nearest(NamedTuple):
    """A label or a negative label, and its share of a softmax over all of both."""

    name: str
    share: float
    negative: bool


@dataclass(frozen=True)
class Verdict:
    """What a detector says of one image, and why.

    Attributes:
        score: higher is more in-distribution.
        threshold: accepted when `score >= threshold`; None where none was set.
        top: the best labels with their probabilities, at the model's own scale.
        patches: `(h, w)`, how sure each patch is of its best label, float32; None of a network that
            sees no patch alone.
        patch_labels: `(h, w)`, those labels, row by row; empty where there are none.
        support: `(h, w)`, what each patch adds to the best label, float32: logits beyond those that
            it adds to the mean label; below 0 it speaks against it.
        scores: every score of the image, by name, under the detector's options.
        nearest: labels and negatives together, where its score looks at negatives.
        band: where its threshold may as well lie, from and up to; None where that is not known, as
            of one that was set by hand.
        spread: the lowest and the highest score by one template of the prompt alone, where there
            are several.
    """

    score: float
    threshold: float | None
    top: tuple[tuple[str, float], ...]
    patches: np.ndarray[Any, np.dtype[np.float32]] | None
    patch_labels: tuple[tuple[str, ...], ...]
    support: np.ndarray[Any, np.dtype[np.float32]]
    scores: dict[str, float]
    nearest: tuple[Nearest, ...] = ()
    spread: tuple[float, float] | None = None
    band: tuple[float, float] | None = None

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

    @property
    def close(self) -> bool:
        """Whether the score lies within what is not known of the threshold."""
        return self.decided and self.band is not None and self.band[0] <= self.score < self.band[1]

    @property
    def decision(self) -> str:
        """`IN`, `OUT`, `CLOSE` where another calibration may well decide otherwise, or `OPEN` where
        there is no threshold."""
        if not self.decided:
            return OPEN
        return CLOSE if self.close else self.side

    @property
    def side(self) -> str:
        """`IN` or `OUT`, however close."""
        return IN if self.in_distribution else OUT

    def page(self) -> dict[str, Any]:
        """As JSON values; `patches`, null where there are none, and `support` with six digits."""
        return {
            "verdict": self.decision,
            "in_distribution": self.in_distribution if self.decided else None,
            "score": self.score,
            "threshold": self.threshold,
            "top": [{"label": label, "probability": chance} for label, chance in self.top],
            "scores": dict(self.scores),
            "patches": None if self.patches is None else _rounded(self.patches),
            "support": _rounded(self.support),
            **({"band": list(self.band)} if self.band else {}),
            **({"spread": list(self.spread)} if self.spread else {}),
            **({"nearest": [near._asdict() for near in self.nearest]} if self.nearest else {}),
        }

    def __str__(self) -> str:
        label, probability = self.top[0]
        if not self.decided:
            return f"no threshold: score {self.score:.4g}, nearest {label}, {probability:.2f}"
        said = f"{CLOSE}, {self.side}" if self.close else self.side
        if self.in_distribution:
            return f"{said}: {label}, {probability:.2f}"
        if self.nearest and self.nearest[0].negative:
            name, share, _ = self.nearest[0]
            return f"{said} (nearest: none of the labels: {name}, {share:.2f})"
        return f"{said} (nearest: {label}, {probability:.2f})"


def _rounded(values: np.ndarray[Any, np.dtype[np.float32]]) -> list[list[float]]:
    return [[round(float(value), 6) for value in row] for row in values]
