"""The SeTAR authors' published recipes, written in our JSON with where they come from.

python -m assets.build.recipes PATH/TO/published/index.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from setar_core.recipe import AUTHORS_BACKBONES, Recipe

FOLDER = Path(__file__).resolve().parent.parent / "recipes"
NAMES = dict(zip(AUTHORS_BACKBONES, ("vit-b-16", "vit-l-14", "swinv2-b"), strict=True))
CALIBRATION = {  # the authors' name -> what this is called here, images, labels
    "imagenet1k": ("imagenet1k", "1,000 ImageNet-1k training images, one a class", "imagenet1k"),
    "pascal_voc": ("voc", "94 Pascal VOC images", "14 of the 20 Pascal VOC classes"),
}


def published(run: dict[str, Any]) -> tuple[str, Recipe]:
    """A file name and the recipe of one run; sites that keep everything are left out."""
    backbone, short = AUTHORS_BACKBONES[run["backbone"]], NAMES[run["backbone"]]
    dataset, images, labels = CALIBRATION[run["id_dataset"]]
    settings = run["settings"]
    whole = Recipe.loads(json.dumps(run["recipe"]))
    notes = {
        "found": "searched by the authors of SeTAR",
        "calibration": images,
        "labels": labels,
        "lambda_ood": settings["locoop_lambda"],
        "top_k": settings["locoop_top_k"],
        "candidates": ", ".join(map(str, settings["candi_ratios"])),
        "order": settings["searcher"],
        "loss": settings["best_metric"],
        "seed": settings["seed"],
        "source": "github.com/X1AOX1A/SeTAR, commit 1564daa, MIT",
        "paper": "arXiv:2406.12629",
    }
    ratios = {site: ratio for site, ratio in whole.ratios.items() if ratio > 0}
    return f"{short}-{dataset}.json", Recipe(ratios, backbone, "minor", notes=notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path, help="the index.json of the published results")
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    for run in json.loads(arguments.index.read_text(encoding="utf-8")):
        if run["method"] == "SeTAR" and run["recipe"]:
            name, recipe = published(run)
            recipe.save(arguments.out / name)
            print(f"{name}: {len(recipe.ratios)} sites, {recipe.fingerprint}")


if __name__ == "__main__":
    main()
