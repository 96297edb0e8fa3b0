"""The left side of Detect: pictures and thresholds, in the order of use."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from demo.detect.components.thresholds import ThresholdList
from demo.page.components.heading import head
from demo.page.components.strip import Picture, Strip
from demo.page.pictures import thumbnail
from demo.server.library import Library
from demo.server.limits import MAX_BATCH_BYTES, MAX_FILES
from demo.server.request import RECALL
from demo.server.shipped import measured, shipped_calibration
from setar_core.data.images import MAX_BYTES, MAX_PIXELS, read_image
from setar_core.labels import LabelSet
from setar_core.paths import EXAMPLES

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


def _chosen(names: Sequence[str]) -> str:
    """Which examples were chosen, for what, and how often that happens."""
    told = measured("changed")
    return (
        f"{', '.join(names[:-1]).capitalize()} and {names[-1]} were chosen because the recipe "
        f"changes their verdict. They are of {told['scenes']:,} scenes, of which it changes "
        f"{told['changed']}: {told['right']} to what is right, {told['wrong']} to what is wrong."
    )


class Pictures(NamedTuple):
    files: gr.File
    examples: Strip
    camera: gr.Image


class Thresholds(NamedTuple):
    found: ThresholdList
    recall: gr.Slider
    source: gr.Radio
    own: gr.File
    foreign: gr.File
    calibrate: gr.Button
    line: gr.Slider
    line_altered: gr.Slider
    trade: gr.Plot


def build_pictures(library: Library) -> Pictures:
    """Any file may be given: our reader judges it by its bytes and names a bad one; `file_types`
    would refuse the whole batch."""
    head("Pictures", "Drop them here, paste them (Ctrl+V), take one, or click an example.")
    files = _several("Pictures to judge", "pictures")
    offered = [_example(path) for path in library.pictures]
    strip = Strip(offered, group="Examples", elem_id="examples")
    if chosen := [path.stem for path in library.pictures if path.parent == EXAMPLES / "changed"]:
        gr.HTML(f'<p class="hint">{escape(_chosen(chosen))}</p>')
    with gr.Accordion("Take a picture", open=False):
        camera = gr.Image(sources=["webcam"], label="Webcam", height=220, elem_id="camera")
        camera.preprocess = _as_file  # type: ignore[method-assign]  # Gradio has no option for it
    gr.HTML(f'<p class="hint">{LIMITS}</p>')
    return Pictures(files, strip, camera)


def _several(label: str, name: str, visible: bool = True) -> gr.File:
    return gr.File(file_count="multiple", label=label, height=130, visible=visible, elem_id=name)


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
    line = gr.Slider(0, 1, 0, label="Threshold: Original weights", visible=False, elem_id="line")
    line_altered = gr.Slider(
        0, 1, 0, label="Threshold: SeTAR recipe", visible=False, elem_id="line-altered"
    )
    trade = gr.Plot(
        label="Mistakes of either kind", show_label=False, visible=False, elem_id="trade"
    )
    with gr.Accordion("Teach it your world", open=False, elem_id="calibration"):
        gr.HTML(
            '<p class="hint">Write your labels above (More). Then give pictures that show them, '
            "and a few that do not: you get a threshold and how often it errs either way. “Save "
            "this detector” takes it along.</p>"
        )
        source = gr.Radio([SHIPPED, OWN], value=SHIPPED, label="Calibrate on", elem_id="source")
        own = _several("Pictures that do show your labels (20 or more)", "own", visible=False)
        foreign = _several(
            "Pictures that show none of them (a few, if you have some)", "foreign", visible=False
        )
        calibrate = gr.Button("Calibrate", elem_id="calibrate")
    return Thresholds(found, recall, source, own, foreign, calibrate, line, line_altered, trade)


def sources_offered(backbone: str, names: str, prompt: str, source: str) -> Any:
    """What a threshold may be found on: shipped pictures where there are any of these labels."""
    try:
        shipped = bool(shipped_calibration(backbone, LabelSet.parse(names or "", prompt or "")))
    except ValueError:
        shipped = False
    choices = [SHIPPED, OWN] if shipped else [OWN]
    return gr.Radio(choices, value=source if source in choices else OWN)


SHIPPED, OWN = "shipped pictures", "my own pictures"
