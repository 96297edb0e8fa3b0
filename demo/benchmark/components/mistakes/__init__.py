"""The worst mistakes at a threshold, as pictures to open in Detect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from demo.page.components.picker import Picker
from demo.page.pictures import thumbnail
from demo.page.words import number
from setar_core.data.images import ImageError, read_image

if TYPE_CHECKING:
    from setar_core.benchmark.mistakes import Mistake


class Picture(NamedTuple):
    """One mistake; the image is a data URI, empty where the file is gone."""

    image: str
    label: str
    score: str
    told: str


class Shown(NamedTuple):
    """Foreign pictures that were accepted, and known ones that were refused."""

    accepted: Sequence[Picture]
    refused: Sequence[Picture]


class Mistakes(Picker):
    """Its value is `Shown`; the index that is chosen counts both in turn."""


def shown(found: Sequence[Mistake]) -> Shown:
    """The pictures of mistakes, of which the accepted come first."""
    accepted = [_picture(one) for one in found if one.accepted]
    return Shown(accepted, [_picture(one) for one in found if not one.accepted])


def _picture(one: Mistake) -> Picture:
    try:
        image = thumbnail(read_image(one.path))
    except ImageError:  # gone since
        image = ""
    said = f"taken for {one.label}" if one.accepted else f"resembles {one.label} most"
    truth = f", is {one.truth}" if one.truth and one.truth != one.label else ""
    told = f"{one.path.name}: {said}{truth}, score {number(one.score)}"
    return Picture(image, one.label, number(one.score), told)
