"""A search as JSON lines: first the plan and what it ran on, then a line for each candidate.

A line is written when its candidate is done, so that a search that was killed goes on where it
was. Any trace can be replayed for the eye, the authors' published ones among them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..metrics.separation import Metrics
from ..recipe import Recipe, Site
from .plan import HIGHER_IS_BETTER, LOSSES, METRICS, SearchPlan, resolve
from .trial import Losses, Measures, Trial

if TYPE_CHECKING:
    from ..backbones.base import Backbone
    from ..data.calibration import CalibrationSet

MAX_BYTES = 200_000_000
BEGINNING = b'{"plan"'  # of every trace that a search wrote
NAMES = {"locoop_loss": "locoop_loss", "loss_id": "loss_id", "loss_ood": "loss_ood"}
NAMES |= {"acc": "accuracy", "ood_patch_percent": "ood_patch_percent"}  # as the authors write
LARGEST = 1e9  # of a number in a trace


def header(backbone: Backbone, calibration: CalibrationSet, plan: SearchPlan) -> dict[str, Any]:
    """A trace's first line: the plan with nothing left open, and the fingerprint of what it is for.

    Raises:
        ValueError: the plan does not fit.
    """
    plan = resolve(plan, backbone, calibration)
    return {"plan": plan.page(), "fingerprint": fingerprint(backbone, calibration)}


def fingerprint(backbone: Backbone, calibration: CalibrationSet) -> dict[str, str]:
    """What changes when the weights, the labels or the images do; the name is for people."""
    return {
        "backbone": backbone.name,
        "weights": backbone.fingerprint,
        "labels": calibration.labels.fingerprint,
        "images": calibration.fingerprint,
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
            _seconds(row, number),
        )


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
    rows = [(n, read_object(row, n)) for n, row in enumerate(whole_lines(text).splitlines(), 1)]
    plan, name = {}, None
    if rows and "plan" in rows[0][1]:
        first = rows.pop(0)[1]
        plan = _dict(first["plan"], 1)
        name = _dict(first.get("fingerprint") or {}, 1).get("backbone")
        if not isinstance(name, (str, type(None))):
            raise ValueError(f"line 1: backbone is {str(name)[:40]!r}, not a name")
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
        losses = Losses(**{name: _number(row, key) for key, name in NAMES.items()})
        metrics = None
        if row.get("auroc") is not None:
            metrics = Metrics(*(_number(row, key) / 100 for key in ("fpr", "auroc", "aupr")))
        return site, _number(row, "ratio"), Measures(losses, metrics), int(_number(row, "step"))
    except KeyError as error:
        raise ValueError(f"line {number}: {error} is missing; this is not a search trace") from None
    except ValueError as error:
        raise ValueError(f"line {number}: {error}; this is not a search trace") from None


def _seconds(row: dict, number: int) -> float:
    try:
        return _number(row, "seconds") if row.get("seconds") is not None else 0.0
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None


def _number(row: dict, key: str) -> float:
    """Raises KeyError or ValueError for what no search writes."""
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{key} is {str(value)[:40]!r}, not a number")
    if not abs(value) <= LARGEST:
        raise ValueError(f"{key} is {str(value)[:40]}, not a finite number below {LARGEST:g}")
    return float(value)


def read_object(text: str, number: int) -> dict:
    try:
        return _dict(json.loads(text), number)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"line {number} is not JSON ({error}); give a whole trace") from None


def _dict(page: Any, number: int) -> dict:
    if not isinstance(page, dict):
        raise ValueError(f"line {number} is {str(page)[:40]!r}, not an object; give a trace")
    return page
