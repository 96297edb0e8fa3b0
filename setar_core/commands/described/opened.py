"""`--detector`: a saved detector in place of a backbone, labels and all that is given with them."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...labels import LabelSet, few
from ...scores import SCORES, ScoreOptions
from .. import (
    Skipped,
    add_adapter,
    add_model,
    add_options,
    add_recipe,
    open_model,
    score_options,
    warn,
)
from ..console import say
from .given import ALL, Given, add_given, names_of

if TYPE_CHECKING:
    from ...detector import Detector

BROUGHT = (
    *("labels", "prompt", "recipe", "recipes", "prune", "adapter", "adapters", "score"),
    *(option.name for option in fields(ScoreOptions)),
    *("negatives", "shaping", "fit", "examples", "example_share"),
)
MANY = {"recipes": "--recipe", "adapters": "--adapter"}


def add_detector(parser: argparse.ArgumentParser) -> None:
    """--detector, after every other argument: it is told apart from those that it brings."""
    parser.add_argument(
        "--detector",
        metavar="FILE",
        help="a saved detector, .json or .zip, in place of all that describes one; --backbone says "
        "where its network lies now",
    )
    parser.set_defaults(brought={name: parser.get_default(name) for name in BROUGHT})


def add_described(parser: argparse.ArgumentParser) -> None:
    """All that describes one detector, and --detector in place of it."""
    add_model(parser, required=False)
    add_recipe(parser)
    add_adapter(parser)
    add_options(parser)
    add_given(parser)
    add_detector(parser)


def check_detector(args: argparse.Namespace) -> None:
    """Raises ValueError for neither a model nor a detector, or for what a detector brings."""
    if not args.detector:
        missing = [f"--{name}" for name in ("backbone", "labels") if getattr(args, name) is None]
        if missing:
            raise ValueError(f"{' and '.join(missing)} missing; give both, or --detector FILE")
        return
    again = [
        MANY.get(name, f"--{name.replace('_', '-')}")
        for name, default in args.brought.items()
        if getattr(args, name, default) is not default  # a default that was typed is another object
    ]
    if again:
        raise ValueError(f"--detector brings what {few(again)} would say; leave that out")


def labels_of(args: argparse.Namespace) -> LabelSet:
    """Those of a detector, or of --labels and --prompt; no network is loaded."""
    if not args.detector:
        return LabelSet.load(args.labels, args.prompt)
    from ...detector.page import opened

    with opened(args.detector) as page:
        return page.labels


def described(
    args: argparse.Namespace, named: str | None, usual: str, skipped: Skipped, **more: Any
) -> tuple[Detector, tuple[str, ...]]:
    """The detector that the arguments open or describe, and the scores that are asked of it: those
    named, else an opened one's own, else those of the usual ones that can be had.

    Raises:
        ValueError: something of it cannot be had; says what.
    """
    if args.detector:
        return open_detector(args, named)
    score_options(args)
    given = Given.read(args, named, usual, LabelSet.load(args.labels, args.prompt), skipped)
    backbone, labels = open_model(args)
    made, names = given.detectors(args, {"": backbone}, labels, **more)
    return made[""], names


def open_detector(
    args: argparse.Namespace, scores: str | None = None
) -> tuple[Detector, tuple[str, ...]]:
    """The saved detector, and those of the scores that were named, by default its own.

    Raises:
        ValueError: no detector, other weights, a score that it does not have.
    """
    from ...detector import Detector

    detector = Detector.load(args.detector, args.backbone, args.device, say)
    warn(detector.labels, detector.backbone)
    names = names_of(scores) if scores else (detector.score,)
    lacks = {name: reason for name in names if (reason := detector.lacks(name))}
    if scores and scores.strip() == ALL:
        for name, reason in lacks.items():
            say(f"left out: {name}: {SCORES[name].title} {reason}")
        return detector, tuple(name for name in names if name not in lacks)
    for name, reason in lacks.items():
        raise ValueError(f"{Path(args.detector).name}: {SCORES[name].title} {reason}")
    return detector, names
