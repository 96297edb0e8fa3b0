"""Core results as plotly figures. Knows no gradio; transparent, so that they follow dark mode.

Blue is in-distribution and orange out-of-distribution; a pattern or a word always says it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

BLUE, ORANGE, GREY = "#2f86c9", "#e07b1a", "#8a8f98"
BINS = 36


class Axis(NamedTuple):
    """One score axis: scores of the `batch` and of the `kept` calibration images, a threshold."""

    title: str
    batch: Sequence[float]
    picked: float | None = None
    threshold: float | None = None
    kept: Sequence[float] = ()


def score_axes(axes: Sequence[Axis], score: str) -> go.Figure:
    """Each axis a panel of its own: what the threshold cuts, and where the batch lies."""
    figure = make_subplots(
        rows=len(axes),
        cols=1,
        shared_xaxes=True,
        subplot_titles=[_title(axis) for axis in axes],
        vertical_spacing=0.24,
    )
    edges = _edges(axes)
    for row, axis in enumerate(axes, start=1):
        if len(axis.kept):
            _histogram(figure, row, axis, edges)
        _ticks(figure, row, axis)
        if axis.threshold is not None:
            line = {"color": GREY, "width": 2, "dash": "dash"}
            figure.add_vline(axis.threshold, row=row, col=1, line=line)
        figure.update_xaxes(range=[edges[0], edges[-1]], row=row, col=1)
        if not len(axis.kept):  # nothing is counted
            figure.update_yaxes(visible=False, row=row, col=1)
    figure.update_xaxes(title_text=f"{score} score (right: more in-distribution)", row=len(axes))
    return quiet(figure, height=70 + 150 * len(axes))


def trade_off_figure(
    lines: np.ndarray, refused: np.ndarray, accepted: np.ndarray, line: float | None, score: str
) -> go.Figure:
    """Both kinds of mistakes, `(n,)` in per cent, by where the threshold `lines` lies."""
    figure = go.Figure()
    for name, values, colour, dash in (
        ("known, refused by mistake", refused, BLUE, "solid"),
        ("foreign, accepted by mistake", accepted, ORANGE, "dot"),
    ):
        figure.add_scatter(
            x=lines,
            y=values,
            mode="lines",
            name=name,
            line={"color": colour, "dash": dash, "shape": "hv", "width": 2.5},
            hovertemplate="threshold %{x:.5g}: %{y:.0f} %<extra></extra>",
        )
    if line is not None:
        figure.add_vline(line, line={"color": GREY, "width": 2, "dash": "dash"})
    figure.update_xaxes(title_text=f"{score} threshold (drag the line, or the slider above)")
    figure.update_yaxes(title_text="% of your pictures", range=[-2, 102])
    return quiet(figure, height=260)


def quiet(figure: go.Figure, height: int) -> go.Figure:
    """The look that all figures share."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": GREY},
        legend={"orientation": "h", "y": -0.3, "yanchor": "top", "x": 0},
        bargap=0.06,
        barmode="stack",
        hovermode="closest",
    )
    lines = {"gridcolor": "rgba(138,143,152,0.22)", "zeroline": False, "automargin": True}
    figure.update_xaxes(**lines, fixedrange=True)
    figure.update_yaxes(**lines, fixedrange=True)
    figure.update_annotations(font_size=12, x=0, xanchor="left")
    return figure


def _title(axis: Axis) -> str:
    """The panel's name, and what its threshold does to the calibration images."""
    if axis.threshold is None:
        return f"<b>{axis.title}</b>: no threshold yet"
    if not len(axis.kept):
        return f"<b>{axis.title}</b>: threshold dashed"
    cut = sum(score < axis.threshold for score in axis.kept)
    return f"<b>{axis.title}</b>: the threshold cuts {cut} of {len(axis.kept)}"


def _edges(axes: Sequence[Axis]) -> np.ndarray:
    values = [value for axis in axes for value in (*axis.kept, *axis.batch)]
    values += [axis.threshold for axis in axes if axis.threshold is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = (high - low) * 0.04 or max(abs(high), 1.0) * 0.01
    return np.linspace(low - margin, high + margin, BINS + 1)


def _histogram(figure: go.Figure, row: int, axis: Axis, edges: np.ndarray) -> None:
    """Calibration images by score, those under the threshold apart."""
    scores = np.asarray(axis.kept, dtype=float)
    limit = -np.inf if axis.threshold is None else axis.threshold
    middles, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    for name, mine, colour, shape in (
        ("calibration images, kept", scores[scores >= limit], BLUE, ""),
        ("calibration images, cut", scores[scores < limit], ORANGE, "/"),
    ):
        figure.add_bar(
            x=middles,
            y=np.histogram(mine, edges)[0],
            width=width * 0.94,
            name=name,
            marker={"color": colour, "opacity": 0.75, "pattern": {"shape": shape}},
            hovertemplate="%{y} images near %{x:.4g}<extra></extra>",
            showlegend=row == 1,
            legendgroup=name,
            row=row,
            col=1,
        )


def _ticks(figure: go.Figure, row: int, axis: Axis) -> None:
    """The batch as small ticks under the axis, the picked image as a diamond."""
    figure.add_scatter(
        x=list(axis.batch),
        y=[0] * len(axis.batch),
        mode="markers",
        name="your pictures",
        marker={"symbol": "line-ns", "size": 12, "line": {"width": 1.5, "color": GREY}},
        hovertemplate="score %{x:.5g}<extra></extra>",
        showlegend=row == 1,
        legendgroup="batch",
        row=row,
        col=1,
    )
    if axis.picked is not None:
        accepted = axis.threshold is not None and axis.picked >= axis.threshold
        colour = GREY if axis.threshold is None else (BLUE if accepted else ORANGE)
        figure.add_scatter(
            x=[axis.picked],
            y=[0],
            mode="markers",
            name="the chosen picture",
            cliponaxis=False,
            marker={
                "symbol": "diamond",
                "size": 15,
                "color": colour,
                "line": {"width": 2, "color": "white"},
            },
            hovertemplate="the chosen picture: %{x:.5g}<extra></extra>",
            showlegend=row == 1,
            legendgroup="chosen",
            row=row,
            col=1,
        )
