"""The right side of Detect: the chosen picture, all verdicts, and what to take along."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from demo.detect.components.detail import Detail
from demo.detect.components.rows import Rows
from demo.detect.components.tally import Tally
from demo.page import notices
from demo.page.components.notices import Notices
from demo.page.session import Bar
from demo.server.request import NO_RECIPE


class Strength(NamedTuple):
    """How much of the recipe is used; shown where a recipe is."""

    place: gr.Row
    share: gr.Slider
    edit: gr.Button


class Results(NamedTuple):
    notice: Notices
    photographs: gr.Button
    detail: Detail
    strength: Strength
    tally: Tally
    by: gr.Radio
    rows: Rows
    axes: gr.Plot
    csv: gr.Button
    json: gr.Button
    detector: gr.Button
    link: gr.Button
    address: gr.Textbox


def build_results(bar: Bar) -> Results:
    """The chosen picture is the first thing that is seen."""
    strength = _build_strength(visible=bar.recipe.value != NO_RECIPE)
    notice = Notices(notices.busy("Starting: the model is being loaded"), elem_id="notice")
    photographs = bar.for_photographs.render()
    detail = Detail(elem_id="detail")
    with gr.Row(elem_id="over-rows"):
        tally = Tally(elem_id="tally", min_width=240)
        by = gr.Radio(
            [("changes first", "changes"), "score", "name"],
            value="changes",
            label="Sort by",
            elem_id="sort",
            min_width=240,
        )
    rows = Rows(elem_id="rows")
    axes = gr.Plot(
        label="The score among the others", show_label=False, visible=False, elem_id="axes"
    )
    with gr.Row(elem_id="downloads"):
        csv = gr.Button("Download CSV", size="sm", min_width=110)
        json = gr.Button("Download JSON", size="sm", min_width=110)
        detector = gr.Button(
            "Save this detector", size="sm", min_width=110, elem_id="save-detector"
        )
        link = gr.Button("Copy link to these settings", size="sm", min_width=110)
    address = gr.Textbox(
        label="Link to these settings", visible=False, interactive=False, elem_id="address"
    )
    return Results(
        notice, photographs, detail, strength, tally, by, rows, axes, csv, json, detector, link,
        address,
    )  # fmt: skip


def _build_strength(visible: bool) -> Strength:
    with gr.Row(visible=visible, equal_height=True, elem_id="strength") as place:
        share = gr.Slider(
            0,
            1,
            1,
            step=0.05,
            label="Strength of the SeTAR recipe",
            info="0: the original weights, 1: all of the recipe. Move it and see the score move.",
            min_width=260,
            elem_id="strength-share",
        )
        edit = gr.Button("Edit the ratios", size="sm", scale=0, min_width=130, elem_id="edit")
    return Strength(place, share, edit)
