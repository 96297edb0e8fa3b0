"""`search`: the greedy search for a SeTAR recipe on a few labelled images."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..labels import few
from ..recipe import PRUNES, WEIGHTS, Recipe
from ..search.plan import BLOCK_WEIGHTS, LOSSES, OBJECTIVES, ORDERS, PRECISIONS, SearchPlan, sites
from . import Skipped, add_labelled, add_model, either, open_model, printable
from .console import say, tell
from .outputs import check_outputs, save_whole, set_aside

if TYPE_CHECKING:
    from ..backbones import Backbone
    from ..data.calibration import CalibrationSet
    from ..parallel.ranks import Ranks
    from ..search.trace import Trace
    from ..search.trial import Trial


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("search", help=__doc__, description=__doc__)
    add_labelled(parser)
    add_model(parser)
    parser.add_argument("--order", metavar="ORDER", help=f"{either(ORDERS)} (visual_text)")
    weights = either(sorted(BLOCK_WEIGHTS, key=WEIGHTS.index))
    parser.add_argument("--weight", default="up", help=f"{weights} (%(default)s)")
    parser.add_argument(
        "--ratios", metavar="0,0.05,...", help="increasing, the first is 0 (0,0.05,...,0.4)"
    )
    parser.add_argument(
        "--lambda",
        dest="lambda_ood",
        type=float,
        default=0.1,
        metavar="X",
        help="the factor of the OOD loss (%(default)s)",
    )
    parser.add_argument(
        "--top-k",
        type=int,
        metavar="K",
        help="a patch is OOD when K labels score above its image's (0.3 of the labels)",
    )
    parser.add_argument(
        "--objective", default="locoop_loss", help=f"{either(OBJECTIVES)} (%(default)s)"
    )
    parser.add_argument("--score", default="gl_mcm", help="for auroc, aupr and fpr (%(default)s)")
    parser.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        metavar="T",
        help="divides the raw cosine in the score (1)",
    )
    parser.add_argument("--prune", default="minor", help=f"{either(PRUNES)} (%(default)s)")
    parser.add_argument("--memory", metavar="4GB", help="for what is kept (half of what is free)")
    parser.add_argument("--projection", action="store_true", help="search the projections too")
    parser.add_argument(
        "--predicted-labels", action="store_true", help="these decide which patches are OOD"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=512,
        metavar="N",
        help="images whose OOD patches share one mean (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of --prune random (%(default)s)")
    parser.add_argument("--precision", default="fp32", help=f"{either(PRECISIONS)} (%(default)s)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="race candidates in bf16, and run only those that may win in fp32",
    )
    parser.add_argument("--out", required=True, metavar="recipe.json")
    parser.add_argument(
        "--trace", metavar="trace.jsonl", help="a line a candidate; an old one becomes .old, .old2"
    )
    parser.add_argument("--resume", action="store_true", help="go on where the trace ends")
    parser.set_defaults(run=run, shared=True)


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..memory import parse_bytes
    from ..search.greedy import greedy_search
    from ..search.trace import header

    ranks: Ranks = args.ranks
    plan = _plan(args)
    memory = None if args.memory is None else parse_bytes(args.memory)
    if args.resume and not args.trace:
        raise ValueError("--resume goes on from a trace; say which with --trace")
    check_outputs(args.out, args.trace)
    backbone, calibration, skipped = _open(args)
    top = header(backbone, calibration, plan)
    ranks.check_same("weights, images or settings", top)
    trace = None
    if args.resume and ranks.leads:
        trace = _resumed(args.trace, top, plan.candidates(len(sites(plan, backbone))))
    done = ranks.agreed(tuple(trace.done) if trace else ())
    searched = greedy_search(
        backbone, calibration, plan, memory=memory, done=done, progress=say, ranks=ranks
    )
    if not ranks.leads:
        for _ in searched:
            pass
        return 0
    first: Trial | None = None
    trial: Trial | None = None
    stopped, left_out = False, 0
    bar = tqdm(unit="candidate", disable=None)  # None: only on a terminal
    try:
        with bar:
            for trial in searched:
                first = first or trial
                left_out += trial.left_out is not None
                if args.trace and not trace:  # nothing can refuse the search any more
                    trace = _begun(args.trace, top)
                if trace:
                    trace.write(trial)
                bar.total = trial.total
                bar.set_description(f"{trial.site} {trial.ratio:g}", refresh=False)
                bar.update()
    except KeyboardInterrupt:
        if trial is None:
            raise
        stopped = True
    except (OSError, RuntimeError, MemoryError) as error:  # a full disk, too little memory
        if trial is None:
            raise
        kept = _keep(trial, args.out)
        if isinstance(error, OSError):
            raise OSError(f"{error}; {kept}") from None
        say(kept)
        raise
    finally:
        if trace:
            trace.close()
    assert first and trial, "a search has at least one candidate"
    if stopped:
        further = f"; --resume goes on from {args.trace}" if args.trace else ""
        kept = _keep(trial, args.out)
        say(f"stopped after {trial.index + 1} of {trial.total} candidates; {kept}{further}")
        return 130
    _save(trial.recipe, args.out)
    before, after = (t.objective(plan.objective) for t in (first.measures, trial.best))
    unit = "" if plan.objective in LOSSES else " %"
    dropped = sum(ratio > 0 for ratio in trial.recipe.ratios.values())
    tell(
        f"{args.out}: {dropped} of {len(trial.recipe.ratios)} sites reduced; "
        f"{plan.objective} {before:.6g}{unit} -> {after:.6g}{unit}"
    )
    if plan.quick:
        say(f"quick: {left_out} of {trial.total} candidates were left out by their bf16 intervals")
    if plan.precision != "fp32":
        _agree(backbone, calibration, plan, trial)
    return 1 if skipped.count else 0


def _plan(args: argparse.Namespace) -> SearchPlan:
    settings = {field.name: getattr(args, field.name) for field in fields(SearchPlan)}
    ratios = SearchPlan.ratios if args.ratios is None else _ratios(args.ratios)
    return SearchPlan(**{**settings, "ratios": ratios})


def _open(args: argparse.Namespace) -> tuple[Backbone, CalibrationSet, Skipped]:
    """The backbone, and the images; says which labels have none."""
    from ..data.calibration import CalibrationSet

    backbone, labels = open_model(args)
    backbone.check_blocks()
    skipped = Skipped()
    calibration = CalibrationSet.from_folder(args.images, labels, backbone.preprocess, skipped)
    if calibration.warning:
        say(f"warning: {calibration.warning}")
    elif missing := calibration.missing:
        say(f"{len(missing)} of the {len(labels)} labels have no picture: {few(missing)}")
    return backbone, calibration, skipped


def _agree(backbone: Backbone, calibration: CalibrationSet, plan: SearchPlan, trial: Trial) -> None:
    """Say what the recipe is worth in float32, beside what the search took it for."""
    from ..search.objective import measure

    exact = replace(plan, precision="fp32")
    before = measure(backbone, calibration, exact).objective(plan.objective)
    other = backbone.with_recipe(trial.recipe)
    after = measure(other, calibration, exact).objective(plan.objective)
    found = trial.best.objective(plan.objective)
    say(
        f"{plan.precision}: in fp32 this recipe takes {plan.objective} from {before:.6g} to "
        f"{after:.6g}, where the search took it to end at {found:.6g}"
    )


def _resumed(path: str, top: dict[str, Any], total: int) -> Trace:
    """The trace to go on from; says what is in it."""
    from ..search.trace import Trace

    there = Path(path).exists()
    trace = Trace(path, top, resume=True, total=total)
    if trace.done:
        say(f"{len(trace.done)} candidates are in {path} already")
    else:
        say(f"{path} {'holds no candidate' if there else 'is not there'}; starting from the first")
    return trace


def _begun(path: str, top: dict[str, Any]) -> Trace:
    """A new trace; one that holds candidates, or another file, is not written over."""
    from ..search.trace import BEGINNING, Trace

    old = Path(path)
    if old.exists():
        with old.open("rb") as file:
            ours = BEGINNING.startswith(file.read(len(BEGINNING)))
            file.seek(0)
            held = sum(line.endswith(b"\n") for line in file) - 1  # the first is the plan
        if held > 0 and ours:
            kept = set_aside(old)
            say(f"{old} holds {held} candidates; it is now {kept} (--resume would go on from it)")
        elif not ours:
            say(f"{old} is no trace; it is now {set_aside(old)}")
    return Trace(path, top)


def _ratios(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"ratios {text!r}: write numbers with commas, such as 0,0.1,0.2") from None


def _keep(trial: Trial, out: str) -> str:
    """Save what a search that did not end has found, over no finished recipe; says what is where.

    Such a recipe bears a note, so that the next one may take its place.
    """
    stopped = f"after {trial.index + 1} of {trial.total} candidates"
    recipe = replace(trial.recipe, notes={**trial.recipe.notes, "stopped": stopped})
    try:
        if _is_free(Path(out)):
            _save(recipe, out)
            return f"the best recipe so far is in {out}"
        beside = Path(out).with_suffix(".partial.json")
        if not _is_free(beside):
            set_aside(beside)
        _save(recipe, str(beside))
    except OSError as error:
        there = "as it was" if Path(out).exists() else "not there"
        return f"{out} is {there}, and the best recipe so far is lost ({error})"
    return f"{out} is as it was, and the best recipe so far is in {beside}"


def _is_free(path: Path) -> bool:
    """Whether nothing is there but what another search that did not end has left."""
    try:
        return not path.exists() or "stopped" in Recipe.load(path).notes
    except ValueError:
        return False


def _save(recipe: Recipe, path: str) -> None:
    save_whole(path, printable(recipe.dumps()))
