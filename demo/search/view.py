"""What the right side of Search shows: a job turned into values of components, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from demo.page.events import KEEP
from demo.search import words
from demo.search.components.film import Shown, shown
from demo.search.job import Search

if TYPE_CHECKING:
    from demo.search.work import Example
    from setar_core.recipe import Recipe, Site


class SearchPage(NamedTuple):
    """One value for each output, in the order of the components; KEEP changes nothing."""

    name: Any = KEEP
    stored: Any = KEEP
    seen: Any = KEEP
    clock: Any = KEEP
    state: Any = KEEP
    search: Any = KEEP
    estimate: Any = KEEP
    stop: Any = KEEP
    resume: Any = KEEP
    go_on: Any = KEEP
    replay: Any = KEEP
    film: Any = KEEP
    pictures: Any = KEEP
    result: Any = KEEP
    keeping: Any = KEEP
    trace: Any = KEEP


def whole(job: Search | None, before: list[Search], others: Mapping[str, Recipe]) -> SearchPage:
    """Everything anew: a search that was just begun, found again or ended; `others` are recipes
    to compare with."""
    active = job is not None and job.active
    over = _over(job)
    return SearchPage(
        name=None if job is None else job.name,
        seen=None if job is None else job.seen,
        clock=gr.Timer(active=active),
        state=words.state(job, before),
        search=gr.Button(visible=not active),
        estimate=gr.Button(visible=not active),
        stop=gr.Button(
            visible=active, interactive=job is not None and job.active and not job.stopping
        ),
        resume=gr.Button(visible=job is not None and job.resumable),
        go_on=gr.Button(interactive=not active),
        replay=gr.Button(interactive=not active),
        film=film(job),
        pictures=pictures(job),
        result=words.result(job, others),
        keeping=gr.Column(visible=over or _uploaded(job)),
        trace=gr.Button(visible=over),
    )


def moved(job: Search, before: list[Search]) -> SearchPage:
    """Only what changes while it runs; the buttons and the pictures stay as they are."""
    seen = job.seen  # first: what comes while this is drawn is drawn the next time
    return SearchPage(seen=seen, state=words.state(job, before), film=film(job))


def film(job: Search | None) -> Shown | None:
    """The drawings; none of a recipe that was not searched here."""
    if job is None:
        return shown("", (), (), (), "locoop_loss", 1, over=False)
    if _uploaded(job):
        return None
    trials, examples = job.trials, None if job.is_replay else _examples(job)
    objective = words.objective_of(job)
    name = job.name if job.began is None else f"{job.name} {job.began}"  # resumed, it begins anew
    return shown(name, trials, _sites(job), examples, objective, _total(job), _over(job))


def pictures(job: Search | None) -> list[str]:
    """The example pictures."""
    return [example.picture for example in _examples(job)]


def _over(job: Search | None) -> bool:
    """Whether there are candidates to look back at."""
    return job is not None and bool(job.trials) and not job.active and not job.is_estimate


def _uploaded(job: Search | None) -> bool:
    return job is not None and job.uploaded is not None


def _examples(job: Search | None) -> tuple[Example, ...]:
    return job.ready.examples if job is not None and job.ready else ()


def _sites(job: Search) -> tuple[Site, ...]:
    if job.is_replay:
        return tuple(dict.fromkeys(trial.site for trial in job.trials))
    return job.ready.sites if job.ready else ()


def _total(job: Search) -> int:
    if job.is_replay:
        return len(job.trials)
    return job.ready.eta.total if job.ready else 1
