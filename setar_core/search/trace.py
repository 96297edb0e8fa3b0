"""A search as JSON lines: first the plan and what it ran on, then a line for each candidate.

A line is written when its candidate is done, so that a search that was killed goes on where it
was.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..backbones.base import Backbone
from ..data.calibration import CalibrationSet
from ..recipe import Recipe
from .greedy import Trial
from .plan import HIGHER_IS_BETTER, METRICS, SearchPlan, settled
from .replay import NAMES, read_object, replay

MAX_BYTES = 200_000_000
BEGINNING = b'{"plan"'  # of every trace that a search wrote


def header(backbone: Backbone, calibration: CalibrationSet, plan: SearchPlan) -> dict[str, Any]:
    """A trace's first line: the plan with nothing left open, and the fingerprint of what it is for.

    Raises:
        ValueError: the plan does not fit.
    """
    plan = settled(plan, backbone, calibration)
    return {"plan": plan.page(), "fingerprint": fingerprint(backbone, calibration)}


def fingerprint(backbone: Backbone, calibration: CalibrationSet) -> dict[str, str]:
    """What changes when the weights, the labels or the images do; the name is for people."""
    weights = hashlib.sha256()
    for name, tensor in sorted(backbone.with_recipe(Recipe({})).model.state_dict().items()):
        weights.update(name.encode())
        weights.update(_bytes(tensor))
    images = hashlib.sha256(_bytes(calibration.images))
    images.update(_bytes(calibration.classes))
    return {
        "backbone": backbone.name,
        "weights": weights.hexdigest()[:16],
        "labels": calibration.labels.fingerprint,
        "images": images.hexdigest()[:16],
    }


def line(trial: Trial) -> dict[str, Any]:
    """A candidate as its trace has it; an objective that could not be measured is at its worst."""
    block = trial.site.block
    metrics = trial.measures.metrics
    objective = trial.objective
    if math.isnan(objective):  # no patch is OOD; a replay tells it by the metrics that are not here
        objective = 0.0 if trial.recipe.notes["plan"]["objective"] in HIGHER_IS_BETTER else 100.0
    return {
        "step": trial.step,
        "tower": trial.site.tower,
        "weight": trial.site.weight,
        "block": list(block) if isinstance(block, tuple) else block,
        "ratio": trial.ratio,
        **{key: getattr(trial.measures.losses, name) for key, name in NAMES.items()},
        **({} if metrics is None else {k: trial.measures.objective(k) for k in METRICS}),
        "objective": objective,
        "improved": trial.improved,
        "seconds": round(trial.seconds, 6),
    }


class Trace:
    """A trace file that grows by a line a candidate.

    `done` holds the trials that were there; pass them to `greedy_search` to go on.
    """

    def __init__(
        self,
        path: str | Path,
        first: dict[str, Any],
        resume: bool = False,
        total: int | None = None,
    ) -> None:
        """Start a file, or take up the one that is there; `total` is of the search's candidates.

        Raises:
            ValueError: it is no trace, or of another search; says what differs.
        """
        self.path = Path(path)
        self.done: list[Trial] = []
        if resume and self.path.exists():
            text = _whole_lines(self.path)
            if text:
                _check_same(self.path, read_object(text.splitlines()[0], 1), first)
                self.done = list(replay(text))
                self._check_count(total)
            with open(self.path, "r+b") as file:  # cut what was not written to its end
                file.truncate(len(text.encode()))
        self.file = open(self.path, "a" if self.done else "w", encoding="utf-8")  # noqa: SIM115
        if not self.done:
            self._append(first)

    def write(self, trial: Trial) -> None:
        """Add a candidate; those that the trace was resumed from are there already.

        Raises:
            OSError: the disk is full, or gone; names the file.
            ValueError: the trace it was resumed from has more candidates than the search.
        """
        self._check_count(trial.total)
        if trial.index >= len(self.done):
            self._append(line(trial))

    def close(self) -> None:
        with suppress(OSError):  # only of a line that could not be written, which was said then
            self.file.close()

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_count(self, total: int | None) -> None:
        if total is not None and len(self.done) > total:
            raise ValueError(
                f"the trace holds {len(self.done)} candidates, this search has {total}; remove the "
                "lines after its last, or start a new one"
            )

    def _append(self, page: dict[str, Any]) -> None:
        try:
            self.file.write(json.dumps(page) + "\n")
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            raise OSError(
                f"{self.path} cannot be written ({error.strerror}); make room and resume from it"
            ) from None


def _check_same(path: Path, found: dict, wanted: dict) -> None:
    """Raises ValueError that names what differs between two first lines."""
    for part, what in (("fingerprint", "made for"), ("plan", "made with")):
        theirs, ours = found.get(part), json.loads(json.dumps(wanted[part]))
        if not isinstance(theirs, dict):
            raise ValueError(f"{path} has no {part} in its first line; start a new one")
        for key in [key for key in ours if theirs.get(key) != ours[key]]:
            if (part, key) == ("fingerprint", "backbone"):
                continue  # the weights decide
            name = f" (backbone {theirs.get('backbone')!r})" if key == "weights" else ""
            raise ValueError(
                f"{path} was {what} {key} {theirs.get(key)!r}{name}, this search has "
                f"{ours[key]!r}; go on with the same, or start a new one"
            )


def _whole_lines(path: Path) -> str:
    """Up to the last line that was written to its end; what follows may be anything."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes; a trace has at most {MAX_BYTES}")
    try:
        content = path.read_bytes()
        end = content.rfind(b"\n") + 1
        if not end and not BEGINNING.startswith(content[: len(BEGINNING)]):
            raise ValueError(f"{path} is no trace; give another file")
        return content[:end].decode()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text, so no trace; give another file") from None


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
