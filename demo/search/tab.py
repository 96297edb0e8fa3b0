"""Search: watch SeTAR find a recipe, live, on a few pictures of one's own or the shipped ones."""

from __future__ import annotations

from functools import partial

import gradio as gr

from demo.page.choices import recipe_choices, set_of
from demo.page.components.notices import Notices
from demo.page.downloads import download
from demo.page.events import PULSE, QUIET
from demo.page.notices import toasting_errors
from demo.page.session import Bar, into_detect, opening
from demo.search import words
from demo.search.components.film import SearchFilm
from demo.search.components.pictures import Pictures
from demo.search.components.result import Result
from demo.search.controls import Left, build_plan, count_of, told_of
from demo.search.handlers import SearchHandlers
from demo.search.presets import OWN, PRESETS, fitting, proposed
from demo.search.request import ZIP
from demo.search.view import SearchPage, film
from demo.server.library import Library

EVERY = 0.4  # seconds between two looks at a search
KEPT_KEY = "setar-explorer-search"


def build_search(demo: gr.Blocks, library: Library, bar: Bar) -> None:
    """Lay the tab out and join it to its handlers."""
    searches = SearchHandlers(library)
    with gr.Row(equal_height=False, elem_id="search"):
        with gr.Column(scale=4, min_width=300, elem_id="search-left"):
            left = build_plan(library)
        with gr.Column(scale=8, min_width=300, elem_id="search-right"):
            page = build_views(bar, left)
    _join_plan(bar, left)
    _join_searching(demo, searches, bar, left, page)
    _join_keeping(searches, library, bar, left, page)


def build_views(bar: Bar, left: Left) -> SearchPage:
    """The right side: how far it is, the drawings, and what was found."""
    state = Notices(words.state(None, []), elem_id="search-state")
    shown = SearchFilm(film(None), elem_id="search-film")
    pictures = Pictures(elem_id="search-pictures")
    result = Result(elem_id="search-result")
    return SearchPage(
        name=gr.State(None), stored=bar.browser_state(KEPT_KEY),
        seen=gr.State(None), clock=gr.Timer(EVERY, active=False),
        state=state, search=left.search, estimate=left.estimate, stop=left.stop,
        resume=left.resume, go_on=left.go_on, replay=left.replay, film=shown, pictures=pictures,
        result=result, keeping=left.keeping, trace=left.trace,
    )  # fmt: skip


def _join_plan(bar: Bar, left: Left) -> None:
    plan = left.plan
    filled = [left.preset, left.told, plan.lambda_ood, plan.top_k]

    def fitted(backbone: str, labels: str) -> list:
        return _filled(fitting(backbone, set_of(labels)).title, labels)

    for part in (bar.backbone, bar.labels):
        part.change(fitted, [bar.backbone, bar.labels], filled, **QUIET)
    left.preset.input(_filled, [left.preset, bar.labels], filled, **QUIET)
    for number in (plan.lambda_ood, plan.top_k):
        number.input(_own, None, [left.preset, left.told], **QUIET)
    plan.source.change(
        lambda source: gr.File(visible=source == ZIP), plan.source, plan.zip, **QUIET
    )
    left.published.select(partial(opening, "Published"), None, bar.tabs, **QUIET)


def _filled(title: str, labels: str) -> list:
    """A preset's settings for these labels."""
    if title not in PRESETS:
        return [gr.skip()] * 4
    preset, count = PRESETS[title], count_of(labels)
    top_k = proposed(preset, count)
    return [title, told_of(preset, top_k, count), preset.lambda_ood, top_k]


def _own() -> list:
    return [OWN, '<p class="hint">Your own λ and K. K must stay below the number of labels.</p>']


def _join_searching(
    demo: gr.Blocks, searches: SearchHandlers, bar: Bar, left: Left, page: SearchPage
) -> None:
    shown = list(page)
    asked = [*bar.basic, *left.plan]

    left.search.click(searches.search, asked, shown, **QUIET)
    left.estimate.click(searches.estimate, asked, shown, **QUIET)
    left.go_on.click(searches.go_on, [left.file, *asked], shown, **QUIET)
    left.resume.click(searches.resume, page.name, shown, **QUIET)
    left.replay.click(searches.replay, left.file, shown, **QUIET)
    left.stop.click(searches.stop, page.name, shown, queue=False, **QUIET)
    # A hidden tab's timers may come once a minute; a worker's come on, so it is not taken for gone.
    pulse = gr.HTML(js_on_load=PULSE, visible="hidden")
    look = [page.clock.tick, pulse.select]
    gr.on(look, searches.poll, [page.name, page.seen], shown, queue=False, **QUIET)
    bar.when_kept(demo, page.stored, searches.found, shown)


def _join_keeping(
    searches: SearchHandlers, library: Library, bar: Bar, left: Left, page: SearchPage
) -> None:
    name = page.name

    @toasting_errors
    def use(name: str | None, backbone: str) -> list:
        known, title = searches.use(name, backbone)
        recipes = gr.Dropdown(recipe_choices(library, known, title), value=title)
        return [known, recipes, *into_detect()]

    def saved(kind: str, name: str | None) -> str:
        return searches.saved_recipe(name) if kind == "recipe" else searches.saved_trace(name)

    for event in (name.change, bar.backbone.change):
        event(searches.fit, [name, bar.backbone], [left.use, left.fit], **QUIET)
    used = [bar.backbone, bar.recipe, bar.tabs, bar.to_detect]
    left.use.click(use, [name, bar.backbone], used, **QUIET)
    for kind, button in (("recipe", left.recipe), ("trace", left.trace)):
        download(button.click, partial(saved, kind), name)
