"""What SeTAR does to the embedded network on the shipped OOD sets, over several calibration draws.

    python -m tests.speed.emoji_recipe [--draws 5] [--out recipe.json]

The first search is on the shipped calibration pictures, the others on pictures drawn anew as those
were, each draw from a seed of its own. Every recipe, and the original weights, then meet the same
test pictures, which no search has seen. λ and K are the shipped recipe's, set before any of this
was measured; nothing is chosen by these figures.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from setar_core.backbones import load_backbone
from setar_core.benchmark.results import Row
from setar_core.benchmark.run import benchmark
from setar_core.data.calibration import CalibrationSet
from setar_core.data.sets import MEAN, open_sets
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.recipe import ORIGINAL, Recipe
from setar_core.search.greedy import greedy_search
from setar_core.search.plan import SearchPlan
from setar_core.search.trial import Trial

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "benchmark"
OODS = ("near", "other", "textures", "glyphs", "noise")
SCORES = {"mcm": "MCM", "gl_mcm": "GL-MCM"}
PLAN = SearchPlan(lambda_ood=0.1, top_k=12)
SHIPPED = "shipped"
FIRST_SEED = 5001  # of the draws; no set and no training uses it
IMAGES, SIDE = 200, 192  # as the shipped calibration pictures were drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=5, help="calibration sets drawn anew")
    parser.add_argument("--out", help="write the recipe of the shipped pictures here")
    parser.add_argument("--workers", type=int, default=2, help="searches at once, a thread each")
    args = parser.parse_args()
    names = [SHIPPED, *(f"seed {FIRST_SEED + i}" for i in range(args.draws))]
    recipes: dict[str, Recipe] = {}
    with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool:
        for name, (words, recipe) in zip(names, pool.map(search, names), strict=True):
            print(f"{name}: {words}", flush=True)
            recipes[name] = recipe
    if args.out:
        recipes[SHIPPED].save(args.out)
    rows = measured(recipes)
    for score, title in SCORES.items():
        table(title, [row for row in rows if row.score == score])


def search(name: str) -> tuple[str, Recipe]:
    """The recipe that one draw of calibration pictures leads to, and how the search went."""
    torch.set_num_threads(1)
    backbone, labels = load_backbone("emoji"), LabelSet.load("animals")
    with tempfile.TemporaryDirectory() as folder:
        root = FOLDER / "calibration" if name == SHIPPED else drawn(Path(folder), name)
        calibration = CalibrationSet.from_folder(root, labels, backbone.preprocess)
    trials = list(greedy_search(backbone, calibration, PLAN))
    return told(trials), trials[-1].recipe


def drawn(folder: Path, name: str) -> Path:
    """Calibration pictures of another seed, written as the shipped ones are."""
    from assets.build.benchmark import save_picture
    from assets.build.sets import draw_set

    numbers: Counter[str] = Counter()
    for scene in draw_set("calibration", IMAGES, SIDE, int(name.split()[1])):
        save_picture(scene.picture, folder / scene.name / f"{numbers[scene.name]:03}.webp")
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


def measured(recipes: dict[str, Recipe]) -> list[Row]:
    """Every recipe and the original weights on the test pictures, each picture read once."""
    backbone, labels = load_backbone("emoji"), LabelSet.load("animals")
    inside, outside, _ = open_sets(FOLDER / "id", [FOLDER / name for name in OODS], labels)
    detectors = {ORIGINAL: Detector(backbone, labels)}
    for name, recipe in recipes.items():
        detectors[name] = Detector(backbone.with_recipe(recipe), labels)
    return list(benchmark(detectors, inside, outside, tuple(SCORES), resamples=0))


def table(title: str, rows: list[Row]) -> None:
    """FPR95 and AUROC: the original, the shipped recipe, mean and spread of the draws."""
    print(f"\n{title}, percent; lower FPR95 and higher AUROC are better")
    print(
        f"{'':10} {'FPR95':>37}   {'AUROC':>37}\n{'OOD set':10} "
        + "   ".join([f"{'original':>8} {'shipped':>8} {'draws, mean ± sd':>19}"] * 2)
    )
    draws = sorted({row.recipe for row in rows} - {ORIGINAL, SHIPPED})
    for ood in (*OODS, MEAN):
        found = {row.recipe: row.metrics for row in rows if row.ood == ood}
        cells = []
        for metric in ("fpr95", "auroc"):
            values = {name: 100 * getattr(metrics, metric) for name, metrics in found.items()}
            several = [values[name] for name in draws]
            mean = f"{statistics.mean(several):.2f}" if several else "–"
            spread = f" ± {statistics.stdev(several):.2f}" if len(several) > 1 else ""
            cells.append(f"{values[ORIGINAL]:8.2f} {values[SHIPPED]:8.2f} {mean + spread:>19}")
        print(f"{ood:10} " + "   ".join(cells))
    found = {row.recipe: row.metrics for row in rows if row.ood == MEAN}
    for metric, sign in (("fpr95", -1), ("auroc", 1)):
        better = sum(
            sign * (getattr(found[name], metric) - getattr(found[ORIGINAL], metric)) > 0
            for name in draws
        )
        print(f"mean {metric}: better than the original in {better} of {len(draws)} draws")


if __name__ == "__main__":
    main()
