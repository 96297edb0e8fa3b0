"""What a score needs besides labels: negatives that are mined, ID images that it learns from.

Negatives are mined once by the original weights and read by each recipe's. A score that learns is
taught by the visitor's own pictures, or by half of those that are shipped for the labels: the other
half sets the threshold, since on what it learned from every score is higher.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import normalize

from demo.server.jobs import Progress, Steps, each
from demo.server.limits import (
    MAX_IMAGES,
    MAX_SEARCH_BYTES,
    PUBLIC_WORDS,
)
from demo.server.shipped import calibration_folders, pictures, shipped_calibration
from setar_core.data.archives import inspect, unpacking, unwrapped
from setar_core.data.listing import listing
from setar_core.labels import LabelSet
from setar_core.scores import MINED, SCORES, check_scores

if TYPE_CHECKING:
    from demo.server.library import Library
    from demo.server.settings import Settings
    from setar_core.adapter import Change
    from setar_core.backbones.examples import Examples, Held
    from setar_core.data.negatives import Negatives
    from setar_core.detector import Detector
    from setar_core.scores.evidence import NegativeClassifier


class Taught(NamedTuple):
    """Pictures of labels, and the label of each by index, where that is known."""

    paths: list[Path]
    classes: list[int] | None


def equipped(
    library: Library,
    settings: Settings,
    recipe: Change | None,
    scores: Sequence[str] = (),
    every: bool = False,
) -> Steps[Detector]:
    """A detector with what its score and these need.

    Args:
        every: all shipped pictures may be learned from: none of them sets a threshold.

    Raises:
        ValueError: something that a score needs cannot be had; says what and why.
    """
    check_scores((settings.score, *scores))
    base = yield from library.detector(settings.backbone, recipe, settings.labels)
    if settings.examples:
        shown = yield from examples_of(library, settings, recipe)
        from setar_core.backbones.examples import with_examples

        base = base.with_classifier(with_examples(base.classifier, shown, settings.share))
    needs = [SCORES[name] for name in dict.fromkeys((settings.score, *scores))]
    ways = sorted(frozenset[str]().union(*(score.needs for score in needs)) & MINED)
    learn = any(score.learns for score in needs) or settings.shaping.startswith("react:p")
    if not (ways or learn or settings.shaping):
        return base.with_score(settings.score, settings.options)
    key = (settings.backbone, settings, recipe or None, tuple(scores), every)
    known = library.equipped.find(key)
    if known is None:
        known = yield from _made(library, base, settings, recipe, tuple(scores), ways, every, learn)
        library.equipped.put(key, known)
    return known


def negatives_of(
    library: Library, backbone: str, labels: LabelSet, way: str, words: tuple[str, ...] = ()
) -> Steps[Negatives]:
    """The negatives of labels: one's own words as they are, or those that are mined.

    Raises:
        ValueError: no text tower, or too many words to read for a visitor of a public host.
    """
    key = (backbone, labels, way, words)
    known = library.mined.find(key)
    if known is None:
        loaded = yield from library.loading(backbone)
        if not loaded.has_text:
            raise ValueError(
                f"{SCORES[way].title} needs words, and {backbone} has no text tower that reads "
                "them; use a CLIP, or another score"
            )
        from setar_core.data.negatives import Negative, Negatives
        from setar_core.data.negatives.methods import Mining
        from setar_core.data.negatives.words import load_words
        from setar_core.scores.mining import default_words, in_known_words, mining

        settings = Mining(way)
        if words:
            settings = in_known_words(loaded, labels, settings)
            known = Negatives(tuple(map(Negative, words)), settings)
        else:
            source = default_words(loaded)
            found = load_words(source, settings, loaded.concepts, labels.names)
            if library.public and len(found) > PUBLIC_WORDS:
                raise ValueError(
                    f"{len(found):,} words would have to be read first, which takes minutes, "
                    "and others wait; give negative words of your own, one a line"
                )
            what = f"mining negatives among {len(found):,} words"
            steps = library.turns.steps(what, mining(loaded, labels, found, settings))
            mined = yield from each(steps, lambda done: Progress(f"{what}: {done:,} prompts read"))
            known = mined.negatives
        library.mined.put(key, known)
    return known


def examples_of(library: Library, settings: Settings, recipe: Change | None) -> Steps[Examples]:
    """The visitor's pictures of labels, as the backbone sees them.

    Raises:
        ValueError: a zip that is refused, or whose folders bear no label's name; a classifier.
    """
    key = (settings.backbone, recipe or None, settings.labels, settings.examples)
    known = library.examples.find(key)
    if known is None:
        from setar_core.backbones.examples import read_examples

        backbone = library.backbone(settings.backbone, recipe)
        with tempfile.TemporaryDirectory() as folder:
            shown = yield from _unpacked(settings.examples, settings.labels, Path(folder))
            if shown.classes is None:
                raise ValueError(
                    "the examples' folders do not bear the labels' names; put the pictures of each "
                    f"label into a folder of its name, such as {settings.labels.names[0]}"
                )
            what = f"reading {len(shown.paths)} examples"
            yield Progress(what)
            known = library.turns.run(
                what, read_examples, backbone, shown.paths, shown.classes, lambda error: None
            )
        library.examples.put(key, known)
    return known


def worth_of_examples(library: Library, settings: Settings) -> Steps[Held | None]:
    """What examples are worth with the original weights; None where none can be held back."""
    base = yield from library.detector(settings.backbone, None, settings.labels)
    shown = yield from examples_of(library, settings, None)
    from setar_core.backbones.examples import held_accuracy

    if len(shown.classes) == len(shown.classes.unique()):
        return None
    return held_accuracy(base.classifier, shown, settings.share)


def threshold_pictures(settings: Settings) -> list[Path]:
    """The shipped pictures that may set a threshold, not having taught anything."""
    shipped = shipped_calibration(settings.backbone, settings.labels)
    learns = SCORES[settings.score].learns or settings.shaping.startswith("react:p")
    if not learns or settings.learn_from:
        return shipped
    teachers = {path for path, _ in _teachers(settings.labels.names, 2)}
    return [path for path in shipped if path not in teachers]


def _made(
    library: Library,
    base: Detector,
    settings: Settings,
    recipe: Change | None,
    scores: tuple[str, ...],
    ways: list[str],
    every: bool,
    learn: bool,
) -> Steps[Detector]:
    read = {}
    for way in ways:
        read[way] = yield from _classifier(library, settings, recipe, way)
    detector = base.with_negatives(read)
    if settings.shaping:
        from setar_core.scores.shaping import Shaping

        detector = detector.with_shaping(Shaping.parse(settings.shaping))
    detector = detector.with_score(settings.score, settings.options)
    if not learn:
        return detector
    with tempfile.TemporaryDirectory() as folder:
        taught = yield from _taught(settings, every, Path(folder))
        what = f"learning from {len(taught.paths)} pictures"
        yield Progress(what)
        return library.turns.run(
            what,
            lambda: detector.fit(
                taught.paths, (settings.score, *scores), taught.classes, lambda error: None
            ),
        )


def _classifier(
    library: Library, settings: Settings, recipe: Change | None, way: str
) -> Steps[NegativeClassifier]:
    name, labels = settings.backbone, settings.labels
    key = (name, recipe or None, labels, way, settings.words)
    known = library.negatives.find(key)
    if known is None:
        negatives = yield from negatives_of(library, name, labels, way, settings.words)
        from setar_core.scores.mining import reading_negatives

        what = f"reading {len(negatives):,} negatives"
        backbone = library.backbone(name, recipe)
        steps = reading_negatives(backbone, labels, negatives)
        known = yield from each(
            library.turns.steps(what, steps),
            lambda done: Progress(f"{what}: {done:,} prompts read"),
        )
        library.negatives.put(key, known)
    return known


def _taught(settings: Settings, every: bool, folder: Path) -> Steps[Taught]:
    """Raises ValueError where there is no picture to learn from."""
    names = settings.labels.names
    if settings.learn_from:
        return (yield from _unpacked(settings.learn_from, settings.labels, folder))
    if not shipped_calibration(settings.backbone, settings.labels):
        title = SCORES[settings.score].title
        raise ValueError(
            f"{title} learns from pictures of your labels, and none are shipped for these; "
            "add a zip of some under More, in a folder a label"
        )
    found = _teachers(names, 1 if every else 2)
    return Taught([path for path, _ in found], [label for _, label in found])


def _unpacked(path: str, labels: LabelSet, folder: Path) -> Steps[Taught]:
    from setar_core.data.sets import ImageSet

    inspect(path, MAX_IMAGES, MAX_SEARCH_BYTES)
    for done, total in unpacking(path, folder):
        yield Progress(f"Unpacking picture {done} of {total}", done / total)
    images = ImageSet.from_folder(unwrapped(folder), "your pictures", labels)
    return Taught(list(images.paths()), list(images.classes) if images.classes else None)


def _teachers(names: Sequence[str], step: int) -> list[tuple[Path, int]]:
    """Every `step`-th shipped picture of each label, with the label's index."""
    return [
        (path, label)
        for label, folder in enumerate(calibration_folders(names))
        for path in (pictures(folder) if folder else [])[::step]
    ]


def folders_of(
    root: Path, labels: LabelSet, name: str
) -> tuple[list[tuple[Path, int]], LabelSet, str]:
    """The folders of a zip of that name with their label's index, the labels, and a warning where
    these are not the bar's, or where the folders stand for them only by their order."""
    from setar_core.data.calibration import class_folders

    try:
        folders = class_folders(root, labels)
    except ValueError as error:
        names = [path.name for path in listing(root).folders]
        if not names:
            raise ValueError(
                f"{name} holds no folders; put the pictures of each label in one of its name"
            ) from None
        labels = LabelSet(tuple(names), labels.prompt)
        reason = str(error).replace(str(root), name).partition(";")[0]
        warning = f"{reason}, so the folders' names are the labels here."
        return class_folders(root, labels), labels, warning
    pairs = [(path.name, labels.names[i]) for path, i in folders]
    if _bare(pairs[0][0]) == _bare(pairs[0][1]):  # by name: one and all
        return folders, labels, ""
    some = ", ".join(f"“{folder}” for “{label}”" for folder, label in pairs[:3])
    more = " ..." if pairs[3:] else ""
    return folders, labels, f"The folders of {name} stand for labels: {some}{more}."


def _bare(name: str) -> str:
    """What is left where two names are alike."""
    return "".join(filter(str.isalnum, normalize("NFC", name.casefold())))
