"""Singular values alone against a full decomposition: time and error, ViT-B/16, random weights.

    python -m tests.speed.spectrum [--rounds 5] [--threads 1]

Both sides work on the same matrices, matrix by matrix in turn, so that a machine that slows down
slows both; the ratio is of their sums. The error is against singular values in double precision.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import open_clip
import torch
from torch import Tensor

from setar_core.backbones import load_backbone
from setar_core.backbones.clip import ClipBackbone
from setar_core.lowrank import singular_values
from setar_core.recipe import Recipe
from setar_core.spectra.profiles import profiles

SMALLEST = 1e-4  # of the largest value: what is smaller is not held to the bar


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-16")
    backbone = ClipBackbone("ViT-B-16/random", model, None, open_clip.get_tokenizer("ViT-B-16"))
    matrices = [backbone.weight(site) for site in backbone.sites("up")]
    print(f"{len(matrices)} matrices W_up, {args.threads} threads")
    ratios(matrices, args.rounds)
    print(f"largest relative error of theirs   {max(map(error, matrices)):.1e} (bar 1e-05)")
    hard = [falling(shape, 1e-4) for shape in ((3072, 768), (512, 512), (128, 512))]
    print(f"and of matrices falling to 1e-4    {max(map(error, hard)):.1e} (bar 1e-05)")
    embedded = load_backbone("emoji")
    laps = [timed(lambda: list(profiles(embedded.with_recipe(Recipe({})))))[0] for _ in range(3)]
    print(f"map of the embedded backbone       {min(laps):.3f} s (bar 1 s)")


def ratios(matrices: list[Tensor], rounds: int) -> None:
    """The median over rounds of our time over theirs, on the wall and of processors."""
    found = []
    for i in range(rounds + 1):
        ours, theirs = np.zeros(2), np.zeros(2)
        for matrix in matrices:
            ours += timed(lambda matrix=matrix: singular_values(matrix))
            theirs += timed(lambda matrix=matrix: torch.linalg.svd(matrix, full_matrices=False))
        if i:  # the first is to warm up
            found.append(ours / theirs)
    for name, column in zip(("wall", "processor"), zip(*found, strict=True), strict=True):
        middle, low, high = statistics.median(column), min(column), max(column)
        print(f"time over that of svd, {name:11} {middle:.3f} (bar 0.50; {low:.3f} to {high:.3f})")


def timed(work: Callable) -> tuple[float, float]:
    """Seconds on the wall and of processors."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def error(matrix: Tensor) -> float:
    """The largest relative error of a value above `SMALLEST` of the largest."""
    exact = torch.linalg.svdvals(matrix.double()).numpy()
    return float(np.abs(singular_values(matrix) / exact - 1)[exact > SMALLEST * exact[0]].max())


def falling(shape: tuple[int, int], least: float) -> Tensor:
    """A float32 matrix whose singular values fall evenly from 1 to `least` on a log scale."""
    rank = min(shape)
    left, right = (torch.linalg.qr(torch.randn(n, rank, dtype=torch.float64)).Q for n in shape)
    values = torch.logspace(0, np.log10(least), rank, dtype=torch.float64)
    return ((left * values) @ right.T).float()


if __name__ == "__main__":
    main()
