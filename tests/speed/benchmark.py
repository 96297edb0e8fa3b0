"""What a benchmark costs beyond one plain pass over its images: ratios in one run.

    python -m tests.speed.benchmark [--backbone emoji] [--labels animals] [--recipe emoji-searched]

The plain pass decodes every image with Pillow, preprocesses it, and runs open_clip's
`encode_image`, in batches of the same size: once a recipe. Ours scores two recipes and three scores
in the same process, its text features included and the bootstrap apart. The two take turns, so
that a machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from setar_core.backbones import load_backbone
from setar_core.benchmark.run import BATCH, Benchmark
from setar_core.data.sets import ImageSet, open_sets
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.metrics.bootstrap import resampled
from setar_core.metrics.separation import separation
from setar_core.recipe import Recipe

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "benchmark"
OODS = ("near", "other", "textures", "glyphs", "noise")
SCORES = ("mcm", "gl_mcm", "energy")
BAR = 1.15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="emoji")
    parser.add_argument("--labels", default="animals")
    parser.add_argument("--recipe", default="emoji-searched")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--grow", type=int, metavar="N", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.grow:
        print(peak(args.grow))
        return
    torch.set_num_threads(args.threads)
    passes(args)
    metrics()
    memory()


def passes(args: argparse.Namespace) -> None:
    """The bar: both recipes and three scores against one plain pass for each recipe."""
    labels = LabelSet.load(args.labels)
    original = load_backbone(args.backbone)
    altered = original.with_recipe(Recipe.load(args.recipe))
    backbones = {"original": original, args.recipe: altered}
    inside, outside, _ = open_sets(FOLDER / "id", [FOLDER / name for name in OODS], labels)
    paths = [path for images in (inside, *outside) for path in images.paths()]

    def ours() -> None:
        detectors = {name: Detector(backbone, labels) for name, backbone in backbones.items()}
        bench = Benchmark(detectors, inside, outside, SCORES, resamples=0)
        assert sum(len(step.rows) for step in bench.steps()) == 2 * 3 * (len(OODS) + 1)

    def theirs() -> None:
        for backbone in backbones.values():
            plain(backbone, paths)

    ours(), theirs()
    found = [seconds(ours) / seconds(theirs) for _ in range(args.rounds)]
    print(
        f"{args.backbone}, {len(paths)} images, 2 recipes, 3 scores: "
        f"{statistics.median(found):.2f} of a plain pass a recipe (bar {BAR}; "
        f"{min(found):.2f} to {max(found):.2f})"
    )


@torch.inference_mode()
def plain(backbone, paths: list[Path]) -> None:
    for first in range(0, len(paths), BATCH):
        pixels = []
        for path in paths[first : first + BATCH]:
            with Image.open(path) as image:
                pixels.append(backbone.preprocess(image))
        backbone.model.encode_image(torch.stack(pixels))


def metrics() -> None:
    """A million scores on each side, and the bootstrap at three sizes."""
    rng = np.random.default_rng(0)
    for n in (1_000, 50_000, 1_000_000):
        ids, oods = rng.normal(1, 1, n), rng.normal(0, 1, n)
        once = seconds(lambda i=ids, o=oods: separation(i, o))
        many = seconds(lambda i=ids, o=oods: resampled(i[None], o[None]))
        print(f"{n:>9,} scores a side: metrics {once:.2f} s, 1,000 resamples {many:.2f} s")


def memory() -> None:
    """Peak memory of whole runs in processes of their own; a network that costs nothing."""
    peaks = {}
    for count in (1_000, 20_000):
        command = [sys.executable, "-m", "tests.speed.benchmark", "--grow", str(count)]
        peaks[count] = int(subprocess.run(command, capture_output=True, check=True).stdout)
        print(f"{count:>9,} images: peak memory {peaks[count] / 1e6:.0f} MB")
    each = (peaks[20_000] - peaks[1_000]) / 19_000
    print(f"{each:.0f} bytes an image more (six scores and two labels are 56)")


def peak(count: int) -> int:
    """Bytes at most, after a benchmark of `count` files in two sets."""
    from tests.test_benchmark import COLOURS, Colours

    with tempfile.TemporaryDirectory() as folder:
        files = []
        for i in range(20):
            Image.new("RGB", (8, 8), (12 * i, 100, 200)).save(Path(folder, f"{i}.png"))
            files.append(f"{i}.png")
        many = (files * (count // 20 + 1))[:count]
        inside = ImageSet("id", Path(folder), tuple(many[: count // 2]))
        outside = ImageSet("ood", Path(folder), tuple(many[count // 2 :]))
        detectors = {name: Detector(Colours(), COLOURS) for name in ("one", "two")}
        bench = Benchmark(detectors, inside, [outside], SCORES, resamples=0)
        for _ in bench.steps():
            pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def seconds(work: Callable) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
