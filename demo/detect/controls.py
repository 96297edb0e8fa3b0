"""The left side of Detect: labels, pictures, score and threshold, in the order of use."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from demo.detect.components.thresholds import ThresholdList
from demo.detect.judging import MAX_BATCH_BYTES, MAX_FILES
from demo.page.bar import default_labels
from demo.page.components.basic import head
from demo.page.components.labels import LabelSummary, summary
from demo.page.components.strip import Picture, Strip
from demo.page.pictures import thumbnail
from demo.server.library import Library, examples, label_set, shipped_calibration
from demo.server.request import RECALL
from setar_core.data.images import MAX_BYTES, MAX_PIXELS, read_image
from setar_core.labels import PROMPT, LabelSet

LIMITS = (
    f"Up to {MAX_FILES} pictures at once, {MAX_BYTES // 10**6} MB and {MAX_PIXELS // 10**6} "
    f"megapixels each, {MAX_BATCH_BYTES // 10**6} MB together. Uploads stay on the machine that "
    "runs this page and are deleted within two hours."
)


def _as_file(payload: Any) -> str | None:
    """A webcam picture as its file, for our own reader to open; gr.Image would decode it here."""
    return None if payload is None else payload.path


def _example(path: Path) -> Picture:
    name = path.stem
    return Picture(thumbnail(read_image(path)), name, f"Judge the example {name}")


class Pictures(NamedTuple):
    files: gr.File
    examples: Strip
    camera: gr.Image


class Controls(NamedTuple):
    names: gr.Textbox
    said: LabelSummary
    prompt: gr.Textbox
    score: gr.Dropdown
    question: gr.HTML
    temperature: gr.Number
    local_weight: gr.Number
    recipe_file: gr.File
    judge: gr.Button


class Thresholds(NamedTuple):
    found: ThresholdList
    recall: gr.Slider
    source: gr.Radio
    own: gr.File
    calibrate: gr.Button
    line: gr.Slider
    line_altered: gr.Slider


def build_pictures() -> Pictures:
    """Any file may be given: our reader judges it by its bytes and names a bad one; `file_types`
    would refuse the whole batch."""
    head("Pictures", "Drop them here, paste them (Ctrl+V), take one, or click an example.")
    files = gr.File(
        file_count="multiple",
        label="Pictures to judge",
        height=130,
        elem_id="pictures",
    )
    strip = Strip([_example(path) for path in examples()], group="Examples", elem_id="examples")
    with gr.Accordion("Take a picture", open=False):
        camera = gr.Image(sources=["webcam"], label="Webcam", height=220, elem_id="camera")
        camera.preprocess = _as_file
    gr.HTML(f'<p class="hint">{LIMITS}</p>')
    return Pictures(files, strip, camera)


def build_controls(library: Library) -> Controls:
    labels = label_set(default_labels(library.default))
    head("Your labels", "What the model may answer. Choose a set above, or write your own.")
    said = LabelSummary(summary(labels.names, labels.duplicates, ()), elem_id="said")
    with gr.Accordion("Edit the labels as text", open=False):
        names = gr.Textbox(
            "\n".join(labels.names),
            label="Labels, one a line",
            lines=6,
            max_lines=10,
            elem_id="labels",
        )
    head("Score", "How sure is the model that a picture shows one of your labels?")
    score = gr.Dropdown([], value=None, label="Score", elem_id="score")
    question = gr.HTML(elem_id="question")
    with gr.Accordion("More", open=False):
        prompt = gr.Textbox(
            PROMPT, label="Prompt", info="The sentence each label is set into", elem_id="prompt"
        )
        with gr.Row():
            temperature = gr.Number(
                1.0,
                label="Temperature",
                info="Divides the similarities; 1 as published",
                min_width=120,
                elem_id="temperature",
            )
            local_weight = gr.Number(
                1.0,
                label="Local weight",
                info="How much single places count (GL-MCM)",
                min_width=120,
                elem_id="local-weight",
            )
        recipe_file = gr.File(
            file_types=[".json"],
            label="A SeTAR recipe of your own (JSON)",
            height=110,
            elem_id="recipe-file",
        )
    judge = gr.Button("Judge", variant="primary", elem_id="judge")
    return Controls(
        names, said, prompt, score, question, temperature, local_weight, recipe_file, judge
    )


def build_thresholds() -> Thresholds:
    head("Threshold", "Pictures that score at least this much count as one of your labels.")
    found = ThresholdList([], elem_id="found")
    recall = gr.Slider(
        0.5,
        1.0,
        RECALL,
        step=0.01,
        label="Share of calibration pictures to keep",
        info="Pictures that do show your labels (recall)",
        elem_id="recall",
    )
    line = gr.Slider(0, 1, 0, label="Threshold, original weights", visible=False, elem_id="line")
    line_altered = gr.Slider(
        0, 1, 0, label="Threshold, SeTAR recipe", visible=False, elem_id="line-altered"
    )
    with gr.Accordion("Calibrate", open=False, elem_id="calibration"):
        source = gr.Radio([SHIPPED, OWN], value=SHIPPED, label="Calibrate on", elem_id="source")
        own = gr.File(
            file_count="multiple",
            label="Pictures that do show your labels (20 or more)",
            height=130,
            visible=False,
            elem_id="own",
        )
        calibrate = gr.Button("Calibrate", elem_id="calibrate")
    return Thresholds(found, recall, source, own, calibrate, line, line_altered)


def sources_offered(backbone: str, names: str, prompt: str, source: str) -> Any:
    """What a threshold may be found on: shipped pictures where there are any of these labels."""
    try:
        shipped = bool(shipped_calibration(backbone, LabelSet.parse(names or "", prompt or "")))
    except ValueError:
        shipped = False
    choices = [SHIPPED, OWN] if shipped else [OWN]
    return gr.Radio(choices, value=source if source in choices else OWN)


SHIPPED, OWN = "shipped pictures", "my own pictures"
