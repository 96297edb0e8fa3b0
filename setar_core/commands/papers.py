"""`papers`: every table of the SeTAR paper again, beside the published numbers, in one report."""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from .console import BY_SIGNAL, Parser, say, tell
from .outputs import save_whole
from .voice import start

if TYPE_CHECKING:
    from ..papers.plan import Table
    from ..papers.report import Report
    from ..papers.steps import Measured, Setting, Step
    from ..parallel.ranks import Ranks

FILE = "papers.json"  # the report, and the settings that a run is taken up with
SMALL_RESAMPLES = 100


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("papers", help=__doc__, description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", metavar="DIR", help="the papers' sets, as datasets.md lays them")
    where.add_argument(
        "--world", choices=("emoji",), help="the sets that ship, with the embedded backbone"
    )
    parser.add_argument(
        "--table",
        dest="tables",
        nargs="+",
        default=[],
        metavar="T",
        help="1, 2, 3, 4 as the paper counts them, ablations or one of these, harder (all)",
    )
    parser.add_argument(
        "--backbone",
        dest="networks",
        nargs="+",
        default=[],
        metavar="B",
        help="only the rows of vit-b-16, vit-l-14 or swinv2-b",
    )
    parser.add_argument(
        "--search",
        action="store_true",
        help="search recipes also where the authors' are published",
    )
    parser.add_argument(
        "--small",
        action="store_true",
        help="try the whole on a few pictures, epochs, ratios and seeds; numbers mean nothing",
    )
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda, cuda:1 or mps")
    parser.add_argument("--out", required=True, metavar="DIR", help="for the report and all files")
    parser.add_argument(
        "--resume", action="store_true", help="go on from what is in --out, whatever ended it"
    )
    parser.add_argument(
        "--list", action="store_true", help="only print the commands, and run none of them"
    )
    parser.set_defaults(run=run, shared=True)


def run(args: argparse.Namespace) -> int:
    from ..papers import worlds
    from ..papers.steps import Setting

    ranks: Ranks = args.ranks
    tables = _asked(args)
    out = Path(args.out)
    if args.data and not Path(args.data).is_dir():
        raise ValueError(f"{args.data}: no such folder; datasets.md tells how to lay out the sets")
    world = worlds.papers(Path(args.data)) if args.data else worlds.emoji()
    if not args.list:
        ranks.first(lambda: _begin(args, out))
    if args.small and not args.list:
        whole = world
        world = ranks.first(lambda: worlds.small(whole, out / "sets"))
    resamples = SMALL_RESAMPLES if args.small else 1000
    setting = Setting(world, out, args.device, resamples, args.search, args.small)
    made = [(table, *setting.steps(table)) for table in tables]
    steps = list({step.out: step for _, found, _ in made for step in found}.values())
    if args.list:
        tell("\n".join(step.line for step in steps))
        return 0
    doubts = [*world.doubts(), *(doubt for table in tables for doubt in setting.unsorted(table))]
    for doubt in doubts:
        say(f"warning: {doubt}")
    failed: dict[Path, str] = {}
    left_out = bool(doubts)
    for number, step in enumerate(steps, start=1):
        if ranks.agreed(step.done):
            continue
        say(f"[{number} of {len(steps)}] {step.line}")
        code = _run(step, failed, ranks)
        left_out |= code > 0
        if ranks.leads:
            _save(_report(args, setting, made, failed, doubts), out)
        if code >= BY_SIGNAL:
            say(f"--resume goes on; {out / 'papers.html'} has what is measured so far")
            return code
    if not ranks.leads:
        return 0
    report = _report(args, setting, made, failed, doubts)
    _save(report, out)
    tell(f"{out / 'papers.html'}: {report.measured} numbers in {len(report.parts)} tables")
    return 1 if left_out else 0


def _asked(args: argparse.Namespace) -> tuple[Table, ...]:
    """The tables, with the rows of the networks that were named.

    Raises:
        ValueError: an unknown one, or a choice that leaves no row.
    """
    from dataclasses import replace

    from ..papers import plan

    for network in args.networks:
        if network not in plan.NETWORKS:
            raise ValueError(f"network {network!r} is unknown; use {', '.join(plan.NETWORKS)}")
    found = []
    for table in plan.chosen(args.tables):
        rows = tuple(r for r in table.rows if not args.networks or r.network in args.networks)
        if rows:
            found.append(replace(table, rows=rows))
    if not found:
        raise ValueError(f"these tables have no row of {', '.join(args.networks)}; leave one out")
    return tuple(found)


def _begin(args: argparse.Namespace, out: Path) -> None:
    """A folder for the run, and what it was asked for.

    Raises:
        ValueError: the folder holds something else, or another run.
    """
    asked = {"data": args.data, "world": args.world, "search": args.search, "small": args.small}
    settings = out / "settings.json"
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; give a folder")
    if out.is_dir() and any(out.iterdir()):
        if not args.resume:
            raise ValueError(f"{out} is not empty; --resume goes on with it, or give a new folder")
        try:
            before = json.loads(settings.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ValueError(f"{out} holds no run of `papers`; give another folder") from None
        changed = [name for name, value in asked.items() if before.get(name) != value]
        if changed:
            told = ", ".join(f"{name} was {before.get(name)!r}" for name in changed)
            raise ValueError(f"{out} holds another run: {told}; give another folder")
    for kind in ("search", "finetune", "negatives", "benchmark", "accuracy", "sets"):
        (out / kind).mkdir(parents=True, exist_ok=True)
    save_whole(str(settings), json.dumps(asked, indent=2, allow_nan=False) + "\n")


def _run(step: Step, failed: dict[Path, str], ranks: Ranks) -> int:
    """The exit code of a step; what it refuses is told and kept, for the rows that need it."""
    from ..parallel.ranks import Broken

    lacking = next((failed[path] for path in step.needs if path in failed), None)
    if lacking is not None:
        failed[step.out] = lacking
        return 2
    told = step.out.with_name(f"{step.out.name}.txt") if ranks.leads else Path(os.devnull)
    try:
        args = _parsed(step.arguments)
        args.ranks = ranks
        with told.open("w", encoding="utf-8") as file, redirect_stdout(file):
            code = start(args)
    except KeyboardInterrupt:
        return BY_SIGNAL + signal.SIGINT
    except Broken:
        raise
    except (ValueError, OSError) as error:
        ranks.refused(error, str(step.out))
        failed[step.out] = str(error)
        say(f"left out: {error}")
        return 2
    if code >= BY_SIGNAL:
        return code
    if not ranks.agreed(step.done):
        failed[step.out] = f"its command ended with {code}"
    return ranks.agreed(code)


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """A command line of ours."""
    from . import accuracy, benchmark, finetune, negatives, search

    parser = Parser(prog="setar")
    commands = parser.add_subparsers(required=True, parser_class=Parser)
    for command in (accuracy, benchmark, finetune, negatives, search):
        command.add(commands)
    return parser.parse_args(list(arguments))


def _report(
    args: argparse.Namespace,
    setting: Setting,
    made: Sequence[tuple[Table, list[Step], list[Measured]]],
    failed: dict[Path, str],
    doubts: Sequence[str],
) -> Report:
    from ..papers.report import Report, part_of

    commands = {step.out: step.line for _, steps, _ in made for step in steps}
    world = setting.world
    parts = [part_of(table, world, measured, failed, commands) for table, _, measured in made]
    notes = [f"Measured in the {world.name} world by `setar papers`."]
    if args.small:
        notes.append("A trial on a few pictures: no number here means anything.")
    if not world.published:
        notes.append(
            "Its animals stand for ImageNet-1k and its backbone for CLIP ViT-B/16; what it has no "
            "counterpart of is listed as such. Trainings take the papers' epochs, which on so few "
            "pictures are few steps."
        )
    return Report(world.name, world.published, tuple(doubts), tuple(notes), tuple(parts))


def _save(report: Report, out: Path) -> None:
    from ..papers.pages import as_html, as_latex, as_markdown

    save_whole(str(out / FILE), json.dumps(report.page(), indent=1, allow_nan=False) + "\n")
    save_whole(str(out / "papers.html"), as_html(report))
    save_whole(str(out / "papers.md"), as_markdown(report))
    save_whole(str(out / "papers.tex"), as_latex(report))
