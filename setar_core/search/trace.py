"""A search as JSON lines: first the plan and what it ran on, then a line for each candidate.

A line is written when its candidate is done, so that a search that was killed goes on where it
was. Any trace can be replayed for the eye, the authors' published ones among them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..journal import Journal, brief, differences, whole_lines
from ..metrics.separation import Metrics
from ..recipe import Recipe, Site
from .plan import METRICS, OBJECTIVES, SearchPlan, resolve
from .trial import Losses, Measures, Trial

if TYPE_CHECKING:
    from ..backbones.base import Backbone
    from ..data.calibration import CalibrationSet

Page = dict[str, Any]  # a line

MAX_BYTES = 200_000_000
BEGINNING = b'{"plan"'  # of every trace that a search wrote
NAMES = {"locoop_loss": "locoop_loss", "loss_id": "loss_id", "loss_ood": "loss_ood"}
NAMES |= {"acc": "accuracy", "ood_patch_percent": "ood_patch_percent"}  # as the authors write
LARGEST = 1e9  # of a number in a trace


def header(backbone: Backbone, calibration: CalibrationSet, plan: SearchPlan) -> Page:
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


def line(trial: Trial) -> Page:
    """A candidate as its trace has it; an objective that could not be measured is at its worst."""
    block = trial.site.block
    metrics = trial.measures.metrics
    objective = trial.objective
    if math.isnan(objective):  # no patch is OOD; a replay tells it by the metrics that are not here
        objective = 0.0 if OBJECTIVES[trial.recipe.notes["plan"]["objective"]].higher else 100.0
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
        **({} if trial.left_out is None else {"left_out": list(trial.left_out)}),
    }


def replay(text: str) -> Iterator[Trial]:
    """The trials of a trace, ours or the authors' published list, without running anything.

    The authors' has no plan: its objective is taken to be the LoCoOp loss.

    Raises:
        ValueError: a line that is not of a trace; says which and why.
    """
    rows, plan, name = _rows(text)
    objective = plan.get("objective", "locoop_loss")
    sign = -1 if OBJECTIVES[objective].higher else 1
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
        left_out = _left_out(row, number)
        improved = left_out is None and sign * reached < value
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
            left_out=left_out,
        )


class Trace:
    """A trace file that grows by a line a candidate.

    `done` holds the trials that were there; pass them to `greedy_search` to go on.
    """

    def __init__(
        self,
        path: str | Path,
        first: Page,
        resume: bool = False,
        total: int | None = None,
    ) -> None:
        """Start a file, or take up the one that is there; `total` is of the search's candidates.

        Raises:
            ValueError: it is no trace, or of another search; says what differs.
        """
        path, end = Path(path), 0
        self.done: list[Trial] = []
        if resume and path.exists():
            text, end = _whole_text(path)
            if text:
                _check_same(path, _object(text.splitlines()[0], 1), first)
                self.done = list(replay(text))
                self._check_count(total)
        self._journal = Journal(path, first, end if self.done else 0)

    def write(self, trial: Trial) -> None:
        """Add a candidate; those that the trace was resumed from are there already.

        Raises:
            OSError: the disk is full, or gone; names the file.
            ValueError: the trace it was resumed from has more candidates than the search.
        """
        self._check_count(trial.total)
        if trial.index >= len(self.done):
            self._journal.append(line(trial))

    def close(self) -> None:
        self._journal.close()

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


def _check_same(path: Path, found: Page, wanted: Page) -> None:
    """Raises ValueError that names what differs between two first lines."""
    for part, what in (("fingerprint", "made for"), ("plan", "made with")):
        mine = found.get(part)
        if not isinstance(mine, dict):
            raise ValueError(f"{path} has no {part} in its first line; start a new one")
        for key, theirs, ours in differences(mine, wanted[part]):
            name = f" (backbone {brief(mine.get('backbone'))})" if key == "weights" else ""
            named = key[:60] if key.isprintable() else brief(key)
            raise ValueError(
                f"{path} was {what} {named} {brief(theirs)}{name}, this search has "
                f"{brief(ours)}; go on with the same, or start a new one"
            )


def _whole_text(path: Path) -> tuple[str, int]:
    """The lines that were written to their end, and where in the file that is."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{path} has {size} bytes; a trace has at most {MAX_BYTES}")
    lines = list(whole_lines(path, "trace", BEGINNING, MAX_BYTES + 1))
    try:
        return b"".join(each.content for each in lines).decode(), lines[-1].end if lines else 0
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text, so no trace; give another file") from None


def _rows(text: str) -> tuple[list[tuple[int, Page]], Page, str | None]:
    """Numbered candidate lines, the plan and the backbone's name, where the trace has them."""
    if text.lstrip().startswith("["):
        try:
            page = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"the trace is not JSON ({error}); save it again") from None
        return [(n, _dict(row, n)) for n, row in enumerate(page, 1)], {}, None
    whole = text[: text.rfind("\n") + 1].splitlines()
    rows = [(n, _object(row, n)) for n, row in enumerate(whole, 1)]
    plan: Page = {}
    name = None
    if rows and "plan" in rows[0][1]:
        first = rows.pop(0)[1]
        plan = _dict(first["plan"], 1)
        name = _dict(first.get("fingerprint") or {}, 1).get("backbone")
        if not isinstance(name, (str, type(None))):
            raise ValueError(f"line 1: backbone is {str(name)[:40]!r}, not a name")
        if plan.get("objective", "locoop_loss") not in tuple(OBJECTIVES):
            raise ValueError(f"line 1: objective {brief(plan['objective'])} is unknown")
    return rows, plan, name


def _candidate(row: Page, number: int) -> tuple[Site, float, Measures, int]:
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


def _seconds(row: Page, number: int) -> float:
    try:
        return _number(row, "seconds") if row.get("seconds") is not None else 0.0
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None


def _left_out(row: Page, number: int) -> tuple[float, float] | None:
    """The interval by which a quick search left the candidate out."""
    if (pair := row.get("left_out")) is None:
        return None
    if not isinstance(pair, list) or len(pair) != 2:
        raise ValueError(f"line {number}: left_out is {str(pair)[:40]}, not two numbers")
    ends = {"low": pair[0], "high": pair[1]}
    try:
        return _number(ends, "low"), _number(ends, "high")
    except ValueError as error:
        raise ValueError(f"line {number}: left_out: {error}") from None


def _number(row: Page, key: str) -> float:
    """Raises KeyError or ValueError for what no search writes."""
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{key} is {str(value)[:40]!r}, not a number")
    if not abs(value) <= LARGEST:
        raise ValueError(f"{key} is {str(value)[:40]}, not a finite number below {LARGEST:g}")
    return float(value)


def _object(text: str, number: int) -> Page:
    try:
        return _dict(json.loads(text), number)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"line {number} is not JSON ({error}); give a whole trace") from None


def _dict(page: Any, number: int) -> Page:
    if not isinstance(page, dict):
        raise ValueError(f"line {number} is {str(page)[:40]!r}, not an object; give a trace")
    return page
