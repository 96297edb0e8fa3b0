"""One training from the asking to its last step, and what it does to held pictures, epoch by epoch.

The network is asked in turns of one step each; between two of them others have theirs. Held
pictures are never among those that are trained on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from demo.finetune.held import HELD, Epoch, Held, Labelled, flipped, held_of, judged, spread
from demo.finetune.request import TrainingRequest
from demo.server.device.card import Work
from demo.server.jobs import Progress, Steps
from demo.server.library import Library
from demo.server.limits import MAX_IMAGES, MAX_SEARCH_BYTES, PUBLIC_MINUTES
from demo.server.shipped import calibration_folders, pictures
from demo.server.supplies import folders_of
from setar_core.data.archives import inspect, unpacking, unwrapped
from setar_core.data.images import ImageError, find_images, read_image
from setar_core.labels import LabelSet
from setar_core.paths import BENCHMARK

if TYPE_CHECKING:
    from setar_core.adapter import Adapter
    from setar_core.backbones import Backbone
    from setar_core.finetune.pictures import TrainingSet
    from setar_core.finetune.plan import Plan
    from setar_core.finetune.train import State, Step
    from setar_core.recipe import Recipe

OODS = ("near", "other")  # shipped sets of pictures that show no label
EPOCHS = 10  # times at most that held pictures are judged
MEASURED = 2  # steps that an estimate makes
FIFTH = 5  # of a zip's pictures of a label, every so many is held


class Point(NamedTuple):
    """A step in numbers."""

    step: int
    epoch: int
    rate: float
    loss: float
    loss_id: float
    loss_ood: float | None
    loss_npos: float | None
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class Ready:
    """What is known before the first step."""

    labels: LabelSet
    images: int
    held: Held
    steps: int
    epochs: int
    problems: tuple[str, ...]
    warning: str


@dataclass
class Memory:
    """What a stopped training goes on from."""

    state: State | None = None
    events: list[object] = field(default_factory=list)


def train(library: Library, request: TrainingRequest, memory: Memory, folder: Path) -> Steps[None]:
    """First what it is made ready with, then every step as a `Point`, and an `Epoch` now and then.

    Raises:
        ValueError: the backbone, the pictures or the plan do not fit, or the loss diverges.
    """
    backbone = yield from library.loading(request.settings.backbone)
    backbone.check_blocks()
    from setar_core.finetune.pictures import TrainingSet

    outside = spread([p for name in OODS for p in pictures(BENCHMARK / name)], HELD)
    with ExitStack() as stack:
        found, inside, labels, warning = yield from _files(request, folder, stack)
        yield Progress(f"Reading {len(found)} pictures")
        problems: list[str] = []
        good = _readable(found, problems)
        held = held_of(_readable(inside, problems), outside)
        if not good:
            raise ValueError("none of the pictures could be read; give others")
        images = TrainingSet(tuple(path for path, _ in good), tuple(c for _, c in good))
        work = Work(updates, (images, labels, request.plan, request.recipe), _after, _light)
        place = Place(memory.state, sum(isinstance(event, Point) for event in memory.events))
        steps = stack.enter_context(
            library.stepping(request.settings.backbone, backbone, work, place)
        )
        resumed, memory.events = memory.events, []
        if resumed:
            for event in resumed:
                yield _kept(memory, event)
        total = len(images) // request.plan.batch_size if request.plan.drop_last else 0
        total = request.plan.epochs * max(1, total or -(-len(images) // request.plan.batch_size))
        if not resumed:
            yield _kept(
                memory,
                Ready(
                    labels, len(images), held, total, request.plan.epochs, tuple(problems), warning
                ),
            )
            if not request.only_estimate:
                yield Progress("Judging held pictures before the training")
                before = yield from judged(library, backbone, request, labels, held, request.recipe)
                yield _kept(memory, Epoch(0, *before))
        taken = 0.0
        for count in range(1, total + 2):
            update = steps.next("training a step", total + 1 - count)
            if update is None:
                return
            point, taken = update.point, taken + update.point.seconds
            memory.state = update.state or memory.state
            yield _kept(memory, point)
            if count == MEASURED:
                if request.only_estimate:
                    return
                minutes = taken / count * (update.steps - point.step) / 60
                if library.public and minutes > PUBLIC_MINUTES:
                    raise ValueError(
                        f"this training would take about {minutes:.0f} minutes, and a public host "
                        f"gives it {PUBLIC_MINUTES:g}; give fewer pictures or epochs, or train on "
                        "a machine of your own"
                    )
            if update.due is not None:
                adapter, norms = update.due
                steps.rest()
                yield Progress("Judging held pictures")
                now = yield from judged(library, backbone, request, labels, held, adapter)
                first = next(event for event in memory.events if isinstance(event, Epoch))
                changed = flipped(held, first, *now[:2])
                yield _kept(memory, Epoch(point.epoch + 1, *now, adapter, norms, changed))


class Place(NamedTuple):
    """Where a training is: what it goes on from, and how many steps were yielded; some of the last
    may be made again."""

    state: State | None
    shown: int


class Update(NamedTuple):
    """A step, of how many, and what is gone on from, if it is told; adapter and norms where held
    pictures are `due` to be judged."""

    point: Point
    steps: int
    state: State | None
    due: tuple[Adapter, dict[str, float]] | None


def updates(
    backbone: Backbone,
    images: TrainingSet,
    labels: LabelSet,
    plan: Plan,
    recipe: Recipe | None,
    place: Place,
) -> Iterator[Update]:
    """The steps that follow.

    Raises:
        ValueError: the plan does not fit (at once), or the loss diverges.
    """
    from setar_core.finetune.train import finetune

    state, shown = place
    every = finetune(backbone, images, labels, plan, recipe=recipe, resume=state)
    return map(_update, islice(every, shown - (state.step if state else 0), None))


def _update(step: Step) -> Update:
    point = Point(
        step.step, step.epoch, step.rate, step.loss, step.loss_id, step.loss_ood, step.loss_npos,
        step.accuracy, step.seconds,
    )  # fmt: skip
    every = -(-step.epochs // EPOCHS)
    ends = step.last and ((step.epoch + 1) % every == 0 or step.step + 1 == step.steps)
    return Update(point, step.steps, step.state, (step.adapter, step.norms) if ends else None)


def _after(place: Place, update: Update) -> Place:
    return Place(update.state or place.state, update.point.step + 1)


def _light(update: Update) -> Update:
    return update if update.due else update._replace(state=None)


def _kept(memory: Memory, event: object) -> object:
    memory.events.append(event)
    return event


def _files(
    request: TrainingRequest, folder: Path, stack: ExitStack
) -> Steps[tuple[list[Labelled], list[Labelled], LabelSet, str]]:
    """The pictures with their labels' index, those that are held, the labels, and a warning."""
    labels = request.settings.labels
    if request.zip is None:
        known = [
            (path, c)
            for c, inside in enumerate(calibration_folders(labels.names))
            if inside is not None
            for path in pictures(inside)
        ]
        held = [
            (path, c)
            for c, inside in enumerate(calibration_folders(labels.names))
            if inside is not None
            for path in pictures(BENCHMARK / "id" / inside.name)
        ]
        return known, held, labels, ""
    if not request.zip.is_file():
        raise ValueError(f"{request.zip.name} is no longer kept here; add the zip again")
    yield Progress("Looking through the zip")
    inspect(request.zip, MAX_IMAGES, MAX_SEARCH_BYTES)
    unpacked = stack.enter_context(tempfile.TemporaryDirectory(dir=folder))
    for done, total in unpacking(request.zip, unpacked, MAX_IMAGES, MAX_SEARCH_BYTES):
        yield Progress(f"Unpacking picture {done} of {total}", done / total)
    root = unwrapped(unpacked)
    try:
        folders, labels, warning = folders_of(root, labels, request.zip.name)
    except ValueError as error:  # named as the visitor knows it
        raise ValueError(str(error).replace(str(root), request.zip.name)) from None
    known, held = [], []
    for inside, c in folders:
        for i, path in enumerate(find_images([inside])):
            (held if i % FIFTH == FIFTH - 1 else known).append((path, c))
    return known, held, labels, warning


def _readable(some: Sequence[Labelled], problems: list[str]) -> list[Labelled]:
    """Those that can be read; why the others cannot is added to the problems."""
    good = []
    for path, c in some:
        try:
            read_image(path)
            good.append((path, c))
        except ImageError as error:
            problems.append(str(error))
    return good
