"""Twenty draws of the shipped sets, and the one of them that is shipped.

    python -m assets.build.draws [--draws 20] [--out draws.jsonl]

A single draw can be easy or hard by chance, and whoever looks at several can pick. So the draw
that ships is the one whose figures lie nearest the median of all: the rule leaves no choice.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from assets.build import benchmark, evaluate, sets, world
from assets.build.model import IMAGE_SIDE, normalised

DRAWS = 20
SCORES = ("mcm", "gl_mcm")


class Drawn(NamedTuple):
    """The scores of one draw: by set, (n, 2) as `SCORES`, in the order of the scenes."""

    draw: int
    scores: dict[str, np.ndarray]

    def figures(self, counts: dict[str, int]) -> dict[str, dict[str, evaluate.Separation]]:
        """AUROC and FPR95 by score and OOD set, on the first `counts` scenes of each set."""
        first = {name: torch.from_numpy(self.scores[name][:n]) for name, n in counts.items()}
        return {
            score: {
                name: evaluate.separation(first["id"][:, k], first[name][:, k])
                for name in sets.OOD_SETS
                if name in counts
            }
            for k, score in enumerate(SCORES)
        }


def looked_at(draw: int, backbone: Path, counts: dict[str, int]) -> Drawn:
    """Draws every test set and scores it, without writing a picture."""
    torch.set_num_threads(1)
    scorer = evaluate.Scorer(backbone)
    texts = scorer.texts(world.label_names("animals"))
    scores = {}
    for name, count in counts.items():
        small = [
            F.interpolate(scene.picture[None], IMAGE_SIDE, mode="bicubic", antialias=True)
            for scene in benchmark.scenes_of(name, count, draw)
        ]
        images = normalised(torch.cat(small).clamp(0, 1))
        found = evaluate.cosines_of_images(scorer, texts, images, [])
        scores[name] = torch.stack((found.mcm, found.gl_mcm), 1).numpy()
    return Drawn(draw, scores)


def means(drawn: Drawn, counts: dict[str, int]) -> np.ndarray:
    """Mean AUROC and FPR95 over the OOD sets, of MCM and of GL-MCM: (4,) in percent."""
    found = drawn.figures(counts).values()
    return np.concatenate([np.mean(list(rows.values()), 0) for rows in found])


def nearest_median(figures: np.ndarray) -> int:
    """The row of (draws, figures) with the least sum of distances to each figure's median, each
    in quartile ranges of that figure."""
    low, middle, high = np.quantile(figures, (0.25, 0.5, 0.75), axis=0)
    return int(np.argmin((np.abs(figures - middle) / (high - low)).sum(1)))


def all_draws(draws: range, backbone: Path, workers: int, kept: Path | None) -> Iterator[Drawn]:
    """Every draw in turn; those that are in the file `kept` are not drawn again."""
    counts = {name: count for name, count in benchmark.COUNTS.items() if name != "calibration"}
    known = {}
    if kept and kept.exists():
        for line in kept.read_text("utf-8").splitlines():
            row = json.loads(line)
            scores = {name: np.array(found, np.float32) for name, found in row["scores"].items()}
            known[row["draw"]] = Drawn(row["draw"], scores)
    look = partial(looked_at, backbone=backbone, counts=counts)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        fresh = pool.map(look, [draw for draw in draws if draw not in known])
        for draw in draws:
            if draw not in known:
                known[draw] = next(fresh)
                if kept:
                    scores = {name: found.tolist() for name, found in known[draw].scores.items()}
                    with kept.open("a", encoding="utf-8") as file:
                        file.write(json.dumps({"draw": draw, "scores": scores}) + "\n")
            yield known[draw]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--backbone", type=Path, default=Path("assets/backbones/emoji"))
    parser.add_argument("--workers", type=int, default=2, help="draws at once, a thread each")
    parser.add_argument("--out", type=Path, help="keep every scene's scores, to go on from")
    chosen = parser.parse_args()
    counts = {name: count for name, count in benchmark.COUNTS.items() if name != "calibration"}
    print("draw  MCM AUROC  FPR95  GL-MCM AUROC  FPR95")
    rows = []
    for drawn in all_draws(range(1, chosen.draws + 1), chosen.backbone, chosen.workers, chosen.out):
        rows.append(means(drawn, counts))
        print("{:4} {:10.2f} {:6.1f} {:13.2f} {:6.1f}".format(drawn.draw, *rows[-1]), flush=True)
    print("median {:8.2f} {:6.1f} {:13.2f} {:6.1f}".format(*np.median(rows, 0)))
    print(f"draw {nearest_median(np.array(rows)) + 1} lies nearest the median")


if __name__ == "__main__":
    main()
