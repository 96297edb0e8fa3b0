"""A detector's scores of ID and OOD images as figures: histogram, ROC, precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from demo.benchmark.runs import BOTH, FOREIGN, KNOWN, Brushed
from demo.page.figures import BLUE, GREY, ORANGE, quiet
from demo.page.words import text
from setar_core.metrics.curves import Curve, Histogram, Rates

HOVER = (
    "threshold %{customdata:.5g}<br>%{yaxis.title.text} %{y:.1%}<br>%{xaxis.title.text} %{x:.1%}"
    "<extra></extra>"
)


OTHERS = ("#8a5cc4", "#2b9a66", "#c2427d", "#8a8f98", "#b08900", "#4b5bd6")  # beside the chosen
DASHES = ("dash", "dot", "dashdot", "longdash")
LIT, HALF, PALE = 0.85, 0.5, 0.18  # how opaque what is looked at is, and what is not


class Line(NamedTuple):
    """One detector's curve."""

    name: str
    found: Curve


def histograms(
    found: Histogram,
    names: tuple[str, str],
    score: str,
    threshold: float,
    brushed: Brushed | None = None,
) -> go.Figure:
    """Both sides over one axis; the dashed threshold is the figure's first shape. Mistakes are
    lit, or what is brushed."""
    figure = go.Figure()
    middles, width = (found.edges[:-1] + found.edges[1:]) / 2, found.edges[1] - found.edges[0]
    for name, side, shares, colour, shape, which in (
        (names[0], "known, ID", found.ids, BLUE, "", KNOWN),
        (names[1], "foreign, OOD", found.oods, ORANGE, "/", FOREIGN),
    ):
        lit = (middles < threshold) == (which == KNOWN)  # the mistakes
        if brushed:
            inside = (found.edges[1:] > brushed.low) & (found.edges[:-1] <= brushed.high)
            lit = inside & (brushed.side in (BOTH, which))
        name = text(name).replace("%{", "&#37;{")
        figure.add_bar(
            x=middles,
            y=shares,
            width=width,
            name=f"{name} ({side})",
            marker={
                "color": colour,
                "opacity": np.where(lit, LIT, PALE if brushed else HALF).tolist(),
                "line": {"width": 0},
                "pattern": {"shape": shape, "size": 5, "fgopacity": 0.6},
            },
            hovertemplate="%{y:.1%} near %{x:.5g}<extra>" + name + "</extra>",
        )
    figure.add_vline(threshold, line={"color": GREY, "width": 3, "dash": "dash"})
    figure.update_xaxes(title_text=f"{score} score (right: more in-distribution)")
    figure.update_yaxes(title_text="share of images", tickformat=".0%")
    quiet(figure, height=330)
    figure.update_layout(
        barmode="overlay",
        bargap=0,
        dragmode="select",
        selectdirection="h",
        legend={"y": -0.28, "itemclick": False, "itemdoubleclick": False},
    )
    return figure


def roc(lines: Sequence[Line], now: Rates, brushed: Brushed | None = None) -> go.Figure:
    """Recall over the false positive rate, the chosen detector first; the diamond is its
    threshold."""
    curves = [
        (
            line.name,
            np.r_[0, line.found.fpr],
            np.r_[0, line.found.recall],
            np.r_[np.inf, line.found.thresholds],
        )
        for line in lines
    ]
    figure = _curves(curves, (now.fpr, now.recall), brushed)
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"color": GREY, "dash": "dot"})
    figure.update_xaxes(title_text="OOD accepted (FPR)")
    figure.update_yaxes(title_text="ID kept (recall)")
    return figure


def precision_recall(
    lines: Sequence[Line], threshold: float, brushed: Brushed | None = None
) -> go.Figure:
    """The share of ID among what is accepted over the recall, as `roc`."""
    found = lines[0].found
    at = int(np.searchsorted(-found.thresholds, -threshold, "right")) - 1
    point = (found.recall[at], found.precision[at]) if at >= 0 else (0.0, 1.0)
    curves = [
        (line.name, line.found.recall, line.found.precision, line.found.thresholds)
        for line in lines
    ]
    figure = _curves(curves, point, brushed)
    figure.update_xaxes(title_text="ID kept (recall)")
    figure.update_yaxes(title_text="ID among accepted (precision)")
    return figure


def _curves(
    curves: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]],
    point: tuple[float, float],
    brushed: Brushed | None,
) -> go.Figure:
    """The first is the chosen one, and drawn last, above the others."""
    figure = go.Figure()
    several = len(curves) > 1
    for i, (name, x, y, thresholds) in reversed(list(enumerate(curves))):
        name = text(name).replace("%{", "&#37;{")
        line = {"color": BLUE, "width": 3}
        if i:
            line = {
                "color": OTHERS[(i - 1) % len(OTHERS)],
                "dash": DASHES[(i - 1) % len(DASHES)],
                "width": 1.8,
            }
        figure.add_scatter(
            x=x,
            y=y,
            customdata=thresholds,
            mode="lines",
            name=name,
            line=line,
            hovertemplate=HOVER.replace("<extra></extra>", f"<extra>{name}</extra>"),
            showlegend=several,
        )
        if not i and brushed:
            lit = (thresholds >= brushed.low) & (thresholds <= brushed.high)
            figure.add_scatter(
                x=x[lit],
                y=y[lit],
                mode="lines+markers",
                name="selected",
                line={"color": ORANGE, "width": 6},
                marker={"color": ORANGE, "size": 7},
                opacity=0.7,
                hoverinfo="skip",
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
    quiet(figure, height=330 + 22 * len(curves) * several)
    figure.update_layout(
        dragmode="select",
        legend={"traceorder": "reversed", "orientation": "v", "itemclick": False, "y": -0.24},
    )
    figure.update_xaxes(range=[-0.01, 1.01], tickformat=".0%")
    figure.update_yaxes(range=[-0.01, 1.03], tickformat=".0%")
    return figure
