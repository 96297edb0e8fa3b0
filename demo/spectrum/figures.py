"""Singular values of a matrix, and what dropping does, as plotly figures. Knows no gradio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import plotly.graph_objects as go

from demo.page.figures import BLUE, GREY, ORANGE, quiet

if TYPE_CHECKING:
    from setar_core.spectra.profiles import Profile

PURPLE = "#9361d6"
LINEAR, LOG, CUMULATIVE = "linear", "logarithmic", "cumulative energy"
SCALES = (LINEAR, LOG, CUMULATIVE)
LOWEST = 1e-4  # of the largest value: where the logarithmic axis ends at most


class Curve(NamedTuple):
    """A matrix to draw, and its name in the legend."""

    profile: Profile
    name: str


def curve(one: Curve, ratio: float, scale: str, other: Curve | None = None) -> go.Figure:
    """Components in order of strength; those that the ratio drops are orange, beyond the cut.

    The dotted line is a random matrix of the same shape and mean square, the dashed one its
    largest value. With `other`, of another rank, the axis is in percent of the components.
    """
    profile = one.profile
    shared = other is None or other.profile.rank == profile.rank
    places = np.arange(1, profile.rank + 1) / (1 if shared else profile.rank / 100)
    heights, unit = _heights(profile.values, scale), "%" if scale == CUMULATIVE else ""
    kept, count = profile.kept(ratio), profile.dropped(ratio)
    figure = go.Figure()
    told = "component %{x:.4g}: %{y:.4g}" + unit + "<extra></extra>"
    parts = [("kept", slice(0, kept), BLUE, "rgba(47,134,201,0.18)")]
    if count:
        parts.append(("dropped", slice(max(kept - 1, 0), None), ORANGE, "rgba(224,123,26,0.30)"))
    for name, part, colour, fill in parts:
        figure.add_scatter(
            x=places[part],
            y=heights[part],
            name=f"{kept if name == 'kept' else count:,} {name}",
            mode="lines",
            line={"color": colour, "width": 2.5},
            fill=None if scale == LOG else "tozeroy",
            fillcolor=fill,
            hovertemplate=told,
        )
    figure.add_scatter(
        x=places,
        y=_heights(profile.noise_values, scale),
        name="a random matrix of this shape",
        mode="lines",
        line={"color": GREY, "width": 1.5, "dash": "dot"},
        hovertemplate=told,
    )
    if other is not None:
        rank = other.profile.rank
        figure.add_scatter(
            x=np.arange(1, rank + 1) / (1 if shared else rank / 100),
            y=_heights(other.profile.values, scale),
            name=other.name,
            mode="lines",
            line={"color": PURPLE, "width": 2, "dash": "dashdot"},
            hovertemplate=told,
        )
    if scale != CUMULATIVE:
        _edge(figure, profile)
    if count:
        cut = (places[kept - 1] + places[kept]) / 2
        figure.add_vline(cut, line={"color": ORANGE, "width": 2, "dash": "dash"})
    quiet(figure, height=330)
    figure.update_annotations(x=1, xanchor="right")  # clear of the curve
    unit = "component, strongest first" + ("" if shared else " (% of all)")
    titles = {LINEAR: "singular value", LOG: "singular value", CUMULATIVE: "energy so far, %"}
    figure.update_xaxes(title_text=unit, range=[0, places[-1]])
    figure.update_yaxes(title_text=titles[scale])
    if scale == LOG:
        values = (
            profile.values if other is None else np.append(profile.values, other.profile.values)
        )
        figure.update_yaxes(type="log", range=_decades(values), dtick=1)
    else:
        figure.update_yaxes(rangemode="tozero")
    figure.update_layout(legend={"y": -0.2}, hovermode="closest", margin={"t": 16})
    return figure


def effect(
    ratios: Sequence[float], energies: Sequence[float], errors: Sequence[float], ratio: float
) -> go.Figure:
    """What each ratio drops of the matrix, and how far the output moves; both in percent."""
    figure = go.Figure()
    for name, shares, colour, dash in (
        ("change of the output", errors, ORANGE, "solid"),
        ("energy dropped", energies, BLUE, "dot"),
    ):
        figure.add_scatter(
            x=list(ratios),
            y=[100 * share for share in shares],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": dash},
            marker={"size": 5},
            hovertemplate="ratio %{x:g}: %{y:.3g} %<extra>" + name + "</extra>",
        )
    if ratio:
        figure.add_vline(ratio, line={"color": ORANGE, "width": 2, "dash": "dash"})
    quiet(figure, height=230)
    figure.update_xaxes(title_text="ratio (share of components dropped)", range=[0, ratios[-1]])
    figure.update_yaxes(title_text="%", rangemode="tozero")
    figure.update_layout(legend={"y": -0.34}, margin={"t": 12})
    return figure


def _heights(values: np.ndarray, scale: str) -> np.ndarray:
    if scale == CUMULATIVE:
        from setar_core.lowrank import energy_shares

        return 100 * np.cumsum(energy_shares(values))
    return np.maximum(values, LOWEST * values[0]) if scale == LOG else values


def _decades(values: np.ndarray) -> list[float]:
    top = values.max() or 1.0
    low = max(values.min(), LOWEST * top)
    return [float(np.log10(low)) - 0.1, float(np.log10(top)) + 0.1]


def _edge(figure: go.Figure, profile: Profile) -> None:
    edge = profile.noise.high
    figure.add_hline(
        edge,
        line={"color": GREY, "width": 1.5, "dash": "dash"},
        annotation_text=f"noise edge {edge:.3g}",
        annotation_position="top right",
    )
