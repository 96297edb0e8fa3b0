"""Figures and pictures that several tabs show."""

import numpy as np

from demo.page.figures import Axis, score_axes
from demo.page.pictures import patch_map

HOSTILE = '<img src=x onerror="alert(1)">'


def test_the_axis_tells_cut_from_kept():
    figure = score_axes([Axis("original", [0.3, 0.6], 0.6, 0.5, [0.4, 0.55, 0.7])], "MCM")
    kept, cut = (sum(trace.y) for trace in figure.data[:2])
    assert (kept, cut) == (2, 1)
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert "cuts 1 of 3" in figure.layout.annotations[0].text


def test_the_axis_needs_no_calibration():
    figure = score_axes([Axis("original", [0.3])], "MCM")
    assert "no threshold yet" in figure.layout.annotations[0].text
    assert figure.layout.yaxis.visible is False  # nothing is counted


def test_the_patch_map_has_a_cell_a_patch():
    drawn = patch_map(np.array([[-1.0, 0.5, 2.0], [0.0, 0.4, 1.0]]), HOSTILE)
    assert [veil for veil, _ in drawn.cells] == [1, 0.75, 0, 1, 0.8, 0.5]  # of the most
    assert drawn.cells[2][1] == f"+2.00 for {HOSTILE}"
    assert "2 by 3" in drawn.label and "row 1, column 3 speaks most" in drawn.label
    against = patch_map(np.array([[-1.0, -0.5]]), "fox")
    assert [veil for veil, _ in against.cells] == [1, 1] and "none speaks" in against.label
