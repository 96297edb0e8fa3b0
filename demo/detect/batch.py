"""What was judged, kept on the server under a name that cannot be guessed.

A page holds only that name, so moving a threshold sends no image and asks no network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from demo.server.settings import Settings

if TYPE_CHECKING:
    from setar_core.threshold import Threshold
    from setar_core.verdict import Verdict


class Teachers(NamedTuple):
    """A visitor's own pictures: what shows the labels, and what shows none of them."""

    known: tuple[Path, ...]
    foreign: tuple[Path, ...] = ()


class Judged(NamedTuple):
    """One image: its file, a small picture of it, and a verdict for each of the weights.

    `photograph` is None where nobody looked whether it is one.
    """

    path: Path
    name: str
    thumbnail: str
    verdicts: Mapping[str, Verdict]
    photograph: bool | None = None

    @property
    def differs(self) -> bool:
        """Whether the original and the SeTAR weights decide differently."""
        return len({v.in_distribution for v in self.verdicts.values() if v.decided}) > 1

    @property
    def changed(self) -> bool:
        """Whether they say something else, be it that only one of them is a close call."""
        return self.differs or len({v.decision for v in self.verdicts.values()}) > 1

    @property
    def moved(self) -> float:
        """How far the weights lie apart in what a score has beyond its threshold."""
        beyond = [v.score - v.threshold for v in self.verdicts.values() if v.threshold is not None]
        return max(beyond, default=0.0) - min(beyond, default=0.0)


@dataclass(frozen=True)
class Batch:
    """A batch of judged images.

    Attributes:
        thresholds: one for each of the weights that has one; a number was set by hand.
        every: the thresholds as they were found, of every score, by weights; a line moved by hand
            leaves them alone.
        teachers: a visitor's own pictures that the thresholds were found on.
        foreign: every score of those of them that show no label, by weights.
        stale: what was changed since, in words; then there are no thresholds.
        known: what another tab knew of a picture, in words.
        preprocess: the backbone's own, to show what it saw.
    """

    settings: Settings
    images: tuple[Judged, ...] = ()
    problems: tuple[str, ...] = ()
    thresholds: Mapping[str, Threshold | float] = field(default_factory=dict)
    every: Mapping[str, Mapping[str, Threshold]] = field(default_factory=dict)
    teachers: Teachers | None = None
    foreign: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    stale: tuple[str, ...] = ()
    known: Mapping[Path, str] = field(default_factory=dict)
    preprocess: Callable | None = field(default=None, compare=False)

    @property
    def calibration(self) -> dict[str, Threshold]:
        """Those of the chosen score."""
        return {weights: found[self.settings.score] for weights, found in self.every.items()}

    def line(self, weights: str) -> float | None:
        """The threshold of these weights as it is now."""
        threshold = self.thresholds.get(weights)
        return None if threshold is None else _value(threshold)

    @property
    def photographs(self) -> bool:
        """Whether at least half of the images that were looked at are photographs."""
        found = [image.photograph for image in self.images if image.photograph is not None]
        return bool(found) and 2 * sum(found) >= len(found)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why its thresholds are not to be trusted, each reason once."""
        found = (getattr(threshold, "warning", None) for threshold in self.thresholds.values())
        return tuple(dict.fromkeys(warning for warning in found if warning))

    def with_thresholds(self, thresholds: Mapping[str, Threshold | float]) -> Batch:
        """The same scores decided anew; asks no network."""
        values = {weights: _value(t) for weights, t in thresholds.items()}
        bands = {w: t.band for w, t in thresholds.items() if not isinstance(t, (int, float))}
        images = tuple(
            image._replace(
                verdicts={
                    weights: replace(
                        verdict, threshold=values.get(weights), band=bands.get(weights)
                    )
                    for weights, verdict in image.verdicts.items()
                }
            )
            for image in self.images
        )
        return replace(self, images=images, thresholds=dict(thresholds))

    def calibrated(self, every: Mapping[str, Mapping[str, Threshold]]) -> Batch:
        """Decided anew by these thresholds; while something is stale they only wait."""
        now = replace(self, every=dict(every))
        return now if self.stale else now.with_thresholds({**self.thresholds, **now.calibration})

    def outdated_by(self, what: tuple[str, ...]) -> Batch:
        """Without thresholds while `what` is changed; with those found when nothing is."""
        if what:
            return replace(self.with_thresholds({}), stale=what)
        return replace(self.with_thresholds(self.calibration), stale=())

    def reach(self, weights: str) -> float:
        """How far scores lie from the threshold at most."""
        verdicts = (image.verdicts[weights] for image in self.images)
        return max(
            (abs(v.score - v.threshold) for v in verdicts if v.threshold is not None), default=0
        )

    def span(self, weights: str) -> tuple[float, float, float]:
        """Where a threshold may lie: from, to, and a step that is fine and round."""
        threshold = self.thresholds.get(weights)
        values = [image.verdicts[weights].score for image in self.images]
        if weights in self.calibration:
            values += self.calibration[weights].scores
        values += self.foreign.get(weights, {}).get(self.settings.score, ())
        if threshold is not None:
            values.append(_value(threshold))
        low, high = min(values), max(values)
        width = (high - low) or max(abs(high), 1e-6)
        digits = 2 - math.floor(math.log10(width))
        step = 10.0**-digits
        return round(low - 2 * step, digits), round(high + 2 * step, digits), step

    def order(self, by: str) -> list[int]:
        """Places of the images by `score` (highest first), `name` or `changes`: what the
        recipe decides otherwise first."""
        last = self.settings.weights[-1]
        keys: dict[str, Callable[[int], Any]] = {
            "score": lambda i: -self.images[i].verdicts[last].score,
            "name": lambda i: self.images[i].name.lower(),
            "changes": lambda i: (
                -self.images[i].differs,
                -self.images[i].moved if self.images[i].differs else 0.0,
                -self.images[i].verdicts[last].score,
            ),
        }
        return sorted(range(len(self.images)), key=keys[by])


def _value(threshold: Threshold | float) -> float:
    return float(threshold) if isinstance(threshold, (int, float)) else threshold.value
