"""Images to verdicts: each file read once, judged with the original and with the SeTAR weights.

What takes long is a generator of `Progress`, as `Jobs` run it.
"""

from __future__ import annotations

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
from demo.server.supplies import equipped
from setar_core.data.images import ImageError, read_image
from setar_core.memory import IMAGES_WATCHED
from setar_core.threshold import Threshold, calibrate

if TYPE_CHECKING:
    from torch import Tensor

    from setar_core.detector import Detector

CHUNK = IMAGES_WATCHED // 2  # between two signs of life; most pass through both weights

Detectors = dict[str, "Detector"]


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

    Raises:
        ValueError: more files, or larger ones in all, than one batch may have.
    """
    check_batch(files)
    for first in range(0, len(files), CHUNK):
        yield Progress(f"Judging picture {first + 1} of {len(files)}", first / len(files))
        some = files[first : first + CHUNK]
        yield library.turns.run(f"judging {len(files)} pictures", _chunk, made, some)


def scores(
    library: Library, made: Detectors, files: Sequence[Path]
) -> Steps[tuple[dict[str, tuple[float, ...]], tuple[str, ...]]]:
    """The detectors' own scores of calibration images, by weights, and what went wrong."""
    check_batch(files)
    found: dict[str, list[float]] = {weights: [] for weights in made}
    problems: list[str] = []

    def score(some: Sequence[Path]) -> None:
        good = _read(made, some, problems, shown=False)
        for weights, detector in made.items() if good else ():
            found[weights] += detector.scores_of(_stacked(good)).tolist()

    for first in range(0, len(files), CHUNK):
        yield Progress(f"Calibrating, picture {first + 1} of {len(files)}", first / len(files))
        what = f"calibrating on {len(files)} pictures"
        library.turns.run(what, score, files[first : first + CHUNK])
    return {weights: tuple(values) for weights, values in found.items()}, tuple(problems)


def calibrated(
    made: Detectors, found: dict[str, tuple[float, ...]], recall: float
) -> dict[str, Threshold]:
    """Each weights' own threshold at one recall."""
    return {w: calibrate(found[w], recall, detector.context) for w, detector in made.items()}


def with_own(batch: Batch, made: Detectors) -> Batch:
    """The batch by the thresholds that its detectors have themselves."""
    lines = {weights: detector.threshold for weights, detector in made.items()}
    found = {weights: line for weights, line in lines.items() if isinstance(line, Threshold)}
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


def _chunk(made: Detectors, files: Sequence[Path]) -> Chunk:
    problems: list[str] = []
    good = _read(made, files, problems)
    if not good:
        return Chunk((), tuple(problems))
    pixels = _stacked(good)
    verdicts = {weights: detector.verdicts_of(pixels) for weights, detector in made.items()}
    images = tuple(
        Judged(path, path.name, small, {weights: verdicts[weights][i] for weights in made})
        for i, (path, small, _) in enumerate(good)
    )
    return Chunk(images, tuple(problems))


def _stacked(good: Sequence[tuple[Path, str, Tensor]]) -> Tensor:
    import torch

    return torch.stack([pixels for _, _, pixels in good])


def _read(
    made: Detectors, files: Sequence[Path], problems: list[str], shown: bool = True
) -> list[tuple[Path, str, Tensor]]:
    """Path, thumbnail (if it will be shown) and pixels of every readable file; the others go to
    `problems`."""
    preprocess = next(iter(made.values())).backbone.preprocess
    good = []
    for file in files:
        try:
            image = read_image(file)
        except ImageError as error:
            problems.append(str(error))
            continue
        good.append((file, thumbnail(image) if shown else "", preprocess(image)))
    return good
