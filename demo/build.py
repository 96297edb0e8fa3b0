"""Lays out the page: the bar, the tabs in order, the endpoints.

A new tab is a folder with a `build_...` function and one entry in `build`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr

from demo.api import build_api
from demo.benchmark.tab import build_benchmark
from demo.detect.handlers import DetectHandlers
from demo.detect.tab import build_detect
from demo.finetune.tab import build_finetune
from demo.page.events import KEEP, QUIET
from demo.page.links import read
from demo.page.session import Bar, build_session, opening
from demo.page.theme import CSS
from demo.page.uploads import Page
from demo.published.tab import build_published
from demo.search.tab import build_search
from demo.server.library import Library
from demo.server.limits import KEPT_SECONDS
from demo.server.request import RECALL
from demo.spectrum.tab import build_spectrum

# Gradio sets a prefix before each part of a selector between commas: no `:is(a, b)` in these.
STYLES = [CSS, *(style for style in CSS.parents[1].glob("*/*.css") if style.parent != CSS.parent)]
METHOD = CSS.with_name("method.md").read_text(encoding="utf-8")  # README shows it too
METHOD_TITLE = "How it works: what is asked, what SeTAR drops, how the search goes"


def build(library: Library, handlers: DetectHandlers | None = None) -> gr.Blocks:
    """The whole page over these shelves."""
    tabs: dict[str, Callable[[gr.Blocks, Library, Bar], None]] = {
        "Detect": partial(build_detect, handlers or DetectHandlers(library)),
        "Search": build_search,
        "Fine-tune": build_finetune,
        "Benchmark": build_benchmark,
        "Spectrum": build_spectrum,
        "Published": build_published,
    }
    with Page(
        title="SeTAR Explorer",
        analytics_enabled=False,
        delete_cache=(int(KEPT_SECONDS), int(KEPT_SECONDS)),
    ) as demo:
        build_api(library)  # first: names of endpoints go to who comes first
        bar = build_session(demo, library)
        with bar.tabs:
            for title, build_tab in tabs.items():
                with gr.Tab(title, id=title.lower()):
                    build_tab(demo, library, bar)

        def asked_for(request: gr.Request) -> Any:
            """The tab that the address names."""
            name = request.query_params.get("tab", "")
            return opening(name) if name in [title.lower() for title in tabs] else KEEP

        demo.load(asked_for, None, bar.tabs, **QUIET)
        with gr.Accordion(METHOD_TITLE, open=False, elem_id="method"):
            gr.Markdown(METHOD)
    return demo


def prepare(library: Library, handlers: DetectHandlers) -> None:
    """Load the first backbone and judge the examples, before the first visitor asks."""
    settings = read(library, {}).settings
    for page in handlers.judge(None, None, "score", RECALL, *settings):
        handlers.batches.drop(page.batch)
