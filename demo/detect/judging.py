"""Images to verdicts: each file read once, judged with the original and with the SeTAR weights.

The network is asked here and nowhere else in the demo. Everything is a generator of `Progress`
that yields what it made as its last item.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from demo.detect.batch import Judged
from demo.page.pictures import thumbnail
from demo.server.errand import Errand, Tell
from demo.server.jobs import Progress
from demo.server.library import Library
from demo.server.request import ORIGINAL, TITLES, Settings
from setar_core.data.images import ImageError, read_image
from setar_core.memory import IMAGES_WATCHED

if TYPE_CHECKING:
    from torch import Tensor

    from setar_core.detector import Detector
    from setar_core.threshold import Threshold

MAX_FILES = 200
MAX_BATCH_BYTES = 500_000_000
CHUNK = IMAGES_WATCHED // 2  # between two signs of life; most pass through both weights

Detectors = dict[str, "Detector"]


class Chunk(NamedTuple):
    """Some more images, and what went wrong with which file."""

    images: tuple[Judged, ...]
    problems: tuple[str, ...]


def detectors(library: Library, settings: Settings) -> Iterator[Progress | Detectors]:
    """One detector for each of the weights.

    Raises:
        ValueError: the backbone cannot be had, or labels or recipe do not fit it.
    """
    for sentence in library.waiting(settings.backbone):
        yield Progress(f"Loading {settings.backbone}: {sentence}. You may leave this page open.")
    made: Detectors = {}
    for weights in settings.weights:
        errand = Errand(partial(_detector, library, settings, weights))
        for sentence in errand.sentences():
            yield Progress(f"{TITLES[weights]}: {sentence}")
        made[weights] = errand.result()
    yield made


def judged(library: Library, made: Detectors, files: Sequence[Path]) -> Iterator[Progress | Chunk]:
    """The files a few at a time, in the order given.

    Raises:
        ValueError: more files, or larger ones in all, than one batch may have.
    """
    check_batch(files)
    for first in range(0, len(files), CHUNK):
        yield Progress(f"Judging picture {first + 1} of {len(files)}", first / len(files))
        with library.turns.turn(f"judging {len(files)} pictures"):
            some = _chunk(made, files[first : first + CHUNK])
        yield some


def scores(
    library: Library, made: Detectors, files: Sequence[Path]
) -> Iterator[Progress | tuple[dict[str, tuple[float, ...]], tuple[str, ...]]]:
    """The detectors' own scores of calibration images, by weights, and what went wrong."""
    check_batch(files)
    found: dict[str, list[float]] = {weights: [] for weights in made}
    problems: list[str] = []
    for first in range(0, len(files), CHUNK):
        yield Progress(f"Calibrating, picture {first + 1} of {len(files)}", first / len(files))
        with library.turns.turn(f"calibrating on {len(files)} pictures"):
            good = _read(made, files[first : first + CHUNK], problems, shown=False)
            for weights, detector in made.items() if good else ():
                found[weights] += detector.scores_of(_stacked(good)).tolist()
    yield {weights: tuple(values) for weights, values in found.items()}, tuple(problems)


def calibrated(
    made: Detectors, found: dict[str, tuple[float, ...]], recall: float
) -> dict[str, Threshold]:
    """Each weights' own threshold at one recall."""
    from setar_core.threshold import calibrate

    return {w: calibrate(found[w], recall, detector.context) for w, detector in made.items()}


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


def _detector(library: Library, settings: Settings, weights: str, tell: Tell) -> Detector:
    recipe = None if weights == ORIGINAL else settings.recipe
    tell(f"reading {len(settings.labels):,} labels")
    with library.turns.turn(f"reading {len(settings.labels):,} labels"):
        detector = library.detector(settings.backbone, recipe, settings.labels, tell)
    return detector.with_score(settings.score, settings.options)


def _chunk(made: Detectors, files: Sequence[Path]) -> Chunk:
    problems: list[str] = []
    good = _read(made, files, problems)
    pixels = _stacked(good) if good else None
    verdicts = {weights: d.verdicts_of(pixels) for weights, d in made.items() if good}
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
