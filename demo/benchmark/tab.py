"""Benchmark: known images against foreign ones, under any weights and scores."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from demo.benchmark.components.brush import brushed
from demo.benchmark.components.said import Said
from demo.benchmark.components.table import BenchmarkTable
from demo.benchmark.files import KINDS, figure_page, saved
from demo.benchmark.handing import handed
from demo.benchmark.handlers import BenchmarkHandlers
from demo.benchmark.layout import (
    Choice,
    build_behind,
    build_choice,
    recipe_chosen,
    weights_offered,
)
from demo.benchmark.runs import Look, Run, detection
from demo.benchmark.sets import ZIP
from demo.benchmark.view import View
from demo.benchmark.words import GONE
from demo.page.components.notices import Notices
from demo.page.downloads import download
from demo.page.events import FAST, QUIET, sent
from demo.page.notices import empty, outlived, toasting_errors
from demo.page.session import Bar
from demo.server.library import Library

WATCHERS = 16  # pages that look on at once
KEPT_KEY = "setar-explorer-benchmark"
EMPTY = empty(
    "Nothing measured yet.",
    "Press Run: every image is read once and judged by all the detectors you ticked. The shipped "
    "sets take about a minute.",
)


def build_benchmark(demo: gr.Blocks, library: Library, bar: Bar) -> None:
    """Lay the tab out and join it to its handlers."""
    handlers = BenchmarkHandlers(library)
    name = gr.State(None)
    with gr.Column(elem_id="bench"):
        choice = build_choice(library)
        with gr.Row(elem_id="bench-keys"):
            start = gr.Button("Run", variant="primary", elem_id="bench-run", min_width=140)
            stop = gr.Button(
                "Stop", variant="stop", visible=False, elem_id="bench-stop", min_width=140
            )
        notice = Notices(EMPTY, elem_id="bench-notice")
        with gr.Column(visible=False) as results:
            conclusion = Said(elem_id="bench-said")
            table = BenchmarkTable(elem_id="bench-table")
            with gr.Row(elem_id="bench-downloads"):
                buttons = {
                    kind: gr.Button(f"Download {title}", size="sm", min_width=110)
                    for kind, title in KINDS.items()
                }
        behind = build_behind()
    kept = bar.browser_state(KEPT_KEY)
    page = list(
        behind._replace(
            name=name,
            stored=kept,
            start=start,
            stop=stop,
            notice=notice,
            results=results,
            said=conclusion,
            table=table,
        )
    )
    looked = [name, behind.detector, behind.ood]
    asked = [*bar.settings, *choice]

    # Several clicks of Run may be on their way: it is shown again before its last event has ended.
    start.click(
        handlers.run, [name, *asked], page,
        concurrency_limit=WATCHERS, trigger_mode="multiple", **QUIET,
    )  # fmt: skip
    stop.click(handlers.stop, name, page, queue=False, **QUIET)
    opened = bar.when_kept(demo, kept, handlers.found, page)
    opened.then(handlers.watch, name, page, concurrency_limit=WATCHERS, **QUIET)

    def click(event: gr.EventData, name: str | None) -> View:
        return handlers.clicked(name, sent(event, "index", int))

    def drag(event: gr.EventData, name: str | None, detector: int, ood: str) -> View:
        return handlers.threshold_moved(name, detector, ood, sent(event, "index", float))

    def brush(event: gr.EventData, name: str | None) -> View:
        return handlers.brush(name, brushed(event))

    # One after another, or the answer to a drag may come after that to what was typed later.
    last = {**FAST, "concurrency_id": "bench-look"}
    table.select(click, name, page, **last)
    for part in (behind.detector, behind.ood):
        part.input(handlers.look, looked, page, **last)
    behind.rates.select(drag, looked, page, **last)
    behind.brush.select(brush, name, page, **last)
    behind.beside.input(handlers.compare, [name, behind.beside], page, **last)
    for event in (behind.threshold.submit, behind.threshold.blur):
        event(handlers.threshold_moved, [*looked, behind.threshold], page, **last)
    _join_files(handlers, bar, looked, behind, buttons)
    _join_choice(library, bar, choice, notice)


def _join_files(
    handlers: BenchmarkHandlers,
    bar: Bar,
    looked: list,
    behind: View,
    buttons: dict[str, gr.Button],
) -> None:
    def save(kind: str, name: str | None) -> str:
        return saved(_run(handlers, name), kind)

    def save_figure(event: gr.EventData, *values: Any) -> str:
        return figure_page(*_look(handlers, *values), sent(event, "index", str))

    @toasting_errors
    def pick(event: gr.EventData, name, detector, ood, threshold, *said) -> list:
        run, look = _look(handlers, name, detector, ood, threshold)
        return handed(handlers.library, run, look, sent(event, "index", int), said)

    here = [*looked, behind.threshold]
    for kind, button in buttons.items():
        download(button.click, partial(save, kind), looked[0])
    download(behind.keys.select, save_figure, here)
    detect = [bar.tabs, bar.to_detect, bar.recipe, bar.score]
    behind.selected.select(pick, [*here, *bar.settings], detect, **QUIET)


def _join_choice(library: Library, bar: Bar, choice: Choice, notice: Notices) -> None:
    asked = [bar.backbone, bar.recipe, choice.recipes]
    bar.backbone.change(partial(weights_offered, library), asked, choice.recipes, **QUIET)
    bar.recipe.change(partial(recipe_chosen, library), asked, choice.recipes, **QUIET)
    choice.id_zip.upload(lambda: ZIP, None, choice.inside, **QUIET)
    for part in (choice.id_zip, choice.ood_zips):
        part.change(outlived, notice, notice, **QUIET)


def _run(handlers: BenchmarkHandlers, name: str | None) -> Run:
    run = handlers.runs.find(name)
    if run is None or not run.ready:
        raise ValueError(GONE if name else "Press Run first.")
    return run


def _look(
    handlers: BenchmarkHandlers,
    name: str | None,
    detector: int,
    ood: str,
    threshold: float | None,
) -> tuple[Run, Look]:
    run = _run(handlers, name)
    if ood not in run.ready or run.look is None:
        raise ValueError("no cell of the table is open; choose one")
    at = run.look.threshold if threshold is None else float(threshold)  # an emptied box
    return run, replace(run.look, detection=detection(run, detector), ood=ood, threshold=at)
