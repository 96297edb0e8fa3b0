"""What a visitor asks of a training: labels, pictures, a recipe and a plan, checked at the door."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from demo.server.library import Library
from demo.server.request import read_settings, recipe_of
from demo.server.settings import Settings
from demo.server.shipped import calibration_folders
from setar_core.finetune.plan import Plan, preset_plan
from setar_core.recipe import Recipe
from setar_core.scores import ALONE

SHIPPED, ZIP = "shipped pictures", "my own pictures (zip)"


@dataclass(frozen=True)
class TrainingRequest:
    """One training.

    Attributes:
        settings: of the bar; the score is what held pictures are judged by.
        recipe: what is dropped below what moves.
        zip: the visitor's pictures; None for the shipped ones.
        only_estimate: make the first steps and stop.
    """

    settings: Settings
    recipe: Recipe | None
    preset: str
    plan: Plan
    zip: Path | None = None
    only_estimate: bool = False

    @property
    def score(self) -> str:
        """What held pictures are judged by: the bar's score where it needs nothing else."""
        return self.settings.score if self.settings.score in ALONE else "mcm"

    @property
    def title(self) -> str:
        """What is trained on what, in a few words."""
        pictures = "the shipped pictures" if self.zip is None else f"“{self.zip.name}”"
        count = len(self.settings.labels)
        return f"{self.plan.title}: {self.settings.backbone} on {pictures}, {count:,} labels"


class Controls(NamedTuple):
    """What the left side says, in the order of its components."""

    preset: str
    source: str
    zip: str | None
    epochs: float | None
    rate: float | None
    batch_size: float | None
    lambda_ood: float | None
    top_k: float | None
    rank: float | None
    context: str
    augment: bool
    seed: float | None


def read_training(library: Library, *values: Any, only_estimate: bool = False) -> TrainingRequest:
    """The training that the bar's basic settings and the left side's controls ask for.

    Raises:
        ValueError: a setting that cannot be used, no recipe where one is needed, or no pictures
            for these labels.
    """
    count = len(values) - len(Controls._fields)
    said = Controls(*values[count:])
    settings = read_settings(library, *values[:count])
    recipe = recipe_of(settings.recipe)
    plan = read_plan(said, settings.backbone, len(settings.labels))
    if plan.moves == "minor" and not recipe:
        raise ValueError(
            "what a recipe drops is to learn, and no recipe is chosen; choose one in the bar "
            "above, or another way to train"
        )
    if said.source == ZIP and not said.zip:
        raise ValueError(
            "no zip is here; add one that holds one folder of pictures for each label, "
            f"or choose “{SHIPPED}”"
        )
    names = settings.labels.names
    if said.source != ZIP and not any(calibration_folders(names)):
        raise ValueError(
            f"there are no shipped pictures of any of the {len(names):,} labels; choose the labels "
            f"“animals” in the bar above, or “{ZIP}” and add a zip with one folder for each label"
        )
    file = Path(said.zip) if said.source == ZIP and said.zip else None
    return TrainingRequest(settings, recipe, said.preset, plan, file, only_estimate)


def read_plan(said: Controls, backbone: str, labels: int) -> Plan:
    """The preset with what was set otherwise; an empty K is left open.

    Raises:
        ValueError: a setting that cannot be used.
    """
    context = (said.context or "").strip()
    return preset_plan(
        said.preset,
        backbone,
        labels,
        epochs=_whole("the number of epochs", said.epochs),
        rate=_filled("the rate", said.rate),
        batch_size=_whole("the batch size", said.batch_size),
        lambda_ood=_filled("the weight λ", said.lambda_ood),
        top_k=None if said.top_k is None else _whole("K", said.top_k),
        rank=_whole("the rank", said.rank),
        context=int(context) if context.isdecimal() else context,
        augment=bool(said.augment),
        seed=_whole("the seed", said.seed),
    )


def _filled(what: str, value: float | None) -> float:
    if value is None:
        raise ValueError(f"{what} is empty; write a number")
    return float(value)


def _whole(what: str, value: float | None) -> int:
    value = _filled(what, value)
    if not value.is_integer():
        raise ValueError(f"{what} is {value:g}; give a whole number")
    return int(value)
