"""What SeTAR does to the embedded network, over test draws and calibration draws nobody chose by.

    python -m tests.speed.emoji_recipe [--tests 10] [--calibrations 5] [--out recipe.json]

The first search is on the shipped calibration pictures, the others on pictures drawn anew as those
were. Every recipe, and the original weights, then meet test sets that are drawn anew too, each set
as large as the shipped one: no search and no decision has seen them. λ and K are the shipped
recipe's, set before any of this was measured; nothing is chosen by these figures.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from setar_core.backbones import load_backbone
from setar_core.benchmark.run import benchmark
from setar_core.data.calibration import CalibrationSet
from setar_core.data.sets import MEAN, open_sets
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.paths import BENCHMARK
from setar_core.recipe import ORIGINAL, Recipe
from setar_core.search.greedy import greedy_search
from setar_core.search.plan import SearchPlan
from setar_core.search.trial import Trial

OODS = ("near", "other", "textures", "glyphs", "noise")
SCORES = {"mcm": "MCM", "gl_mcm": "GL-MCM"}
METRICS = {"fpr95": "FPR95", "auroc": "AUROC"}
PLAN = SearchPlan(lambda_ood=0.1, top_k=12)
SHIPPED = "shipped"
FIRST_TEST, FIRST_CALIBRATION = 101, 201  # draws that nothing else uses

Figures = dict[tuple[str, str, str], float]  # percent, by recipe, score and metric


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tests", type=int, default=10, help="test sets drawn anew")
    parser.add_argument("--calibrations", type=int, default=5, help="calibration sets drawn anew")
    parser.add_argument("--out", help="write the recipe of the shipped pictures here")
    parser.add_argument("--workers", type=int, default=2, help="processes, a thread each")
    args = parser.parse_args()
    draws = range(FIRST_CALIBRATION, FIRST_CALIBRATION + args.calibrations)
    recipes: dict[str, Recipe] = {}
    with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool:
        asked = [None, *draws]
        for draw, (words, recipe) in zip(asked, pool.map(search, asked), strict=True):
            name = SHIPPED if draw is None else f"draw {draw}"
            print(f"{name}: {words}", flush=True)
            recipes[name] = recipe
        if args.out:
            recipes[SHIPPED].save(args.out)
        tests = range(FIRST_TEST, FIRST_TEST + args.tests)
        found = list(pool.map(partial(measured, recipes=recipes), tests))
    for score, title in SCORES.items():
        table(title, score, list(recipes), found)


def search(draw: int | None) -> tuple[str, Recipe]:
    """The recipe that a draw of calibration pictures leads to, and how the search went; None are
    the shipped pictures."""
    torch.set_num_threads(1)
    backbone, labels = load_backbone("emoji"), LabelSet.load("animals")
    with tempfile.TemporaryDirectory() as folder:
        root = BENCHMARK if draw is None else drawn(Path(folder), draw, ("calibration",))
        images = CalibrationSet.from_folder(root / "calibration", labels, backbone.preprocess)
    trials = list(greedy_search(backbone, images, PLAN))
    return told(trials), trials[-1].recipe


def drawn(folder: Path, draw: int, names: Sequence[str]) -> Path:
    """Sets of another draw, written as the shipped ones are."""
    from assets.build.benchmark import COUNTS, save_picture, scenes_of

    for name in names:
        numbers: Counter[str] = Counter()
        for scene in scenes_of(name, COUNTS[name], draw):
            save_picture(
                scene.picture, folder / name / scene.name / f"{numbers[scene.name]:03}.webp"
            )
            numbers[scene.name] += 1
    return folder


def told(trials: list[Trial]) -> str:
    before, after = trials[0].measures.losses, trials[-1].best.losses
    ratios = trials[-1].recipe.ratios.items()
    return (
        f"loss {before.locoop_loss:.4f} -> {after.locoop_loss:.4f}, accuracy {before.accuracy:.1f} "
        f"-> {after.accuracy:.1f} %, {sum(trial.seconds for trial in trials):.0f} s\n  "
        + (", ".join(f"{site} {ratio:g}" for site, ratio in ratios if ratio) or "drops nothing")
    )


def measured(draw: int, recipes: dict[str, Recipe]) -> Figures:
    """The means over the OOD sets of one test draw, of the original weights and every recipe."""
    torch.set_num_threads(1)
    backbone, labels = load_backbone("emoji"), LabelSet.load("animals")
    detectors = {ORIGINAL: Detector(backbone, labels)}
    for name, recipe in recipes.items():
        detectors[name] = Detector(backbone.with_recipe(recipe), labels)
    with tempfile.TemporaryDirectory() as folder:
        root = drawn(Path(folder), draw, ("id", *OODS))
        inside, outside, _ = open_sets(root / "id", [root / name for name in OODS], labels)
        rows = list(benchmark(detectors, inside, outside, tuple(SCORES), resamples=0))
    return {
        (row.recipe, row.score, metric): 100 * getattr(row.metrics, metric)
        for row in rows
        for metric in METRICS
        if row.ood == MEAN
    }


def table(title: str, score: str, recipes: list[str], found: list[Figures]) -> None:
    """The original's mean and spread over test draws, and what each recipe changes in them."""
    print(f"\n{title}: means over the OOD sets, percent, over {len(found)} test draws (mean ± sd)")
    print(f"{'':12}" + "".join(f"{name:>18}" for name in METRICS.values()))
    values = {
        name: np.array([[now[name, score, metric] for metric in METRICS] for now in found])
        for name in (ORIGINAL, *recipes)
    }  # (tests, metrics) each
    original = values[ORIGINAL]
    print(f"{ORIGINAL:12}" + spread(original))
    changes = {name: values[name] - original for name in recipes}
    for name, change in changes.items():
        print(f"{name:12}" + spread(change, "+"))
    anew = [change for name, change in changes.items() if name != SHIPPED]
    if anew:
        pairs = np.concatenate(anew)  # every calibration draw with every test draw
        print(f"{'all draws':12}" + spread(pairs, "+"))
        falls, rises = (pairs[:, 0] < 0).sum(), (pairs[:, 1] > 0).sum()
        print(f"lower FPR95 in {falls}, higher AUROC in {rises} of {len(pairs)} pairs of draws")


def spread(values: np.ndarray, sign: str = "") -> str:
    """Mean and standard deviation over the first axis."""
    pairs = zip(values.mean(0), values.std(0, ddof=min(1, len(values) - 1)), strict=True)
    return "".join(f"{f'{mean:{sign}.2f} ± {sd:.2f}':>18}" for mean, sd in pairs)


if __name__ == "__main__":
    main()
