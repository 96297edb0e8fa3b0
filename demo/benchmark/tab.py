"""Benchmark: known images against foreign ones, under any weights and scores."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from demo.benchmark.components.table import BenchmarkTable
from demo.benchmark.files import KINDS, figure_page, picture, saved
from demo.benchmark.handlers import BenchmarkHandlers
from demo.benchmark.layout import (
    Choice,
    build_behind,
    build_choice,
    recipe_chosen,
    weights_offered,
)
from demo.benchmark.runs import Look, Run
from demo.benchmark.sets import ZIP
from demo.benchmark.view import View
from demo.benchmark.words import GONE
from demo.page.bar import Bar
from demo.page.components.notices import Notices
from demo.page.notices import empty, toast
from demo.server.library import Library
from setar_core.scores import SCORES

# What Detect and the bar say is measured here too: their components, by what they are called.
FROM_DETECT = ("labels", "prompt", "recipe-file", "temperature", "local-weight")
OPEN = (Path(__file__).resolve().parent / "open_in_detect.js").read_text(encoding="utf-8")
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
            table = BenchmarkTable(elem_id="bench-table")
            with gr.Row(elem_id="bench-downloads"):
                buttons = {
                    kind: gr.Button(f"Download {title}", size="sm", min_width=110)
                    for kind, title in KINDS.items()
                }
        behind, keys = build_behind()
        files = {
            kind: gr.DownloadButton(kind, visible="hidden", elem_id=f"bench-file-{kind}")
            for kind in (*KINDS, "html")
        }
        chosen = gr.Textbox(visible="hidden", elem_id="bench-chosen", label="Chosen picture")
    elsewhere = {block.elem_id: block for block in demo.blocks.values() if block.elem_id}
    with elsewhere["bar"]:  # in a tab not yet opened it would hold nothing
        kept = gr.BrowserState(None, storage_key=KEPT_KEY, secret=KEPT_KEY)
    page = list(
        behind._replace(
            name=name,
            stored=kept,
            start=start,
            stop=stop,
            notice=notice,
            results=results,
            table=table,
        )
    )
    looked = [name, behind.detector, behind.ood]
    asked = [bar.backbone, *(elsewhere[part] for part in FROM_DETECT), *choice]

    # Several clicks of Run may be on their way: it is shown again before its last event has ended.
    start.click(
        handlers.run, [name, *asked], page,
        **_quiet(concurrency_limit=WATCHERS, trigger_mode="multiple"),
    )  # fmt: skip
    stop.click(handlers.stop, name, page, **_quiet(queue=False))
    opened = demo.load(handlers.found, kept, page, **_quiet())
    opened.then(handlers.watch, name, page, **_quiet(concurrency_limit=WATCHERS))

    def click(event: gr.EventData, *values: Any) -> View:
        return handlers.clicked(*values, event.index)

    def drag(event: gr.EventData, *values: Any) -> View:
        return handlers.threshold_moved(*values, event.index)

    # One after another, or the answer to a drag may come after that to what was typed later.
    last = _quiet(trigger_mode="always_last", concurrency_id="bench-look")
    table.select(click, name, page, **last)
    for part in (behind.detector, behind.ood):
        part.input(handlers.look, looked, page, **last)
    behind.rates.select(drag, looked, page, **last)
    for event in (behind.threshold.submit, behind.threshold.blur):
        event(handlers.threshold_moved, [*looked, behind.threshold], page, **last)
    _join_files(handlers, looked, behind, keys, buttons, files, chosen)
    _join_choice(demo, library, bar, elsewhere["recipe-file"], choice)


def _join_files(
    handlers: BenchmarkHandlers,
    looked: list,
    behind: View,
    keys: gr.HTML,
    buttons: dict[str, gr.Button],
    files: dict[str, gr.DownloadButton],
    chosen: gr.Textbox,
) -> None:
    def save(kind: str, name: str | None) -> str:
        return saved(_run(handlers, name), kind)

    def save_figure(event: gr.EventData, *values: Any) -> str:
        return figure_page(*_look(handlers, *values), event.index)

    def pick(event: gr.EventData, *values: Any) -> str:
        try:
            return picture(*_look(handlers, *values), event.index)
        except ValueError as error:
            raise toast(error) from None

    here = [*looked, behind.threshold]
    for kind, button in buttons.items():
        made = button.click(partial(save, kind), looked[0], files[kind], **_quiet())
        made.then(None, None, None, js=_press(kind))
    keys.select(save_figure, here, files["html"], **_quiet()).then(
        None, None, None, js=_press("html")
    )
    behind.worst.select(pick, here, chosen, **_quiet()).then(None, chosen, None, js=OPEN)


def _join_choice(
    demo: gr.Blocks, library: Library, bar: Bar, recipe_file: gr.File, choice: Choice
) -> None:
    def scores() -> Any:
        titles = [(score.title, name) for name, score in SCORES.items()]
        return gr.update(choices=titles, value=["mcm", "gl_mcm"])

    demo.load(scores, None, choice.scores, **_quiet())
    asked = [bar.backbone, recipe_file, bar.recipe, choice.recipes]
    for event in (bar.backbone.change, recipe_file.change):
        event(partial(weights_offered, library), asked, choice.recipes, **_quiet())
    bar.recipe.change(partial(recipe_chosen, library), asked, choice.recipes, **_quiet())
    choice.id_zip.upload(lambda: ZIP, None, choice.inside, **_quiet())


def _run(handlers: BenchmarkHandlers, name: str | None) -> Run:
    run = handlers.runs.find(name)
    if run is None or not run.ready:
        raise gr.Error(GONE if name else "Press Run first.", print_exception=False)
    return run


def _look(
    handlers: BenchmarkHandlers, name: str | None, detector: int, ood: str, threshold: float
) -> tuple[Run, Look]:
    run = _run(handlers, name)
    return run, Look(run.bench.detections[int(detector)], ood, float(threshold))


def _press(kind: str) -> str:
    return f"() => document.querySelector('#bench-file-{kind}').click()"


def _quiet(**more: Any) -> dict[str, Any]:
    """Options of every event: no overlay, and no endpoint for clients."""
    return {"show_progress": "hidden", "api_visibility": "private", **more}
