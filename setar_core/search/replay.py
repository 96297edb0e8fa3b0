"""A trace read again: its trials as they were, without running anything.

For the eye any trace can be replayed, the authors' published ones among them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from ..losses import Losses
from ..metrics.separation import Metrics
from ..recipe import Recipe, Site
from .greedy import Trial
from .objective import Measures
from .plan import HIGHER_IS_BETTER, LOSSES, METRICS

NAMES = {"locoop_loss": "locoop_loss", "loss_id": "loss_id", "loss_ood": "loss_ood"}
NAMES |= {"acc": "accuracy", "ood_patch_percent": "ood_patch_percent"}  # as the authors write
LARGEST = 1e9  # of a number in a trace


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
