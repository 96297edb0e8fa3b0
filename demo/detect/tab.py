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
from demo.detect.handing import handed, own_pictures
from demo.detect.handlers import DetectHandlers
from demo.detect.results import Results, build_results
from demo.detect.view import Page
from demo.page import links
from demo.page.downloads import download
from demo.page.events import FAST, KEEP, QUIET, sent, within
from demo.page.session import Bar, Handover, opening
from demo.server.library import Library
from demo.server.limits import JUDGING
from demo.server.request import RECALL

TO_TOP = "() => window.scrollTo({ top: 0 })"


class Parts(NamedTuple):
    """Everything on the tab, and what its events need again and again.

    `page` are the outputs of every handler, `view` what says which batch is shown and how,
    `settings` what `read_settings` takes.
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

    @property
    def settings(self) -> list:
        return [*self.bar.settings, self.results.strength.share]


def build_detect(handlers: DetectHandlers, demo: gr.Blocks, library: Library, bar: Bar) -> None:
    """Lay the tab out and join it to its handlers."""
    name = gr.State(None, time_to_live=7200, delete_callback=handlers.batches.drop)
    picked = gr.State(None)
    with gr.Row(equal_height=False, elem_id="detect"):
        with gr.Column(scale=4, min_width=300, elem_id="left"):
            with gr.Column(elem_id="left-pictures"):
                pictures = build_pictures(library)
            with gr.Column(elem_id="left-settings"):
                judge = gr.Button("Judge", variant="primary", visible=False, elem_id="judge")
                thresholds = build_thresholds()
        with gr.Column(scale=8, min_width=300, elem_id="right"):
            results = build_results(bar)
    page = Page(
        name, picked, results.notice, results.tally, results.rows, results.detail, results.axes,
        thresholds.found, thresholds.line, thresholds.line_altered, judge, results.strength.place,
        results.photographs, thresholds.trade,
    )  # fmt: skip
    view = [name, results.by, picked]
    parts = Parts(library, bar, handlers, pictures, judge, thresholds, results, list(page), view)
    _join_judging(parts)
    _join_thresholds(parts)
    asked = [*view, thresholds.recall, *parts.settings]
    bar.on_change(handlers.settings_followed, asked, parts.page)
    results.strength.share.release(handlers.settings_followed, asked, parts.page, **FAST)
    results.strength.edit.click(partial(opening, "Spectrum"), None, bar.tabs, **QUIET)
    _join_results(parts)


def _join_judging(on: Parts) -> None:
    bar, handlers, files = on.bar, on.handlers, on.pictures.files
    inputs = [on.view[0], on.results.by, on.thresholds.recall, *on.settings]
    busy = {**QUIET, "concurrency_limit": JUDGING.longest}

    def first(request: gr.Request, kept, name, by, *settings):
        """What a page opens with: the pictures that it had before it was loaded again, or the
        examples."""
        query = dict(request.query_params)
        recall, strength = links.number(query, "recall", RECALL), links.number(query, "strength", 1)
        mine = own_pictures(handlers, kept)
        for page in handlers.judge(mine, name, by, recall, *settings[:-1], strength):
            yield [*page, recall, strength, mine or KEEP]

    def example(event: gr.EventData, mine, name, by, *values):
        """It joins pictures of one's own."""
        offered = on.library.pictures
        path = offered[within(sent(event, "index", int), len(offered))]
        for page in handlers.judge([*(mine or ()), str(path)], name, by, *values):
            name = name if page.batch is KEEP else page.batch
            yield page
        if mine:
            yield handlers.look_at(name, by, path)

    def camera(picture, *values):
        yield Page()  # outputs of a generator that yields nothing are emptied
        if picture:
            yield from handlers.judge([picture], *values)

    stored = bar.browser_state("detect")
    on.view[0].change(lambda name: name, on.view[0], stored, **QUIET)
    shown = [*on.page, on.thresholds.recall, on.results.strength.share, files]
    bar.opened.then(first, [stored, *on.view[:2], *on.settings], shown, **busy)
    for event, judge in (
        (files.upload, handlers.judge),
        (files.delete, handlers.judge_left),
        (files.clear, handlers.judge_left),
        (on.judge.click, handlers.judge_again),
    ):
        event(judge, [files, *inputs], on.page, **busy)
    on.pictures.examples.select(example, [files, *inputs], on.page, **busy)
    on.pictures.camera.change(camera, [on.pictures.camera, *inputs], on.page, **busy)
    bar.to_detect.change(None, None, None, js=TO_TOP)
    given = bar.to_detect.change(_listed, bar.to_detect, files, **QUIET)
    given.then(partial(handed, handlers), [bar.to_detect, files, *inputs], on.page, **busy)


def _listed(over: Handover | None) -> Any:
    """The pictures that came, in the list of files."""
    return list(over.pictures) if over and over.pictures else KEEP


def _join_thresholds(on: Parts) -> None:
    part, bar = on.thresholds, on.bar
    part.calibrate.click(
        on.handlers.calibrate,
        [part.source, part.own, part.foreign, *on.view, part.recall, *on.settings],
        on.page,
        concurrency_limit=JUDGING.longest,
        **QUIET,
    )
    part.source.change(
        lambda source: [gr.File(visible=source == OWN)] * 2,
        part.source,
        [part.own, part.foreign],
        **QUIET,
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
    for kind, button in (("csv", results.csv), ("json", results.json)):
        download(button.click, partial(_saved, on.handlers, kind), on.view[0])
    download(results.detector.click, partial(_detector, on.handlers), on.view[0])

    def address(recall, strength, *bar):
        more = {} if strength == 1 else {"strength": strength}
        return links.query(on.library, *bar, recall=recall, **more)

    results.link.click(
        address,
        [on.thresholds.recall, results.strength.share, on.bar.label_set, *on.bar.settings],
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
