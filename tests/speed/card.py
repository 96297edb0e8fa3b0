"""All that is promised of a card, in one table: searches, scoring, and what the papers' loops do.

    python -m tests.speed.card --device cuda  # H100 or H200: about ten minutes
    python -m tests.speed.card --device cpu --networks ViT-B-32 --images 8 --labels 20  # a trial

Searches of ViT-B/16 and ViT-L/14 in float32 and in bf16, on random images and weights; pictures
scored by MCM, from memory and from files; a training step of SeTAR+FT. With `--profile`, the
operations in which a search, scoring and a training step spend most of their time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import open_clip
import torch
from torch.profiler import ProfilerActivity, profile

from setar_core.backbones import Backbone
from setar_core.backbones.clip import ClipBackbone
from setar_core.data.images import find_images, read_image
from setar_core.detector import Detector
from setar_core.finetune.pictures import TrainingSet
from setar_core.finetune.plan import preset_plan
from setar_core.finetune.train import finetune
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe
from setar_core.scores import SCORES
from setar_core.search.greedy import greedy_search
from setar_core.search.plan import SearchPlan

from .detect import drawn
from .search import random_images

BARS = {  # seconds of a search with 1,000 images
    ("ViT-B-16", "fp32"): 60,
    ("ViT-B-16", "bf16"): 15,
    ("ViT-L-14", "fp32"): 400,
    ("ViT-L-14", "bf16"): 60,
}
RATE = 1_000  # images a second scored on ViT-B/16
BATCH = 256
OPERATIONS = 8  # of a profile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--networks", nargs="+", default=["ViT-B-16", "ViT-L-14"])
    parser.add_argument("--images", type=int, default=1_000)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    labels = LabelSet(LabelSet.load("imagenet1k").names[: args.labels])
    print("| what | measured | bar |\n|---|---:|---:|")
    for network in args.networks:
        torch.manual_seed(0)
        backbone = random_network(network, args.device)
        for precision in ("fp32", "bf16"):
            search(network, backbone, labels, args, precision)
        with tempfile.TemporaryDirectory() as folder:
            paths = find_images([drawn(Path(folder), args.images)])
            score(network, backbone, labels, paths, args)
            train(network, backbone, labels, paths, args)


def random_network(name: str, device: str) -> Backbone:
    model, _, preprocess = open_clip.create_model_and_transforms(name, device=device)
    return ClipBackbone(f"{name}/random", model, preprocess, open_clip.get_tokenizer(name))


def search(
    network: str, backbone: Backbone, labels: LabelSet, args: argparse.Namespace, precision: str
) -> None:
    side = backbone.model.visual.image_size
    side = side[0] if isinstance(side, tuple) else side
    images = random_images(labels, args.images, side)
    plan = SearchPlan(precision=precision)

    def candidates(count: int | None) -> int:
        return sum(1 for _ in islice(greedy_search(backbone, images, plan), count))

    candidates(2)  # what a card prepares once
    backbone._spectra.clear()
    seconds = timed(args.device, lambda: candidates(None))
    bar = BARS.get((network, precision), "")
    row(f"{network}, search, {precision}, {args.images:,} images", f"{seconds:.1f} s", bar)
    profiled(args, lambda: candidates(12))


def score(
    network: str, backbone: Backbone, labels: LabelSet, paths: list[Path], args: argparse.Namespace
) -> None:
    detector = Detector(backbone, labels)
    needs = SCORES["mcm"].needs
    pixels = torch.stack([backbone.preprocess(read_image(path)) for path in paths[:BATCH]])
    pixels = pixels.to(args.device)

    def from_memory() -> None:
        for _, evidence in detector.evidence(pixels, needs):
            detector.score_of(evidence).cpu()

    def from_files() -> None:
        for _, evidence in detector.read(paths, None, needs):
            detector.score_of(evidence)

    bar = RATE if network == "ViT-B-16" else ""
    for where, work, count in (
        ("from memory", from_memory, len(pixels)),
        ("from files", from_files, len(paths)),
    ):
        work()
        rate = count / timed(args.device, work)
        row(f"{network}, scored {where}", f"{rate:,.0f} images/s", bar)
    profiled(args, from_memory)


def train(
    network: str, backbone: Backbone, labels: LabelSet, paths: list[Path], args: argparse.Namespace
) -> None:
    pictures = TrainingSet(tuple(paths), tuple(i % len(labels) for i in range(len(paths))))
    few = preset_plan("setar-ft", backbone.name, len(labels))
    size = min(few.batch_size, len(paths))
    plan = preset_plan("setar-ft", backbone.name, len(labels), batch_size=size)
    recipe = Recipe({site: 0.1 for site in backbone.sites() if site.weight == "up"})
    steps = finetune(backbone, pictures, labels, plan, recipe=recipe)
    next(steps), next(steps)
    seconds = timed(args.device, lambda: next(steps))
    row(f"{network}, a step of SeTAR+FT, batch {size}", f"{seconds:.2f} s", "")
    profiled(args, lambda: next(steps))


def timed(device: str, work: Callable[[], object]) -> float:
    """Seconds until the device has done it."""
    began = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - began


def row(what: str, measured: str, bar: object) -> None:
    print(f"| {what} | {measured} | {bar} |", flush=True)


def profiled(args: argparse.Namespace, work: Callable[[], object]) -> None:
    """The operations that take longest, as PyTorch's profiler tells them."""
    if not args.profile:
        return
    card = args.device.startswith("cuda")
    watched = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if card else [])]
    with profile(activities=watched) as found:
        work()
    order = "self_cuda_time_total" if card else "self_cpu_time_total"
    print(found.key_averages().table(sort_by=order, row_limit=OPERATIONS))


if __name__ == "__main__":
    main()
