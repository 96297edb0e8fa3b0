"""`scores`: every score of every image as CSV or Parquet, and the logits as .npz."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..memory import IMAGES_WATCHED
from ..scores import ALONE, SCORES
from . import Skipped, existing, score_options
from .console import say
from .described.opened import add_described, check_detector, described
from .outputs import check_outputs, set_aside_unfinished

if TYPE_CHECKING:
    from torch import Tensor

    from ..backbones import Logits
    from ..data.images import ImageError
    from ..detector import Detector
    from ..parallel.ranks import Ranks


class Part(NamedTuple):
    """A few images with their scores, `(B, S)`, and some that cannot be read, with the reason."""

    images: tuple[Path, ...]
    scores: Tensor
    logits: Logits | None
    left_out: tuple[tuple[Path, str], ...]


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
    parser.set_defaults(run=run, shared=True)


def run(args: argparse.Namespace) -> int:
    import numpy as np
    from tqdm import tqdm

    from ..data.names import Paths
    from .scored.formats import check_format
    from .scored.table import ScoreTable

    ranks: Ranks = args.ranks
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
    ranks.check_same("weights or images", (detector.backbone.fingerprint, len(images)))
    table = None
    if ranks.leads:
        if not args.resume:
            set_aside_unfinished(args.out, *beside)
        table = ScoreTable(detector, names, images, journal, growing, args.resume)
        if table.known:
            say(f"{table.known} images are in {journal} already")
        elif args.resume:
            say(f"{journal} has no image yet; starting from the first")
    missing: np.ndarray = ranks.agreed(table.missing if table else np.empty(0))
    mine = missing[ranks.mine(len(missing), IMAGES_WATCHED)]
    read = _read(detector, names, Paths(images, mine), bool(growing))
    parts = ranks.turns(read, everywhere=False)
    if table is None:  # the first process writes
        for _ in parts:
            pass
        return 0
    bar = tqdm(total=len(images), initial=table.known, unit="image", disable=None)
    with closing(table), bar:
        for part in parts:
            for image, reason in part.left_out:
                table.leave_out(image, reason)
            table.add(part.images, part.scores, part.logits)
            bar.update(table.known - bar.n)
        if args.logits:
            table.save_logits(args.logits)
        table.save(args.out)
    if growing:
        growing.unlink()
    return 0 if table.whole and not skipped.count else 1


def _read(
    detector: Detector, names: Sequence[str], paths: Sequence[Path], keep_logits: bool
) -> Iterator[Part]:
    """What is found of the images, in their order."""
    import torch

    local = keep_logits and detector.backbone.has_patches
    needs = frozenset({"patches"} if local else ()).union(*(SCORES[n].needs for n in names))
    errors: list[ImageError] = []

    def part(images: tuple[Path, ...], scores: Tensor, logits: Logits | None) -> Part:
        left_out = tuple((error.path, str(error)) for error in errors)
        errors.clear()
        return Part(images, scores, logits, left_out)

    for some, evidence in detector.read(paths, errors.append, needs):
        columns = [detector.score_of(evidence, name) for name in names]
        kept = evidence.logits if keep_logits else None
        yield part(tuple(some), torch.stack(columns, dim=-1), kept)
    if errors:
        yield part((), torch.empty(0, len(names)), None)
