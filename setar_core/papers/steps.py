"""The commands that make each row of the papers' tables, in the order in which they can run.

A step is a command line of this very program and the file that it leaves: it is done where the file
is there, and anyone can run it alone and gets the same numbers.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..data.classes import folder_classes
from ..labels import LabelSet
from ..paths import RECIPES
from .plan import Row, Table, Weights
from .worlds import World

# The label set that a set's own folders bear.
CLASSES = {"textures": "dtd47", "sun": "sun397", "places": "places365"}
UNSORTED = ("sun", "places")  # as they unpack, all of their pictures lie in one folder
SMALL_EPOCHS = 1
SMALL_RATIOS = (0.0, 0.3)


class Step(NamedTuple):
    """A command's arguments, what it leaves, and the files it needs."""

    arguments: tuple[str, ...]
    out: Path
    needs: tuple[Path, ...] = ()

    @property
    def done(self) -> bool:
        return self.out.exists()

    @property
    def line(self) -> str:
        """As a shell takes it, with paths as they are seen from here."""
        here = f"{Path.cwd()}{os.sep}"
        return shlex.join(("setar", *(part.removeprefix(here) for part in self.arguments)))


class Measured(NamedTuple):
    """Where a row's numbers will be: a file for each seed, of `setar benchmark` under "", or of
    `setar accuracy` under the set's name; or why there will be none."""

    row: Row
    files: dict[str, list[Path]]
    lacks: str = ""


@dataclass(frozen=True)
class Setting:
    """What all steps of one run share.

    Attributes:
        anew: recipes are searched also where the authors' are published.
        small: fewer epochs, ratios and seeds, for a trial of the whole.
    """

    world: World
    out: Path
    device: str = "cpu"
    bootstrap: int = 1000
    anew: bool = False
    small: bool = False

    def steps(self, table: Table) -> tuple[list[Step], list[Measured]]:
        """What makes a table, and where its rows will be found."""
        steps: list[Step] = []
        measured = []
        for row in table.rows:
            lacks = self.world.lacks(row.network, row.known, self._learns(row))
            if not lacks and table.scores and not self.world.there(row.known, table.foreign):
                lacks = f"the {self.world.name} world has none of its OOD sets"
            files: dict[str, list[Path]] = {}
            for weights in () if lacks else _by_seed(row.weights, self.small):
                for name, step in self._row(table, replace(row, weights=weights)):
                    steps.append(step)
                    if name is not None:
                        files.setdefault(name, []).append(step.out)
            measured.append(Measured(row, files, lacks))
        return list({step.out: step for step in steps}.values()), measured

    def _row(self, table: Table, row: Row) -> Iterator[tuple[str | None, Step]]:
        """With the set's name for one that measures, "" for all OOD sets, None for the others."""
        altered: list[str] = []
        needs: tuple[Path, ...] = ()
        for step in self._weights(row):
            yield None, step
            flag = "--adapter" if step.arguments[0] == "finetune" else "--recipe"
            altered, needs = [flag, str(step.out)], (step.out,)
        if row.weights.kind == "search" and not self._learns(row):
            altered = ["--recipe", self._shipped(row)]
        name = self._name(row, row.weights)
        for each in table.sorts:
            if found := self._sorted(each, row.known):
                images, labels = found
                out = self._file("accuracy", f"{name}.{each}.json")
                backbone = ("--backbone", self.world.networks[row.network], "--labels", labels)
                yield (
                    each,
                    self._step(
                        ("accuracy", "--images", str(images), *backbone, *altered), out, needs
                    ),
                )
        if not table.scores:
            return
        if "neglabel" in table.scores:
            mined = self._file("negatives", f"{row.network}.{row.known}.json")
            yield None, self._step(("negatives", *self._model(row)), mined)
            altered, needs = [*altered, "--negatives", str(mined)], (*needs, mined)
        there = self.world.there(row.known, table.foreign)
        foreign = [str(self.world.foreign[each].path) for each in there]
        whole = there == list(self.world.known[row.known].foreign)
        ending = "+".join((*(() if whole else there), *table.scores))  # another set, another file
        out = self._file("benchmark", f"{name}.{ending}.json")
        sets = ("--id", str(self.world.known[row.known].pictures.path), "--ood", *foreign)
        more = ("--scores", ",".join(table.scores), "--bootstrap", str(self.bootstrap))
        arguments = ("benchmark", *sets, *self._model(row), *altered, *more)
        yield "", self._step((*arguments, "--resume"), out, needs)

    def _step(self, arguments: tuple[str, ...], out: Path, needs: tuple[Path, ...] = ()) -> Step:
        return Step((*arguments, "--device", self.device, "--out", str(out)), out, needs)

    def _sorted(self, name: str, known: str) -> tuple[Path, str] | None:
        """The folder of a set and the labels of its classes; None where either is missing."""
        if name == known:
            return self.world.known[known].pictures.path, self.world.known[known].labels
        labels = CLASSES.get(name, "") if self.world.published else ""
        there = name in self.world.foreign and self.world.foreign[name].path.is_dir()
        if not there or not labels:
            return None
        path = self.world.foreign[name].path
        return (path, labels) if name not in UNSORTED or _bears(path, labels) else None

    def unsorted(self, table: Table) -> list[str]:
        """Sets of a table that are there, and whose folders do not tell their pictures apart."""
        return [
            f"{self.world.foreign[name].title} is not classified: its folders bear no names of "
            f"{CLASSES[name]}; datasets.md tells how they may"
            for name in table.sorts
            if name in UNSORTED and self.world.published
            if (path := self.world.foreign[name].path).is_dir() and not _bears(path, CLASSES[name])
        ]

    def _weights(self, row: Row) -> Iterator[Step]:
        """A search, a training, or both."""
        weights = row.weights
        known = self.world.known[row.known]
        shared = ("--images", str(known.learnt.path), *self._model(row))
        if weights.kind == "train":
            below: list[str] = []
            needs: tuple[Path, ...] = ()
            if weights.preset == "setar-ft":
                usual = replace(row, weights=Weights("search"))
                found = list(self._weights(usual))
                yield from found
                needs = tuple(step.out for step in found)
                below = ["--recipe", str(needs[0]) if needs else self._shipped(usual)]
            more = ["--epochs", str(SMALL_EPOCHS)] if self.small else []
            out = self._file("finetune", f"{self._name(row, weights)}.safetensors")
            seed = ["--seed", str(*weights.seeds)]
            arguments = ("finetune", "--preset", weights.preset, *shared, *below, *seed, *more)
            yield self._step((*arguments, "--resume"), out, needs)
        elif self._learns(row):
            name = self._name(row, weights)
            out, trace = (self._file("search", f"{name}.{end}") for end in ("json", "jsonl"))
            arguments = ("search", *shared, *self._search(row), "--trace", str(trace))
            yield self._step((*arguments, "--resume"), out)

    def _learns(self, row: Row) -> bool:
        """Whether a row needs pictures to search or to train on."""
        weights = row.weights
        shipped = weights.usual and self._shipped(row)
        return weights.kind == "train" or (weights.kind == "search" and not shipped)

    def _search(self, row: Row) -> list[str]:
        """The flags of a search, with the authors' constants where the row does not say others."""
        lambda_ood, top_k = self.world.constants(row.network, row.known)
        settings: dict[str, Any] = {"lambda_ood": lambda_ood, "top_k": top_k}
        if self.small:
            settings["ratios"] = SMALL_RATIOS
        settings |= row.weights.settings
        if share := settings.pop("top_share", None):
            labels = len(LabelSet.load(self.world.known[row.known].labels))
            settings["top_k"] = max(1, round(share * labels))
        if row.weights.seeds:
            settings["seed"] = row.weights.seeds[0]
        flags = []
        for name, value in settings.items():
            flag = "--lambda" if name == "lambda_ood" else f"--{name.replace('_', '-')}"
            if value is True:
                flags.append(flag)
            elif isinstance(value, (list, tuple)):
                flags += [flag, ",".join(f"{ratio:g}" for ratio in value)]
            else:
                flags += [flag, f"{value:g}" if isinstance(value, float) else str(value)]
        return flags

    def _shipped(self, row: Row) -> str:
        """The authors' recipe of a network and ID set; empty where it is to be searched."""
        if self.anew or not self.world.published:
            return ""
        name = f"{row.network}-{row.known.removeprefix('pascal_')}"
        return name if (RECIPES / f"{name}.json").is_file() else ""

    def _model(self, row: Row) -> tuple[str, ...]:
        labels = self.world.known[row.known].labels
        return ("--backbone", self.world.networks[row.network], "--labels", labels)

    def _file(self, kind: str, name: str) -> Path:
        return self.out / kind / name

    @staticmethod
    def _name(row: Row, weights: Weights) -> str:
        """Of the files of these weights: what was done, and how it differs from the usual."""
        parts = [row.network, row.known, weights.preset or weights.kind]
        for name, value in weights.settings.items():
            text = "-".join(map(str, value)) if isinstance(value, list) else str(value)
            parts.append(f"{name}={text}")
        parts += [f"seed={seed}" for seed in weights.seeds]
        return ".".join(parts)


def _bears(folder: Path, labels: str) -> bool:
    """Whether it holds folders, and all of them bear names of that label set."""
    folders = [path.name for path in folder.iterdir() if path.is_dir()]
    return bool(folders) and folder_classes(folders, LabelSet.load(labels))[0] is not None


def _by_seed(weights: Weights, small: bool) -> Iterable[Weights]:
    seeds = weights.seeds[:2] if small else weights.seeds
    return [replace(weights, seeds=(seed,)) for seed in seeds] or [weights]
