"""The pictures that are looked at, the worst mistakes or what is selected, to open in Detect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from demo.page.components.picker import Picker
from demo.page.pictures import thumbnail
from demo.page.words import number
from demo.server.limits import MAX_FILES
from setar_core.data.images import ImageError, read_image

if TYPE_CHECKING:
    from setar_core.benchmark.mistakes import Scored

SHOWN = 24  # of a side; all are opened
ALL = -1  # the index that opens all of them


class Picture(NamedTuple):
    """One of them, `place` in all; the image is a data URI, empty where the file is gone."""

    place: int
    image: str
    label: str
    score: str
    told: str
    mistake: bool


class Group(NamedTuple):
    """Pictures of one side, and how many more there are; `none` is said where there are none."""

    title: str
    none: str
    pictures: Sequence[Picture]
    more: int


class Shown(NamedTuple):
    """Of `total` pictures so many are `opened` in Detect at once."""

    lead: str
    groups: Sequence[Group]
    total: int
    opened: int


class Selected(Picker):
    """Its value is `Shown`; the index that is chosen counts all, -1 opens all of them."""


def shown(found: Sequence[Scored], brushed: bool) -> Shown:
    """The pictures of both sides; what was brushed, or the worst mistakes."""
    lead = (
        "The selected pictures, the highest scores first."
        if brushed
        else "The worst mistakes first."
    )
    titles = (
        (False, "Foreign", "No foreign picture is selected."),
        (True, "Known", "No known picture is selected."),
    )
    if not brushed:
        titles = (
            (False, "Foreign, but accepted", "No foreign picture is accepted."),
            (True, "Known, but refused", "No known picture is refused."),
        )
    groups = []
    for known, title, none in titles:
        places = [i for i, one in enumerate(found) if one.known == known]
        pictures = [_picture(i, found[i]) for i in places[:SHOWN]]
        groups.append(Group(title, none, pictures, len(places) - len(pictures)))
    return Shown(lead, groups, len(found), min(len(found), MAX_FILES))


def known_of(one: Scored) -> str:
    """What is known of a picture, in words."""
    truth = f", shows {one.truth}" if one.truth else ""
    side = f"known{truth}" if one.known else "foreign"
    done = "accepted" if one.accepted else "refused"
    return f"{one.set}: {side}; {done} {'by mistake' if one.mistake else 'rightly'}"


def _picture(place: int, one: Scored) -> Picture:
    try:
        image = thumbnail(read_image(one.path))
    except ImageError:  # gone since
        image = ""
    said = f"taken for {one.label}" if one.accepted else f"resembles {one.label} most"
    told = f"{one.path.name} ({known_of(one)}): {said}, score {number(one.score)}"
    return Picture(place, image, one.label, number(one.score), told, one.mistake)
