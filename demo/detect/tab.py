"""Detect: pictures in, verdicts out, with the original and with the SeTAR weights."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import gradio as gr

from demo.detect import exports
from demo.detect.controls import (
    OWN,
    Controls,
    Pictures,
    Thresholds,
    build_controls,
    build_pictures,
    build_thresholds,
    sources_offered,
)
from demo.detect.handlers import AT_ONCE, DetectHandlers
from demo.detect.results import Results, build_results
from demo.detect.view import Page
from demo.page import chosen, links
from demo.page.bar import Bar, status
from demo.server.library import Library, examples
from demo.server.request import ALTERED, ORIGINAL

SHOW_PATCHES = (
    "(on, opacity) => { document.documentElement.style.setProperty('--patches', on ? opacity : 0);"
    " return [on, opacity]; }"
)


class Parts(NamedTuple):
    """Everything on the tab, and what its events need again and again.

    `page` are the outputs of every handler, `asked` the inputs of `read_settings`, `view` what says
    which batch is shown and how.
    """

    library: Library
    bar: Bar
    handlers: DetectHandlers
    pictures: Pictures
    controls: Controls
    thresholds: Thresholds
    results: Results
    page: list
    asked: list
    view: list


def build_detect(handlers: DetectHandlers, demo: gr.Blocks, library: Library, bar: Bar) -> None:
    """Lay the tab out and join it to its handlers."""
    name = gr.State(None, time_to_live=7200, delete_callback=handlers.batches.drop)
    picked = gr.State(None)
    with gr.Row(equal_height=False, elem_id="detect"):
        with gr.Column(scale=4, min_width=300, elem_id="left"):
            with gr.Column(elem_id="left-pictures"):
                pictures = build_pictures()
            with gr.Column(elem_id="left-settings"):
                controls = build_controls(library)
                thresholds = build_thresholds()
        with gr.Column(scale=8, min_width=300, elem_id="right"):
            results = build_results()
    page = Page(
        name, picked, results.notice, results.tally, results.rows, results.detail, results.axes,
        thresholds.found, thresholds.line, thresholds.line_altered,
    )  # fmt: skip
    asked = [
        bar.backbone, controls.names, controls.prompt, bar.recipe, controls.recipe_file,
        controls.score, controls.temperature, controls.local_weight,
    ]  # fmt: skip
    view = [name, results.by, picked]
    parts = Parts(
        library, bar, handlers, pictures, controls, thresholds, results, list(page), asked, view
    )
    _join_judging(demo, parts)
    _join_thresholds(parts)
    _join_choosing(parts)
    _join_results(parts)


def _quiet(**more) -> dict:
    """Options of every event of the page itself: no overlay, and no endpoint for clients."""
    return {"show_progress": "hidden", "api_visibility": "private", **more}


def _join_judging(demo: gr.Blocks, on: Parts) -> None:
    inputs = [on.view[0], on.results.by, on.thresholds.recall, *on.asked]
    busy = _quiet(concurrency_limit=AT_ONCE)

    def example(event: gr.EventData, *values):
        yield from on.handlers.judge([str(examples()[event.index])], *values)

    def camera(picture, *values):
        if picture:
            yield from on.handlers.judge([picture], *values)

    bar, controls = on.bar, on.controls
    opened = demo.load(
        links.opened_by(on.library),
        None,
        [bar.backbone, bar.labels, bar.recipe, *on.asked[1:3], *on.asked[5:],
         on.thresholds.recall, controls.said, controls.question],
        **_quiet(concurrency_limit=None),
    )  # fmt: skip
    loaded = opened.then(
        partial(links.arrived, on.library),
        [bar.backbone, controls.names, controls.prompt],
        _choice(on),
        **_quiet(concurrency_limit=None),
    )
    files = on.pictures.files
    for event, judge in (
        (loaded.then, on.handlers.judge),
        (files.upload, on.handlers.judge),
        (files.delete, on.handlers.judge_left),
        (files.clear, on.handlers.judge_left),
        (controls.judge.click, on.handlers.judge_again),
    ):
        event(judge, [files, *inputs], on.page, **busy)
    on.pictures.examples.select(example, inputs, on.page, **busy)
    on.pictures.camera.change(camera, [on.pictures.camera, *inputs], on.page, **busy)
    told = partial(status, on.library)
    gr.on([demo.load, gr.Timer(3).tick], told, None, bar.status, **_quiet(queue=False))


def _join_thresholds(on: Parts) -> None:
    part = on.thresholds
    part.calibrate.click(
        on.handlers.calibrate,
        [part.source, part.own, *on.view, part.recall, *on.asked],
        on.page,
        **_quiet(concurrency_limit=AT_ONCE),
    )
    part.source.change(
        lambda source: gr.File(visible=source == OWN), part.source, part.own, **_quiet()
    )
    said = [on.bar.backbone, on.controls.names, on.controls.prompt, part.source]
    for changed in (on.bar.backbone.change, on.controls.names.change):
        changed(sources_offered, said, part.source, **_quiet(trigger_mode="always_last"))
    fast = _quiet(trigger_mode="always_last", queue=False)
    part.recall.input(on.handlers.recall_moved, [part.recall, *on.view], on.page, **fast)
    for weights, line in ((ORIGINAL, part.line), (ALTERED, part.line_altered)):
        line.input(partial(on.handlers.line_moved, weights), [line, *on.view], on.page, **fast)


def _choice(on: Parts) -> list:
    """The outputs of a `chosen.Choice`."""
    bar, controls = on.bar, on.controls
    return [bar.labels, controls.names, controls.said, bar.recipe, on.results.notice]


def _join_choosing(on: Parts) -> None:
    bar, controls = on.bar, on.controls
    outdate = {
        "fn": on.handlers.settings_changed,
        "inputs": [*on.view, *on.asked],
        "outputs": on.page,
    }
    heeding = outdate | {
        "fn": on.handlers.choice_made,
        "inputs": [on.results.notice, *outdate["inputs"]],
    }
    fast = _quiet(trigger_mode="always_last")
    written = [bar.backbone, controls.names, controls.prompt]
    given = [bar.backbone, controls.recipe_file]
    labels = [bar.backbone, bar.labels, controls.prompt]
    for event, choose, inputs, then in (
        (bar.labels.input, chosen.labels_chosen, labels, outdate),
        (controls.names.change, chosen.labels_written, written, outdate),
        (bar.backbone.input, chosen.backbone_chosen, written, heeding),
        (controls.recipe_file.change, chosen.recipe_given, given, heeding),
    ):
        # No limit: one visitor's slow backbone must not keep another's from being chosen.
        choosing = partial(choose, on.library)
        happened = event(choosing, inputs, _choice(on), concurrency_limit=None, **fast)
        happened.then(**then, **fast)
    edited = partial(chosen.labels_edited, on.library)
    controls.prompt.change(edited, written, controls.said, **fast)
    controls.score.input(chosen.score_chosen, controls.score, controls.question, **_quiet())
    # A box's `input` event comes with key presses alone, not with a paste or a backspace.
    boxes = (controls.prompt, controls.temperature, controls.local_weight)
    for event in (bar.recipe.input, controls.score.input, *(part.change for part in boxes)):
        event(**outdate, **fast)


def _join_results(on: Parts) -> None:
    results = on.results

    def pick(event: gr.EventData, name, by):
        return on.handlers.look(name, by, event.index)

    results.rows.select(pick, on.view[:2], on.page, **_quiet(trigger_mode="always_last"))
    results.by.input(on.handlers.look, on.view, on.page, **_quiet())
    for part in (results.patches, results.opacity):
        part.change(None, [results.patches, results.opacity], None, js=SHOW_PATCHES, **_quiet())
    for kind, button in (("csv", results.csv), ("json", results.json)):
        saved = button.click(
            partial(_saved, on.handlers, kind), on.view[0], results.files[kind], **_quiet()
        )
        saved.then(None, None, None, js=f"() => document.querySelector('#file-{kind}').click()")
    results.link.click(
        partial(links.query, on.library),
        [*on.asked, on.bar.labels, on.thresholds.recall],
        results.address,
        **_quiet(),
    ).then(None, results.address, results.address, js=links.COPY)


def _saved(handlers: DetectHandlers, kind: str, name: str | None) -> str | None:
    batch = handlers.batches.find(name)
    if batch is None or not batch.images:
        raise gr.Error("Judge some pictures first.", print_exception=False)
    return exports.saved(batch, kind)
