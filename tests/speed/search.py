"""Our search beside the authors' procedure, in one run on one machine.

    python -m tests.speed.search  # emoji, its own pictures
    python -m tests.speed.search --backbone ViT-B-16 --images 128 --sample 6
    python -m tests.speed.search --growth  # with images, labels, blocks ...
    python -m tests.speed.search --record "2 cores, no GPU"  # into assets/published
    python -m tests.speed.search --backbone ViT-B-16 --images 1000 --device cuda --sample 0
    python -m tests.speed.search --backbone ViT-B-16 --images 1000 --device cuda --sample 0 \
        --precision bf16 --agree

The replay takes for each candidate fresh weights, decomposes every matrix that loses components,
runs both towers in full on a batch at a time with prompts padded to the longest, the last image
block once more for the local features, and sorts for the top K. It is lean: no local features below
the last block, no decomposition at ratio 0, images decoded once. Our search is timed before and
after a whole replay, and the mean counts. On a CPU, pieces of a batch suit the cache better than
the whole: how much that would spare them is measured on a sample.
An open_clip architecture (ViT-B-16, ViT-L-14) has random weights and images, and ImageNet's labels:
time does not depend on their values.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F

from setar_core.backbones import Backbone, Logits, load_backbone
from setar_core.data.calibration import CalibrationSet
from setar_core.labels import LabelSet
from setar_core.lowrank import Spectrum, low_rank
from setar_core.memory import parse_bytes
from setar_core.recipe import Recipe
from setar_core.search.greedy import greedy_search
from setar_core.search.objective import measure
from setar_core.search.plan import SearchPlan, resolve, sites
from setar_core.search.trial import Losses, Trial

PIECES = 32  # images at once that a CPU is quick with
TIMES = Path(__file__).resolve().parents[2] / "assets" / "published" / "search_times.json"


@torch.inference_mode()
def authors_candidate(
    pristine: Backbone,
    calibration: CalibrationSet,
    plan: SearchPlan,
    recipe: Recipe,
    pieces: int | None = None,
) -> Losses:
    """One candidate by the authors' procedure; `plan` is resolved. `pieces` of so many images go
    through the network at once, or a whole batch."""
    model = copy.deepcopy(pristine.model)  # they read the checkpoint again
    fresh = copy.copy(pristine)
    fresh.model, fresh.towers = model, pristine._cut(model)
    for site, ratio in recipe.ratios.items():
        matrix = fresh.slot(site).matrix
        if round(min(matrix.shape) * ratio):
            parts = Spectrum(*torch.linalg.svd(matrix, full_matrices=False))
            matrix.copy_(low_rank(matrix, parts, ratio, plan.prune, plan.seed))
    rows = padded_text_features(fresh, calibration.labels) if fresh.has_text else None
    batches = []
    for first in range(0, len(calibration), plan.batch_size):
        part = slice(first, first + plan.batch_size)
        classes = calibration.classes[part].to(fresh.device)
        images = calibration.images[part].split(pieces or plan.batch_size)
        logits = batch_logits(fresh, images, rows, calibration.labels)
        batches.append((len(classes), batch_losses(logits, classes, plan)))
    n = len(calibration)
    mean = [sum(size * row[i] for size, row in batches) / n for i in range(4)]
    return Losses(mean[0] + plan.lambda_ood * mean[1], *mean)


def padded_text_features(backbone: Backbone, labels: LabelSet) -> torch.Tensor:
    """Unit text features `(K, D)` of prompts padded to the longest, as a tokenizer pads a batch."""
    text = backbone.tower("text").text
    tokens = backbone.tokenizer(list(labels.prompts)).to(backbone.device)
    ends = tokens.argmax(dim=-1)
    length = int(ends.max()) + 1
    x = text.token_embedding(tokens[:, :length]) + text.positional_embedding[:length]
    mask = text.attn_mask[:length, :length]
    for block in text.transformer.resblocks:
        x = block(x, attn_mask=mask)
    x = text.ln_final(x)[torch.arange(len(x)), ends]
    return F.normalize(x @ text.text_projection, dim=-1)


def batch_logits(
    backbone: Backbone,
    images: Sequence[torch.Tensor],
    rows: torch.Tensor | None,
    labels: LabelSet,
) -> Logits:
    """The whole network on one batch, piece by piece."""
    found = []
    for some in images:
        if rows is None:
            logits = backbone.logits(backbone.features(some), backbone.classifier(labels))
        else:
            visual = backbone.model.visual
            whole, local = (backbone.scale * x @ rows.T for x in image_features(visual, some))
            logits = Logits(whole, local, visual.grid_size, backbone.scale)
        found.append(logits)
    whole, local = torch.cat([f.whole for f in found]), torch.cat([f.local for f in found])
    return Logits(whole, local, found[0].grid, backbone.scale)


def image_features(visual: torch.nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Global and local features: open_clip's own tower in full, then the last block once more with
    every patch attending to itself alone."""
    device = visual.class_embedding.device
    *blocks, last = visual.transformer.resblocks
    x = visual._embeds(images.to(device))
    for block in blocks:
        x = block(x)
    whole, x = last(x)[:, 0], x[:, 1:]
    width = last.attn.embed_dim
    value = F.linear(
        last.ln_1(x), last.attn.in_proj_weight[2 * width :], last.attn.in_proj_bias[2 * width :]
    )
    x = x + last.ls_1(last.attn.out_proj(value))
    x = x + last.ls_2(last.mlp(last.ln_2(x)))
    return tuple(F.normalize(visual.ln_post(y) @ visual.proj, dim=-1) for y in (whole, x))


def batch_losses(logits: Logits, classes: torch.Tensor, plan: SearchPlan) -> tuple[float, ...]:
    """ID loss, OOD loss, accuracy and OOD share of a batch, as the authors write them."""
    best = logits.whole.argmax(dim=-1)
    own = (best if plan.predicted_labels else classes)[:, None, None]
    top = logits.local.topk(plan.top_k, dim=-1).indices
    ood = ~(top == own).any(dim=-1)
    p = logits.local.softmax(dim=-1)[ood]
    loss_ood = float((p * (p + 1e-5).log()).sum(dim=-1).mean()) if len(p) else 0.0
    loss_id = float(F.cross_entropy(logits.whole, classes))
    hits = float((best == classes).float().mean())
    return loss_id, loss_ood, 100 * hits, 100 * float(ood.float().mean())


def authors_search(
    backbone: Backbone, calibration: CalibrationSet, plan: SearchPlan, pieces: int | None = None
) -> Iterator[tuple[Recipe, Losses]]:
    """Their search for the LoCoOp loss, in full; yields the best recipe so far."""
    plan = resolve(plan, backbone, calibration)
    recipe, best = Recipe({}, prune=plan.prune), math.inf
    for site in sites(plan, backbone):
        winner = recipe.with_ratio(site, 0.0)
        for ratio in plan.ratios:
            candidate = recipe.with_ratio(site, ratio)
            losses = authors_candidate(backbone, calibration, plan, candidate, pieces)
            if losses.locoop_loss < best:
                best, winner = losses.locoop_loss, candidate
            yield winner, losses
        recipe = winner


def world(args: argparse.Namespace) -> tuple[Backbone, CalibrationSet]:
    """A shipped backbone with its calibration set, or an architecture with random weights."""
    if args.backbone == "emoji" or ":" in args.backbone:
        backbone = load_backbone(args.backbone, args.device)
        labels = LabelSet.load(args.labels or "animals")
        folder = "assets/benchmark/calibration"
        calibration = CalibrationSet.from_folder(folder, labels, backbone.preprocess)
        keep = torch.arange(len(calibration))[: args.images]
        return backbone, CalibrationSet(calibration.images[keep], calibration.classes[keep], labels)
    torch.manual_seed(0)
    labels = LabelSet.load(args.labels or "imagenet1k")
    backbone = random_clip(args.backbone, args.device)
    side = backbone.model.visual.image_size
    side = side[0] if isinstance(side, tuple) else side
    return backbone, random_images(labels, args.images or 128, side)


def random_clip(name: str, device: str) -> Backbone:
    import open_clip

    from setar_core.backbones.clip import ClipBackbone

    model = open_clip.create_model(name, device=device)
    return ClipBackbone(name, model, None, open_clip.get_tokenizer(name))


def random_images(labels: LabelSet, n: int, side: int) -> CalibrationSet:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(n, 3, side, side, generator=generator)
    return CalibrationSet(images, torch.randperm(max(n, len(labels)))[:n] % len(labels), labels)


def warm_up(backbone: Backbone, calibration: CalibrationSet, plan: SearchPlan) -> None:
    """Let libraries load and memory be fetched, for both, before any clock runs."""
    next(iter(greedy_search(backbone, calibration, plan)))
    few = CalibrationSet(
        calibration.images[:PIECES], calibration.classes[:PIECES], calibration.labels
    )
    authors_candidate(backbone, few, resolve(plan, backbone, few), Recipe({}))


def ours(backbone: Backbone, calibration: CalibrationSet, plan: SearchPlan, memory: int | None):
    """Every trial, and the time of the whole search, decompositions included."""
    backbone._spectra.clear()
    started = clock()
    trials = list(greedy_search(backbone, calibration, plan, memory=memory, progress=print))
    return trials, clock() - started


class Time(NamedTuple):
    """Seconds on the wall, and of processors: the second hardly minds what else is running."""

    wall: float
    processor: float

    def plus(self, other: Time) -> Time:
        return Time(self.wall + other.wall, self.processor + other.processor)

    def __sub__(self, other: Time) -> Time:
        return Time(self.wall - other.wall, self.processor - other.processor)

    def __mul__(self, factor: float) -> Time:
        return Time(self.wall * factor, self.processor * factor)

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.processor:.1f} s of processors)"


def clock() -> Time:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Time(time.perf_counter(), time.process_time())


def peak() -> str:
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    device = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0
    return f"{host:.2f} GB" + (f", on the GPU {device:.2f} GB" if device else "")


def sampled(trials: list[Trial], count: int) -> list[tuple[Trial, Recipe]]:
    """So many trials from blocks spread over the search, each with the recipe it was."""
    kept, found, last = Recipe({}), [], None
    for trial in trials:
        if last is not None and trial.step > last.step:
            kept = last.recipe
        found.append((trial, kept.with_ratio(trial.site, trial.ratio)))
        last = trial
    step = len(found) / count
    return [found[min(len(found) - 1, int((i + 0.5) * step))] for i in range(count)]


def compare(args: argparse.Namespace) -> None:
    backbone, calibration = world(args)
    plan = SearchPlan(ratios=args.ratios, top_k=args.top_k, precision=args.precision)
    if args.quick:
        quick(backbone, calibration, plan, args.memory)
        return
    print(
        f"{args.backbone} on {args.device}: {len(calibration)} images, {len(calibration.labels)} "
        f"labels, {torch.get_num_threads()} threads, {args.precision}"
    )
    warm_up(backbone, calibration, plan)
    trials, seconds = ours(backbone, calibration, plan, args.memory)
    print(f"ours: {seconds} for {len(trials)} candidates; peak memory so far {peak()}")
    run = [t.seconds for t in trials if not t.known]
    print(f"  run: {len(run)}, {sum(run) / len(run):.3f} s each; the others were known")
    exact = resolve(replace(plan, precision="fp32"), backbone, calibration)
    if args.agree:
        agreement(backbone, calibration, exact, trials, args.memory)
    if args.sample is None:
        started = clock()
        theirs = list(authors_search(backbone, calibration, exact, args.pieces))
        total = clock() - started
        print(f"authors' procedure: {total}")
        seconds = seconds.plus(ours(backbone, calibration, plan, args.memory)[1]) * 0.5
        print(f"ours, the mean of before and after: {seconds}")
        assert dict(theirs[-1][0].ratios) == dict(trials[-1].recipe.ratios), "another recipe"
        pairs = [(t.measures.losses, found) for t, (_, found) in zip(trials, theirs, strict=True)]
        print("the same recipe")
    elif args.sample:
        pairs, started = [], clock()
        for trial, recipe in sampled(trials, args.sample):
            found = authors_candidate(backbone, calibration, exact, recipe, args.pieces)
            pairs.append((trial.measures.losses, found))
        total = (clock() - started) * (len(trials) / args.sample)
        print(f"authors' procedure: {total}, from {args.sample} candidates that were timed")
    else:
        return
    worst = max(abs(a - b) for mine, his in pairs for a, b in zip(mine[:3], his[:3], strict=True))
    ratios = [theirs / mine for theirs, mine in zip(total, seconds, strict=True)]
    print(f"largest difference of a loss: {worst:.1e}")
    print(f"ratio: {ratios[0]:.2f}x on the wall, {ratios[1]:.2f}x in processor time")
    if args.device == "cpu" and not args.pieces:
        spared = cut_up(backbone, calibration, exact, sampled(trials, 5))
        parts = [ratio * share for ratio, share in zip(ratios, spared, strict=True)]
        print(
            f"with the replay's batches cut into pieces of {PIECES} images: {parts[0]:.2f}x on the "
            f"wall, {parts[1]:.2f}x in processor time, from 5 candidates"
        )
    if args.record:
        record(args, calibration, trials, seconds, total)


def quick(backbone: Backbone, calibration: CalibrationSet, plan: SearchPlan, memory) -> None:
    """The quick search beside the exact one, which is timed before and after it."""
    hasty = replace(plan, quick=True)
    for each in (plan, hasty):
        next(iter(greedy_search(backbone, calibration, each)))
    full, before = ours(backbone, calibration, plan, memory)
    trials, seconds = ours(backbone, calibration, hasty, memory)
    exact = before.plus(ours(backbone, calibration, plan, memory)[1]) * 0.5
    out = sum(trial.left_out is not None for trial in trials)
    mine, theirs = trials[-1], full[-1]
    same = "the same recipe" if mine.recipe.ratios == theirs.recipe.ratios else "ANOTHER recipe"
    value = mine.best.losses.locoop_loss, theirs.best.losses.locoop_loss
    print(f"exact: {exact}; quick: {seconds}, {out} of {len(trials)} candidates left out")
    print(f"{same}; loss {value[0]:.6f}, exact {value[1]:.6f}")
    print(f"quick: {exact.wall / seconds.wall:.2f}x on the wall")


def cut_up(
    backbone: Backbone,
    calibration: CalibrationSet,
    exact: SearchPlan,
    sample: list[tuple[Trial, Recipe]],
) -> list[float]:
    """The share of a candidate's time that is left when batches are cut up; in turns."""
    cut = whole = Time(0.0, 0.0)
    for _, recipe in sample:
        started = clock()
        authors_candidate(backbone, calibration, exact, recipe, PIECES)
        between = clock()
        authors_candidate(backbone, calibration, exact, recipe)
        cut, whole = cut.plus(between - started), whole.plus(clock() - between)
    return [mine / his for mine, his in zip(cut, whole, strict=True)]


def record(
    args: argparse.Namespace,
    calibration: CalibrationSet,
    trials: list[Trial],
    mine: Time,
    theirs: Time,
) -> None:
    """Keep the figures among the facts that the Published tab shows; one entry a title."""
    page = json.loads(TIMES.read_text("utf-8")) if TIMES.exists() else {"measured": []}
    title = args.backbone if args.backbone == "emoji" else f"{args.backbone}, random weights"
    entry = {
        "title": title,
        "images": len(calibration),
        "labels": len(calibration.labels),
        "candidates": len(trials),
        "seconds": round(mine.wall, 1),
        "procedure_seconds": round(theirs.wall, 1),
        "sampled": args.sample or None,
        "command": " ".join(["python -m tests.speed.search", *sys.argv[1:]]).partition(" --rec")[0],
    }
    others = [old for old in page["measured"] if old["title"] != title]
    page = {"machine": args.record, "measured": [*others, entry]}
    TIMES.write_text(json.dumps(page, indent=1) + "\n", "utf-8")


def agreement(backbone, calibration, exact: SearchPlan, trials, memory: int | None) -> None:
    """How far a rounded search found the float32 recipe, and what its own is worth in float32."""
    full, seconds = ours(backbone, calibration, exact, memory)
    mine, best = trials[-1].recipe, full[-1].recipe
    same = sum(mine.ratios[site] == ratio for site, ratio in best.ratios.items())
    print(f"fp32: {seconds}; {same} of {len(best.ratios)} sites have the same ratio")
    for name, recipe in (("this", mine), ("fp32", best), ("no", Recipe({}))):
        loss = measure(backbone.with_recipe(recipe), calibration, exact).losses.locoop_loss
        print(f"  loss with {name} recipe, measured in fp32: {loss:.6f}")


def growth() -> None:
    """Seconds of our search on small random networks, doubling one thing at a time."""
    words = LabelSet.load("imagenet1k").names
    base = {"images": 32, "labels": 100, "blocks": 4, "candidates": 5}
    print("what          value   seconds   per unit")
    for name, start in base.items():
        for factor in (1, 2, 4):
            size = {**base, name: start * factor}
            backbone = small_clip(size["blocks"])
            calibration = random_images(LabelSet(words[: size["labels"]]), size["images"], 64)
            ratios = tuple(0.5 * i / size["candidates"] for i in range(size["candidates"]))
            plan = SearchPlan(ratios=ratios)
            started = time.perf_counter()
            *_, last = greedy_search(backbone, calibration, plan)
            seconds = time.perf_counter() - started
            print(
                f"{name:12}  {size[name]:5}  {seconds:8.2f}  {1e3 * seconds / size[name]:7.1f} ms"
            )
    print(f"peak memory {peak()}; candidates in the last: {last.total}")


def small_clip(blocks: int) -> Backbone:
    import open_clip

    from setar_core.backbones.clip import ClipBackbone

    torch.manual_seed(0)
    vision = {"image_size": 64, "layers": blocks, "width": 128, "head_width": 64, "patch_size": 8}
    text = {"context_length": 32, "vocab_size": 49408, "width": 64, "heads": 2, "layers": blocks}
    model = open_clip.CLIP(embed_dim=128, vision_cfg=vision, text_cfg=text)
    return ClipBackbone("small", model, None, open_clip.SimpleTokenizer(context_length=32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="emoji", help="emoji, local-dir:PATH, ViT-B-16 ...")
    parser.add_argument("--labels")
    parser.add_argument("--images", type=int, help="how many (all; 128 random ones)")
    parser.add_argument("--ratios", default="0,0.05,0.1,0.15,0.2,0.25,0.3,0.35,0.4")
    parser.add_argument("--top-k", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--memory", type=parse_bytes, metavar="4GB")
    parser.add_argument("--sample", type=int, metavar="N", help="time the replay on N candidates")
    parser.add_argument("--pieces", type=int, metavar="N", help="cut the replay's batches up")
    parser.add_argument("--agree", action="store_true", help="search in fp32 too and compare")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--record", metavar="MACHINE", help="keep the figures; the last argument")
    parser.add_argument("--quick", action="store_true", help="the quick search against the exact")
    parser.add_argument("--growth", action="store_true", help="a table of time against sizes")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    args.ratios = tuple(float(ratio) for ratio in args.ratios.split(","))
    growth() if args.growth else compare(args)


if __name__ == "__main__":
    main()
