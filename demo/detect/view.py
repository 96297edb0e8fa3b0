"""What the right side of Detect shows: a sheet turned into HTML and figures, field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from demo.detect import words
from demo.detect.batch import Entry, Sheet
from demo.detect.detail import detail
from demo.detect.rows import rows, tally
from demo.page import notices
from demo.page.events import KEEP
from demo.page.figures import Axis, score_axes
from demo.page.pictures import seen
from demo.server.jobs import Progress
from demo.server.request import ALTERED, ORIGINAL, TITLES
from setar_core.data.images import ImageError, read_image

if TYPE_CHECKING:
    import plotly.graph_objects as go

KEPT_PICTURES = 32


class Page(NamedTuple):
    """One value for each output of Detect, in the order of its components; KEEP changes nothing."""

    sheet: Any = KEEP
    picked: Any = KEEP
    notice: Any = KEEP
    tally: Any = KEEP
    rows: Any = KEEP
    detail: Any = KEEP
    axes: Any = KEEP
    found: Any = KEEP
    line: Any = KEEP
    line_altered: Any = KEEP


Told = Callable[..., Iterator[Page]]


def telling(handler: Told) -> Told:
    """The handler, with the core's ValueErrors as a notice on the page."""

    @wraps(handler)
    def told(*args: Any) -> Iterator[Page]:
        try:
            yield from handler(*args)
        except ValueError as error:
            yield Page(notice=notices.notice(str(error), "bad"))

    return told


def result_of(steps: Iterator) -> Iterator[Page]:
    """Progress as pages; returns what the steps made."""
    made = None
    for step in steps:
        if isinstance(step, Progress):
            yield Page(notice=notices.busy(*step))
        else:
            made = step
    return made


def shown(sheet: Sheet, by: str, picked: int | None, sliders: bool = True) -> Page:
    """The whole of a sheet; the picked image defaults to the first row."""
    order = sheet.order(by)
    if picked is None or not 0 <= picked < len(sheet.entries):
        picked = order[0] if order else None
    entry = None if picked is None else sheet.entries[picked]
    return Page(
        picked=picked,
        notice=words.of_sheet(sheet),
        tally=tally(sheet) if sheet.entries else "",
        rows=rows(sheet, order, picked),
        detail="" if entry is None else _detail(sheet, entry),
        axes=gr.Plot(visible=False) if entry is None else _axes(sheet, entry),
        found=words.of_thresholds(sheet),
        line=_slider(sheet, ORIGINAL) if sliders else KEEP,
        line_altered=_slider(sheet, ALTERED) if sliders else KEEP,
    )


def _detail(sheet: Sheet, entry: Entry) -> str:
    from setar_core.scores.logits import SCORES

    try:
        changed = entry.path.stat().st_mtime_ns
        picture = _seen(entry.path, changed, sheet.preprocess)
    except (ImageError, FileNotFoundError):  # deleted after its hour
        picture = None
    return detail(sheet, entry, picture, SCORES[sheet.ask.score].title)


@lru_cache(maxsize=KEPT_PICTURES)
def _seen(path: Path, changed: int, preprocess: Callable) -> str:
    """Kept while a threshold moves: a picture of 50 megapixels takes a second to read."""
    return seen(read_image(path), preprocess)


def _axes(sheet: Sheet, entry: Entry) -> go.Figure:
    from setar_core.scores.logits import SCORES

    axes = []
    for weights in sheet.ask.weights:
        found = sheet.calibration.get(weights) if weights in sheet.thresholds else None
        axes.append(
            Axis(
                TITLES[weights],
                [other.verdicts[weights].score for other in sheet.entries],
                entry.verdicts[weights].score,
                entry.verdicts[weights].threshold,
                () if found is None else found.scores,
            )
        )
    return gr.Plot(score_axes(axes, SCORES[sheet.ask.score].title), visible=True)


def _slider(sheet: Sheet, weights: str) -> Any:
    """A threshold's slider over the sheet's scores; hidden where there is nothing to decide."""
    if weights not in sheet.ask.weights or not sheet.entries:
        return gr.Slider(visible=False)
    low, high, step = sheet.span(weights)
    verdict = sheet.entries[0].verdicts[weights]
    unset = verdict.threshold is None
    title = {ORIGINAL: "original weights", ALTERED: "SeTAR recipe"}[weights]
    return gr.Slider(
        value=float(f"{low if unset else verdict.threshold:.6g}"),
        minimum=low,
        maximum=high,
        step=step,
        label=f"Threshold, {title}{' (not set yet)' if unset else ''}",
        visible=True,
    )
