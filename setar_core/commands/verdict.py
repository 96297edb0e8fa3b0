"""`verdict`: is each image one of the labels, or out of distribution?"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..labels import LabelSet
from ..scores import check_scores
from . import add_adapter, add_model, add_options, add_recipe, existing, open_model, score_options
from .console import say, tell
from .given import Given, add_given, warn_same

if TYPE_CHECKING:
    from ..threshold import Threshold
    from ..verdict import Verdict


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("verdict", help=__doc__, description=__doc__)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="files, or folders of them")
    add_model(parser)
    add_recipe(parser)
    add_adapter(parser)
    parser.add_argument("--score", default="mcm", metavar="S", help="mcm, gl_mcm, energy ...")
    add_options(parser)
    add_given(parser)
    line = parser.add_mutually_exclusive_group(required=True)
    line.add_argument("--threshold", type=float, metavar="X", help="accept scores from X on")
    line.add_argument("--calibrate", metavar="DIR", help="find the threshold on these ID images")
    parser.add_argument(
        "--recall", type=float, help="share of the images of --calibrate to accept (0.95)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ..threshold import Threshold, check_recall

    if args.recall is not None and not args.calibrate:
        raise ValueError("--recall is for --calibrate; a --threshold says itself what it accepts")
    recall = 0.95 if args.recall is None else args.recall
    check_recall(recall)
    paths = existing(args.images)
    examples = existing([args.calibrate]) if args.calibrate else []
    score_options(args)
    check_scores([args.score])
    given = Given.read(args, args.score, LabelSet.load(args.labels, args.prompt))
    warn_same(args.fit, {"--calibrate": args.calibrate})
    backbone, labels = open_model(args)
    made, _ = given.detectors(args, {"": backbone}, labels, score=args.score)
    detector, skipped = made[""].with_threshold(args.threshold), given.skipped
    if args.calibrate:
        detector = detector.calibrate(examples, recall, skipped)
    line = detector.threshold
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
