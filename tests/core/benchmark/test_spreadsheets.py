"""What a spreadsheet must not run."""

import pytest

from setar_core.benchmark.tables import guarded


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1", "@x", "\t=1", "\r1", "\nx", " =1", "\u00a0@x", "＝1", "＋1", "－1", "＠x"],
)
def test_a_formula_is_guarded(cell):
    assert guarded(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "fox", "a=b", "fox.png", "0.5", " fox", "MCM (-)"])
def test_other_text_stays_as_it_is(cell):
    assert guarded(cell) == cell
