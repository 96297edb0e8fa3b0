"""The face of SeTAR Explorer: `build()` lays out the tabs, in order. Nothing is computed here.

A new tab is one file with a `build_...` function and one entry in `TABS`.
"""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from demo.api import build_api
from demo.bar import Bar, build_bar
from demo.benchmark_tab import build_benchmark
from demo.detect_handlers import RECALL, DetectHandlers
from demo.detect_tab import build_detect
from demo.library import Library
from demo.links import read
from demo.published_tab import build_published
from demo.search_tab import build_search
from demo.spectrum_tab import build_spectrum

KEPT_SECONDS = 3600  # how long uploads stay, and how often old ones are looked for

TABS: dict[str, Callable[[gr.Blocks, Library, Bar, DetectHandlers], None]] = {
    "Detect": build_detect,
    "Search": build_search,
    "Benchmark": build_benchmark,
    "Spectrum": build_spectrum,
    "Published": build_published,
}


def build(library: Library, handlers: DetectHandlers | None = None) -> gr.Blocks:
    """The whole page over these shelves."""
    handlers = handlers or DetectHandlers(library)
    with gr.Blocks(
        title="SeTAR Explorer",
        analytics_enabled=False,
        delete_cache=(KEPT_SECONDS, KEPT_SECONDS),
    ) as demo:
        bar = build_bar(library)
        with gr.Tabs():
            for title, build_tab in TABS.items():
                with gr.Tab(title, id=title.lower()):
                    build_tab(demo, library, bar, handlers)
        build_api(library)
    return demo


def prepare(library: Library, handlers: DetectHandlers) -> None:
    """Load the first backbone and judge the examples, before the first visitor asks."""
    controls = read(library, {}).controls
    for page in handlers.judge(None, None, "score", RECALL, *controls):
        handlers.sheets.drop(page.sheet)
