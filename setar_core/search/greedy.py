"""The greedy search for a recipe (arXiv:2406.12629), one `Trial` a candidate.

Blocks are settled one by one; at each the ratio that lowers the objective below the best so far is
taken, or none. Nothing is printed or saved here, and a search that is stopped leaves nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..backbones.base import Backbone
from ..backbones.progress import Progress
from ..data.calibration import CalibrationSet
from ..memory import free_memory
from ..parallel.ranks import SINGLE, Ranks
from ..recipe import Recipe, Site
from .evaluator import Evaluator
from .plan import LOSSES, SearchPlan, resolve, sites
from .race import HalfEvaluator, Race, Raced, rounds_fast
from .trial import Measures, Trial


def greedy_search(
    backbone: Backbone,
    calibration: CalibrationSet,
    plan: SearchPlan | None = None,
    *,
    memory: int | None = None,
    done: Sequence[Trial] = (),
    progress: Progress | None = None,
    ranks: Ranks = SINGLE,
) -> Iterator[Trial]:
    """Search the plan's sites for the recipe with the best objective on the calibration images.

    Args:
        backbone: stays as it is; a recipe on it is set aside.
        plan: the authors' settings where left out.
        memory: bytes that each process may keep beside the model and the images; of what is free
            its share of a half.
        done: the first trials of the same search, from a trace: they are yielded again, not run.
        progress: receives a sentence about what is kept in memory.
        ranks: this process among those that share each step's candidates; all find the same.

    Raises:
        ValueError: the plan does not fit the backbone or the images (at once, before the first
            trial), or `done` is of another search (when it is reached).
    """
    plan = resolve(plan or SearchPlan(), backbone, calibration)
    if plan.quick and ranks.size > 1:
        raise ValueError("a quick search is of one process; start one, or leave quick out")
    order = sites(plan, backbone)
    if memory is None:
        memory = ranks.share(free_memory(backbone.device) // 2, backbone.device)
    if memory < 0:
        raise ValueError(f"memory is {memory} bytes; give at least 0")
    return _search(backbone, calibration, plan, order, memory, tuple(done), progress, ranks)


def _search(
    backbone: Backbone,
    calibration: CalibrationSet,
    plan: SearchPlan,
    undecided: list[Site],
    memory: int,
    done: tuple[Trial, ...],
    progress: Progress | None,
    ranks: Ranks,
) -> Iterator[Trial]:
    race = None
    if plan.quick:
        memory //= 2  # for the states of each precision
    evaluator = Evaluator(backbone, calibration, plan, undecided, memory)
    if plan.quick:
        race = _race(evaluator, backbone, calibration, undecided, memory)
    total = plan.candidates(len(undecided))
    recipe = Recipe({}, backbone.name, plan.prune, plan.seed)
    value: float | None = None
    best: Measures | None = None
    before = math.nan
    index = step = 0
    while undecided:
        winner = (undecided[0], 0.0)  # a step that improves nothing keeps its first site whole
        tried = undecided if plan.exhaustive else undecided[:1]
        todo = [(s, r) for s in tried for r in plan.ratios]
        took = {} if race else _shared(evaluator, todo, done[index:], ranks)
        for site in tried:
            raced: dict[float, Raced] = {}
            if race:
                here = done[index : index + len(plan.ratios)]
                _check_same(here, site, plan)
                raced = race.run(site, value, here)
            for ratio in plan.ratios:
                started = time.perf_counter()
                left_out = None
                if raced:
                    measures, known, spent, left_out = raced[ratio]
                    started -= spent
                else:
                    measures, known = _measured(evaluator, site, ratio, done[index : index + 1])
                objective = measures.objective(plan.objective)
                if index == 0:
                    before = objective
                    _refuse_unmeasured(plan, measures)
                    if progress:
                        for message in evaluator.messages:
                            progress(message)
                improved = left_out is None and plan.better(objective, value)
                if improved:
                    value, best, winner = objective, measures, (site, ratio)
                seconds = took.get((site, ratio), time.perf_counter() - started)
                known = known and (site, ratio) not in took
                if index < len(done):
                    seconds = done[index].seconds
                yield Trial(
                    index,
                    total,
                    step,
                    site,
                    ratio,
                    measures,
                    objective,
                    improved,
                    _annotated(recipe.with_ratio(*winner), plan, calibration, before, value),
                    best or measures,
                    seconds,
                    known,
                    left_out,
                )
                index += 1
        evaluator.settle(*winner)
        if race:
            race.settle(*winner)
        recipe = recipe.with_ratio(*winner)
        undecided = [site for site in undecided if site != winner[0]]
        evaluator.expect(undecided)
        if race:
            race.expect(undecided)
        step += 1


def _shared(
    evaluator: Evaluator,
    candidates: list[tuple[Site, float]],
    done: Sequence[Trial],
    ranks: Ranks,
) -> dict[tuple[Site, float], float]:
    """Let each process measure its share of a step's candidates, and all learn of them; how many
    seconds each of these took."""
    if ranks.size == 1:
        return {}
    new = {
        evaluator.key(*candidate): candidate
        for candidate in reversed(candidates[len(done) :])
        if evaluator.recall(*candidate) is None
    }
    todo = [*new.values()][::-1]
    mine = [todo[i] for i in ranks.mine(len(todo), -(-len(todo) // ranks.size))]
    found = []
    for site, ratio in mine:
        started = time.perf_counter()
        measures = evaluator.measure(site, ratio)
        found.append((site, ratio, measures, time.perf_counter() - started))
    every = [one for part in ranks.gathered(found) for one in part]
    for site, ratio, measures, _ in every:
        evaluator.learn(site, ratio, measures)
    return {(site, ratio): seconds for site, ratio, _, seconds in every}


def _measured(
    evaluator: Evaluator, site: Site, ratio: float, done: tuple[Trial, ...]
) -> tuple[Measures, bool]:
    """The candidate's measures, and whether they were known without running it."""
    for trial in done:
        _check_candidate(trial, site, ratio)
        evaluator.learn(site, ratio, trial.measures)
    known = evaluator.recall(site, ratio)
    return (evaluator.measure(site, ratio), False) if known is None else (known, True)


def _race(
    evaluator: Evaluator,
    backbone: Backbone,
    calibration: CalibrationSet,
    order: Sequence[Site],
    memory: int,
) -> Race:
    """The race of a quick search; where bf16 is no faster, every candidate runs in float32."""
    plan, rounded = evaluator.plan, None
    if rounds_fast(backbone.device):
        coarse = replace(plan, quick=False, precision="bf16")
        rounded = HalfEvaluator(backbone, calibration, coarse, order, memory)
    return Race(evaluator, rounded, plan)


def _check_same(done: Sequence[Trial], site: Site, plan: SearchPlan) -> None:
    for trial, ratio in zip(done, plan.ratios, strict=False):
        _check_candidate(trial, site, ratio)


def _check_candidate(trial: Trial, site: Site, ratio: float) -> None:
    if (trial.site, trial.ratio) != (site, ratio):
        raise ValueError(
            f"the trace goes on with {trial.site} at {trial.ratio:g} where this search tries "
            f"{site} at {ratio:g}; resume with the settings it was made with"
        )


def _refuse_unmeasured(plan: SearchPlan, measures: Measures) -> None:
    if plan.objective not in LOSSES and measures.metrics is None:
        raise ValueError(
            f"no patch is OOD with top-k {plan.top_k}, so there is nothing to measure "
            f"{plan.objective} against; use a smaller top-k or a loss as objective"
        )


def _annotated(
    recipe: Recipe,
    plan: SearchPlan,
    calibration: CalibrationSet,
    before: float,
    after: float | None,
) -> Recipe:
    """The recipe with how it was found."""
    notes = {
        "found_by": "greedy search (arXiv:2406.12629)",
        "calibration": {"images": len(calibration), "labels": len(calibration.labels)},
        "label_set": calibration.labels.fingerprint,
        "lambda": plan.lambda_ood,
        "top_k": plan.top_k,
        "seed": plan.seed,
        "objective": plan.objective,
        "before": before,
        "after": after,
        "plan": plan.page(),
    }
    return Recipe(recipe.ratios, recipe.backbone, recipe.prune, recipe.seed, notes)
