"""`accuracy`: how often the most probable label is the folder's that a picture lies in."""

from __future__ import annotations

import argparse
import json

from ..labels import LabelSet, few
from . import (
    Skipped,
    add_adapter,
    add_labelled,
    add_model,
    add_recipe,
    open_model,
    printable,
    warn_numbers,
)
from .console import tell
from .outputs import check_outputs, save_whole


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("accuracy", help=__doc__, description=__doc__)
    add_labelled(parser)
    add_model(parser)
    add_recipe(parser)
    add_adapter(parser)
    parser.add_argument("--out", metavar="accuracy.json", help="in percent, and class by class")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import numpy as np
    from tqdm import tqdm

    from ..benchmark.accuracy import accuracy, most_probable
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
    detector = Detector(backbone, labels)
    skipped = Skipped()
    classes = dict(zip(images.paths(), images.classes, strict=True))
    read: list[int] = []
    found = []
    with tqdm(total=len(images), unit="image", disable=None) as bar:
        for paths, evidence in detector.read(list(classes), skipped, frozenset({"logits"})):
            found.append(most_probable(evidence.logits.whole))
            read += [classes[path] for path in paths]
            bar.update(len(paths))
    nearest = np.concatenate(found) if found else np.empty((0, 1), dtype=int)
    result = accuracy(nearest, read, labels.names)
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
        "left_out": skipped.count,
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
    return 1 if skipped.count else 0
