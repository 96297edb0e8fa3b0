"""A training as plotly figures: the loss by step, and scores of held pictures before and now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from demo.finetune.held import Epoch
from demo.finetune.work import Point
from demo.page.figures import BLUE, GREY, ORANGE, quiet

BINS = 30
TERMS = {  # what is drawn of a step, its name, its line
    "loss": ("what is minimised", GREY, "solid"),
    "loss_id": ("wrong labels", BLUE, "dash"),
    "loss_ood": ("sureness of background", ORANGE, "dot"),
    "loss_npos": ("outliers taken for known", ORANGE, "dashdot"),
}


def losses(points: Sequence[Point], steps: int) -> go.Figure:
    """Every term by step."""
    figure = go.Figure()
    for name, (title, colour, dash) in TERMS.items():
        values = [getattr(point, name) for point in points]
        if not values or values[0] is None:
            continue
        figure.add_scatter(
            x=[point.step + 1 for point in points],
            y=values,
            mode="lines+markers" if len(points) < 40 else "lines",
            name=title,
            line={"color": colour, "dash": dash, "width": 2},
            hovertemplate=f"step %{{x}}: {title} %{{y:.4f}}<extra></extra>",
        )
    figure.update_xaxes(title_text="step", range=[0.5, max(2, steps) + 0.5])
    figure.update_yaxes(title_text="loss (nats)")
    return quiet(figure, height=280)


def drift(before: Epoch, now: Epoch, score: str) -> go.Figure:
    """Two histograms, one above the other on one axis."""
    both = [values for epoch in (before, now) for values in (epoch.inside, epoch.outside)]
    every = np.concatenate(both)
    edges = np.linspace(every.min(), every.max() + 1e-9, BINS + 1)
    titles = ["<b>before the training</b>", f"<b>after epoch {now.epoch}</b>"]
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.2
    )
    for row, epoch in enumerate((before, now), start=1):
        for name, values, colour, shape in (
            ("known: your labels", epoch.inside, BLUE, ""),
            ("foreign: none of them", epoch.outside, ORANGE, "/"),
        ):
            figure.add_bar(
                x=(edges[:-1] + edges[1:]) / 2,
                y=100 * np.histogram(values, edges)[0] / max(1, len(values)),
                width=np.diff(edges) * 0.94,
                name=name,
                marker={"color": colour, "opacity": 0.65, "pattern": {"shape": shape}},
                hovertemplate=f"%{{y:.0f}} % of {name.partition(':')[0]} near %{{x:.4g}}"
                "<extra></extra>",
                showlegend=row == 1,
                legendgroup=name,
                row=row,
                col=1,
            )
    figure.update_xaxes(title_text=f"{score} score (right: more in-distribution)", row=2)
    figure = quiet(figure, height=340)
    figure.update_layout(barmode="overlay", legend={"y": -0.25})
    return figure
