"""The table of `scores` as it grows: in a journal beside it, so that a killed run can go on.

The journal's first line says what the scores depend on, then there is a line an image: its scores,
or why it was left out. Logits that were asked for lie in a file of float32, `(1 + P, C)` an image:
the whole image's, then its patches'; the image's line says at which byte they end.

In memory an image has its name and where its line begins, so that a million take little.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...data.names import Names
from ...data.sets import ImageSet
from ...journal import Journal, append, check_same, whole_lines
from ..console import say
from ..outputs import whole_file
from .formats import write

if TYPE_CHECKING:
    from ...backbones import Logits
    from ...detector import Detector

Page = dict[str, Any]  # a line

BEGINNING = b'{"backbone"'
MAX_LINE = 1_000_000  # bytes; a line has a few hundred
UNKNOWN, LEFT_OUT = -1, -2  # in place of where an image's scores are


class ScoreTable:
    """What is known of each image, on the disk as soon as it is known.

    Args:
        images: in the order of the table.
        journal: where it grows.
        logits: where the logits grow; None when they are not asked for.
        resume: go on with what is in these files.

    Attributes:
        known: how many images have a line.

    Raises:
        ValueError: the journal is none, or of another run; says what differs.
    """

    def __init__(
        self,
        detector: Detector,
        scores: Sequence[str],
        images: Names,
        journal: Path,
        logits: Path | None = None,
        resume: bool = False,
    ) -> None:
        self.scores = tuple(scores)
        self.images = images
        self.known = 0
        self._lines = np.full(len(self.images), UNKNOWN)  # where each begins in the journal
        self._scale, self._width = detector.backbone.scale, len(detector.classifier.weight)
        self._each = self._size = 0  # bytes of an image's logits, and of all
        self._keeps_logits = logits is not None
        first, end = self._header(detector, logits), 0
        if resume and journal.exists():
            end = self._take_up(journal, first, logits)
        self._journal = Journal(journal, first, end if self.known else 0)
        self._logits: IO[bytes] | None = None
        if logits:
            self._logits = open(logits, "ab")  # noqa: SIM115
            self._logits.truncate(self._size)

    @property
    def missing(self) -> np.ndarray:
        """The places of the images of which nothing is known yet, each once."""
        return np.flatnonzero(self.images.first & (self._lines == UNKNOWN))

    @property
    def whole(self) -> bool:
        """Whether every image has scores."""
        return bool((self._lines[self.images.first] >= 0).all())

    def add(self, images: Sequence[Path], scores: Tensor, logits: Logits | None) -> None:
        """Enter images with their scores, `(B, S)`; one of which some is no number is left out."""
        finite = scores.isfinite().all(dim=-1)
        good = finite.nonzero().flatten().tolist()
        for place in (~finite).nonzero().flatten().tolist():
            self.leave_out(images[place], f"{images[place].name!r}: its scores are no numbers")
        pages: list[Page] = [
            {"image": str(images[place]), "scores": scores[place].tolist()} for place in good
        ]
        if self._logits and logits and pages:
            rows = logits.whole[good, None]
            if logits.local is not None:
                rows = torch.cat([rows, logits.local[good]], dim=1)
            data = rows.float().numpy()
            append(self._logits, data.tobytes())
            self._each = data[0].nbytes
            for page in pages:
                self._size += self._each
                page["logits"] = self._size
        self._enter(*pages)

    def leave_out(self, image: Path, reason: str) -> None:
        """Enter an image that has no scores."""
        self._enter({"image": str(image), "left_out": reason})
        say(f"skipped: {reason}")

    def save(self, out: str) -> None:
        """Write the table, as the ending of `out` says; what was there stays until it is whole."""
        rows = ((page["image"], page["scores"]) for page in self._scored())
        write(out, self.scores, rows)

    def save_logits(self, out: str) -> None:
        """Write `whole (n, C)`, `local (n, P, C)`, `scale` and `images`, if there is any image."""
        if not self._size or not self._logits:
            return
        data = np.memmap(self._logits.name, np.float32, "r")
        rows: np.ndarray = data.reshape(self._size // self._each, -1, self._width)
        found = ((page["image"], page["logits"] // self._each - 1) for page in self._scored())
        images, places = zip(*found, strict=True)
        if places != tuple(range(len(rows))):  # images that were given twice, or came in turns
            rows = rows[list(places)]
        with whole_file(out) as file:
            np.savez(
                file,
                whole=rows[:, 0],
                local=rows[:, 1:],
                scale=np.float64(self._scale),
                images=np.array(images),
            )

    def close(self) -> None:
        self._journal.close()
        if self._logits:
            with suppress(OSError):  # as of a journal
                self._logits.close()

    def _enter(self, *pages: Page) -> None:
        for page, line in zip(pages, self._journal.append(*pages), strict=True):
            self._note(page, line)

    def _note(self, page: Page, line: int) -> bool:
        """Where an image's line begins; False for an image that has one, or is not of the run."""
        place = self.images.place(page["image"])
        if place is None or self._lines[place] != UNKNOWN:
            return False
        self._lines[place] = line if "scores" in page else LEFT_OUT
        self.known += 1
        return True

    def _scored(self) -> Iterator[Page]:
        """The lines of the images that have scores, in the images' order."""
        with open(self._journal.path, "rb") as file:
            for place, first in enumerate(self.images.first.tolist()):
                known = place if first else self.images.place(self.images[place])
                if (line := int(self._lines[known])) >= 0:
                    file.seek(line)
                    yield json.loads(file.readline())

    def _header(self, detector: Detector, logits: Path | None) -> Page:
        images = ImageSet("images", Path(), self.images)
        return {
            "backbone": detector.backbone.name,
            "weights": detector.backbone.fingerprint,
            "labels": detector.labels.fingerprint,
            "recipe": detector.context.recipe,
            "scores": list(self.scores),
            **detector.options.page(),
            **detector.given(self.scores),
            "logits": self._keeps_logits,
            "images": len(images),
            "files": images.fingerprint,
        }

    def _take_up(self, journal: Path, first: Page, logits: Path | None) -> int:
        """Take over what the journal has, as far as its logits are there; where that ends."""
        there = logits.stat().st_size if logits and logits.exists() else 0
        end = 0
        for line in whole_lines(journal, "journal of scores", BEGINNING, MAX_LINE):
            page = line.page
            if page is not None and line.number == 1:
                check_same(journal, page, first)
            elif page and self._fits(page) and page.get("logits", 0) > there:
                break
            elif not (page and self._fits(page) and self._note(page, end)):
                raise ValueError(
                    f"{journal}, line {line.number}: it has no scores of an image of this run; "
                    "start without --resume"
                )
            elif "left_out" in page:
                say(f"skipped: {page['left_out']}")
            elif size := page.get("logits"):
                self._each, self._size = self._each or size, size
            end = line.end
        return end

    def _fits(self, page: Page) -> bool:
        """Whether a line is one that was written here."""
        if not isinstance(page.get("image"), str):
            return False
        if page.keys() == {"image", "left_out"}:
            return isinstance(page["left_out"], str)
        scores, size = page.get("scores"), page.get("logits")
        if not isinstance(scores, list) or len(scores) != len(self.scores):
            return False
        if not all(type(score) is float and math.isfinite(score) for score in scores):
            return False
        if not self._keeps_logits:
            return size is None
        if type(size) is not int or size <= 0 or size % (4 * self._width):
            return False
        return size == self._size + (self._each or size)
