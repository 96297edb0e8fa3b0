"""`finetune`: SeTAR+FT, LoRA, CoOp, LoCoOp or NPOS on labelled images, into a small file."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.strict import loads, short
from ..finetune.plan import LOSSES, MOVES, PRECISIONS, PRESETS, preset_plan, resolve
from . import Skipped, add_labelled, add_model, add_recipe, either, open_model
from .console import say, tell
from .outputs import check_outputs, set_aside, set_aside_unfinished

if TYPE_CHECKING:
    from torch import Tensor

    from ..adapter import Adapter
    from ..finetune.train import Step
    from ..parallel.ranks import Ranks

SETTINGS = {  # by flag, what a Plan calls it, and its help
    "--lambda": ("lambda_ood", float, "X", "the factor of the OOD patches' loss"),
    "--top-k": ("top_k", int, "K", "a patch is OOD when K labels score above its image's"),
    "--rank": ("rank", int, "R", "of lora's matrices"),
    "--alpha": ("alpha", float, "X", "lora's term is multiplied by alpha / rank"),
    "--weight": ("weight", str, "W", "of every block, for lora"),
    "--blocks": ("blocks", int, "N", "how many top blocks of the image tower, for full"),
    "--epochs": ("epochs", int, "N", "passes through the images"),
    "--rate": ("rate", float, "X", "the highest learning rate"),
    "--weight-decay": ("weight_decay", float, "X", "of every matrix that moves"),
    "--batch-size": ("batch_size", int, "N", "images a step"),
    "--accumulate": ("accumulate", int, "N", "parts of a batch in turn, to spare memory"),
    "--precision": ("precision", str, "P", either(PRECISIONS)),
    "--seed": ("seed", int, "N", "of first values, order and augmentation"),
}
EVERY = 5.0  # seconds of training that a kill may cost
MOST_BYTES = 64 * 2**20  # of --batches and --start


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    told = [
        f"  {name:<9} {p.title}: {p.sentence} (arXiv:{p.source})" for name, p in PRESETS.items()
    ]
    parser = commands.add_parser(
        "finetune",
        help=__doc__,
        description=__doc__,
        epilog="\n".join(["presets, with the published constants:", *told]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--preset", default="setar-ft", metavar="NAME", help=f"{either(PRESETS)} (%(default)s)"
    )
    parser.add_argument("--moves", metavar="M", help=f"{either(MOVES)} (the preset's)")
    parser.add_argument("--loss", metavar="L", help=f"{either(LOSSES)} (the preset's)")
    add_labelled(parser)
    add_model(parser)
    add_recipe(parser)
    for flag, (name, kind, symbol, text) in SETTINGS.items():
        parser.add_argument(
            flag, dest=name, type=kind, metavar=symbol, help=f"{text} (the preset's)"
        )
    parser.add_argument(
        "--context", metavar="N|WORDS", help="how many vectors, or words to begin with"
    )
    parser.add_argument("--no-augment", action="store_true", help="the images as they are")
    parser.add_argument(
        "--batches", metavar="FILE", help="the images' numbers of each step, as JSON lists"
    )
    parser.add_argument("--start", metavar="FILE.npz", help="first values, by name")
    parser.add_argument("--out", required=True, metavar="adapter.safetensors")
    parser.add_argument("--log", metavar="steps.jsonl", help="a line a step")
    parser.add_argument(
        "--resume", action="store_true", help="go on from what is beside --out, to the same bytes"
    )
    parser.set_defaults(run=run, shared=True)


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..finetune.pictures import TrainingSet
    from ..finetune.states import header, load_state, save_state
    from ..finetune.train import Diverged, finetune

    ranks: Ranks = args.ranks
    beside = Path(f"{args.out}.state")
    check_outputs(args.out, str(beside), args.log)
    order = _batches(args.batches) if args.batches else None
    start = _start(args.start) if args.start else None
    changes = _changes(args)
    preset_plan(args.preset, args.backbone, 1_000, **changes)  # refused before a network is loaded
    backbone, labels = open_model(args)
    backbone.check_blocks()
    plan = preset_plan(args.preset, backbone.name, len(labels), **changes)
    plan = resolve(plan, len(labels))
    skipped = Skipped()
    images = TrainingSet.from_folder(args.images, labels, skipped)
    top = header(backbone, images, labels, plan, backbone.recipe, start, order)
    ranks.check_same("weights, images or settings", top)
    state = None
    if ranks.agreed(args.resume and beside.exists()):
        state = load_state(beside, top)
        say(f"{state.step} steps are in {beside} already")
    elif args.resume:
        say(f"{beside} is not there; starting from the first step")
    elif ranks.leads:
        set_aside_unfinished(args.out, beside)
    say(f"{plan.title}: {MOVES[plan.moves]} ({plan.moves}), {LOSSES[plan.loss]} ({plan.loss})")
    steps = finetune(
        backbone, images, labels, plan, start=start, order=order, resume=state, ranks=ranks
    )
    if not ranks.leads:
        for _ in steps:
            pass
        return 0
    log = _Log(args.log, state.step if state else 0) if args.log else None
    step: Step | None = None
    saved = time.monotonic()
    bar = tqdm(unit="step", initial=state.step if state else 0, disable=None)
    try:
        with bar, closing(steps):  # type: ignore[type-var]
            for step in steps:
                if log:
                    log.add(step)
                if time.monotonic() - saved > EVERY and step.step + 1 < step.steps:
                    save_state(beside, top, step.state)
                    saved = time.monotonic()
                bar.total = step.steps
                bar.set_description(f"epoch {step.epoch + 1} loss {step.loss:.4f}", refresh=False)
                bar.update()
            adapter = step.adapter if step else None
    except KeyboardInterrupt:
        if step is None:
            raise
        save_state(beside, top, step.state)
        say(
            f"stopped after {step.step + 1} of {step.steps} steps; --resume goes on from {beside}, "
            f"and {_kept(step.adapter, args.out)}"
        )
        return 130
    except Diverged as error:
        kept = "" if error.adapter is None else f"; {_kept(error.adapter, args.out)}"
        raise ValueError(f"{error}{kept}") from None
    finally:
        if log:
            log.close()
    if adapter is None:
        assert state is not None
        raise ValueError(f"{beside} is of a training that has ended; start without --resume")
    adapter.save(args.out)
    beside.unlink(missing_ok=True)
    losses = adapter.losses
    tell(
        f"{args.out}: {plan.title}, {adapter.steps} steps, "
        f"{sum(x.numel() for x in adapter.tensors.values()):,} numbers; loss by epoch "
        f"{losses[0]:.4g} -> {losses[-1]:.4g}"
    )
    return 1 if skipped.count else 0


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    """What was set otherwise than the preset has it."""
    names = [name for name, *_ in SETTINGS.values()]
    changes = {
        n: getattr(args, n) for n in ("moves", "loss", *names) if getattr(args, n) is not None
    }
    if args.context is not None:
        changes["context"] = int(args.context) if args.context.isdecimal() else args.context
    if args.no_augment:
        changes["augment"] = False
    return changes


def _kept(adapter: Adapter, out: str) -> str:
    """Save what was trained so far beside what is there; says where."""
    path = Path(out).with_suffix(".partial.safetensors")
    adapter.save(path)
    return f"the adapter so far is in {path}"


def _batches(path: str) -> list[list[int]]:
    """Raises ValueError for what is no list of lists of numbers."""
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise ValueError(f"{path} is too large; give lists of image numbers")
        page = loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); check its spelling") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text; give JSON") from None
    if isinstance(page, list) and all(
        isinstance(step, list) and all(type(n) is int for n in step) for step in page
    ):
        return page
    raise ValueError(f"{path}: give one list of image numbers a step, not {short(page)}")


def _start(path: str) -> dict[str, Tensor]:
    """Raises ValueError for what is no .npz of arrays."""
    import numpy as np
    import torch

    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise ValueError("it is too large")
        with np.load(path, allow_pickle=False) as file:
            return {name: torch.from_numpy(file[name].astype(np.float32)) for name in file.files}
    except Exception as error:  # numpy raises whatever Python's parser does on a broken header
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"{path} holds no arrays ({reason}); give an .npz") from None


class _Log:
    """A line a step; of a run that is taken up, those before it stay."""

    def __init__(self, path: str, done: int) -> None:
        from ..journal import append

        self.append = append
        old = Path(path)
        lines = old.read_bytes().splitlines(keepends=True) if done and old.exists() else []
        if not done and old.exists() and old.stat().st_size:
            say(f"{old} is now {set_aside(old)}")
        good = [line for line in lines if line.endswith(b"\n")][:done]
        old.write_bytes(b"".join(good))
        self.file = old.open("ab")

    def add(self, step: Step) -> None:
        page = {
            "step": step.step,
            "epoch": step.epoch,
            "rate": step.rate,
            "loss": step.loss,
            "loss_id": step.loss_id,
            "loss_ood": step.loss_ood,
            **({} if step.loss_npos is None else {"loss_npos": step.loss_npos}),
            "acc": step.accuracy,
            "ood_patch_percent": step.ood_patch_percent,
            "seconds": step.seconds,
        }
        self.append(self.file, (json.dumps(page, allow_nan=False) + "\n").encode())

    def close(self) -> None:
        self.file.close()
