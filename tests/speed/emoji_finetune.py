"""What each way of fine-tuning does to the embedded network, over seeds nobody chose by.

    python -m tests.speed.emoji_finetune [--seeds 5] [--preset setar-ft ...] [--out FILE]

Each preset trains with its published constants on the shipped calibration pictures; SeTAR+FT on
top of the shipped recipe, the others on the original weights. A seed sets first values, order and
augmentation. The shipped test sets are held: nothing was trained on them, and nothing is chosen by
these figures. `--out` writes what the page quotes.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from setar_core.adapter import Adapter
from setar_core.backbones import load_backbone
from setar_core.benchmark.run import Benchmark
from setar_core.data.sets import MEAN, open_sets
from setar_core.detector import Detector
from setar_core.finetune.pictures import TrainingSet
from setar_core.finetune.plan import PRESETS, preset_plan
from setar_core.finetune.train import finetune
from setar_core.labels import LabelSet
from setar_core.paths import BENCHMARK
from setar_core.recipe import ORIGINAL, Recipe

OODS = ("near", "other", "textures", "glyphs", "noise")
SCORES = {"mcm": "MCM", "gl_mcm": "GL-MCM"}
RECIPE = "emoji-searched"
COLUMNS = ("ID accuracy", *OODS, "FPR95", "AUROC")  # FPR95 of each set, then the means

Figures = dict[str, list[float]]  # by score, a number a column, percent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--preset", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--out", help="write the changes of the means here, as JSON")
    parser.add_argument("--workers", type=int, default=2, help="processes, a thread each")
    args = parser.parse_args()
    asked = list(product(args.preset, range(args.seeds)))
    with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool:
        plain, recipe = pool.map(measured, [None, RECIPE])
        found: dict[str, list[Figures]] = {name: [] for name in args.preset}
        for (preset, seed), (figures, seconds) in zip(asked, pool.map(trained, asked), strict=True):
            print(f"{preset}, seed {seed}: trained in {seconds:.0f} s", flush=True)
            found[preset].append(figures)
    for score, title in SCORES.items():
        print(f"\n{title}, percent; changes against the original weights, mean ± sd over seeds\n")
        print("\n".join(table(score, plain, recipe, found)))
    if args.out:
        page = {score: told(score, plain, found) for score in SCORES}
        Path(args.out).write_text(json.dumps(page, indent=1, allow_nan=False) + "\n", "utf-8")


def trained(asked: tuple[str, int]) -> tuple[Figures, float]:
    """The figures of one training, and the seconds that it took."""
    torch.set_num_threads(1)
    preset, seed = asked
    backbone, labels = load_backbone("emoji"), LabelSet.load("animals")
    images = TrainingSet.from_folder(BENCHMARK / "calibration", labels)
    plan = preset_plan(preset, backbone.name, len(labels), seed=seed)
    recipe = Recipe.load(RECIPE) if plan.moves == "minor" else None
    began = time.perf_counter()
    *_, step = finetune(backbone, images, labels, plan, recipe=recipe)
    return measured(step.adapter), time.perf_counter() - began


def measured(change: Adapter | str | None) -> Figures:
    """The figures of the shipped sets, with an adapter or a shipped recipe."""
    torch.set_num_threads(1)
    backbone, labels = load_backbone("emoji"), LabelSet.load("animals")
    altered = backbone.altered(Recipe.load(change) if isinstance(change, str) else change)
    folders = [BENCHMARK / name for name in OODS]
    inside, outside, _ = open_sets(BENCHMARK / "id", folders, labels)
    detectors = {ORIGINAL: Detector(altered, labels)}
    run = Benchmark(detectors, inside, outside, tuple(SCORES), None, 0, 0)
    rows = {(row.score, row.ood): row.metrics for step in run.steps() for row in step.rows}
    accuracy = run.accuracy(ORIGINAL)
    assert accuracy is not None
    return {
        score: [
            100 * value
            for value in (
                accuracy,
                *(rows[score, name].fpr95 for name in OODS),
                rows[score, MEAN].fpr95,
                rows[score, MEAN].auroc,
            )
        ]
        for score in SCORES
    }


def table(
    score: str, plain: Figures, recipe: Figures, found: dict[str, list[Figures]]
) -> list[str]:
    """Rows of Markdown: the original's figures, and what all else changes in them."""
    lines = [f"| weights | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines.append(f"| original | {' | '.join(f'{value:.1f}' for value in plain[score])} |")
    changed = np.subtract(recipe[score], plain[score])
    lines.append(f"| `{RECIPE}` | {' | '.join(f'{value:+.1f}' for value in changed)} |")
    for preset, runs in found.items():
        changes = np.array([run[score] for run in runs]) - plain[score]
        cells = [f"{mean:+.1f} ± {sd:.1f}" for mean, sd in spread(changes)]
        lines.append(f"| {PRESETS[preset].title} | {' | '.join(cells)} |")
    return lines


def told(score: str, plain: Figures, found: dict[str, list[Figures]]) -> dict[str, object]:
    """By preset: how many seeds, and for each column the mean change and its deviation."""
    page: dict[str, object] = {}
    for preset, runs in found.items():
        changes = np.array([run[score] for run in runs]) - plain[score]
        pairs = [[round(mean, 2), round(sd, 2)] for mean, sd in spread(changes)]
        page[preset] = {"seeds": len(runs), **dict(zip(COLUMNS, pairs, strict=True))}
    return page


def spread(changes: np.ndarray) -> list[tuple[float, float]]:
    """Mean and standard deviation over the first axis, of each column."""
    sds = changes.std(0, ddof=min(1, len(changes) - 1))
    return [(float(mean), float(sd)) for mean, sd in zip(changes.mean(0), sds, strict=True)]


if __name__ == "__main__":
    main()
