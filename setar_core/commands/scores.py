"""`scores`: every score of every image as CSV or Parquet, and the logits as .npz."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..scores import ALONE, SCORES
from . import Skipped, existing, score_options
from .console import say
from .described.opened import add_described, check_detector, described
from .outputs import check_outputs, set_aside_unfinished


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("scores", help=__doc__, description=__doc__)
    parser.add_argument(
        "--images",
        nargs="+",
        required=True,
        metavar="PATH",
        help="images, folders, or shards: 'a-{00..99}.tar'",
    )
    parser.add_argument(
        "--scores",
        metavar="a,b,c",
        help="which ones, or all that can be had (those that need nothing else; of a --detector "
        "its own)",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="scores.csv",
        help="or .parquet, with pyarrow",
    )
    parser.add_argument(
        "--logits",
        metavar="out.npz",
        help="whole, local, scale and images; local is empty for a ResNet",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from what is beside --out, which is written image by image",
    )
    add_described(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from contextlib import closing

    import torch
    from tqdm import tqdm

    from .scored.formats import check_format
    from .scored.table import ScoreTable

    check_detector(args)
    score_options(args)
    journal = Path(f"{args.out}.jsonl")
    growing = Path(f"{args.logits}.growing") if args.logits else None
    beside = [journal, *([growing] if growing else [])]
    check_outputs(args.out, args.logits, *map(str, beside))
    check_format(args.out)
    images = existing(args.images).names
    skipped = Skipped()
    detector, names = described(args, args.scores, ",".join(ALONE), skipped)
    local = args.logits and detector.backbone.has_patches
    needs = frozenset({"patches"} if local else ()).union(*(SCORES[n].needs for n in names))
    if not args.resume:
        set_aside_unfinished(args.out, *beside)
    with closing(ScoreTable(detector, names, images, journal, growing, args.resume)) as table:
        if table.known:
            say(f"{table.known} images are in {journal} already")
        elif args.resume:
            say(f"{journal} has no image yet; starting from the first")
        bar = tqdm(total=len(table.images), initial=table.known, unit="image", disable=None)
        with bar:
            for some, evidence in detector.read(table.missing, table.leave_out, needs):
                columns = [detector.score_of(evidence, name) for name in names]
                table.add(some, torch.stack(columns, dim=-1), evidence.logits)
                bar.update(len(some))
        if args.logits:
            table.save_logits(args.logits)
        table.save(args.out)
    if growing:
        growing.unlink()
    return 0 if table.whole and not skipped.count else 1
