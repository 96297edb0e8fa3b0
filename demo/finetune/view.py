"""What the right side of Fine-tune shows: a job turned into values of components."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from demo.finetune import words
from demo.finetune.figures import drift, losses
from demo.finetune.held import FEWEST
from demo.finetune.job import Training
from demo.page.events import KEEP
from setar_core.scores import SCORES

NORMS = 12  # sites that are listed


class TrainingPage(NamedTuple):
    """One value for each output, in the order of the components; KEEP changes nothing."""

    name: Any = KEEP
    stored: Any = KEEP
    seen: Any = KEEP
    clock: Any = KEEP
    state: Any = KEEP
    train: Any = KEEP
    estimate: Any = KEEP
    stop: Any = KEEP
    resume: Any = KEEP
    losses: Any = KEEP
    drift: Any = KEEP
    table: Any = KEEP
    flipped: Any = KEEP
    norms: Any = KEEP
    keeping: Any = KEEP


def whole(job: Training | None, before: list[Training]) -> TrainingPage:
    """Everything anew: a training that was just begun, found again or ended."""
    active = job is not None and job.active
    over = job is not None and not active and job.adapter is not None
    return TrainingPage(
        name=None if job is None else job.name,
        seen=None if job is None else job.seen,
        clock=gr.Timer(active=active),
        state=words.state(job, before),
        train=gr.Button(visible=not active),
        estimate=gr.Button(visible=not active),
        stop=gr.Button(visible=active, interactive=job is not None and not job.stopping),
        resume=gr.Button(visible=job is not None and job.resumable),
        keeping=gr.Column(visible=over),
        **drawn(job),
    )


def moved(job: Training, before: list[Training]) -> TrainingPage:
    """Only what changes while it runs."""
    seen = job.seen  # first: what comes while this is drawn is drawn the next time
    return TrainingPage(seen=seen, state=words.state(job, before), **drawn(job))


def drawn(job: Training | None) -> dict[str, Any]:
    """The drawings and tables."""
    points, epochs = (job.points, job.epochs) if job else ([], [])
    ready = job.ready if job else None
    enough = bool(epochs) and min(len(epochs[0].inside), len(epochs[0].outside)) >= FEWEST
    title = SCORES[job.request.score].title if job else ""
    rows, flipped = words.table(job), list(epochs[-1].flipped) if epochs else []
    moved = sorted(epochs[-1].norms.items(), key=lambda item: -item[1]) if epochs else []
    return {
        "losses": gr.Plot(
            losses(points, ready.steps) if points and ready else None, visible=bool(points)
        ),
        "drift": gr.Plot(drift(epochs[0], epochs[-1], title) if enough else None, visible=enough),
        "table": gr.Dataframe(rows, visible=bool(rows)),
        "flipped": gr.Gallery(flipped, visible=bool(flipped)),
        "norms": gr.Dataframe(
            [[name, f"{100 * norm:.3g}"] for name, norm in moved[:NORMS]], visible=bool(moved)
        ),
    }
