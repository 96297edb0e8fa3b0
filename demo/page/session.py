"""The bar above all tabs: every setting that they share, what is loaded and what runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from demo.page import choices, links
from demo.page.components.labels import LabelSummary, summary
from demo.page.components.notices import Notices
from demo.page.components.status import State, Status
from demo.page.events import FAST, QUIET
from demo.page.needs import Needs, build_needs, needed, show_examples, show_words
from demo.page.opened import detector_given
from demo.server.library import PHOTOGRAPHS, Library
from demo.server.shipped import label_set
from setar_core.labels import PROMPT, LabelSet

SENTENCE = (
    "Does a picture show one of your labels, or something the model should not put a name to? "
    "Drop pictures in and see what the model says, why, and how SeTAR, which drops the smallest "
    "parts of the model's weights, changes its mind."
)
MORE = "More: labels as text or by example, prompt, temperature, a recipe or detector of your own"
TOGGLE = """() => {
  const open = document.querySelector("#session").classList.toggle("open");
  document.querySelector("#settings").ariaExpanded = open;
}"""  # on a phone, where verdicts come first
EVERY = 3  # seconds between two looks at what runs


class Line(NamedTuple):
    """A threshold for one of the weights, by their name in `Settings.weights`."""

    weights: str
    threshold: float


class Handover(NamedTuple):
    """What a tab wants Detect to judge: these pictures, or where there are none what it shows.

    `known` is what is known of each picture, in words; `line` is to be their threshold.
    """

    pictures: tuple[str, ...]
    time: int  # so that it differs from the one before
    known: tuple[str, ...] = ()
    line: Line | None = None


class Bar(NamedTuple):
    """The settings of one page, and what is said of them; every tab asks with these.

    Attributes:
        place: where the bar is; what a tab puts here is there before the tab is opened.
        tabs: to open another.
        for_photographs: loads a backbone that knows them; a tab shows it where it is needed.
        to_detect: a `Handover`; Detect judges when it changes.
        settled: the backbone that the other settings are for, once it is loaded.
        opened: happens once the page has its settings, from its address or the usual ones, and
            their backbone is loaded.
        changes: what happens whenever a setting has become another.
    """

    place: gr.Row
    backbone: gr.Dropdown
    label_set: gr.Dropdown
    recipe: gr.Dropdown
    score: gr.Dropdown
    labels: gr.Textbox
    prompt: gr.Textbox
    temperature: gr.Number
    local_weight: gr.Number
    needs: Needs
    recipe_file: gr.File
    detector_file: gr.File
    detector_told: Notices
    detector: gr.State
    label_count: LabelSummary
    explanation: gr.HTML
    status: Status
    notice: Notices
    for_photographs: gr.Button
    tabs: gr.Tabs
    to_detect: gr.State
    settled: gr.State
    opened: Any = None
    changes: tuple[Callable, ...] = ()

    @property
    def settings(self) -> list:
        """The inputs that `read_settings` takes."""
        return [*self.basic, *self.needs.inputs, self.detector]

    @property
    def basic(self) -> list:
        """Those of them that every score has."""
        return [
            self.backbone, self.labels, self.prompt, self.recipe, self.score, self.temperature,
            self.local_weight,
        ]  # fmt: skip

    def on_change(self, handler: Callable, inputs: Sequence, outputs: Sequence) -> None:
        """Call it whenever a setting has become another."""
        for change in self.changes:
            change(handler, inputs, outputs, **FAST)

    def browser_state(self, key: str) -> gr.BrowserState:
        """What a browser keeps; made in a tab, it would hold nothing until that is opened."""
        with self.place:
            return gr.BrowserState(None, storage_key=key, secret=key)

    def when_kept(self, demo: gr.Blocks, kept: gr.BrowserState, found: Callable, page: list) -> Any:
        """When the page opens and its browser keeps a name there: `found(name)` fills the page.

        Where it keeps none nothing is asked: that thirty parts are as they were built takes a
        browser longer to hear than to draw them.
        """
        with self.place:
            told = gr.Textbox(visible="hidden", label="Kept")
        demo.load(None, kept, told, js="(kept) => kept ? 'kept' : ''", **QUIET)
        return told.change(found, kept, page, **QUIET)


def opening(tab: str) -> gr.Tabs:
    """The tabs, with another of them open."""
    return gr.Tabs(selected=tab.lower())


def into_detect(*pictures: str, known: tuple[str, ...] = (), line: Line | None = None) -> list:
    """For `tabs` and `to_detect`: the settings, and pictures where there are any, go to Detect."""
    return [opening("Detect"), Handover(pictures, time.time_ns(), known, line)]


def build_session(demo: gr.Blocks, library: Library) -> Bar:
    """Lay the bar out and join its parts: the few settings that matter open, the others behind
    More."""
    labels = label_set(choices.default_labels(library.default))
    with gr.Column(elem_id="session"):
        gr.HTML(f"<h1>SeTAR Explorer</h1><p>{SENTENCE}</p>", elem_id="title")
        toggle = gr.Button("Settings: model, labels, recipe, score", size="sm", elem_id="settings")
        toggle.click(None, None, None, js=TOGGLE)
        with gr.Row(elem_id="bar") as place:
            backbone, label_sets, recipe, score = _build_choices(library)
        with gr.Row(elem_id="bar-told"):
            count = LabelSummary(summary(labels.names, labels.doubts, ()), elem_id="said")
            explanation = gr.HTML(
                choices.score_explained(score.value, backbone.value), elem_id="question"
            )
        with gr.Accordion(MORE, open=False, elem_id="more"):
            with gr.Row(equal_height=False):
                names, prompt, temperature, local_weight, *files = _build_more(labels)
                recipe_file, detector_file, detector_told = files
            needs = build_needs()
        status = Status(status_of(library), elem_id="status")
        notice = Notices(elem_id="bar-notice")
    for_photographs = gr.Button(
        f"Load a model for photographs ({PHOTOGRAPHS})",
        size="sm",
        visible=False,
        render=False,
        elem_id="for-photographs",
    )
    link_told = Notices(elem_id="link-notice")
    tabs = gr.Tabs(overflow_behavior="wrap")
    bar = Bar(
        place, backbone, label_sets, recipe, score, names, prompt, temperature, local_weight,
        needs, recipe_file, detector_file, detector_told, gr.State(None), count, explanation,
        status, notice, for_photographs, tabs, gr.State(None), gr.State(None),
    )  # fmt: skip
    opened = _join_opening(demo, library, bar, link_told)
    return bar._replace(opened=opened, changes=_join(library, bar))


def status_of(library: Library) -> State:
    loaded, running = (", ".join(names) for names in library.status())
    devices = ", ".join(library.device_titles())
    return State(loaded or "nothing yet", running or "idle", devices, bool(running))


def _build_choices(library: Library) -> tuple[gr.Dropdown, ...]:
    backbone = gr.Dropdown(
        library.backbones(),
        value=library.default,
        label="Backbone",
        info=choices.knows(library, library.default),
        allow_custom_value=True,
        min_width=180,
        elem_id="backbone",
    )
    labels = gr.Dropdown(
        choices.label_choices(),
        value=choices.default_labels(library.default),
        label="Labels",
        info="What it may answer",
        min_width=180,
        elem_id="label-set",
    )
    recipe = gr.Dropdown(
        choices.recipe_choices(library, library.default),
        value=choices.default_recipe(library, library.default),
        label="SeTAR recipe",
        info="Which parts of the weights are dropped",
        allow_custom_value=True,  # else gradio refuses it, in words of its own
        min_width=180,
        elem_id="recipe",
    )
    score = gr.Dropdown(
        choices.score_choices(),
        label="Score",
        info="How sure it is that it is one of them",
        min_width=180,
        elem_id="score",
    )
    return backbone, labels, recipe, score


def _build_more(labels: LabelSet) -> tuple:
    with gr.Column(scale=4, min_width=260):
        names = gr.Textbox(
            "\n".join(labels.names),
            label="Labels, one a line",
            lines=6,
            max_lines=10,
            elem_id="labels",
        )
    with gr.Column(scale=5, min_width=260):
        prompt = gr.Textbox(
            PROMPT,
            label="Prompt",
            info="The sentence each label is set into; several, one a line, are averaged",
            lines=1,
            max_lines=6,
            elem_id="prompt",
        )
        with gr.Row():
            temperature = gr.Number(
                1.0,
                label="Temperature",
                info="Divides the similarities; 1 as published",
                min_width=120,
                elem_id="temperature",
            )
            local_weight = gr.Number(
                1.0,
                label="Local weight",
                info="How much single places count (GL-MCM)",
                min_width=120,
                elem_id="local-weight",
            )
    with gr.Column(scale=3, min_width=220):
        recipe_file = gr.File(
            file_types=[".json", ".safetensors"],
            label="A recipe (.json) or an adapter",
            height=140,
            elem_id="recipe-file",
        )
        detector_file = gr.File(
            file_types=[".zip", ".json"],
            label="Open a detector that was saved (zip)",
            height=140,
            elem_id="detector-file",
        )
        detector_told = Notices(elem_id="detector-notice")
    return names, prompt, temperature, local_weight, recipe_file, detector_file, detector_told


def _chosen(bar: Bar) -> list:
    """The outputs of a `Choice`."""
    return [
        bar.label_set, bar.labels, bar.label_count, bar.recipe, bar.notice, bar.backbone,
        bar.settled,
    ]  # fmt: skip


def _join_opening(demo: gr.Blocks, library: Library, bar: Bar, link_told: Notices) -> Any:
    """What happens once the bar is filled and its backbone is loaded."""
    told = partial(status_of, library)
    gr.on([demo.load, gr.Timer(EVERY).tick], told, None, bar.status, **QUIET, queue=False)

    def opening(request: gr.Request) -> list:
        return links.opening(library, dict(request.query_params))

    # No limit: one visitor's slow backbone must not keep another's page from opening.
    filled = demo.load(
        opening,
        None,
        [bar.label_set, *bar.settings, bar.label_count, bar.explanation, link_told],
        concurrency_limit=None,
        **QUIET,
    )
    return filled.then(
        partial(links.arrived, library),
        [bar.backbone, bar.labels, bar.prompt],
        _chosen(bar),
        concurrency_limit=None,
        **QUIET,
    )


def _join(library: Library, bar: Bar) -> tuple[Callable, ...]:
    """Join what follows from a choice; gives what is to happen after each."""
    written = [bar.backbone, bar.labels, bar.prompt]
    for part in (bar.score, bar.backbone):
        part.change(choices.score_explained, [bar.score, bar.backbone], bar.explanation, **FAST)
    known = partial(choices.knowing, library)
    bar.settled.change(known, bar.settled, bar.backbone, **FAST)
    bar.score.change(needed, bar.score, list(bar.needs), **FAST)
    bar.needs.mine.click(
        partial(show_words, library), bar.settings, [bar.needs.told, bar.needs.mined], **QUIET
    )
    bar.prompt.change(partial(choices.labels_counted, library), written, bar.label_count, **FAST)
    followed = [
        event(partial(choose, library), inputs, _chosen(bar), concurrency_limit=None, **FAST).then
        for event, choose, inputs in (
            (bar.backbone.input, choices.backbone_chosen, [*written, bar.recipe, bar.settled]),
            (
                bar.for_photographs.click,
                choices.photographs_given,
                [*written, bar.recipe, bar.settled],
            ),
            (bar.label_set.input, choices.labels_chosen, [bar.backbone, bar.label_set, bar.prompt]),
            (bar.labels.change, choices.labels_written, written),
            (bar.recipe_file.change, choices.recipe_given, [bar.backbone, bar.recipe_file]),
        )
    ]
    shown = partial(show_examples, library)
    for event in (bar.needs.examples.change, bar.needs.share.change):
        event(shown, bar.settings, bar.needs.shown, **QUIET)
    given = bar.detector_file.change(
        partial(detector_given, library),
        bar.detector_file,
        [bar.label_set, *bar.settings, bar.label_count, bar.settled, bar.detector_told],
        concurrency_limit=None,
        **FAST,
    )
    followed.append(given.then)
    # A box's `input` event comes with key presses alone, not with a paste or a backspace.
    others = (
        bar.recipe, bar.score, bar.prompt, bar.temperature, bar.local_weight, *bar.needs.inputs
    )  # fmt: skip
    return (*followed, *(part.change for part in others))
