"""`verdict`: is each image one of the labels, or out of distribution?"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..scores import check_scores
from . import Skipped, existing
from .console import say, tell
from .described.given import warn_same
from .described.opened import add_described, check_detector, described
from .outputs import check_outputs

if TYPE_CHECKING:
    from ..threshold import Threshold
    from ..verdict import Verdict


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("verdict", help=__doc__, description=__doc__)
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="files, or folders of them")
    parser.add_argument("--score", default="mcm", metavar="S", help="mcm, gl_mcm, energy ...")
    line = parser.add_mutually_exclusive_group()
    line.add_argument("--threshold", type=float, metavar="X", help="accept scores from X on")
    line.add_argument("--calibrate", metavar="DIR", help="find the threshold on these ID images")
    parser.add_argument(
        "--recall", type=float, help="share of the images of --calibrate to accept (0.95)"
    )
    parser.add_argument(
        "--save",
        metavar="FILE",
        help="keep the detector with its threshold as .json, with arrays beside it, or as .zip",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    add_described(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ..threshold import Threshold, check_recall

    check_detector(args)
    _check_files(args)
    if args.recall is not None and not args.calibrate:
        raise ValueError("--recall is for --calibrate; a --threshold says itself what it accepts")
    recall = 0.95 if args.recall is None else args.recall
    check_recall(recall)
    paths = existing(args.images) if args.images else []
    examples = existing([args.calibrate]) if args.calibrate else []
    skipped = Skipped()
    warn_same(args.fit, {"--calibrate": args.calibrate})
    named = None if args.detector else args.score
    detector, _ = described(args, named, args.score, skipped, score=args.score)
    if args.threshold is not None:
        detector = detector.with_threshold(args.threshold)
    if args.calibrate:
        detector = detector.calibrate(examples, recall, skipped)
    line = detector.threshold
    if line is None:
        raise ValueError(
            f"{args.detector} has no threshold; give --threshold X, or --calibrate DIR"
        )
    if args.save:
        detector.save(args.save)
    if isinstance(line, Threshold):
        if line.warning:
            say(f"warning: {line.warning}")
        if not args.json:
            say(_sentence(line))
    rows = []
    for path, verdict in detector.verdicts(paths, skipped):
        if args.json:
            rows.append(page(path, verdict))
        else:
            tell(f"{_plain(path)}: {verdict} (score {verdict.score:.6g})")
    if args.json:
        by_hand = {"value": line, "context": detector.context.page()}
        found = line.page() if isinstance(line, Threshold) else by_hand
        tell(json.dumps({"threshold": found, "images": rows}, allow_nan=False))
    return 1 if skipped.count else 0


def _check_files(args: argparse.Namespace) -> None:
    """Everything that needs no network, before one is loaded."""
    check_scores([args.score])
    if not args.images and not args.save:
        raise ValueError("there is no image to judge; give files or folders of them, or --save")
    if not args.detector and args.threshold is None and not args.calibrate:
        raise ValueError("a verdict needs a threshold; give --threshold X, or --calibrate DIR")
    if args.save:
        from ..detector.files import check_name

        check_name(args.save)
        check_outputs(args.save)


def page(path: Path, verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON, with the file that it is about."""
    return {"image": str(path), **verdict.page()}


def _sentence(found: Threshold) -> str:
    low, high = found.interval
    return (
        f"threshold {found.value!r} accepts {found.reached:.1%} of {found.n} calibration images; "
        f"of new images of this kind expect {low:.1%} to {high:.1%} (95 % confidence); scores "
        f"from {found.band[0]:.6g} to {found.band[1]:.6g} are close calls"
    )


def _plain(path: Path) -> str:
    """A path that cannot drive a terminal: control characters are spelt out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(path))
