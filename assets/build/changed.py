"""Examples whose verdict the shipped recipe changes: `python -m assets.build.changed`.

Of fresh draws that nothing else uses, the three foreign pictures and the one known picture whose
score by MCM crosses its threshold farthest. How many cross it is written beside the backbone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch

from assets.build.benchmark import COUNTS, save_picture, scenes_of
from setar_core.backbones import load_backbone
from setar_core.data.images import find_images, read_image
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.paths import BACKBONES, BENCHMARK, EXAMPLES
from setar_core.recipe import Recipe

DRAWS = (301, 302)
SETS = ("id", "near", "other")
FOREIGN, KNOWN = 3, 1  # how many are shown


class Crossing(NamedTuple):
    """A picture that the recipe decides otherwise; `farther` is how much more its score moved than
    the threshold."""

    path: Path
    name: str
    known: bool
    accepted: bool  # by the recipe
    farther: float

    @property
    def right(self) -> bool:
        return self.known == self.accepted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=EXAMPLES / "changed")
    parser.add_argument("--told", type=Path, default=BACKBONES / "emoji" / "changed.json")
    args = parser.parse_args()
    before, after = detectors()
    found, count = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for draw in DRAWS:
            for name in SETS:
                drawn = Path(folder) / f"{draw}-{name}"
                names = []
                for number, scene in enumerate(scenes_of(name, COUNTS[name], draw)):
                    save_picture(scene.picture, drawn / f"{number:04}.webp")
                    names.append(scene.name)
                found += crossings(drawn, names, name == "id", before, after)
                count += len(names)
        shutil.rmtree(args.out, ignore_errors=True)
        args.out.mkdir(parents=True)
        for one in chosen(found):
            shutil.copy(one.path, args.out / f"{one.name.replace(' ', '-')}.webp")
            print(f"{one.name}: {'accepted' if one.accepted else 'refused'}, {one.farther:.5f}")
    right = sum(one.right for one in found)
    told = {"scenes": count, "changed": len(found), "right": right, "wrong": len(found) - right}
    args.told.write_text(json.dumps(told) + "\n", "utf-8")
    print(told)


def detectors() -> tuple[Detector, Detector]:
    """The embedded backbone as it is and with its recipe, by thresholds of the shipped pictures."""
    backbone, labels = load_backbone("emoji"), LabelSet.load("animals")
    altered = backbone.with_recipe(Recipe.load("emoji-searched"))
    paths = find_images([str(BENCHMARK / "calibration")])
    before, after = (Detector(one, labels).calibrate(paths) for one in (backbone, altered))
    return before, after


def crossings(
    folder: Path, names: list[str], known: bool, before: Detector, after: Detector
) -> list[Crossing]:
    """What the second detector decides otherwise than the first, of pictures in their order."""
    found = []
    paths = sorted(folder.glob("*.webp"))
    for first in range(0, len(paths), 64):
        some = paths[first : first + 64]
        pixels = torch.stack([before.backbone.preprocess(read_image(path)) for path in some])
        pairs = zip(before.verdicts_of(pixels), after.verdicts_of(pixels), strict=True)
        for path, (old, new) in zip(some, pairs, strict=True):
            if old.in_distribution == new.in_distribution:
                continue
            assert old.threshold is not None and new.threshold is not None
            farther = abs((old.score - old.threshold) - (new.score - new.threshold))
            name = names[int(path.stem)]
            found.append(Crossing(path, name, known, new.in_distribution, farther))
    return found


def chosen(found: list[Crossing]) -> list[Crossing]:
    """Those that are shown: of either kind the farthest."""
    ordered = sorted(found, key=lambda one: -one.farther)
    foreign = [one for one in ordered if not one.known][:FOREIGN]
    return foreign + [one for one in ordered if one.known][:KNOWN]


if __name__ == "__main__":
    main()
