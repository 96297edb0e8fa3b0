"""`benchmark`: ID images against OOD sets, under several recipes and scores, in one pass."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..memory import IMAGES
from ..recipe import ORIGINAL, Recipe
from . import (
    Skipped,
    add_model,
    add_options,
    open_adapter,
    open_model,
    open_recipe,
    printable,
    score_options,
    warn_numbers,
)
from .console import say, tell
from .described.given import Given, add_given, names_of, warn_same
from .described.opened import add_detector, check_detector, labels_of, open_detector
from .outputs import check_outputs, save_whole, set_aside_unfinished

if TYPE_CHECKING:
    from ..adapter import Adapter
    from ..benchmark.results import Row
    from ..benchmark.run import Benchmark
    from ..detector import Detector
    from ..parallel.ranks import Ranks

SCORED = "mcm,gl_mcm"  # unless others are named
EPILOG = "datasets.md tells how to lay out the sets of the papers. All metrics are in percent."


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("benchmark", help=__doc__, description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "--id",
        required=True,
        metavar="DIR",
        help="ID images; in folders a class, for accuracy; or shards",
    )
    parser.add_argument(
        "--ood",
        nargs="+",
        action="extend",
        required=True,
        metavar="DIR",
        help="a folder or shard a set",
    )
    add_model(parser, required=False)
    parser.add_argument(
        "--recipe",
        dest="recipes",
        nargs="+",
        action="extend",
        default=[],
        metavar="R",
        help="shipped names or .json files, `original` for the weights as they are (original)",
    )
    parser.add_argument(
        "--adapter",
        dest="adapters",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="what `setar finetune` trained, beside the recipes",
    )
    parser.add_argument(
        "--prune",
        choices=("minor", "principal"),
        help="what the authors' list form drops, which it does not say (minor)",
    )
    parser.add_argument(
        "--scores",
        metavar="a,b",
        help="which ones, or all that can be had (mcm,gl_mcm; of a --detector its own)",
    )
    add_options(parser)
    add_given(parser)
    parser.add_argument(
        "--threshold-from",
        metavar="DIR",
        help="other ID images: find each detector's threshold on them, and say what it accepts",
    )
    parser.add_argument("--batch-size", type=int, default=IMAGES, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--bootstrap", type=int, default=1000, metavar="N", help="resamples; 0: none (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (%(default)s)")
    parser.add_argument("--out", required=True, metavar="results.json")
    parser.add_argument("--csv", metavar="results.csv")
    parser.add_argument("--table", metavar="table.md", help="the table as .md or .tex")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the scores beside --out, which are written image by image",
    )
    add_detector(parser)
    parser.set_defaults(run=run, shared=True)


def run(args: argparse.Namespace) -> int:
    from ..benchmark.about import About
    from ..benchmark.run import Benchmark
    from ..benchmark.tables import as_csv, as_latex, as_markdown, results
    from ..data.sets import open_sets

    _check(args)
    labels = labels_of(args)
    inside, outside, examples = open_sets(args.id, args.ood, labels, args.threshold_from)
    warn_numbers(args.id)
    if inside.strangers:
        few = ", ".join(inside.strangers[:4]) + (" ..." if inside.strangers[4:] else "")
        say(f"warning: no accuracy: these folders of {args.id} bear no label's name: {few}")
    elif inside.classes is None:
        say(f"warning: no accuracy: {args.id} does not hold one folder of images for each label")
    if examples and examples.root.resolve() == inside.root.resolve():
        say("warning: thresholds found on the ID set itself accept more of it than of new images")
    skipped = Skipped()
    if args.detector:
        detector, scores = open_detector(args, args.scores)
        made = {Path(args.detector).stem: detector}
    else:
        given = Given.read(args, args.scores, SCORED, labels, skipped)
        warn_same(args.fit, {"--id": args.id, "--threshold-from": args.threshold_from})
        made, scores = _detectors(args, given)
    ranks: Ranks = args.ranks
    bench = Benchmark(made, inside, outside, scores, examples, args.bootstrap, args.seed, ranks)
    rows = _run(args, bench)
    if not ranks.leads:
        return 0
    page = results(bench, rows)
    for warning in {w for d in bench.detections if examples and (w := bench.threshold(d).warning)}:
        say(f"warning: {warning}")
    about = About.of(bench)
    table = as_markdown(rows, about)
    save_whole(args.out, json.dumps(page, indent=2, allow_nan=False) + "\n")
    if args.csv:
        save_whole(args.csv, printable(as_csv(rows, about)))
    if args.table:
        text = as_latex(rows, about) if args.table.endswith(".tex") else table
        save_whole(args.table, printable(text))
    tell(table.rstrip("\n"))
    for found in page["thresholds"] or ():
        shares = ", ".join(f"{n} {share:.2f} %" for n, share in found["ood_accepted"].items())
        tell(
            f"{found['recipe']} {found['score']}: from {found['threshold']:.6g} on, accepts "
            f"{found['id_accepted']:.2f} % of {inside.name}, and of {shares}"
        )
    return 1 if page["left_out"] or skipped.count else 0


def _check(args: argparse.Namespace) -> None:
    """Everything that needs no network, before one is loaded."""
    check_detector(args)
    check_outputs(args.out, args.csv, args.table, str(_scorebook(args)))
    if args.batch_size < 1:
        raise ValueError(f"the batch size is {args.batch_size}; give at least 1")
    if args.bootstrap < 0 or args.seed < 0:
        raise ValueError(f"--bootstrap {args.bootstrap} --seed {args.seed}: give 0 or more")
    score_options(args)
    names_of(args.scores or SCORED)
    if args.table and Path(args.table).suffix not in (".md", ".tex"):
        raise ValueError(f"{args.table}: a table ends in .md or .tex")


def _detectors(
    args: argparse.Namespace, given: Given
) -> tuple[dict[str, Detector], tuple[str, ...]]:
    """By recipe name, in the order given, the original weights where none is; and the scores that
    all of them have."""
    altered: dict[str, Recipe | Adapter | None] = {}

    def add(path: str, change: Recipe | Adapter) -> None:
        name = Path(path).stem
        altered[path if name == ORIGINAL or name in altered else name] = change

    for recipe in args.recipes or ([] if args.adapters else [ORIGINAL]):
        if recipe == ORIGINAL:
            altered[ORIGINAL] = None
        else:
            add(recipe, open_recipe(recipe, args.prune))
    for path in args.adapters:
        add(path, open_adapter(path))
    backbone, labels = open_model(args)
    backbones = {name: backbone.altered(change) for name, change in altered.items()}
    return given.detectors(args, backbones, labels)


def _run(args: argparse.Namespace, bench: Benchmark) -> list[Row]:
    """The rows; every image's scores are in the scorebook as soon as they are known."""
    from tqdm import tqdm

    from ..benchmark.scorebook import Scorebook, header

    bench.ranks.check_same("weights, images or settings", header(bench))
    if not bench.ranks.leads:
        return [row for step in bench.steps(args.batch_size) for row in step.rows]
    path = _scorebook(args)
    if not args.resume:
        set_aside_unfinished(args.out, path)
    rows: list[Row] = []
    with Scorebook(path, bench, args.resume) as book:
        if book.resumed:
            say(f"{book.resumed} images are in {path} already")
        told = [(s, place) for s in bench.sets for place in s.left_out]
        bar = tqdm(total=sum(len(s.images) for s in bench.sets), unit="image", disable=None)
        with bar:
            for step in bench.steps(args.batch_size):
                book.write(step)
                told += [(step.set_scores, place) for place in step.left_out]
                for scored, place in told:
                    say(f"left out: {scored.images.name}: {scored.left_out[place]}")
                told.clear()
                bar.set_description(step.set_scores.images.name, refresh=False)
                bar.update(step.done - bar.n)
                rows += step.rows
    return rows


def _scorebook(args: argparse.Namespace) -> Path:
    return Path(args.out).with_suffix(".scores.jsonl")
