"""Image sets to choose from: shipped ones, folders of the operator, zips of the visitor."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.server.jobs import Progress, Steps
from demo.server.library import Library
from demo.server.limits import MAX_SETS_BYTES, MAX_SETS_FILES
from demo.server.shipped import IMAGES
from setar_core.data.archives import inspect_all, unpacking, unwrapped
from setar_core.data.listing import listing
from setar_core.data.sets import ImageSet, check_apart
from setar_core.labels import LabelSet
from setar_core.paths import BENCHMARK

ID, CALIBRATION = "id", "calibration"
TITLES = {
    "id": "animals",
    "near": "near: things that look like animals",
    "other": "other: food, vehicles, music, sports ...",
    "textures": "textures",
    "glyphs": "glyphs: letters and signs",
    "noise": "noise",
}
ZIP = "zip"


@dataclass(frozen=True)
class SetsAsked:
    """Which sets: `shipped:near`, `data:SUN`, or `ZIP` for an uploaded ID set."""

    inside: str
    id_zip: str | None
    outside: tuple[str, ...]
    ood_zips: tuple[str, ...]


def id_choices(library: Library) -> list[tuple[str, str]]:
    own = [(f"{name} (folder)", f"data:{name}") for name in folders(library)]
    return [(f"{TITLES[ID]} ({_count(ID)})", f"shipped:{ID}"), *own, ("my own zip", ZIP)]


def ood_choices(library: Library) -> list[tuple[str, str]]:
    shipped = [
        (f"{title} ({_count(name)})", f"shipped:{name}")
        for name, title in TITLES.items()
        if name != ID
    ]
    return [*shipped, *((f"{name} (folder)", f"data:{name}") for name in folders(library))]


def folders(library: Library) -> list[str]:
    """The folders of the operator's `--data DIR`; none where it was not given."""
    if library.data is None:
        return []
    return [path.name for path in listing(library.data).folders]


def opened(
    library: Library, asked: SetsAsked, labels: LabelSet, folder: Path
) -> Steps[tuple[ImageSet, tuple[ImageSet, ...]]]:
    """The ID set and the OOD sets, listed; what is to be unpacked lies in the folder.

    Raises:
        ValueError: nothing chosen, a set that is not offered or given twice, ID and OOD sets that
            share images, a zip that is refused.
    """
    inside = asked.inside
    if inside == ZIP:
        if not asked.id_zip:
            raise ValueError("the ID set is to be your own zip, and none is here; upload one")
        inside = asked.id_zip
    if not (asked.outside or asked.ood_zips):
        raise ValueError("no OOD set is chosen; tick at least one, or upload a zip")
    own = (asked.id_zip, *asked.ood_zips)
    inspect_all(
        [path for path in (inside, *asked.ood_zips) if path in own], MAX_SETS_FILES, MAX_SETS_BYTES
    )
    unpacked = folder / "sets"
    shutil.rmtree(unpacked, ignore_errors=True)  # of a run that was stopped
    places: list[tuple[str, Path]] = []
    shipped = [value for value in asked.outside if value.startswith("shipped:")]
    data = [value for value in asked.outside if value not in shipped]
    for i, value in enumerate([inside, *asked.ood_zips, *data, *shipped]):  # one's own first
        if value in own:
            target, name = unpacked / str(i), Path(value).stem
            for done, total in unpacking(value, target):
                yield Progress(f"Unpacking {name}: image {done} of {total}", done / total)
            places.append((name, unwrapped(target)))
        else:
            places.append(_offered(library, value))
    check_apart([folder for _, folder in places], [name for name, _ in places])
    names = _distinct([name for name, _ in places])
    yield Progress("Listing the images")
    listed = [
        _listed(folder, name, None if i else labels)
        for i, (name, (_, folder)) in enumerate(zip(names, places, strict=True))
    ]
    return listed[0], tuple(listed[1:])


def _listed(folder: Path, name: str, labels: LabelSet | None) -> ImageSet:
    try:
        return ImageSet.from_folder(folder, name, labels)
    except ValueError as error:  # named as the visitor knows it
        raise ValueError(str(error).replace(str(folder), name)) from None


def _offered(library: Library, value: str) -> tuple[str, Path]:
    kind, _, name = value.partition(":")
    if kind == "shipped" and name in TITLES:
        return TITLES[ID] if name == ID else name, BENCHMARK / name
    if kind == "data" and library.data is not None and name in folders(library):
        return name, unwrapped(library.data / name)
    raise ValueError(f"no set {value[:80]!r} is offered here; choose from the list, or give a zip")


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number behind one that was there before."""
    found: list[str] = []
    for name in names:
        name = {"mean": "mean images"}.get(name, name)
        number = 2
        while name in found:
            name, number = f"{name.removesuffix(f' {number - 1}')} {number}", number + 1
        found.append(name)
    return found


def _count(name: str) -> int:
    return sum(path.suffix.lower() in IMAGES for path in (BENCHMARK / name).rglob("*"))
