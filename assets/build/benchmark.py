"""Draws the shipped picture sets, examples and label lists: `python -m assets.build.benchmark`."""

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from assets.build import sets, world
from assets.build.drawing import backgrounds, scenes, sprites

SIDE = 192
QUALITY = 84
DRAW_SEEDS = 20_000  # where the seeds of the draws begin
DRAW = 4  # of 1 to 20 the one nearest their median: python -m assets.build.draws
COUNTS = {
    "id": 1000,
    "calibration": 200,
    "near": 216,
    "other": 216,
    "textures": 128,
    "glyphs": 216,
    "noise": 60,
}
NOISE_SIDE = 96  # noise does not compress; a smaller picture keeps the set small
LIMIT = 8_000_000  # bytes of all sets together

EXAMPLES = {
    # name: (objects, the main one first; background family; seed)
    "fox": (["fox"], "meadow", 3),
    "owl": (["owl"], "lights", 5),
    "octopus": (["octopus"], "water", 2),
    "ladybug": (["ladybug"], "grass", 8),
    "penguin-party": (["penguin", "cake", "guitar"], "wood", 4),
    "unicorn-rainbow": (["unicorn", "rainbow"], "sky", 6),
    "guitar": (["guitar"], "bricks", 1),
    "pizza": (["pizza"], "checks", 7),
    "kangaroo": (["kangaroo"], "sand", 2),
    "robot": (["robot"], "tiles", 3),
    "mosaic": ([], "mosaic", 4),
    "tartan": ([], "tartan", 1),
}
EXAMPLE_SIDE = 320


def scenes_of(name: str, count: int, draw: int) -> Iterator[sets.Scene]:
    """The first scenes of one draw of a set, as the shipped ones are drawn."""
    side = NOISE_SIDE if name == "noise" else SIDE
    return sets.draw_set(name, count, side, sets.SETS[name].seed + DRAW_SEEDS + 100 * draw)


def draw_benchmark(out: Path, draw: int = DRAW) -> Counter:
    """Draws every set under `out`, replacing it, and returns the bytes of each.

    `boxes.json` beside them says where the objects of each scene lie.
    """
    sizes: Counter = Counter()
    boxes: dict[str, list[sets.Box]] = {}
    for name, count in COUNTS.items():
        shutil.rmtree(out / name, ignore_errors=True)
        numbers: Counter = Counter()
        for scene in scenes_of(name, count, draw):
            labelled = name in ("id", "calibration")
            folder = out / name / scene.name if labelled else out / name
            stem = "" if labelled or name == "noise" else scene.name.replace(" ", "-") + "-"
            path = folder / f"{stem}{numbers[folder / stem]:03}.webp"
            numbers[folder / stem] += 1
            sizes[name] += save_picture(scene.picture, path)
            if scene.boxes:
                boxes[path.relative_to(out).as_posix()] = [
                    sets.Box(box.name, *(round(end, 3) for end in box[1:])) for box in scene.boxes
                ]
    rows = ",\n".join(f"{json.dumps(at)}: {json.dumps(found)}" for at, found in boxes.items())
    (out / "boxes.json").write_text(f"{{\n{rows}\n}}\n", "utf-8")
    return sizes


def draw_examples(out: Path) -> int:
    """Draws the gallery under `out`, replacing it, and returns its bytes; `assets.build.changed`
    adds to it."""
    for path in out.glob("*.webp"):
        path.unlink()
    return sum(save_picture(example(*row), out / f"{name}.webp") for name, row in EXAMPLES.items())


def example(names: list[str], family: str, seed: int) -> Tensor:
    """One gallery scene (3, EXAMPLE_SIDE, EXAMPLE_SIDE)."""
    gen = torch.Generator().manual_seed(sets.FIRST_SEED + 9000 + seed)
    ground = backgrounds.draw_family(family, 1, EXAMPLE_SIDE, gen)
    if not names:
        return ground[0]
    of_name = {concept.name: concept for concept in world.concepts()}
    atlas = sprites.atlas_of("".join(of_name[name].emoji[0] for name in names))
    rows = torch.full((1, scenes.MAX_OBJECTS), -1)
    rows[0, : len(names)] = torch.arange(len(names))
    layout = scenes.arrange(rows, gen, torch.tensor([len(names) == scenes.MAX_OBJECTS]))
    return scenes.draw(atlas, layout, ground)[0]


def write_labels(out: Path) -> None:
    """The label sets, one label a line."""
    out.mkdir(parents=True, exist_ok=True)
    for name in world.LABEL_SETS:
        text = "\n".join(world.label_names(name)) + "\n"
        (out / f"{name}.txt").write_text(text, "utf-8")


def save_picture(picture: Tensor, path: Path) -> int:
    """Writes a picture (3, H, W) in [0, 1] as WebP and returns its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    as_image(picture).save(path, quality=QUALITY, method=6)
    return path.stat().st_size


def as_image(picture: Tensor) -> Image.Image:
    """A picture (3, H, W) in [0, 1]."""
    return Image.fromarray((picture.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("assets"),
        help="folder that receives benchmark/, examples/ and labels/",
    )
    chosen = parser.parse_args()
    sizes = draw_benchmark(chosen.out / "benchmark")
    for name, size in sizes.items():
        print(f"{name:12} {COUNTS[name]:4} scenes {size:9,} bytes")
    print(f"{'all sets':12} {sum(COUNTS.values()):4} scenes {sizes.total():9,} bytes")
    size = draw_examples(chosen.out / "examples")
    print(f"{'examples':12} {len(EXAMPLES):4} scenes {size:9,} bytes")
    write_labels(chosen.out / "labels")
    if sizes.total() > LIMIT:
        raise SystemExit(
            f"the sets take {sizes.total():,} bytes, more than {LIMIT:,}; lower QUALITY or COUNTS"
        )


if __name__ == "__main__":
    main()
