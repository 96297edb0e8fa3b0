"""Trains the emoji backbone: `python -m assets.build.train --out DIR [--minutes M]`.

Two schedules: a long one that mostly looks at half of the patches, then a polish at a lower rate
that looks at all of them and asks more: what else is there, what is where, and without colour.

The same seed, steps and workers draw the same scenes in the same order on any machine. A worker is
a process of its own that draws its share of every batch; gradients are averaged once a step.
With `--minutes` the schedule follows the processor's clock where that is ahead of the steps, and a
second run takes a slightly different course; so does one that was broken off and resumed.
"""

import argparse
import math
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import open_clip
import torch
from torch import Tensor, distributed, multiprocessing

from assets.build import captions, evaluate, losses, world
from assets.build.batches import Batch, SceneSource, Sizes
from assets.build.model import CONFIG, IMAGE_SIDE, EmojiClip, normalised, save_backbone

PATCHES = (IMAGE_SIDE // CONFIG["model_cfg"]["vision_cfg"]["patch_size"]) ** 2


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn."""

    steps: int = 7000
    minutes: float = math.inf  # of each core's time, after which the schedule has ended in any case
    seed: int = 0
    rate: float = 2e-3
    warm_up: int = 200
    decay: float = 0.1
    average: float = 0.998  # of the exponential moving average that is kept
    sparse: float = 0.85  # share of the steps that look at half of the patches
    company: float = 0.4  # share of the steps over which more objects join the first
    grey: float = 0.25  # share of the scenes without colour
    presence: float = 0.3  # weight of telling which labels are there
    patches: float = 0.6  # weight of what the patches are asked
    half: bool = True  # products in bfloat16; slow on a processor without such instructions
    device: str = "cpu"
    workers: int = 1
    rank: int = 0  # of this worker
    polish: bool = False  # the second schedule, which starts from the weights of the first
    sizes: Sizes = field(default_factory=Sizes)


class Step(NamedTuple):
    """One finished step, the averaged weights as kept now, and what it takes to go on."""

    number: int  # from 1
    done: float  # share of the schedule, 1 at the end
    terms: losses.Terms
    kept: Callable[[], dict[str, Tensor]]
    state: Callable[[], dict]


def train(plan: Plan, state: dict | None = None) -> Iterator[Step]:
    """Yields every step of one training run, or those after `state`."""
    torch.manual_seed(plan.seed)
    number = state["number"] if state else 0
    seed = plan.seed + 100 * plan.rank + number // 50  # other scenes than before the break
    source = SceneSource(seed, plan.sizes.share(plan.workers))
    number = 0 if state and plan.polish and not state["polish"] else number
    tokenize = open_clip.SimpleTokenizer(context_length=32)
    used = torch.cat((torch.tensor([0, 49406, 49407]), tokenize(_all_texts()).flatten())).unique()
    model = EmojiClip(used).to(plan.device).train()
    learned = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in learned if p.ndim >= 2], "weight_decay": plan.decay},
            {"params": [p for p in learned if p.ndim < 2], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
        fused=True,
    )
    mean = [p.detach().clone() for p in learned]
    if state:
        optimiser.load_state_dict(state["optimiser"])
        for now, before in ((learned, state["learned"]), (mean, state["mean"])):
            with torch.no_grad():
                torch._foreach_copy_(now, before)
    start, done = time.process_time(), number / plan.steps
    while done < 1:
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * pace(number, done, plan)
        batch, keep = source.batch(min(1.0, done / plan.company), plan.grey), None
        if done < plan.sparse:
            keep = torch.rand(len(batch.pictures), PATCHES, generator=source.gen)
            keep = keep.topk(PATCHES // 2).indices.to(plan.device)
        terms = _terms(model, batch, source.label_prompts(), tokenize, keep, plan)
        optimiser.zero_grad()
        terms.total.backward()
        spent = (time.process_time() - start) / torch.get_num_threads()
        elapsed = torch.tensor(spent / (60 * plan.minutes))
        if plan.workers > 1:
            _average([*(p.grad for p in learned), elapsed])
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimiser.step()
        with torch.no_grad():
            model.clip.logit_scale.clamp_(max=math.log(50))
            share = 1 - min(plan.average, (number + 1) / (number + 10))
            torch._foreach_lerp_(mean, [p.detach() for p in learned], share)
        number += 1
        done = max(number / plan.steps, elapsed.item())
        yield Step(
            number,
            done,
            terms,
            partial(_kept, model, learned, mean),
            partial(_state, plan, number, learned, mean, optimiser),
        )


def schedules(plan: Plan) -> tuple[Plan, Plan]:
    """The whole course: the plan's own schedule, then the polish."""
    polish = replace(
        plan,
        steps=round(0.43 * plan.steps),
        minutes=0.35 * plan.minutes,
        rate=8e-4,
        warm_up=50,
        sparse=0.0,
        company=1e-9,
        grey=0.45,
        presence=1.2,
        patches=1.0,
        polish=True,
    )
    return replace(plan, minutes=0.65 * plan.minutes), polish


def pace(number: int, done: float, plan: Plan) -> float:
    """The share of the learning rate at a step: half a cosine, less in the warm-up."""
    return min(1.0, (number + 1) / plan.warm_up) * 0.5 * (1 + math.cos(math.pi * done))


def _terms(
    model: EmojiClip,
    batch: Batch,
    prompts: list[str],
    tokenize: open_clip.SimpleTokenizer,
    keep: Tensor | None,
    plan: Plan,
) -> losses.Terms:
    device = model.words.device
    target, there = batch.target.to(device), batch.there.to(device)
    named = int((batch.target.sum(1) > 0).sum())  # they come first
    with torch.autocast(device.type, torch.bfloat16, enabled=plan.half):
        images = model.image_features(normalised(batch.pictures.to(device)), keep)
        labels, sayings = (
            model.text_features(tokenize(texts).to(device)) for texts in (prompts, batch.captions)
        )
    scale, sharp = model.clip.logit_scale.exp(), model.presence_scale.clamp(4, 30)
    whole = images.whole @ labels.T
    local = losses.pooled(images.local @ labels.T)
    unsure = there & (target < 0.5)
    local_target = target.where(target == target.amax(1, keepdim=True), 0)
    local_target = local_target / local_target.sum(1, keepdim=True).clamp(min=1e-6)
    bias = model.presence_bias
    return losses.Terms(
        labels=losses.label_loss(whole[:named], scale, target[:named], there[:named]).mean(),
        presence=plan.presence * losses.presence_loss(whole, sharp, bias, there, unsure).mean(),
        captions=losses.caption_loss(images.whole[: len(sayings)], sayings, scale),
        local=plan.patches
        * (
            0.8
            * losses.label_loss(local[:named], scale, local_target[:named], there[:named]).mean()
            + 0.5 * losses.presence_loss(local, sharp, bias, there).mean()
        ),
    )


def _state(
    plan: Plan,
    number: int,
    learned: list[Tensor],
    mean: list[Tensor],
    optimiser: torch.optim.Optimizer,
) -> dict:
    return {
        "polish": plan.polish,
        "number": number,
        "learned": learned,
        "mean": mean,
        "optimiser": optimiser.state_dict(),
    }


def _average(gradients: list[Tensor]) -> None:
    """Replaces every gradient by its mean over the workers."""
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def _kept(model: EmojiClip, learned: list[Tensor], mean: list[Tensor]) -> dict[str, Tensor]:
    """The averaged weights under open_clip's names."""
    now = [p.detach().clone() for p in learned]
    with torch.no_grad():
        torch._foreach_copy_(learned, mean)
        state = model.open_clip_state()
        torch._foreach_copy_(learned, now)
    return state


def _all_texts() -> list[str]:
    """Every training word, each a short text of its own: a long one would be cut off."""
    return [*captions.vocabulary(), ","]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the backbone")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument(
        "--minutes",
        type=float,
        default=math.inf,
        help="end by then, counted in each core's time, with fewer steps",
    )
    parser.add_argument("--resume", action="store_true", help="go on where a run was broken off")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--workers",
        type=int,
        help="processes that share every batch (2 where there are two cores, 1 "
        "on a GPU); the shipped weights are from 2",
    )
    parser.add_argument("--quick", action="store_true", help="measure fewer scenes at the end")
    chosen = parser.parse_args()
    cores = min(2, os.cpu_count() or 1) if chosen.device == "cpu" else 1
    plan = Plan(
        steps=chosen.steps,
        seed=chosen.seed,
        device=chosen.device,
        workers=chosen.workers or cores,
        minutes=chosen.minutes,
    )
    begun = chosen.resume and torch.load(_beside(chosen.out), weights_only=True)["polish"]
    start = time.monotonic()
    for part in schedules(plan)[begun:]:
        resume = chosen.resume or part.polish
        if plan.workers == 1:
            run(0, part, chosen.out, resume, "")
            continue
        with tempfile.TemporaryDirectory() as meeting:
            where = f"file://{meeting}/store"
            multiprocessing.spawn(run, (part, chosen.out, resume, where), plan.workers)
    used = resource.getrusage(
        resource.RUSAGE_CHILDREN if plan.workers > 1 else resource.RUSAGE_SELF
    )
    print(
        f"trained in {(time.monotonic() - start) / 60:.1f} minutes, "
        f"{(used.ru_utime + used.ru_stime) / 60:.1f} minutes of processor time",
        flush=True,
    )
    print(evaluate.report(evaluate.measured(chosen.out, scale=0.25 if chosen.quick else 1.0)))


def run(rank: int, plan: Plan, out: Path, resume: bool, meeting: str) -> None:
    """One worker's part of a schedule; the first prints, saves every 250 steps and at the end."""
    plan = replace(plan, rank=rank)
    if plan.workers > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // plan.workers))
        distributed.init_process_group(
            "gloo", init_method=meeting, rank=rank, world_size=plan.workers
        )
    start = time.monotonic()
    kept_state = _beside(out)
    state = torch.load(kept_state, weights_only=True) if resume else None
    for step in train(plan, state):
        if rank > 0:
            continue
        if step.number % 100 == 0 or step.done >= 1:
            parts = "  ".join(
                f"{name} {value.item():.3f}" for name, value in step.terms._asdict().items()
            )
            print(
                f"step {step.number:5}  loss {step.terms.total.item():.3f}  {parts}  "
                f"{(time.monotonic() - start) / 60:.1f} min",
                flush=True,
            )
        if step.number % 250 == 0 or step.done >= 1:
            kept_state.parent.mkdir(parents=True, exist_ok=True)
            torch.save(step.state(), kept_state)
            save_backbone(step.kept(), out)
            (out / "words.txt").write_text("\n".join(captions.vocabulary()) + "\n", "utf-8")
            names = [concept.name for concept in world.trained()]
            (out / "concepts.txt").write_text("\n".join(names) + "\n", "utf-8")
    if plan.workers > 1:
        distributed.destroy_process_group()


def _beside(out: Path) -> Path:
    """Where the state to resume from lies: beside `out`, since it is three times larger."""
    return out.with_name(out.name + ".state")


if __name__ == "__main__":
    main()
