"""A search as JSON lines: first the plan and what it ran on, then a line for each candidate.

A line is written when its candidate is done, so that a search that was killed goes on where it
was. For the eye any trace can be replayed, the authors' published ones among them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .backbones.base import Backbone
from .calibration import CalibrationSet
from .losses import Losses
from .metrics import Metrics
from .objective import Measures
from .plan import HIGHER_IS_BETTER, LOSSES, METRICS, SearchPlan, settled
from .recipe import Recipe, Site
from .search import Trial

MAX_BYTES = 200_000_000
NAMES = {"locoop_loss": "locoop_loss", "loss_id": "loss_id", "loss_ood": "loss_ood"}
NAMES |= {"acc": "accuracy", "ood_patch_percent": "ood_patch_percent"}  # as the authors write


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
    """A candidate as its trace has it."""
    block = trial.site.block
    metrics = trial.measures.metrics
    return {
        "step": trial.step,
        "tower": trial.site.tower,
        "weight": trial.site.weight,
        "block": list(block) if isinstance(block, tuple) else block,
        "ratio": trial.ratio,
        **{key: getattr(trial.measures.losses, name) for key, name in NAMES.items()},
        **({} if metrics is None else {k: trial.measures.objective(k) for k in METRICS}),
        "objective": None if math.isnan(trial.objective) else trial.objective,
        "improved": trial.improved,
        "seconds": round(trial.seconds, 6),
    }


class Trace:
    """A trace file that grows by a line a candidate.

    `done` holds the trials that were there; pass them to `greedy_search` to go on.
    """

    def __init__(self, path: str | Path, first: dict[str, Any], resume: bool = False) -> None:
        """Start a file, or take up the one that is there.

        Raises:
            ValueError: it is no trace, or of another search; says what differs.
        """
        self.path = Path(path)
        self.done: list[Trial] = []
        if resume and self.path.exists():
            text = whole_lines(_read(self.path))
            if text:
                _check_same(self.path, _object(text.splitlines()[0], 1), first)
                self.done = list(replay(text))
            with open(self.path, "r+b") as file:  # cut what was not written to its end
                file.truncate(len(text.encode()))
        self.file = open(self.path, "a" if self.done else "w", encoding="utf-8")  # noqa: SIM115
        if not self.done:
            self._append(first)

    def write(self, trial: Trial) -> None:
        """Add a candidate; those that the trace was resumed from are there already."""
        if trial.index >= len(self.done):
            self._append(line(trial))

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, page: dict[str, Any]) -> None:
        self.file.write(json.dumps(page) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())


def replay(text: str) -> Iterator[Trial]:
    """The trials of a trace, ours or the authors' published list, without running anything.

    The authors' has no plan: its objective is taken to be the LoCoOp loss.

    Raises:
        ValueError: a line that is not of a trace; says which and why.
    """
    rows, plan, name = _rows(text)
    objective = plan.get("objective", "locoop_loss")
    sign = -1 if objective in HIGHER_IS_BETTER else 1
    kept: dict[Site, float] = {}  # settled in the steps before
    winner: tuple[Site, float] | None = None
    value, best, step = math.inf, None, 0
    for index, (number, row) in enumerate(rows):
        site, ratio, measures, at = _candidate(row, number)
        if at != step and winner is not None:
            kept[winner[0]] = winner[1]
            winner, step = None, at
        winner = winner or (site, 0.0)
        reached = measures.objective(objective)
        improved = sign * reached < value
        if improved:
            value, best, winner = sign * reached, measures, (site, ratio)
        recipe = Recipe(
            {**kept, winner[0]: winner[1]},
            name,
            plan.get("prune", "minor"),
            plan.get("seed", 0),
            {"plan": plan} if plan else {},
        )
        yield Trial(
            index,
            len(rows),
            step,
            site,
            ratio,
            measures,
            reached,
            improved,
            recipe,
            best or measures,
            float(row.get("seconds") or 0.0),
        )


def whole_lines(text: str) -> str:
    """Up to the last line that was written to its end."""
    return text[: text.rfind("\n") + 1]


def _rows(text: str) -> tuple[list[tuple[int, dict]], dict, str | None]:
    """Numbered candidate lines, the plan and the backbone's name, where the trace has them."""
    if text.lstrip().startswith("["):
        try:
            page = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"the trace is not JSON ({error}); save it again") from None
        return [(n, _dict(row, n)) for n, row in enumerate(page, 1)], {}, None
    rows = [(n, _object(row, n)) for n, row in enumerate(whole_lines(text).splitlines(), 1)]
    plan, name = {}, None
    if rows and "plan" in rows[0][1]:
        first = rows.pop(0)[1]
        plan = _dict(first["plan"], 1)
        name = _dict(first.get("fingerprint") or {}, 1).get("backbone")
        if plan.get("objective", "locoop_loss") not in (*LOSSES, *METRICS):
            raise ValueError(f"line 1: objective {plan['objective']!r} is unknown")
    return rows, plan, name


def _candidate(row: dict, number: int) -> tuple[Site, float, Measures, int]:
    try:
        weight = str(row["weight"])
        weight = {"W_p": "proj"}.get(weight, weight.removeprefix("W_"))
        block = row["block"] if "block" in row else row["layer"]
        parts = block if isinstance(block, list) else [] if block is None else [block]
        middle = [] if not parts else ["-".join(map(str, parts))]
        site = Site.parse(".".join([str(row["tower"]), *middle, weight]))
        losses = Losses(**{name: float(row[key]) for key, name in NAMES.items()})
        metrics = None
        if row.get("auroc") is not None:
            metrics = Metrics(*(float(row[key]) / 100 for key in ("fpr", "auroc", "aupr")))
        return site, float(row["ratio"]), Measures(losses, metrics), int(row["step"])
    except KeyError as error:
        raise ValueError(f"line {number}: {error} is missing; this is not a search trace") from None
    except TypeError as error:
        raise ValueError(f"line {number}: {error}; this is not a search trace") from None


def _check_same(path: Path, found: dict, wanted: dict) -> None:
    """Raises ValueError that names what differs between two first lines."""
    for part, what in (("fingerprint", "made for"), ("plan", "made with")):
        theirs, ours = found.get(part), json.loads(json.dumps(wanted[part]))
        if not isinstance(theirs, dict):
            raise ValueError(f"{path} has no {part} in its first line; start without --resume")
        for key in [key for key in ours if theirs.get(key) != ours[key]]:
            if (part, key) == ("fingerprint", "backbone"):
                continue  # the weights decide
            raise ValueError(
                f"{path} was {what} {key} {theirs.get(key)!r}, this search has {ours[key]!r}; "
                "resume with the same, or start a new trace"
            )


def _read(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes; a trace has at most {MAX_BYTES}")
    try:
        return path.read_text(encoding="utf-8", errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text, so no trace; give another file") from None


def _object(text: str, number: int) -> dict:
    try:
        return _dict(json.loads(text), number)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"line {number} is not JSON ({error}); give a whole trace") from None


def _dict(page: Any, number: int) -> dict:
    if not isinstance(page, dict):
        raise ValueError(f"line {number} is {str(page)[:40]!r}, not an object; give a trace")
    return page


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
