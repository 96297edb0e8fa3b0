"""What is known of the images of one set: scores and nearest labels, and what they amount to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.sets import ImageSet


class SetScores:
    """What is kept of one set, filled in as its images come.

    Attributes:
        values: `(n, R, S)`, the scores by recipe and score; NaN for an image not seen, or left out.
        labels: `(n, R)`, the index of the most probable label under each recipe; -1 as NaN.
        left_out: images that could not be scored, by place, and why.
    """

    def __init__(self, images: ImageSet, recipes: int, scores: int) -> None:
        self.images = images
        self.seen = np.zeros(len(images), dtype=bool)
        self.values = np.full((len(images), recipes, scores), np.nan)
        self.labels = np.full((len(images), recipes), -1, dtype=np.int32)
        self.left_out: dict[int, str] = {}

    @property
    def complete(self) -> bool:
        return bool(self.seen.all())

    @property
    def places(self) -> np.ndarray:
        """The places of images that have scores."""
        return np.flatnonzero(self.labels[:, 0] >= 0)

    @property
    def known(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[int, str]]:
        """All that was filled in, for another process that has the same images."""
        return self.seen, self.values, self.labels, self.left_out

    def take(self, known: tuple[np.ndarray, np.ndarray, np.ndarray, dict[int, str]]) -> None:
        self.seen, self.values, self.labels, self.left_out = known

    def put(self, places: Sequence[int], values: np.ndarray, labels: np.ndarray) -> None:
        self.values[places], self.labels[places] = values, labels
        self.seen[places] = True

    def leave_out(self, place: int, reason: str) -> None:
        self.left_out[place] = reason
        self.seen[place] = True
