"""Histograms of published scores: the original weights above, the chosen method below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from demo.page.figures import BLUE, GREY, ORANGE, quiet
from setar_core.metrics.bins import redrawn
from setar_core.published import Histograms

BARS = 72


class Panel(NamedTuple):
    """One run's scores of its ID set and of one OOD set."""

    title: str
    histograms: Histograms
    ood_set: str


def score_panels(panels: Sequence[Panel], known: str, foreign: str, score: str) -> go.Figure:
    """A row a panel; foreign pictures right of the dashed threshold are the mistakes, drawn full.

    Panels whose scores lie in one range share it; others, scored at another temperature, do not.
    """
    figure = make_subplots(
        rows=len(panels),
        cols=1,
        subplot_titles=[panel.title for panel in panels],
        vertical_spacing=0.2,
    )
    spans = [panel.histograms.span for panel in panels]
    common = (min(low for low, _ in spans), max(high for _, high in spans))
    alike = all(high - low > 0.5 * (common[1] - common[0]) for low, high in spans)
    for row, (panel, own) in enumerate(zip(panels, spans, strict=True), start=1):
        low, high = common if alike else own
        _bars(figure, row, panel, _edges(panel.histograms.threshold, low, high), known, foreign)
        dash = {"color": GREY, "width": 2, "dash": "dash"}
        figure.add_vline(panel.histograms.threshold, row=row, col=1, line=dash)
        figure.update_xaxes(range=[low, high], row=row, col=1)
        figure.update_yaxes(showticklabels=False, title_text="share", row=row, col=1)
    figure.update_xaxes(
        title_text=f"{score} score (right: more in-distribution)", row=len(panels), col=1
    )
    quiet(figure, height=90 + 160 * len(panels))
    figure.update_layout(
        barmode="overlay",
        bargap=0,
        legend={"y": -0.36 if len(panels) == 1 else -0.17, "font": {"size": 12}},
    )
    return figure


def _edges(threshold: float, low: float, high: float) -> np.ndarray:
    """Bars of one width with the threshold between two of them."""
    width = (high - low) / BARS
    left, right = np.ceil((threshold - low) / width), np.ceil((high - threshold) / width)
    return threshold + width * np.arange(-left, right + 1)


def _bars(
    figure: go.Figure, row: int, panel: Panel, edges: np.ndarray, known: str, foreign: str
) -> None:
    histograms = panel.histograms
    middles, passed = (edges[:-1] + edges[1:]) / 2, edges[:-1] >= histograms.threshold - 1e-12
    ids = redrawn(histograms.edges, histograms.counts[histograms.id_set], edges)
    oods = redrawn(histograms.edges, histograms.counts[panel.ood_set], edges)
    for name, kept, heights, colour, opacity, shape in (
        (f"{known} (known, ID)", passed | True, ids, BLUE, 0.5, ""),
        (f"{foreign} (foreign, OOD): refused", ~passed, oods, ORANGE, 0.35, ""),
        (f"{foreign} (foreign, OOD): slipped through", passed, oods, ORANGE, 0.85, "/"),
    ):
        figure.add_bar(
            x=middles[kept],
            y=heights[kept],
            width=edges[1] - edges[0],
            name=name,
            marker={
                "color": colour,
                "opacity": opacity,
                "line": {"width": 0},
                "pattern": {"shape": shape, "size": 5, "fgopacity": 0.6},
            },
            hovertemplate="%{y:.2%} near %{x:.4g}<extra>" + name + "</extra>",
            showlegend=row == 1,
            legendgroup=name,
            row=row,
            col=1,
        )
