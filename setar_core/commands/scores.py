"""`scores`: every score of every image as CSV, and the logits as .npz."""

from __future__ import annotations

import argparse
import csv

from ..benchmark.tables import guarded
from ..scores import SCORES, check_scores
from . import (
    Skipped,
    add_model,
    add_options,
    add_recipe,
    existing,
    open_model,
    printable,
    score_options,
)
from .console import say
from .outputs import check_outputs


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("scores", help=__doc__, description=__doc__)
    parser.add_argument("--images", nargs="+", required=True, metavar="PATH")
    add_model(parser)
    add_recipe(parser)
    parser.add_argument("--scores", metavar="a,b,c", help="which ones (all)")
    add_options(parser)
    parser.add_argument("--out", required=True, metavar="scores.csv")
    parser.add_argument("--logits", metavar="out.npz", help="whole, local, scale and images")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import numpy as np
    from tqdm import tqdm

    from ..backbones import Logits
    from ..detector import Detector

    names = [name.strip() for name in args.scores.split(",")] if args.scores else list(SCORES)
    check_scores(names)
    options = score_options(args)
    check_outputs(args.out, args.logits)
    paths = existing(args.images)
    backbone, labels = open_model(args)
    detector = Detector(backbone, labels, options=options, progress=say)
    needs = frozenset({"patches"} if args.logits else ()).union(*(SCORES[n].needs for n in names))
    skipped, read, kept = Skipped(), list[str](), list[Logits]()
    bar = tqdm(total=len(paths), unit="image", disable=None)  # None: only on a terminal
    with bar, open(args.out, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", *names])
        for some, evidence in detector.read(paths, skipped, needs):
            columns = [detector.score_of(evidence, name).tolist() for name in names]
            for path, *row in zip(some, *columns, strict=True):
                table.writerow([guarded(printable(path)), *map(repr, row)])
            bar.update(len(some))
            if args.logits:
                read += map(str, some)
                kept.append(evidence.logits)
    if read:
        logits = Logits.join(kept)
        with open(args.logits, "wb") as file:  # a file: numpy would add a suffix to a name
            np.savez(
                file,
                whole=logits.whole,
                local=logits.patches,
                scale=np.float64(logits.scale),
                images=np.array(read),
            )
    return 1 if skipped.count else 0
