"""What the right side of Search shows: a job turned into drawings and words, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from demo.page.events import KEEP
from demo.search import words
from demo.search.charts import objective_chart, term_charts
from demo.search.job import ESTIMATED, REPLAY, Job
from demo.search.map import live_map, patches, unpictured

if TYPE_CHECKING:
    from demo.search.work import Example
    from setar_core.recipe import Recipe, Site

PLAY, PAUSE = "▶ Replay", "❚❚ Pause"


class SearchPage(NamedTuple):
    """One value for each output, in the order of the components; KEEP changes nothing."""

    name: Any = KEEP
    stored: Any = KEEP
    seen: Any = KEEP
    clock: Any = KEEP
    film: Any = KEEP
    play: Any = KEEP
    state: Any = KEEP
    search: Any = KEEP
    estimate: Any = KEEP
    stop: Any = KEEP
    resume: Any = KEEP
    go_on: Any = KEEP
    replay: Any = KEEP
    objective: Any = KEEP
    views: Any = KEEP
    terms: Any = KEEP
    map: Any = KEEP
    frame: Any = KEEP
    patches: Any = KEEP
    strip: Any = KEEP
    looking: Any = KEEP
    at: Any = KEEP
    candidate: Any = KEEP
    result: Any = KEEP
    keeping: Any = KEEP
    trace: Any = KEEP


def whole(
    job: Job | None, before: list[Job], picked: int, others: Mapping[str, Recipe]
) -> SearchPage:
    """Everything anew: a search that was just begun, found again or ended; `others` are recipes
    to compare with."""
    active = job is not None and job.active
    trials = [] if job is None else job.trials
    over = bool(trials) and not active and job.state != ESTIMATED
    page = drawn(job, before, len(trials), picked)
    return filmed(page, False)._replace(
        name=None if job is None else job.name,
        seen=None if job is None else job.seen,
        clock=gr.Timer(active=active),
        search=gr.Button(visible=not active),
        estimate=gr.Button(visible=not active),
        stop=gr.Button(visible=active, interactive=active and not job.stopping),
        resume=gr.Button(visible=job is not None and job.resumable),
        go_on=gr.Button(interactive=not active),
        replay=gr.Button(interactive=not active),
        views=gr.Row(visible=not _uploaded(job)),
        frame=frame(_examples(job), picked),
        strip=strip(_examples(job), picked),
        looking=gr.Row(visible=over),
        at=gr.Slider(minimum=1, maximum=max(2, len(trials)), value=max(1, len(trials))),
        candidate=words.candidate(trials[-1], words.objective_of(job)) if over else "",
        result=words.result(job, others),
        keeping=gr.Column(visible=over or _uploaded(job)),
        trace=gr.Button(visible=over),
    )


def filmed(page: SearchPage, plays: bool) -> SearchPage:
    """The page with its replay playing, or standing still."""
    return page._replace(film=gr.Timer(active=plays), play=gr.Button(PAUSE if plays else PLAY))


def moved(job: Job, before: list[Job], picked: int) -> SearchPage:
    """Only what changes while it runs; the buttons and the picture stay as they are."""
    seen = job.seen  # first: what comes while this is drawn is drawn the next time
    return drawn(job, before, len(job.trials), picked)._replace(seen=seen)


def drawn(job: Job | None, before: list[Job], at: int, picked: int) -> SearchPage:
    """The drawings after the first `at` candidates."""
    if job is None or _uploaded(job):
        return SearchPage(
            state=words.state(job, []),
            objective="" if _uploaded(job) else objective_chart([], 1, "locoop_loss"),
            terms=term_charts([], 1),
            map=live_map((), None),
            patches=patches(None, (), picked),
        )
    trials = job.trials[:at]
    trial = trials[-1] if trials else None
    total = _total(job)
    return SearchPage(
        state=words.state(job, before),
        objective=objective_chart(trials, total, words.objective_of(job)),
        terms=term_charts(trials, total),
        map=live_map(_sites(job), trial, over=not job.active and at == total),
        patches=unpictured() if job.state == REPLAY else patches(trial, _examples(job), picked),
    )


def frame(examples: tuple[Example, ...], picked: int) -> str:
    """The example picture as a background, so that drawings over it do not load it anew."""
    if not 0 <= picked < len(examples):
        return ""
    uri = examples[picked].picture
    return f"<style>#search .patches .frame {{ background-image: url({uri}); }}</style>"


def strip(examples: tuple[Example, ...], picked: int) -> str:
    """The example pictures to choose from."""
    buttons = "".join(
        f'<button type="button" data-index="{i}" aria-pressed="{str(i == picked).lower()}" '
        f'aria-label="Look at the {escape(example.label)}" title="{escape(example.label)}">'
        f'<img src="{example.picture}" alt=""></button>'
        for i, example in enumerate(examples)
    )
    return (
        f'<div class="strip" role="group" aria-label="Pictures">{buttons}</div>' if buttons else ""
    )


def _uploaded(job: Job | None) -> bool:
    return job is not None and job.uploaded is not None


def _examples(job: Job | None) -> tuple[Example, ...]:
    return job.ready.examples if job is not None and job.ready else ()


def _sites(job: Job) -> tuple[Site, ...]:
    if job.state == REPLAY:
        return tuple(dict.fromkeys(trial.site for trial in job.trials))
    return job.ready.sites if job.ready else ()


def _total(job: Job) -> int:
    if job.state == REPLAY:
        return len(job.trials)
    return job.ready.eta.total if job.ready else 1
