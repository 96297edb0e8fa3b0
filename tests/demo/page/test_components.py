"""Every part of the page shows what it is given, and runs nothing of it."""

import importlib
import pkgutil
import re
from functools import partial
from typing import NamedTuple

import gradio as gr
import pytest
from playwright.sync_api import expect

import demo
from demo.benchmark.components.brush import Brush
from demo.benchmark.components.brush import Told as ToldBrush
from demo.benchmark.components.differences import Cell as Changed
from demo.benchmark.components.differences import Compared as ComparedDetectors
from demo.benchmark.components.differences import Differences
from demo.benchmark.components.differences import Row as Beside
from demo.benchmark.components.figure_keys import FigureKeys, Keys
from demo.benchmark.components.labels import Bar as LabelBar
from demo.benchmark.components.labels import Taken, TakenFor
from demo.benchmark.components.rates import Rates
from demo.benchmark.components.rates import Told as ToldRates
from demo.benchmark.components.said import Said
from demo.benchmark.components.selected import Group, Picture, Selected
from demo.benchmark.components.selected import Shown as ShownSelected
from demo.benchmark.components.table import BenchmarkTable, Number
from demo.benchmark.components.table import Cell as MeasuredCell
from demo.benchmark.components.table import Row as MeasuredRow
from demo.benchmark.components.table import Table as MeasuredTable
from demo.build import STYLES
from demo.detect.components import detail, rows, tally, thresholds
from demo.detect.components.chip import Chip, Decision
from demo.page.components import strip
from demo.page.components.base import Part
from demo.page.components.heading import Heading
from demo.page.components.labels import LabelSummary, Summary
from demo.page.components.loss_chart import LossChart, chart
from demo.page.components.notices import Notices
from demo.page.components.picker import Picker
from demo.page.components.player import Candidate, Film, Player
from demo.page.components.ratio_map import Cell, Column, RatioMap, Ratios
from demo.page.components.status import State, Status
from demo.page.notices import busy, empty, notice
from demo.page.pictures import PatchMap
from demo.published.components import measured as papers
from demo.published.components.bins import Bins, Compared
from demo.published.components.search import Ours, PublishedSearch, Search
from demo.published.components.table import Cell as Published
from demo.published.components.table import PublishedTable, Row, Table
from demo.published.components.times import Bar, Pair, Times, TimesTold
from demo.search.components.film import Patches, SearchFilm, Shown, Term
from demo.search.components.pictures import Pictures
from demo.search.components.result import Found
from demo.search.components.result import Result as SearchResult
from demo.spectrum.components.map import Cell as Matrix
from demo.spectrum.components.map import Map, Slider, SpectrumMap, Tower
from demo.spectrum.components.map import Row as Block
from demo.spectrum.components.story import Dropped, Story
from demo.spectrum.components.story import Told as ToldStory
from setar_core.benchmark.differences import Conclusion

EVIL = (
    "${globalThis.pwned=1}",
    "`;globalThis.pwned=1;`",
    "{{value}}",
    '"><img src=x onerror="globalThis.pwned=1">',
    "' onmouseover='globalThis.pwned=1' </script>",
)

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="


def ratios(text):
    return Ratios([Column(text, [Cell(text, 0.1, [(0, 0.2, True)]), Cell(text, None)])])


def drawing(text):
    drawn = chart([2.0, 1.0], [2.0, 1.0], 4, [True, True], [text, text], 3)
    return drawn._replace(ticks=[(50, text)])


def film(text):
    said = Candidate(text, text, text, text, text, text, text)
    return Film(text, text, False, text, drawing(text), ratios(text), [said, said])


def row(text):
    return Row(text, text, [Published(text, True, text, text, 0, text)], text, True)


def measured(text):
    numbers = [Number(text, standing, text) for standing in ("best", "level", None)]
    cells = [MeasuredCell(numbers, place, text, True) for place in (None, 0)]
    return MeasuredRow(text, text, [*cells, None], text)


def times(text):
    pair = Pair(text, text, text, [Bar(text, text, 50, text), Bar(text, text, 100, text)])
    return TimesTold(text, 3, text, text, [pair], [text])


def decision(text):
    return Decision("id", text, text)


def line(text):
    return rows.Line(text, decision(text), text, text, text, 5, 95)


def shown(text):
    evidence = detail.Evidence(text, text, PatchMap(1, 1, text, [(0.5, text)]), text, [(text, 0.5)])
    said = detail.Said(text, decision(text), text, text, text)
    dot = detail.Dot(text, decision(text), 50, 40, 60)
    two = [dot, dot]
    return detail.Shown(text, text, PIXEL, text, [said, said], two, [evidence, evidence], two, text)


# What each part may be given, by a function of a visitor's text that stands in all its words.
SAMPLES = {
    Heading: lambda text: (text, text),
    Notices: lambda text: [notice(text, "bad", [text]), busy(text, 0.5), empty(text, text)],
    LabelSummary: lambda text: Summary(text, text, [text]),
    Status: lambda text: State(text, text, text, True),
    strip.Strip: lambda text: [strip.Picture(PIXEL, text, text, True)],
    Chip: decision,
    rows.Rows: lambda text: [
        rows.Row(0, True, PIXEL, text, text, True, [line(text), line(text)]),
    ],
    tally.Tally: lambda text: tally.Counts(text, text),
    detail.Detail: shown,
    thresholds.ThresholdList: lambda text: [thresholds.Found(text, text)],
    LossChart: drawing,
    RatioMap: ratios,
    Player: lambda text: {"film": film(text)},
    Times: times,
    PublishedSearch: lambda text: Search(
        film(text), text, text, 1, 2, text, 3, Ours(text, ratios(text), text, False, text),
        times(text),
    ),
    PublishedTable: lambda text: Table(
        text, text, [text], [row(text)], text,
    ),
    papers.MeasuredTable: lambda text: papers.Measured(
        text, (text, text), [text],
        [papers.Row(text, text, 1.0, 0.5, 9.5, text, [papers.Number(text, text)])], [text],
    ),
    Bins: lambda text: Compared(text, [text], [(text, [(text, text, text)])]),
    SearchFilm: lambda text: Shown(
        film(text), [Term(text, text, drawing(text), [text, text])],
        Patches([text], (1, 4), [["a"], ["0"]]),
    ),
    Pictures: lambda text: [text],
    BenchmarkTable: lambda text: MeasuredTable([text], [text], [measured(text)] * 2, True),
    Rates: lambda text: ToldRates(
        text, text, text, text, text, [(text, text)], [1.0, 0.5], [0.1, 0.2], [0.0, 0.1]
    ),
    TakenFor: lambda text: Taken(text, [LabelBar(text, 1, 2, text, 1)], 3, 4),
    Selected: lambda text: ShownSelected(
        text, [Group(text, text, [Picture(0, PIXEL, text, text, text, True)], 1)], 3, 2
    ),
    Brush: lambda text: ToldBrush(1, 2, text, text, text, {text: text}),
    Differences: lambda text: ComparedDetectors(
        text, text, [text], text,
        [Beside(text, [Changed(text, text, text, 5, 1, 9, text)], text)],
    ),
    Said: lambda text: Conclusion(text, (text,) * 5),
    FigureKeys: lambda text: Keys({text: text}, text),
    SpectrumMap: lambda text: Map(
        [Tower(text, [Block(text, [Matrix(text, text, 1, 2, text, True), None],
                            Slider(text, 0.1, text))])],
        [text], text, text, text, text,
    ),
    Story: lambda text: ToldStory(
        text, (text, text), text, text, text, text, 1,
        Dropped(text, text, text, text, text, text, False),
    ),
    SearchResult: lambda text: Found(
        text, text, [(text, text, text)], [(text, text, text)], [(text, ratios(text))],
        ratios(text),
    ),
}  # fmt: skip
ABSTRACT = {Picker}


def parts(of: type = Part) -> set[type]:
    """Every part there is."""
    for module in pkgutil.walk_packages(demo.__path__, "demo."):
        importlib.import_module(module.name)
    return {part for sub in of.__subclasses__() for part in (sub, *parts(sub))}


def test_every_part_has_a_sample():
    assert parts() - ABSTRACT == set(SAMPLES)


@pytest.mark.parametrize("part", SAMPLES, ids=lambda part: part.__name__)
def test_no_template_is_for_handlebars(part):
    assert "{{" not in part().html_template + part().css_template


@pytest.mark.parametrize("part", SAMPLES, ids=lambda part: part.__name__)
def test_an_update_may_make_a_part_anew(part):
    sample = SAMPLES[part]("text")
    made = part(sample, elem_id="it")
    assert made.constructor_args == {"value": sample, "elem_id": "it"}
    again = part(**made.constructor_args)
    assert again.get_config().keys() == made.get_config().keys()


@pytest.mark.parametrize("sheet", STYLES, ids=lambda sheet: sheet.name)
def test_a_sheet_has_no_list_within_a_selector(sheet):
    assert not re.search(r":\w+\([^(){}]*,[^{}]*\{", sheet.read_text(encoding="utf-8"))


class Sentence(NamedTuple):
    """What parts are given, in the small."""

    said: str
    counts: dict[str, list]


def test_a_value_comes_back_as_it_was_given():
    given = Sentence(EVIL[0], {EVIL[1]: [1, None, EVIL[3], EVIL[4]]})
    sent = Heading().postprocess(given)
    assert not any(sign in str(sent) for sign in ("<img", "`", 'onerror="'))
    assert Heading().preprocess(sent) == given._asdict()


def test_notices_come_back_as_notices():
    given = [notice("a", "warn", ["b"]), busy("c", 0.5)]
    assert Notices().preprocess(Notices().postprocess(given)) == given
    assert Notices().preprocess(Notices().postprocess(given[0])) == given[:1]
    assert Notices().preprocess("") == []


@pytest.fixture(scope="module")
def opened(browser):
    """A page with every part on it: hostile from the start, and hostile after a click."""
    with gr.Blocks() as page:
        button = gr.Button("again")
        for part, sample in SAMPLES.items():
            with gr.Row():
                part(sample("".join(EVIL)), elem_id=f"first-{part.__name__}")
                second = part(elem_id=f"second-{part.__name__}")
            sent = partial(sample, "".join(EVIL))
            button.click(gr.skip, None, second).success(sent, None, second)
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)
    tab = browser.new_page()
    tab.broken = []
    tab.on("pageerror", lambda error: tab.broken.append(str(error)))
    tab.on("console", lambda said: said.type == "error" and tab.broken.append(said.text))
    tab.goto(url)
    tab.get_by_role("button", name="again").click()
    yield tab
    page.close()


# Everything that an element shows or tells: its text and the attributes of all within it.
TOLD = """element => [...element.querySelectorAll("*")].flatMap((inner) => [
  ...[...inner.attributes].map((attribute) => attribute.value),
  ...[...inner.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent),
]).join("\\n")"""


@pytest.mark.browser
@pytest.mark.parametrize("part", SAMPLES, ids=lambda part: part.__name__)
def test_a_visitors_text_is_shown_and_not_run(opened, part):
    for place in ("first", "second"):
        shown = opened.locator(f"#{place}-{part.__name__}")
        expect(shown.locator(".prose > *").first).to_be_attached()
        told = shown.evaluate(TOLD)
        assert "".join(EVIL) in told
        shown.evaluate(
            "e => e.querySelectorAll('*').forEach((inner) => "
            "inner.dispatchEvent(new MouseEvent('mouseover', { bubbles: true })))"
        )
        assert shown.locator("img[src=x]").count() == 0
    assert opened.evaluate("globalThis.pwned") is None
    assert opened.broken == []
