"""What is shipped for a page to open with: label sets, examples, pictures of labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from demo.server.models import model_of
from setar_core.data.strict import short
from setar_core.labels import LabelSet, shipped_label_sets
from setar_core.paths import BACKBONES, BENCHMARK, EXAMPLES

EMBEDDED = "emoji"
PHOTOGRAPHS = ("cheetah.jpg", "lion.jpg", "tower.jpg", "bus.png")
IMAGES = (".webp", ".png", ".jpg", ".jpeg")


def label_sets() -> dict[str, int]:
    """Shipped label sets, name to number of labels."""
    return {name: len(label_set(name)) for name in shipped_label_sets()}


@cache
def label_set(name: str) -> LabelSet:
    """A shipped label set by name.

    Raises:
        ValueError: no set of that name; a path is never opened.
    """
    if name not in shipped_label_sets():
        raise ValueError(
            f"no label set {short(name)}; use one of {', '.join(shipped_label_sets())}"
        )
    return LabelSet.load(name)


@cache
def measured(name: str) -> dict[str, Any]:
    """What was measured of the embedded model, from `NAME.json` beside it."""
    return json.loads((BACKBONES / EMBEDDED / f"{name}.json").read_text("utf-8"))


def examples(backbone: str = EMBEDDED) -> list[Path]:
    """The pictures that a page opens with whose backbone this is: drawn scenes for the embedded
    one, photographs that Gradio brings along for every other."""
    if model_of(backbone) == EMBEDDED:
        return pictures(EXAMPLES)
    gradio = find_spec("gradio")
    folder = Path(gradio.origin).parent if gradio and gradio.origin else EXAMPLES
    found = (folder / "media_assets" / "images" / name for name in PHOTOGRAPHS)
    return [path for path in found if path.is_file()] or pictures(EXAMPLES)


def shipped_calibration(backbone: str, labels: LabelSet) -> list[Path]:
    """Shipped pictures of these labels for the embedded backbone; none where a label has none."""
    folders = [path for path in calibration_folders(labels.names) if path is not None]
    if model_of(backbone) != EMBEDDED or len(folders) < len(labels.names):
        return []
    return [picture for path in dict.fromkeys(folders) for picture in pictures(path)]


def calibration_folders(names: Sequence[str]) -> list[Path | None]:
    """The folder of shipped pictures of each label; None for one that has none."""
    by_label = {path.name: path for path in (BENCHMARK / "calibration").glob("*") if path.is_dir()}
    return [by_label.get(name.replace(" ", "_"), by_label.get(name)) for name in names]


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGES)
