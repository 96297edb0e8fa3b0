"""Fine-tune: watch what a recipe drops learn again, and what that does to pictures held back."""

from __future__ import annotations

import gradio as gr

from demo.finetune import words
from demo.finetune.controls import Left, build_plan, constants, filled
from demo.finetune.handlers import TrainingHandlers
from demo.finetune.request import ZIP
from demo.finetune.view import TrainingPage
from demo.page.choices import recipe_choices
from demo.page.components.notices import Notices
from demo.page.downloads import download
from demo.page.events import PULSE, QUIET
from demo.page.notices import toasting_errors
from demo.page.session import Bar, into_detect, opening
from demo.server.library import Library
from setar_core.finetune.plan import PRESETS
from setar_core.labels import LabelSet

EVERY = 1.0  # seconds between two looks at a training
KEPT_KEY = "setar-explorer-training"
FIGURES = ["on pictures held back", "before", "now"]


def build_finetune(demo: gr.Blocks, library: Library, bar: Bar) -> None:
    """Lay the tab out and join it to its handlers."""
    trainings = TrainingHandlers(library)
    with gr.Row(equal_height=False, elem_id="finetune"):
        with gr.Column(scale=4, min_width=300, elem_id="finetune-left"):
            left = build_plan(library)
        with gr.Column(scale=8, min_width=300, elem_id="finetune-right"):
            page = build_views(bar, left)
    _join_plan(bar, left)
    _join_training(demo, trainings, bar, left, page)
    _join_keeping(trainings, library, bar, left, page)


def build_views(bar: Bar, left: Left) -> TrainingPage:
    """The right side: how far it is, the drawings, and what it did."""
    state = Notices(words.state(None, []), elem_id="finetune-state")
    losses = gr.Plot(show_label=False, visible=False, elem_id="finetune-losses")
    drift = gr.Plot(show_label=False, visible=False, elem_id="finetune-drift")
    table = gr.Dataframe(
        headers=FIGURES, interactive=False, wrap=True, visible=False, elem_id="finetune-table",
        column_widths=["50%", "25%", "25%"], show_label=False,
    )  # fmt: skip
    flipped = gr.Gallery(
        label="Held pictures whose verdict is another now", columns=4, height="auto",
        object_fit="contain", visible=False, interactive=False, elem_id="finetune-flipped",
    )  # fmt: skip
    norms = gr.Dataframe(
        headers=["what moved most", "change, % of its norm"], interactive=False, visible=False,
        elem_id="finetune-norms", show_label=False,
    )  # fmt: skip
    return TrainingPage(
        name=gr.State(None), stored=bar.browser_state(KEPT_KEY), seen=gr.State(None),
        clock=gr.Timer(EVERY, active=False), state=state, train=left.train,
        estimate=left.estimate, stop=left.stop, resume=left.resume, losses=losses, drift=drift,
        table=table, flipped=flipped, norms=norms, keeping=left.keeping,
    )  # fmt: skip


def _join_plan(bar: Bar, left: Left) -> None:
    def fill(preset: str, backbone: str, labels: str) -> list:
        if preset not in PRESETS:
            return [gr.skip()] * len(constants(left))
        try:
            count = len(LabelSet.parse(labels))
        except ValueError:
            count = None
        return filled(preset, backbone, count)

    asked = [left.plan.preset, bar.backbone, bar.labels]
    for event in (left.plan.preset.input, bar.backbone.change, bar.labels.change):
        event(fill, asked, constants(left), **QUIET)
    left.plan.source.change(
        lambda source: gr.File(visible=source == ZIP), left.plan.source, left.plan.zip, **QUIET
    )


def _join_training(
    demo: gr.Blocks, trainings: TrainingHandlers, bar: Bar, left: Left, page: TrainingPage
) -> None:
    shown = list(page)
    asked = [*bar.basic, *left.plan]
    left.train.click(trainings.train, asked, shown, **QUIET)
    left.estimate.click(trainings.estimate, asked, shown, **QUIET)
    left.resume.click(trainings.resume, page.name, shown, **QUIET)
    left.stop.click(trainings.stop, page.name, shown, queue=False, **QUIET)
    # A hidden tab's timers may come once a minute; a worker's come on, so it is not taken for gone.
    pulse = gr.HTML(js_on_load=PULSE, visible="hidden")
    look = [page.clock.tick, pulse.select]
    gr.on(look, trainings.poll, [page.name, page.seen], shown, queue=False, **QUIET)
    bar.when_kept(demo, page.stored, trainings.found, shown)


def _join_keeping(
    trainings: TrainingHandlers, library: Library, bar: Bar, left: Left, page: TrainingPage
) -> None:
    @toasting_errors
    def use(name: str | None) -> list:
        return [*_chosen(name), *into_detect()]

    @toasting_errors
    def compare(name: str | None) -> list:
        return [*_chosen(name), opening("Benchmark")]

    def _chosen(name: str | None) -> list:
        known, title = trainings.use(name)
        return [known, gr.Dropdown(recipe_choices(library, known, title), value=title)]

    left.use.click(use, page.name, [bar.backbone, bar.recipe, bar.tabs, bar.to_detect], **QUIET)
    left.compare.click(compare, page.name, [bar.backbone, bar.recipe, bar.tabs], **QUIET)
    download(left.save.click, trainings.saved, page.name)
