"""Spectrum: where the energy of each matrix lies, what a ratio throws away, a recipe by hand."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from demo.page.components.heading import head
from demo.page.components.notices import Notices
from demo.page.downloads import download
from demo.page.events import FAST, KEEP, sent
from demo.page.notices import toasting_errors
from demo.page.session import Bar
from demo.server.library import Library
from demo.spectrum.components.map import LARGEST, STEP, Map, SpectrumMap
from demo.spectrum.components.story import Story
from demo.spectrum.figures import LINEAR, SCALES
from demo.spectrum.handlers import SpectrumHandlers
from demo.spectrum.view import NOTHING, Asked, View
from demo.spectrum.words import LEAD, MEASURES

OPEN_IF_SEEN = """() => {
  if (document.querySelector('#spectrum')?.offsetParent)
    document.querySelector('#spectrum-open').click();
}"""


class Parts(NamedTuple):
    """What the events are joined to."""

    notice: Notices
    measure: gr.Radio
    map: gr.HTML
    recipe: gr.HTML
    tower: gr.Dropdown
    first: gr.Dropdown
    last: gr.Dropdown
    many: gr.Slider
    set_many: gr.Button
    use: gr.Button
    save: gr.Button
    clear: gr.Button
    site: gr.Dropdown
    story: gr.HTML
    ratio: gr.Slider
    scale: gr.Radio
    curve: gr.Plot
    effect: gr.Plot
    other_backbone: gr.Dropdown
    other_site: gr.Dropdown
    csv: gr.Button
    csv_all: gr.Button


def build_spectrum(demo: gr.Blocks, library: Library, bar: Bar) -> None:
    """Lay the tab out and join it to its handlers; it is filled when it is first opened."""
    with gr.Column(elem_id="spectrum") as frame:
        gr.HTML(f"<p class='lead'>{LEAD}</p>", elem_id="spectrum-lead")
        notice = Notices(elem_id="spectrum-notice")
        with gr.Row(equal_height=False):
            with gr.Column(scale=6, min_width=300, elem_id="spectrum-left"):
                left = _build_left()
            with gr.Column(scale=6, min_width=300, elem_id="spectrum-right"):
                right = _build_right(library)
        opener = gr.Button("open", visible="hidden", elem_id="spectrum-open")
    _join(SpectrumHandlers(library), bar, frame, opener, Parts._make((notice, *left, *right)))


def _build_left() -> tuple:
    head("All matrices", "Click one to see its components; a slider drops some of them.")
    measure = gr.Radio(
        [(title, name) for name, title in MEASURES.items()],
        value="tail",
        label="Coloured by",
        elem_id="spectrum-measure",
    )
    map_of = SpectrumMap(Map(), elem_id="spectrum-map")
    head("Your recipe", "All the ratios together; it starts as the recipe in the bar above.")
    recipe = gr.HTML(elem_id="spectrum-recipe")
    with gr.Accordion("Several blocks at once", open=False):
        with gr.Row():
            tower = gr.Dropdown([], label="Tower", min_width=110, elem_id="spectrum-tower")
            first = gr.Dropdown([], label="From block", min_width=80, elem_id="spectrum-first")
            last = gr.Dropdown([], label="To block", min_width=80, elem_id="spectrum-last")
        many = gr.Slider(0, LARGEST, 0.2, step=STEP, label="Ratio for all of them")
        set_many = gr.Button("Set these blocks", size="sm", elem_id="spectrum-many")
    with gr.Row(elem_id="spectrum-buttons"):
        use = gr.Button("Use in Detect", variant="primary", size="sm", min_width=110)
        save = gr.Button("Save as JSON", size="sm", min_width=110)
        clear = gr.Button("Set all to 0", size="sm", min_width=110)
    return measure, map_of, recipe, tower, first, last, many, set_many, use, save, clear


def _build_right(library: Library) -> tuple:
    head("One matrix", "Its components, the strongest first, and where the ratio cuts.")
    site = gr.Dropdown([], label="Matrix", elem_id="spectrum-site")
    story = Story(elem_id="spectrum-story")
    ratio = gr.Slider(
        0,
        LARGEST,
        0,
        step=STEP,
        label="Ratio: share to drop",
        elem_id="spectrum-ratio",
    )
    scale = gr.Radio(
        list(SCALES), value=LINEAR, label="Singular values as", elem_id="spectrum-scale"
    )
    curve = gr.Plot(label="Singular values", show_label=False, elem_id="spectrum-curve")
    head(
        "What the ratio does to the function",
        "How far the block's output moves, on real inputs, when this matrix alone is cut.",
    )
    effect = gr.Plot(label="Effect of each ratio", show_label=False, elem_id="spectrum-effect")
    with gr.Accordion("Lay another matrix over it", open=False):
        other_backbone = gr.Dropdown(
            library.backbones(),
            value=library.default,
            label="Of backbone",
            allow_custom_value=True,
            elem_id="spectrum-other-backbone",
        )
        other_site = gr.Dropdown(
            [NOTHING], value=NOTHING, label="Matrix to lay over", elem_id="spectrum-other"
        )
    with gr.Row():
        csv = gr.Button("CSV of this matrix", size="sm", min_width=110)
        csv_all = gr.Button("CSV of all", size="sm", min_width=110)
    return site, story, ratio, scale, curve, effect, other_backbone, other_site, csv, csv_all


def _join(on: SpectrumHandlers, bar: Bar, frame: gr.Column, opener: gr.Button, part: Parts) -> None:
    ratios, seen = gr.State({}), gr.State(None)
    view = list(
        View(
            part.notice, ratios, part.map, part.site, part.ratio, part.story, part.curve,
            part.effect, part.recipe, part.tower, part.first, part.last,
        )
    )  # fmt: skip
    asked: list[Any] = list(
        Asked._make((
            bar.backbone, bar.labels, bar.prompt, ratios, part.site, part.measure, part.scale,
            part.other_backbone, part.other_site,
        ))
    )  # fmt: skip

    def opened(before: Any, recipe: str, *controls: Any):
        now = [*controls[:3], recipe]
        if before == now:
            yield (gr.skip(),) * (2 + len(view))
            return
        if before and (before[0], before[3]) == (now[0], now[3]):  # only the labels are others
            for page in on.looked(*controls):
                yield now, gr.skip(), *page
            return
        for page in on.opened(recipe, *controls):
            yield now, gr.skip(), *page
        if on.library.is_loaded(now[0]):
            both = Asked(*controls)
            for others, notice in on.other_chosen(both.backbone, both.other_backbone):
                yield now, others, *View(notice=notice)
        else:  # to be tried again at the next visit
            yield None, gr.skip(), *View()

    def picked(event: gr.EventData, *controls: Any):
        yield from on.looked(*Asked(*controls)._replace(site=sent(event, "site", str)))

    def slid(event: gr.EventData, *controls: Any):
        yield from on.ratio_set(sent(event, "site", str), sent(event, "ratio", float), *controls)

    def typed(*values: Any):
        for page in on.ratio_set(*values):
            yield page._replace(ratio=KEEP)  # meanwhile another may be typed

    tab = frame.parent
    assert isinstance(tab, gr.Tab)
    for event in (tab.select, opener.click):
        event(opened, [seen, bar.recipe, *asked], [seen, part.other_site, *view], **FAST)
    for changed in (bar.backbone.input, bar.recipe.input, bar.labels.change, bar.prompt.change):
        changed(None, None, None, js=OPEN_IF_SEEN, **FAST)
    in_turn = {**FAST, "trigger_mode": "multiple"}  # each event carries what was clicked
    part.map.select(picked, asked, view, **in_turn)
    part.map.release(slid, asked, view, **in_turn)
    for component in (part.site, part.measure, part.scale, part.other_site):
        component.input(on.looked, asked, view, **FAST)
    part.ratio.release(typed, [part.site, part.ratio, *asked], view, **FAST)
    part.set_many.click(
        on.range_set, [part.tower, part.first, part.last, part.many, *asked], view, **FAST
    )
    part.tower.input(
        toasting_errors(on.blocks), [bar.backbone, part.tower], [part.first, part.last], **FAST
    )
    part.clear.click(on.cleared, asked, view, **FAST)
    part.other_backbone.input(
        on.other_chosen, [bar.backbone, part.other_backbone],
        [part.other_site, part.notice], **FAST,
    )  # fmt: skip
    part.use.click(on.used, asked, [bar.recipe, part.notice, bar.tabs, bar.to_detect], **FAST)
    for button, write in (
        (part.save, on.recipe_file),
        (part.csv, partial(on.values_file, False)),
        (part.csv_all, partial(on.values_file, True)),
    ):
        download(button.click, write, asked, **FAST)
