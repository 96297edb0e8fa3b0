"""The right side of Detect: the list of verdicts, the chosen picture, its score, downloads."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from demo.detect.components.detail import Detail
from demo.detect.components.rows import Rows
from demo.detect.components.tally import Tally
from demo.page import notices
from demo.page.components.notices import Notices


class Results(NamedTuple):
    notice: Notices
    tally: Tally
    by: gr.Radio
    rows: Rows
    detail: Detail
    patches: gr.Checkbox
    opacity: gr.Slider
    axes: gr.Plot
    csv: gr.Button
    json: gr.Button
    detector: gr.Button
    link: gr.Button
    address: gr.Textbox


def build_results() -> Results:
    """The right side: the list, the chosen picture, its score among the others, downloads."""
    notice = Notices(notices.busy("Starting: the model is being loaded"), elem_id="notice")
    with gr.Row(elem_id="over-rows"):
        tally = Tally(elem_id="tally", min_width=240)
        by = gr.Radio(
            ["score", "name", "disagreements"],
            value="score",
            label="Sort by",
            elem_id="sort",
            min_width=240,
        )
    rows = Rows(elem_id="rows")
    detail = Detail(elem_id="detail")
    with gr.Row(elem_id="patches"):
        patches = gr.Checkbox(True, label="Show the patch map", min_width=180)
        opacity = gr.Slider(0.0, 1.0, 0.55, step=0.05, label="Opacity of the map", min_width=220)
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
        notice, tally, by, rows, detail, patches, opacity, axes, csv, json, detector, link, address
    )
