"""A detector's scores of ID and OOD images as figures: histogram, ROC, precision and recall."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from demo.page.figures import BLUE, GREY, ORANGE, quiet
from demo.page.words import text
from setar_core.metrics.curves import Curve, Histogram, Rates

HOVER = (
    "threshold %{customdata:.5g}<br>%{yaxis.title.text} %{y:.1%}<br>%{xaxis.title.text} %{x:.1%}"
    "<extra></extra>"
)


def histograms(found: Histogram, names: tuple[str, str], score: str, threshold: float) -> go.Figure:
    """Both sides over one axis; the dashed threshold is the figure's first shape."""
    figure = go.Figure()
    middles, width = (found.edges[:-1] + found.edges[1:]) / 2, found.edges[1] - found.edges[0]
    for name, side, shares, colour, shape in (
        (names[0], "known, ID", found.ids, BLUE, ""),
        (names[1], "foreign, OOD", found.oods, ORANGE, "/"),
    ):
        name = text(name).replace("%{", "&#37;{")
        figure.add_bar(
            x=middles,
            y=shares,
            width=width,
            name=f"{name} ({side})",
            marker={
                "color": colour,
                "opacity": 0.6,
                "line": {"width": 0},
                "pattern": {"shape": shape, "size": 5, "fgopacity": 0.6},
            },
            hovertemplate="%{y:.1%} near %{x:.5g}<extra>" + name + "</extra>",
        )
    figure.add_vline(threshold, line={"color": GREY, "width": 3, "dash": "dash"})
    figure.update_xaxes(title_text=f"{score} score (right: more in-distribution)")
    figure.update_yaxes(title_text="share of images", tickformat=".0%")
    quiet(figure, height=330)
    figure.update_layout(barmode="overlay", bargap=0, dragmode=False, legend={"y": -0.28})
    return figure


def roc(found: Curve, now: Rates) -> go.Figure:
    """Recall over the false positive rate; the diamond is the threshold."""
    start = (np.r_[0, found.fpr], np.r_[0, found.recall], np.r_[np.inf, found.thresholds])
    figure = _curve(*start, (now.fpr, now.recall))
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"color": GREY, "dash": "dot"})
    figure.update_xaxes(title_text="OOD accepted (FPR)")
    figure.update_yaxes(title_text="ID kept (recall)")
    return figure


def precision_recall(found: Curve, threshold: float) -> go.Figure:
    """The share of ID among what is accepted over the recall; the diamond is the threshold."""
    at = int(np.searchsorted(-found.thresholds, -threshold, "right")) - 1
    point = (found.recall[at], found.precision[at]) if at >= 0 else (0.0, 1.0)
    figure = _curve(found.recall, found.precision, found.thresholds, point)
    figure.update_xaxes(title_text="ID kept (recall)")
    figure.update_yaxes(title_text="ID among accepted (precision)")
    return figure


def _curve(
    x: np.ndarray, y: np.ndarray, thresholds: np.ndarray, point: tuple[float, float]
) -> go.Figure:
    figure = go.Figure()
    figure.add_scatter(
        x=x,
        y=y,
        customdata=thresholds,
        mode="lines",
        line={"color": BLUE, "width": 2.5},
        hovertemplate=HOVER,
        showlegend=False,
    )
    figure.add_scatter(
        x=[point[0]],
        y=[point[1]],
        mode="markers",
        marker={"symbol": "diamond", "size": 13, "color": ORANGE},
        hovertemplate="at the threshold: %{y:.1%}, %{x:.1%}<extra></extra>",
        showlegend=False,
        cliponaxis=False,
    )
    quiet(figure, height=330)
    figure.update_layout(dragmode=False)
    figure.update_xaxes(range=[-0.01, 1.01], tickformat=".0%")
    figure.update_yaxes(range=[-0.01, 1.03], tickformat=".0%")
    return figure
