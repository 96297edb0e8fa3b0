"""The bar in a real Chromium: over every tab, and what a tab hands to another."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def more(page):
    page.locator("#more").get_by_role("button").first.click()


def test_the_bar_leaves_a_verdict_on_the_first_screen(visit):
    page = visit(width=1280, height=900)
    row = page.locator("#rows button.row").first.bounding_box()
    assert row["y"] + row["height"] < 900
    for title in ("Search", "Benchmark", "Spectrum", "Published"):
        page.get_by_role("tab", name=title).click()
        for name in ("backbone", "label-set", "recipe", "score", "more"):
            expect(page.locator(f"#{name}")).to_be_visible()


def test_the_keyboard_walks_through_the_bar_in_reading_order(visit):
    page = visit()
    lists, here = page.get_by_role("listbox"), "!!document.activeElement.closest('#{}')"
    for name in ("backbone", "label-set", "recipe", "score", "more"):
        page.keyboard.press("Tab")
        assert page.evaluate(here.format(name)), name
        expect(lists).to_have_count(0)
    stops = [page.evaluate("document.activeElement.outerHTML")]
    while len(stops) < 6:
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.outerHTML"))
    assert len(set(stops)) == 6
    score = page.locator("#score input")
    score.focus()
    page.keyboard.press("Escape")
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(score).not_to_have_value("MCM")
    expect(score).to_be_focused()
    expect(lists).to_have_count(0)
    score.click()  # opens though it has the focus
    page.get_by_role("option", name="Energy").click()
    expect(score).to_have_value("Energy")
    expect(score).to_be_focused()


def test_a_search_has_the_labels_and_the_score_of_the_bar(visit):
    page = visit()
    more(page)
    page.locator("#labels textarea").fill("fox\nowl\nbee")
    expect(page.locator("#label-set input")).to_have_value("my own text")
    page.get_by_role("tab", name="Search").click()
    expect(page.locator("#search-told")).to_contain_text("K 1 of 3")
    page.locator("#search-ratios").locator("input, textarea").fill("0, 0.3")
    page.locator("#search-start").click()
    expect(page.locator("#search-state")).to_contain_text("Done")
    page.locator("#search-use").click()
    expect(page.locator("#recipe input")).to_have_value(re.compile("^searched "))
    expect(page.locator("#detect")).to_be_visible()
    expect(page.locator("#notice progress")).to_have_count(0)
    expect(page.locator("#tally")).to_contain_text("SeTAR recipe")
    expect(page.locator("#notice")).not_to_contain_text("Threshold void")
    assert page.broken == []


def test_a_backbone_that_is_not_there_is_told_on_every_tab(visit):
    page = visit()
    page.get_by_role("tab", name="Spectrum").click()
    page.locator("#backbone input").fill("ViT-B-99/none")
    page.keyboard.press("Enter")
    expect(page.locator("#bar-notice .notice.bad")).to_contain_text("ViT-B-99")


def test_search_leads_to_the_published_ones(visit):
    page = visit()
    page.get_by_role("tab", name="Search").click()
    page.locator("#search-again").get_by_role("button").first.click()
    page.locator("#search-again button.link").click()
    expect(page.locator("#published")).to_be_visible()
