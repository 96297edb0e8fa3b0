"""What a spreadsheet or a viewer of Markdown must not run."""

import re

import pytest

from setar_core.benchmark.about import About
from setar_core.benchmark.results import Row
from setar_core.benchmark.tables import as_markdown, guarded
from setar_core.metrics.bootstrap import Standing
from setar_core.metrics.separation import Metrics


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1",
        "-1",
        "@x",
        "\t=1",
        "\r1",
        "\nx",
        " =1",
        "\u200b=1",
        "\ufeff\u2060 +1",
        "\x01@x",
        "\u00a0@x",
        "＝1",
        "＋1",
        "－1",
        "＠x",
    ],
)
def test_a_formula_is_guarded(cell):
    assert guarded(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "fox", "a=b", "fox.png", "0.5", " fox", "MCM (-)"])
def test_other_text_stays_as_it_is(cell):
    assert guarded(cell) == cell


def test_names_in_markdown_are_text():
    level, hostile = (
        Metrics(0.5, 0.5, 0.5),
        "<img src=x onerror=a()> [x](javascript:a) | `b` **c** &lt;\n#",
    )
    row = Row(hostile, "mcm", hostile, level, None, None, Standing("", "", ""), 1, 1)
    about = About(
        hostile, "", 1, "", hostile, {hostile: hostile}, {hostile: hostile}, {hostile: ""},
        ("mcm",), {hostile: 1}, {hostile: 1}, {hostile: 1.0}, 1, hostile,
    )  # fmt: skip
    (head, _, line, *told) = as_markdown([row], about).splitlines()
    for text in told:
        assert not re.search(r"[<>]|(?<!\\)[][`*]|&(?!amp;|lt;|gt;)", text)
    for text in (head, line):
        assert not re.search(r"[<>\n]|(?<!\\)[][`*]|&(?!amp;|lt;|gt;)", text)
        assert text.count("|") == 6
