"""What the Search tab says: how far a search is, what it found, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from demo.page.components.player import shown, where
from demo.page.notices import Notice, busy, notice
from demo.page.words import duration, left_out
from demo.search.components.result import Found, found, uploaded
from demo.search.fit import replay_of
from demo.search.job import Search
from demo.server.jobs import FAILED, STOPPED, WAITING
from setar_core.search.plan import OBJECTIVES

if TYPE_CHECKING:
    from setar_core.recipe import Recipe

START = (
    "Press Search to watch SeTAR at work: block by block it tries how much of the smallest parts "
    "of a matrix can be dropped, and keeps what lowers the loss."
)
GONE = "That search is no longer kept here. Start a new one, or upload its trace to go on."


def state(job: Search | None, before: list[Search]) -> Notice | list[Notice]:
    """The line above the drawings."""
    if job is None:
        return notice(START)
    if job.state == WAITING:
        return _waiting(job, before)
    if job.stopping:
        return busy("Stopping after this candidate …")
    if job.active and job.request is not None and not job.trials:
        return busy(f"{job.request.title}. {job.progress.sentence} …")
    said = [_over(job) if not job.active else _running(job)]
    if job.ready and job.ready.warning:
        said.append(notice(job.ready.warning, "warn"))
    if job.ready and job.ready.problems:
        what = left_out(len(job.ready.problems))
        said.append(notice(f"{what}.", "warn", job.ready.problems))
    return said


def _running(job: Search) -> Notice:
    assert job.ready is not None  # it came before the first trial
    trial, left = job.trials[-1], job.ready.eta.remaining or 0.0
    return busy(
        f"Candidate {len(job.trials)} of {trial.total}: {where(trial)}. "
        f"{duration(job.elapsed)} so far, about {duration(left)} to go.",
        len(job.trials) / trial.total,
    )


def _waiting(job: Search, before: list[Search]) -> Notice:
    count = len(before)
    if not count:
        return busy("Your turn comes now …")
    first = before[0]
    told = f"{count} searches are" if count > 1 else "another search is"
    left = ""
    if first.trials and first.ready and first.ready.eta.remaining is not None:
        left = f" The one that runs is at candidate {len(first.trials)} of {first.ready.eta.total}"
        left += f" and needs about {duration(first.ready.eta.remaining)}."
    return busy(
        f"In the queue: {told} before yours.{left} It starts by itself. You can use Detect "
        "meanwhile."
    )


def _over(job: Search) -> Notice:
    if job.state == FAILED:
        return notice(f"No search: {job.problem}." if job.problem else "No search.", "bad")
    count = len(job.trials)
    if job.uploaded is not None:
        return notice("An uploaded recipe, shown below. Nothing is run.")
    if job.is_replay:
        return notice(replay_of(job))
    if job.is_estimate and job.ready is not None:
        eta = job.ready.eta
        whole = (eta.remaining or 0.0) + sum(trial.seconds for trial in job.trials)
        return notice(
            f"About {duration(whole)} for {eta.total} candidates on {job.ready.images} pictures, "
            f"told from the first {count}, which took "
            f"{duration(sum(trial.seconds for trial in job.trials))}. Press Search to run it.",
            "good",
        )
    if job.state == STOPPED and not count:
        return notice("Stopped before the first candidate. Nothing was found.", "warn")
    if job.state == STOPPED:
        why = "when no page looked at it any more" if job.orphaned else "as you asked"
        return notice(
            f"Stopped {why}, after {count} of {job.trials[-1].total} candidates. The best recipe "
            "so far is kept below. Press Resume to go on, or download the trace and continue from "
            "it later.",
            "warn",
        )
    out = sum(trial.left_out is not None for trial in job.trials)
    run = sum(not trial.known for trial in job.trials) - out
    told = f"{out} left out after a look in bf16, the others known" if out else "the others known"
    objective = objective_of(job)
    before, after = (shown(m, objective) for m in (job.trials[0].measures, job.trials[-1].best))
    return notice(
        f"Done: {OBJECTIVES[objective].name} {before} → {after}. {count} candidates in "
        f"{duration(job.elapsed)}, {run} of them were run, {told}.",
        "good",
    )


def result(job: Search | None, others: Mapping[str, Recipe]) -> Found | None:
    """What was found, or an uploaded recipe; nothing without a trial."""
    if job is not None and job.uploaded is not None:
        return uploaded(job.uploaded)
    if job is None or job.active or not job.trials or job.is_estimate:
        return None
    return found(job.trials, objective_of(job), job.ready.ranks if job.ready else {}, others)


def objective_of(job: Search) -> str:
    """What the search lowers or raises; a trace without a plan is taken to be of the loss."""
    plan = job.trials[0].recipe.notes.get("plan", {}) if job.trials else {}
    return plan.get("objective", "locoop_loss")
