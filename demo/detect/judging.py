"""Images to verdicts: each file read once, judged with the original and with the SeTAR weights.

What takes long is a generator of `Progress`, as `Jobs` run it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from demo.detect.batch import Batch, Judged
from demo.page.pictures import thumbnail
from demo.page.words import STAY
from demo.server.jobs import Progress, Steps, told
from demo.server.library import Library
from demo.server.limits import MAX_BATCH_BYTES, MAX_FILES
from demo.server.settings import DETECTOR, ORIGINAL, Settings
from demo.server.shipped import EMBEDDED, examples
from demo.server.supplies import equipped
from setar_core.data.images import ImageError, read_image
from setar_core.memory import IMAGES_WATCHED
from setar_core.photographs import is_photograph
from setar_core.threshold import Threshold, calibrate

if TYPE_CHECKING:
    from torch import Tensor

    from setar_core.detector import Detector

CHUNK = IMAGES_WATCHED // 2  # between two signs of life; most pass through both weights

Detectors = dict[str, "Detector"]
Found = dict[str, dict[str, tuple[float, ...]]]  # of calibration images, by weights and score


class Chunk(NamedTuple):
    """Some more images, and what went wrong with which file."""

    images: tuple[Judged, ...]
    problems: tuple[str, ...]


def detectors(library: Library, settings: Settings) -> Steps[Detectors]:
    """One detector for each of the weights.

    Raises:
        ValueError: the backbone cannot be had, or labels or recipe do not fit it.
    """
    yield from told("", library.loading(settings.backbone), STAY)
    opened = library.opened(settings)
    if opened is not None:
        return {DETECTOR: opened}
    made: Detectors = {}
    for weights in settings.weights:
        recipe = None if weights == ORIGINAL else settings.recipe
        steps = equipped(library, settings, recipe)
        made[weights] = yield from told(f"{settings.titles[weights]}: ", steps)
    return made


def judged(library: Library, made: Detectors, files: Sequence[Path]) -> Steps[None]:
    """The files a few at a time, in the order given: progress, then `Chunk`, again and again.

    Where the backbone knows none, it is looked whether the first of them are photographs.

    Raises:
        ValueError: more files, or larger ones in all, than one batch may have.
    """
    check_batch(files)
    embedded = next(iter(made.values())).backbone.name == EMBEDDED
    doubtful = embedded and not {*files} <= {*examples()}
    for first in range(0, len(files), CHUNK):
        yield Progress(f"Judging picture {first + 1} of {len(files)}", first / len(files))
        some = files[first : first + CHUNK]
        look = doubtful and not first
        yield library.turns.run(f"judging {len(files)} pictures", _chunk, made, some, look)


def scores(
    library: Library, made: Detectors, files: Sequence[Path]
) -> Steps[tuple[Found, tuple[str, ...]]]:
    """All scores of calibration images that the detectors can give, and what went wrong."""
    check_batch(files)
    found: dict[str, dict[str, list[float]]] = {weights: defaultdict(list) for weights in made}
    problems: list[str] = []

    def score(some: Sequence[Path]) -> None:
        good = _read(made, some, problems, shown=False)
        for weights, detector in made.items() if good else ():
            for name, values in detector.every_score_of(_stacked(good)).items():
                found[weights][name] += values.tolist()

    for first in range(0, len(files), CHUNK):
        yield Progress(f"Calibrating, picture {first + 1} of {len(files)}", first / len(files))
        what = f"calibrating on {len(files)} pictures"
        library.turns.run(what, score, files[first : first + CHUNK])
    every = {
        weights: {name: tuple(values) for name, values in by_score.items()}
        for weights, by_score in found.items()
    }
    return every, tuple(problems)


def calibrated(batch: Batch, made: Detectors, found: Found, recall: float) -> Batch:
    """The batch by thresholds of every score at one recall; each of the weights has its own."""
    every = {
        weights: {
            name: calibrate(values, recall, detector.with_score(name, detector.options).context)
            for name, values in found[weights].items()
        }
        for weights, detector in made.items()
    }
    return batch.calibrated(every)


def with_own(batch: Batch, made: Detectors) -> Batch:
    """The batch by the thresholds that its detectors have themselves."""
    lines = {weights: detector.threshold for weights, detector in made.items()}
    score = batch.settings.score
    found = {w: {score: line} for w, line in lines.items() if isinstance(line, Threshold)}
    given = {weights: line for weights, line in lines.items() if line is not None}
    return batch.calibrated(found).with_thresholds(given)


def check_batch(files: Sequence[Path]) -> None:
    """Raises ValueError when a batch is too large."""
    if len(files) > MAX_FILES:
        raise ValueError(f"{len(files)} files are too many; give at most {MAX_FILES} at once")
    total = sum(file.stat().st_size for file in files if file.is_file())
    if total > MAX_BATCH_BYTES:
        raise ValueError(
            f"these files have {total / 1e6:.0f} MB together; give at most "
            f"{MAX_BATCH_BYTES / 1e6:.0f} MB at once"
        )


def _chunk(made: Detectors, files: Sequence[Path], look: bool) -> Chunk:
    problems: list[str] = []
    good = _read(made, files, problems, look=look)
    if not good:
        return Chunk((), tuple(problems))
    pixels = _stacked(good)
    verdicts = {weights: detector.verdicts_of(pixels) for weights, detector in made.items()}
    images = tuple(
        Judged(
            one.path,
            one.path.name,
            one.small,
            {weights: verdicts[weights][i] for weights in made},
            one.photograph,
        )
        for i, one in enumerate(good)
    )
    return Chunk(images, tuple(problems))


class _Good(NamedTuple):
    """A file that was read: its thumbnail, if it will be shown, and its pixels."""

    path: Path
    small: str
    pixels: Tensor
    photograph: bool | None


def _stacked(good: Sequence[_Good]) -> Tensor:
    import torch

    return torch.stack([one.pixels for one in good])


def _read(
    made: Detectors,
    files: Sequence[Path],
    problems: list[str],
    shown: bool = True,
    look: bool = False,
) -> list[_Good]:
    """Every file that can be read; the others go to `problems`."""
    preprocess = next(iter(made.values())).backbone.preprocess
    good = []
    for file in files:
        try:
            image = read_image(file)
        except ImageError as error:
            problems.append(str(error))
            continue
        small = thumbnail(image) if shown else ""
        good.append(_Good(file, small, preprocess(image), is_photograph(image) if look else None))
    return good
