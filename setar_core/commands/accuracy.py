"""`accuracy`: how often the most probable label is the folder's that a picture lies in."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..labels import LabelSet, few
from ..memory import IMAGES_WATCHED
from . import (
    add_adapter,
    add_labelled,
    add_model,
    add_recipe,
    open_model,
    printable,
    warn_numbers,
)
from .console import say, tell
from .outputs import check_outputs, save_whole

if TYPE_CHECKING:
    import numpy as np

    from ..data.images import ImageError
    from ..detector import Detector
    from ..parallel.ranks import Ranks


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("accuracy", help=__doc__, description=__doc__)
    add_labelled(parser)
    add_model(parser)
    add_recipe(parser)
    add_adapter(parser)
    parser.add_argument("--out", metavar="accuracy.json", help="in percent, and class by class")
    parser.set_defaults(run=run, shared=True)


def run(args: argparse.Namespace) -> int:
    import numpy as np
    from tqdm import tqdm

    from ..benchmark.accuracy import accuracy
    from ..data.sets import ImageSet
    from ..detector import Detector

    check_outputs(args.out)
    images = ImageSet.from_folder(args.images, None, LabelSet.load(args.labels, args.prompt))
    warn_numbers(args.images)
    if images.classes is None:
        strange = f"; these bear none: {few(images.strangers)}" if images.strangers else ""
        raise ValueError(
            f"{args.images} does not hold one folder of images for each label, or folders that "
            f"bear labels' names{strange}. datasets.md tells how"
        )
    backbone, labels = open_model(args)
    ranks: Ranks = args.ranks
    classes = dict(zip(images.paths(), images.classes, strict=True))
    ranks.check_same("weights or images", (backbone.fingerprint, images.fingerprint))
    paths = list(classes)
    mine = [paths[i] for i in ranks.mine(len(paths), IMAGES_WATCHED)]
    read: list[int] = []
    found = []
    skipped = 0
    with tqdm(total=len(images), unit="image", disable=None) as bar:
        for some, nearest, errors in ranks.turns(_nearest(Detector(backbone, labels), mine)):
            for error in errors:
                say(f"skipped: {error}")
            skipped += len(errors)
            found.append(nearest)
            read += [classes[path] for path in some]
            bar.update(len(some) + len(errors))
    if not ranks.leads:
        return 0
    every = np.concatenate(found) if found else np.empty((0, 1), dtype=int)
    result = accuracy(every, read, labels.names)
    page = {
        **result.page(),
        "settings": {
            "backbone": backbone.name,
            "weights": backbone.fingerprint,
            "labels": {"number": len(labels), "fingerprint": labels.fingerprint},
            "prompt": labels.prompt,
            "recipe": json.loads(backbone.recipe.dumps()) if backbone.recipe else None,
            "adapter": backbone.adapter.fingerprint if backbone.adapter else None,
            "set": images.name,
        },
        "left_out": skipped,
    }
    if args.out:
        save_whole(args.out, json.dumps(page, indent=2, allow_nan=False) + "\n")
    top5 = (
        "" if result.top5 is None else f", among the five most probable {100 * result.top5:.2f} %"
    )
    low, high = (100 * end for end in result.interval)
    worst = sorted(result.classes, key=lambda one: one.right / one.images)[:3]
    told = few([printable(f"{one.name} ({one.right} of {one.images})") for one in worst])
    tell(
        f"{printable(images.name)}: {100 * result.top1:.2f} % of {result.images:,} images right "
        f"({low:.2f} to {high:.2f} with 95 % confidence){top5}; fewest: {told}"
    )
    return 1 if skipped else 0


def _nearest(
    detector: Detector, paths: Sequence[Path]
) -> Iterator[tuple[Sequence[Path], np.ndarray, list[str]]]:
    """A few images, their most probable labels, and why others cannot be read."""
    import numpy as np

    from ..benchmark.accuracy import TOP, most_probable

    errors: list[str] = []

    def noted(error: ImageError) -> None:
        errors.append(str(error))

    for some, evidence in detector.read(paths, noted, frozenset({"logits"})):
        yield some, most_probable(evidence.logits.whole), errors[:]
        errors.clear()
    if errors:
        yield [], np.empty((0, min(TOP, len(detector.labels))), dtype=int), errors
