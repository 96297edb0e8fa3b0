"""What the right side of Detect shows: a batch turned into HTML and figures, field by field."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from demo.detect import words
from demo.detect.batch import Batch, Judged
from demo.detect.components.detail import Shown, detail
from demo.detect.components.rows import rows
from demo.detect.components.tally import tally
from demo.detect.components.thresholds import thresholds
from demo.detect.teaching import mistakes, trade_off
from demo.page import notices
from demo.page.events import KEEP
from demo.page.figures import Axis, score_axes, trade_off_figure
from demo.page.pictures import seen
from setar_core.data.images import ImageError, read_image
from setar_core.recipe import Recipe
from setar_core.scores import SCORES

if TYPE_CHECKING:
    import plotly.graph_objects as go

KEPT_PICTURES = 32


class Page(NamedTuple):
    """One value for each output of Detect, in the order of its components; KEEP changes nothing."""

    batch: Any = KEEP
    picked: Any = KEEP
    notice: Any = KEEP
    tally: Any = KEEP
    rows: Any = KEEP
    detail: Any = KEEP
    axes: Any = KEEP
    found: Any = KEEP
    line: Any = KEEP
    line_altered: Any = KEEP
    judge: Any = KEEP
    strength: Any = KEEP
    photographs: Any = KEEP
    trade: Any = KEEP


def asking(notice: Any) -> Page:
    """Nothing but a notice, and the button to judge."""
    return Page(notice=notice, judge=gr.Button(visible=True))


reporting_errors = notices.reporting_errors(asking)


def shown(batch: Batch, by: str, picked: int | None, sliders: bool = True) -> Page:
    """The whole of a batch; the picked image defaults to the first row."""
    order = batch.order(by)
    if picked is None or not 0 <= picked < len(batch.images):
        picked = order[0] if order else None
    image = None if picked is None else batch.images[picked]
    return Page(
        picked=picked,
        notice=words.of_batch(batch),
        tally=tally(batch) if batch.images else "",
        rows=rows(batch, order, picked),
        detail="" if image is None else _detail(batch, image),
        axes=gr.Plot(visible=False) if image is None else _axes(batch, image),
        found=thresholds(batch),
        line=_slider(batch, 0) if sliders else KEEP,
        line_altered=_slider(batch, 1) if sliders else KEEP,
        judge=gr.Button(visible=bool(batch.stale or not batch.images)),
        trade=_trade(batch),
        photographs=gr.Button(visible=batch.photographs),
        strength=gr.Row(visible=isinstance(batch.settings.recipe, Recipe)),
    )


def _detail(batch: Batch, image: Judged) -> Shown:
    try:
        changed = image.path.stat().st_mtime_ns
        picture = _seen(image.path, changed, batch.preprocess)
    except (ImageError, FileNotFoundError):  # deleted after its hour
        picture = None
    return detail(batch, image, picture, SCORES[batch.settings.score].title)


@lru_cache(maxsize=KEPT_PICTURES)
def _seen(path: Path, changed: int, preprocess: Callable) -> str:
    """Kept while a threshold moves: a picture of 50 megapixels takes a second to read."""
    return seen(read_image(path), preprocess)


def _axes(batch: Batch, image: Judged) -> go.Figure:
    axes = []
    for weights in batch.settings.weights:
        found = batch.calibration.get(weights) if weights in batch.thresholds else None
        axes.append(
            Axis(
                batch.settings.titles[weights],
                [other.verdicts[weights].score for other in batch.images],
                image.verdicts[weights].score,
                image.verdicts[weights].threshold,
                () if found is None else found.scores,
            )
        )
    return gr.Plot(score_axes(axes, SCORES[batch.settings.score].title), visible=True)


def _trade(batch: Batch) -> go.Figure:
    weights = batch.settings.weights[-1]
    if mistakes(batch, weights) is None:
        return gr.Plot(visible=False)
    title = SCORES[batch.settings.score].title
    return gr.Plot(
        trade_off_figure(*trade_off(batch, weights), batch.line(weights), title), visible=True
    )


def _slider(batch: Batch, place: int) -> Any:
    """A threshold's slider over the batch's scores; hidden where there is nothing to decide."""
    if place >= len(batch.settings.weights) or not batch.images:
        return gr.Slider(visible=False)
    weights = batch.settings.weights[place]
    low, high, step = batch.span(weights)
    verdict = batch.images[0].verdicts[weights]
    unset = verdict.threshold is None
    title = batch.settings.titles[weights]
    return gr.Slider(
        value=float(f"{low if unset else verdict.threshold:.6g}"),
        minimum=low,
        maximum=high,
        step=step,
        label=f"Threshold: {title}{' (not set yet)' if unset else ''}",
        visible=True,
    )
