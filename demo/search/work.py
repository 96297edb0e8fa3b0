"""One search from the asking to its last candidate, piece by piece, so that it can be stopped.

The network is asked in turns of one candidate each; between two of them others have theirs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from demo.page.notices import begun
from demo.page.pictures import seen
from demo.search.request import SearchRequest
from demo.server.device.card import Work
from demo.server.jobs import Progress, Steps, each
from demo.server.library import Library
from demo.server.limits import (
    MAX_IMAGES,
    MAX_SEARCH_BYTES,
    PUBLIC_CANDIDATES,
    PUBLIC_MINUTES,
)
from demo.server.shipped import calibration_folders
from demo.server.supplies import folders_of
from setar_core.data.archives import inspect, unpacking, unwrapped
from setar_core.data.images import ImageError, find_images, read_image
from setar_core.labels import LabelSet, few
from setar_core.search.plan import SearchPlan, resolve
from setar_core.search.trace import Trace, header, replay

if TYPE_CHECKING:
    from setar_core.backbones import Backbone
    from setar_core.data.calibration import CalibrationSet
    from setar_core.recipe import Site
    from setar_core.search.eta import Eta
    from setar_core.search.trial import Trial

SHOWN = 8  # example pictures whose OOD patches can be looked at
MEASURED = 2  # candidates that an estimate runs


@dataclass(frozen=True)
class Example:
    """A calibration picture: its place among them, what the model sees of it, and its label."""

    place: int
    picture: str
    label: str


@dataclass(frozen=True)
class Ready:
    """What is known before the first candidate; `warning` where labels are not as one may think."""

    plan: SearchPlan
    labels: LabelSet
    sites: tuple[Site, ...]
    ranks: dict[Site, int]
    images: int
    examples: tuple[Example, ...]
    problems: tuple[str, ...]
    eta: Eta
    warning: str


class Pictures(NamedTuple):
    """The calibration set, some of it to look at, which files were left out, and a warning where
    the labels are not as one may think."""

    calibration: CalibrationSet
    examples: tuple[Example, ...]
    problems: tuple[str, ...]
    warning: str = ""


def search(library: Library, request: SearchRequest, trace: Path) -> Steps[None]:
    """First what it is made ready with, then every trial; each is in the trace when it is yielded.

    Raises:
        ValueError: the backbone, the pictures, the plan or the trace to go on from do not fit.
    """
    backbone = yield from library.loading(request.backbone)
    backbone.check_blocks()
    calibration, examples, problems, warning = yield from _pictures(backbone, request, trace.parent)

    from setar_core.search.eta import Eta

    yield Progress("Checking the plan")
    plan = request.plan
    if (plan.top_k or 0) >= len(calibration.labels) < len(request.labels):
        plan = replace(plan, top_k=None)  # it was chosen for more labels
    plan = resolve(plan, backbone, calibration)
    eta = Eta(plan, backbone)
    if library.public and eta.total > PUBLIC_CANDIDATES:
        raise ValueError(
            f"this search has {eta.total:,} candidates, and a public host runs at most "
            f"{PUBLIC_CANDIDATES:,}; give fewer ratios, or search on a machine of your own"
        )
    ranks = {site: min(backbone.weight(site).shape) for site in eta.sites}
    with _trace(trace, header(backbone, calibration, plan), request.trace) as file:
        yield Ready(
            plan, calibration.labels, eta.sites, ranks, len(calibration), examples, problems, eta,
            warning,
        )  # fmt: skip
        yield Progress("Measuring the original weights")
        work = Work(trials, (calibration, plan), _after)
        state = Place(tuple(file.done), 0)
        with library.stepping(request.backbone, backbone, work, state) as steps:
            while True:
                what = f"searching, candidate {eta.done + 1} of {eta.total}"
                trial = steps.next(what, eta.total - eta.done)
                if trial is None:
                    return
                eta.update(trial)
                file.write(trial)
                yield trial
                measured = trial.index + 1 - len(file.done)
                if request.only_estimate and measured >= MEASURED:
                    return
                minutes = (eta.remaining or 0.0) / 60
                if library.public and measured == MEASURED and minutes > PUBLIC_MINUTES:
                    raise ValueError(
                        f"this search would take about {minutes:.0f} minutes, and a public host "
                        f"gives it {PUBLIC_MINUTES:g}; give fewer pictures or ratios, or search "
                        "on a machine of your own"
                    )


class Place(NamedTuple):
    """Where a search is: the trials that are known, and how many of them were yielded."""

    done: tuple[Trial, ...]
    shown: int


def trials(
    backbone: Backbone, calibration: CalibrationSet, plan: SearchPlan, place: Place
) -> Iterator[Trial]:
    """The trials that follow."""
    from setar_core.search.greedy import greedy_search

    every = greedy_search(backbone, calibration, plan, done=place.done)
    return islice(every, place.shown, None) if place.shown else every


def _after(place: Place, trial: Trial) -> Place:
    new = () if trial.index < len(place.done) else (trial,)
    return Place((*place.done, *new), trial.index + 1)


def _trace(path: Path, first: dict, text: str) -> Trace:
    """The trace that is there, or else a new one that goes on from `text`.

    Raises:
        ValueError: that is of another search; says so without the folders of this server.
    """
    if text and not path.exists():
        path.write_text(text, encoding="utf-8")
    try:
        return Trace(path, first, resume=True)
    except ValueError as error:
        raise ValueError(str(error).replace(str(path), "the uploaded trace")) from None


def _pictures(backbone: Backbone, request: SearchRequest, folder: Path) -> Steps[Pictures]:
    if request.zip is None:
        found = enumerate(calibration_folders(request.labels.names))
        shipped = sorted((folder, i) for i, folder in found if folder is not None)
        return (yield from _read(backbone, shipped, request.labels))
    yield Progress("Looking through the zip")
    inspect(request.zip, MAX_IMAGES, MAX_SEARCH_BYTES)
    with tempfile.TemporaryDirectory(dir=folder) as unpacked:
        for done, total in unpacking(request.zip, unpacked, MAX_IMAGES, MAX_SEARCH_BYTES):
            yield Progress(f"Unpacking picture {done} of {total}", done / total)
        root = unwrapped(unpacked)
        try:
            folders, labels, warning = folders_of(root, request.labels, request.zip.name)
            read = yield from _read(backbone, folders, labels)
            return read._replace(warning=" ".join(filter(None, (warning, read.warning))))
        except ValueError as error:  # named as the visitor knows it
            raise ValueError(str(error).replace(str(root), request.zip.name)) from None


def _read(
    backbone: Backbone, folders: Sequence[tuple[Path, int]], labels: LabelSet
) -> Steps[Pictures]:
    from setar_core.data.calibration import CalibrationSet

    known = {path: c for inside, c in folders for path in find_images([inside])}
    left_out: list[ImageError] = []
    yield Progress(f"Reading {len(known)} pictures")
    reading = CalibrationSet.reading(folders, labels, backbone.preprocess, left_out.append)
    calibration = yield from each(
        reading, lambda seen: Progress(f"Reading {len(known)} pictures", seen[0] / seen[1])
    )
    bad = {error.path for error in left_out}
    good = [(path, c) for path, c in known.items() if path not in bad]
    examples, problems = _examples(backbone, good, labels), tuple(map(str, left_out))
    return Pictures(calibration, examples, problems, _missing(calibration))


def _missing(calibration: CalibrationSet) -> str:
    """What is said of labels without a picture."""
    if calibration.warning:
        return f"{begun(calibration.warning)}."
    if missing := calibration.missing:
        some = f"{len(missing)} of the {len(calibration.labels)} labels"
        return f"{some} have no picture: {few(missing)}."
    return ""


def _examples(
    backbone: Backbone, good: list[tuple[Path, int]], labels: LabelSet
) -> tuple[Example, ...]:
    """Some of the pictures whose OOD patches an event carries, spread over them."""
    from setar_core.search.objective import EXAMPLES

    count = min(EXAMPLES, len(good))
    shown = []
    for place in range(0, count, max(1, count // SHOWN))[:SHOWN]:
        path, label = good[place]
        shown.append(
            Example(place, seen(read_image(path), backbone.preprocess), labels.names[label])
        )
    return tuple(shown)


def replayed(text: str) -> tuple[Trial, ...]:
    """The trials of a trace, ours or the authors', without running anything.

    Raises:
        ValueError: not a trace, or one without a candidate.
    """
    trials = tuple(replay(text))
    if not trials:
        raise ValueError("this trace holds no whole candidate; give one that was written further")
    return trials
