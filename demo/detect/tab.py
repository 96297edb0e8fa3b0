"""Detect: pictures in, verdicts out, with the original and with the SeTAR weights."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from demo.detect import exports
from demo.detect.batch import Batch
from demo.detect.controls import (
    OWN,
    Pictures,
    Thresholds,
    build_pictures,
    build_thresholds,
    sources_offered,
)
from demo.detect.handlers import DetectHandlers
from demo.detect.results import Results, build_results
from demo.detect.view import Page
from demo.page import links
from demo.page.downloads import download
from demo.page.events import FAST, KEEP, QUIET, sent, within
from demo.page.session import Bar, Handover
from demo.server.library import Library
from demo.server.limits import JUDGING
from demo.server.request import RECALL
from demo.server.shipped import examples

TO_TOP = "() => window.scrollTo({ top: 0 })"
SHOW_PATCHES = (
    "(on, opacity) => { document.documentElement.style.setProperty('--patches', on ? opacity : 0);"
    " return [on, opacity]; }"
)


class Parts(NamedTuple):
    """Everything on the tab, and what its events need again and again.

    `page` are the outputs of every handler, `view` what says which batch is shown and how.
    """

    library: Library
    bar: Bar
    handlers: DetectHandlers
    pictures: Pictures
    judge: gr.Button
    thresholds: Thresholds
    results: Results
    page: list
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
                judge = gr.Button("Judge", variant="primary", elem_id="judge")
                thresholds = build_thresholds()
        with gr.Column(scale=8, min_width=300, elem_id="right"):
            results = build_results()
    page = Page(
        name, picked, results.notice, results.tally, results.rows, results.detail, results.axes,
        thresholds.found, thresholds.line, thresholds.line_altered,
    )  # fmt: skip
    view = [name, results.by, picked]
    parts = Parts(library, bar, handlers, pictures, judge, thresholds, results, list(page), view)
    _join_judging(parts)
    _join_thresholds(parts)
    asked = [*view, thresholds.recall, *bar.settings]
    bar.on_change(handlers.settings_followed, asked, parts.page)
    _join_results(parts)


def _join_judging(on: Parts) -> None:
    bar, handlers, files = on.bar, on.handlers, on.pictures.files
    inputs = [on.view[0], on.results.by, on.thresholds.recall, *bar.settings]
    busy = {**QUIET, "concurrency_limit": JUDGING.longest}

    def first(request: gr.Request, waited: bool, begun: bool, files, name, by, *settings):
        """What a page opens with: judged at once where its backbone is loaded."""
        if begun or not (waited or on.library.is_loaded(settings[0])):
            yield [*Page(), KEEP, KEEP]
            return
        recall = links.number(request.query_params.get("recall"), RECALL, 0.5, 1)
        for page in handlers.judge(files, name, by, recall, *settings):
            yield [*page, recall, True]

    def example(event: gr.EventData, *values):
        place = within(sent(event, "index", int), len(examples()))
        yield from handlers.judge([str(examples()[place])], *values)

    def camera(picture, *values):
        yield Page()  # outputs of a generator that yields nothing are emptied
        if picture:
            yield from handlers.judge([picture], *values)

    def handed(over: Handover | None, *values):
        judge = handlers.judge if over and over.pictures else handlers.judge_again
        yield from judge(*values)

    begun, opening = gr.State(False), [files, *on.view[:2], *bar.settings]
    for event, waited in ((bar.filled, gr.State(False)), (bar.opened, gr.State(True))):
        shown = [*on.page, on.thresholds.recall, begun]
        event.then(first, [waited, begun, *opening], shown, **busy)
    for event, judge in (
        (files.upload, handlers.judge),
        (files.delete, handlers.judge_left),
        (files.clear, handlers.judge_left),
        (on.judge.click, handlers.judge_again),
    ):
        event(judge, [files, *inputs], on.page, **busy)
    on.pictures.examples.select(example, inputs, on.page, **busy)
    on.pictures.camera.change(camera, [on.pictures.camera, *inputs], on.page, **busy)
    bar.to_detect.change(None, None, None, js=TO_TOP)
    given = bar.to_detect.change(_listed, bar.to_detect, files, **QUIET)
    given.then(handed, [bar.to_detect, files, *inputs], on.page, **busy)


def _listed(over: Handover | None) -> Any:
    """The pictures that came, in the list of files."""
    return list(over.pictures) if over and over.pictures else KEEP


def _join_thresholds(on: Parts) -> None:
    part, bar = on.thresholds, on.bar
    part.calibrate.click(
        on.handlers.calibrate,
        [part.source, part.own, *on.view, part.recall, *bar.settings],
        on.page,
        concurrency_limit=JUDGING.longest,
        **QUIET,
    )
    part.source.change(
        lambda source: gr.File(visible=source == OWN), part.source, part.own, **QUIET
    )
    said = [bar.backbone, bar.labels, bar.prompt, part.source]
    for changed in (bar.backbone.change, bar.labels.change):
        changed(sources_offered, said, part.source, **FAST)
    at_once = {**FAST, "queue": False}
    part.recall.input(on.handlers.recall_moved, [part.recall, *on.view], on.page, **at_once)
    for place, line in enumerate((part.line, part.line_altered)):
        line.input(partial(on.handlers.line_moved, place), [line, *on.view], on.page, **at_once)


def _join_results(on: Parts) -> None:
    results = on.results

    def pick(event: gr.EventData, name, by):
        return on.handlers.look(name, by, sent(event, "index", int))

    results.rows.select(pick, on.view[:2], on.page, **FAST)
    results.by.input(on.handlers.look, on.view, on.page, **QUIET)
    for part in (results.patches, results.opacity):
        part.change(None, [results.patches, results.opacity], None, js=SHOW_PATCHES, **QUIET)
    for kind, button in (("csv", results.csv), ("json", results.json)):
        download(button.click, partial(_saved, on.handlers, kind), on.view[0])
    download(results.detector.click, partial(_detector, on.handlers), on.view[0])

    def address(recall, *bar):
        return links.query(on.library, *bar, recall=recall)

    results.link.click(
        address,
        [on.thresholds.recall, on.bar.label_set, *on.bar.settings],
        results.address,
        **QUIET,
    ).then(None, results.address, results.address, js=links.COPY)


def _saved(handlers: DetectHandlers, kind: str, name: str | None) -> str:
    return exports.saved(_judged(handlers, name), kind)


def _detector(handlers: DetectHandlers, name: str | None) -> str:
    return exports.saved_detector(handlers.library, _judged(handlers, name))


def _judged(handlers: DetectHandlers, name: str | None) -> Batch:
    batch = handlers.batches.find(name)
    if batch is None or not batch.images:
        raise ValueError("judge some pictures first")
    return batch
