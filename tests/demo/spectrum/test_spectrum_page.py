"""Spectrum: its handlers as plain functions, and the tab in a real Chromium."""

import csv
import json
import re
from functools import partial
from pathlib import Path

import gradio as gr
import pytest
from playwright.sync_api import expect

from demo.server.library import Library
from demo.server.request import NO_RECIPE, read_settings
from demo.server.shipped import EMBEDDED, label_set
from demo.spectrum.figures import CUMULATIVE, LINEAR, LOG, SCALES, Curve, curve
from demo.spectrum.handlers import SpectrumHandlers
from demo.spectrum.view import NOTHING, Asked, View
from demo.spectrum.words import percent, recipe_told
from setar_core.labels import PROMPT
from setar_core.recipe import Recipe, Site
from setar_core.spectra.profiles import profile
from tests.demo.told import is_bad, words

ANIMALS = "\n".join(label_set("animals").names)
SLOW = 180_000  # milliseconds; machines that run tests are busy


@pytest.fixture(scope="module")
def library():
    return Library()


@pytest.fixture(scope="module")
def handlers(library):
    return SpectrumHandlers(library)


def controls(**changes) -> Asked:
    asked = Asked(EMBEDDED, ANIMALS, PROMPT, {}, None, "tail", LINEAR, EMBEDDED, NOTHING)
    return asked._replace(**changes)


def last(pages) -> View:
    """Only what each output showed in the end."""
    shown, kept = View(), View()
    for page in pages:
        shown = View(*(a if b == none else b for a, b, none in zip(shown, page, kept, strict=True)))
    return shown


# The handlers


def test_the_tab_opens_with_the_recipe_of_the_bar(library, handlers):
    title = next(iter(library.recipes(EMBEDDED)))
    page = last(handlers.opened(title, *controls()))
    recipe = Recipe.load(library.recipes(EMBEDDED)[title])
    assert page.ratios == {str(site): ratio for site, ratio in recipe.ratios.items() if ratio}
    rows = [row for tower in page.map.towers for row in tower.rows]
    cells = [cell for row in rows for cell in row.cells]
    assert len(cells) == 9 * 6 + 2 and len(rows) == 9 + 2
    assert sum(cell.chosen for cell in cells) == 1
    assert {row.slider.site: row.slider.ratio for row in rows if row.slider.ratio} == page.ratios
    told = page.story.dropped
    assert (told.what, told.error[-1]) == ("the block's output", "%") and "pictures" in told.on
    assert page.recipe.count("%") == len({site.tower for site in recipe.ratios})
    assert page.notice == ""


def test_without_a_recipe_the_top_block_comes_into_view(handlers):
    page = last(handlers.opened(NO_RECIPE, *controls()))
    assert page.ratios == {}
    assert page.story.name.endswith("block 5, up")
    assert (page.story.rank, page.story.dropped) == ("128", None)
    assert "Nothing is dropped yet" in page.recipe


def test_a_slider_sets_one_ratio_and_shows_its_matrix(library, handlers):
    asked = controls(ratios={"visual.5.up": 0.1})
    page = last(handlers.ratio_set("text.1.q", 0.25, *asked))
    assert page.ratios == {"visual.5.up": 0.1, "text.1.q": 0.25}
    one = profile(library.backbone(EMBEDDED), Site("text", 1, "q"))
    assert page.story.dropped.components == str(one.dropped(0.25))
    assert "labels" in page.story.dropped.on
    assert page.site == "text.1.q" and page.ratio == 0.25
    assert last(handlers.ratio_set("text.1.q", 0, *asked)).ratios == {"visual.5.up": 0.1}


def test_one_ratio_for_a_range_of_blocks(handlers):
    page = last(handlers.range_set("visual", "4", "2", 0.3, *controls(site="visual.0.down")))
    assert page.ratios == {f"visual.{block}.down": 0.3 for block in (2, 3, 4)}
    refused = last(handlers.range_set("visual", "2", "99", 0.3, *controls()))
    assert "99" in words(refused.notice)


@pytest.mark.parametrize(
    "site, ratio", [("visual.99.up", 0.1), ("nowhere", 0.1), ("visual.1.up", 2), ("<b>", 0.1)]
)
def test_what_a_client_makes_up_is_refused(handlers, site, ratio):
    page = last(handlers.ratio_set(site, ratio, *controls()))
    assert is_bad(page.notice)
    assert page.ratios == View().ratios


@pytest.mark.parametrize("measure", ["tail", "rank", "ratio"])
@pytest.mark.parametrize("scale", SCALES)
def test_every_view_is_drawn(handlers, measure, scale):
    asked = controls(
        measure=measure, scale=scale, site="text.0.up", ratios={"text.0.up": 0.2},
        other_site="visual.1.q",
    )  # fmt: skip
    page = last(handlers.looked(*asked))
    names = [trace.name for trace in page.curve.data]
    assert names[0].endswith("kept") and names[1].endswith("dropped")
    assert names[-1] == "Image tower, block 1, q"
    assert page.curve.layout.xaxis.title.text.endswith("(% of all)")


def test_the_recipe_goes_to_detect_and_to_a_file(library, handlers):
    asked = controls(ratios={"visual.5.up": 0.2})
    chosen, notice, tabs, _ = handlers.used(*asked)
    assert (
        notice == "" and tabs.selected == "detect" and chosen.value in dict(chosen.choices).values()
    )
    settings = read_settings(library, EMBEDDED, ANIMALS, PROMPT, chosen.value, "mcm", 1.0, 1.0)
    assert dict(settings.recipe.ratios) == {Site("visual", 5, "up"): 0.2}
    assert library.backbone(EMBEDDED, settings.recipe).recipe is not None
    page = json.loads(Path(handlers.recipe_file(*asked)).read_text())
    assert page["ratios"] == {"visual.5.up": 0.2} and page["backbone"] == EMBEDDED
    assert "drops nothing" in words(handlers.used(*controls())[1])
    assert handlers.used(*controls())[2:] == (gr.skip(), gr.skip())  # one stays where one is


def test_the_text_tower_is_measured_on_the_labels_of_the_bar(handlers):
    asked = controls(site="text.1.q", ratios={"text.1.q": 0.4}, labels="fox\nowl\nquark")
    mine = last(handlers.looked(*asked))
    assert "measured on 3 labels" in str(mine.story)
    prompted = last(handlers.looked(*asked._replace(prompt="a drawing of a {}")))
    assert list(prompted.effect.data[0].y) != list(mine.effect.data[0].y)
    refused = last(handlers.looked(*asked._replace(labels="")))
    assert "label set is empty" in words(refused.notice)
    there = {"site": "visual.1.q", "ratios": {"visual.1.q": 0.4}}
    seen = last(handlers.looked(*asked._replace(labels="", **there)))
    assert "pictures" in str(seen.story)  # which need no labels


def test_values_are_saved_as_csv(handlers):
    last(handlers.opened(NO_RECIPE, *controls()))
    one = handlers.values_file(False, *controls(site="visual.2.q"))
    assert Path(one).name == "spectrum-visual.2.q.csv"
    assert {row["site"] for row in csv.DictReader(Path(one).read_text().splitlines())} == {
        "visual.2.q"
    }
    every = handlers.values_file(True, *controls())
    assert (
        len({row["site"] for row in csv.DictReader(Path(every).read_text().splitlines())})
        == 9 * 6 + 2
    )


def test_a_backbone_to_compare_with_offers_its_matrices(handlers):
    choices, notice = list(handlers.other_chosen(EMBEDDED, EMBEDDED))[-1]
    assert notice == "" and len(choices.choices) == 9 * 6 + 2 + 1
    assert is_bad(list(handlers.other_chosen(EMBEDDED, "local-dir:secret"))[-1][1])


def test_what_cannot_be_had_is_said_by_every_button(handlers):
    asked = controls(backbone="ViT-B-16/opanai")
    assert is_bad(handlers.used(*asked._replace(ratios={"visual.0.up": 0.2}))[1])
    for write in (handlers.recipe_file, partial(handlers.values_file, True)):
        bad = asked._replace(ratios={"visual.0.up": 7})
        with pytest.raises(ValueError):
            write(*bad)


def test_the_curve_shows_where_the_ratio_cuts(library):
    one = profile(library.backbone(EMBEDDED), Site("visual", 0, "up"))
    for scale in (LINEAR, LOG, CUMULATIVE):
        figure = curve(Curve(one, "it"), 0.25, scale)
        assert figure.layout.shapes[-1].x0 == one.kept(0.25) + 0.5
        assert len(figure.data[0].x) == one.kept(0.25)
    assert any(
        "noise edge" in a.text for a in curve(Curve(one, "it"), 0, LINEAR).layout.annotations
    )


def test_the_words():
    assert [percent(x) for x in (0, 0.00032, 0.019, 0.25)] == ["0 %", "0.032 %", "1.9 %", "25 %"]
    site = Site("visual", 1, "up")
    told = recipe_told({site: 0.3}, {site: 38}, {"visual": 0.007})
    assert "38 components in 1 matrix" in told and "0.7 %" in told


# The page


@pytest.fixture(scope="module")
def page(served, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page.set_default_timeout(SLOW)
    expect.set_options(timeout=SLOW)
    page.broken = []
    page.on("pageerror", lambda error: page.broken.append(str(error)))
    page.goto(served)
    page.get_by_role("tab", name="Spectrum").click()
    page.locator("#spectrum-effect .main-svg").first.wait_for()
    yield page
    page.close()


@pytest.mark.browser
def test_a_cell_opens_its_curve(page, drawn):
    drawn(page, "spectrum")
    page.locator("#spectrum-map button[data-site='visual.2.q']").click()
    expect(page.locator("#spectrum-story")).to_contain_text("block 2, q")
    expect(page.locator("#spectrum-site input")).to_have_value("Image tower, block 2, q")
    expect(page.locator("#spectrum-map [aria-pressed=true]")).to_have_count(1)
    assert page.broken == []


@pytest.mark.browser
def test_who_comes_back_to_the_tab_finds_it_as_it_was(page):
    page.locator("#spectrum-map button[data-site='visual.1.k']").click()
    expect(page.locator("#spectrum-story")).to_contain_text("block 1, k")
    page.get_by_role("tab", name="Detect").click()
    page.locator("#rows").wait_for()
    page.get_by_role("tab", name="Spectrum").click()
    page.wait_for_timeout(1500)  # a second look must change nothing
    expect(page.locator("#spectrum-map button[data-site='visual.1.k']")).to_be_visible()
    expect(page.locator("#spectrum-story")).to_contain_text("block 1, k")
    expect(page.locator("#spectrum-site input")).to_have_value("Image tower, block 1, k")


@pytest.mark.browser
def test_a_slider_of_the_map_cuts(page):
    page.locator("#spectrum-map button[data-site='visual.4.up']").click()
    expect(page.locator("#spectrum-story")).to_contain_text("block 4, up")
    slider = page.locator("#spectrum-map input[data-site='visual.5.up']")
    slider.focus()
    slider.press("ArrowRight")
    expect(page.locator("#spectrum-story")).to_contain_text("block 5, up")
    expect(page.locator("#spectrum-story")).to_contain_text("drops 13 of 128 components")
    expect(page.locator("#spectrum-story")).to_contain_text("changes the block's output by")
    slider = page.locator("#spectrum-map input[data-site='visual.5.up']")
    expect(slider).to_have_value("0.1")
    expect(slider).to_be_focused()


@pytest.mark.browser
def test_the_large_slider_takes_arrow_keys_and_what_is_typed(page):
    told, box = page.locator("#spectrum-story"), page.locator("#spectrum-ratio [type=number]")
    page.locator("#spectrum-map button[data-site='visual.3.down']").click()
    expect(told).to_contain_text("block 3, down")
    page.locator("#spectrum-ratio [type=range]").press("ArrowRight")
    expect(told).to_contain_text("drops 6 of 128 components")
    box.click()
    page.keyboard.type("0.25")  # takes the place of what was there
    page.keyboard.press("Enter")
    expect(told).to_contain_text("drops 32 of 128 components")
    box.fill("7")
    page.keyboard.press("Tab")
    expect(box).to_have_value("0.9")
    expect(told).to_contain_text("drops 115 of 128 components")
    expect(page.get_by_test_id("toast-body")).to_have_count(0)


@pytest.mark.browser
def test_files_are_downloaded(page):
    for button, ending in (("Save as JSON", ".json"), ("CSV of this matrix", ".csv")):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        assert download.value.suggested_filename.endswith(ending)


@pytest.mark.browser
def test_the_recipe_is_used_in_detect(page):
    page.get_by_role("button", name="Use in Detect").last.click()
    expect(page.locator("#rows")).to_be_visible()
    expect(page.locator("#recipe input").first).to_have_value(re.compile("set by hand"))
