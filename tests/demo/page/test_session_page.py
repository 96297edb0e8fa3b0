"""The bar in a real Chromium: over every tab, and what a tab hands to another."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def more(page):
    page.locator("#more").get_by_role("button").first.click()


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
def test_a_verdict_is_on_the_first_screen(visit, size):
    page = visit(*size)
    chip = page.locator("#detail .chip").first.bounding_box()
    assert chip["y"] + chip["height"] < size[1]


def test_the_bar_is_above_every_tab(visit):
    page = visit(width=390, height=844)
    expect(page.locator("#bar")).to_be_hidden()  # verdicts come first on a phone
    page.locator("#settings").click()
    title, status = (page.locator(name).bounding_box() for name in ("h1", "#status"))
    assert status["y"] >= title["y"] + title["height"]
    expect(page.locator("#backbone")).to_contain_text("not photographs")
    for title in ("Search", "Benchmark", "Spectrum", "Published"):
        page.get_by_role("tab", name=title).click()
        for name in ("backbone", "label-set", "recipe", "score", "more"):
            expect(page.locator(f"#{name}")).to_be_visible()


def test_the_keyboard_walks_through_the_bar_in_reading_order(visit):
    page = visit()
    lists, here = page.get_by_role("listbox"), "!!document.activeElement.closest('#{}')"
    for name in ("backbone", "label-set", "recipe", "score", "question", "more"):
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
    expect(page.locator("#tally")).to_contain_text("The recipe changes")
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


def test_a_link_that_cannot_be_followed_says_so_at_the_top(visit):
    page = visit(query="&score=best&temperature=warm")
    told = page.locator("#link-notice")
    expect(told).to_contain_text("Not all of this link could be followed")
    expect(told).to_contain_text("the score 'best' is unknown")
    assert told.bounding_box()["y"] < page.get_by_role("tablist").bounding_box()["y"]


SHIFTS = """() => {
  window.shifted = [];
  const filling = ({ node, previousRect }) =>  // Gradio draws the empty tabs, and what lies below
    node?.classList?.contains("tabs") ? previousRect.height < 100 : node?.id === "method";
  new PerformanceObserver((list) => window.shifted.push(...list.getEntries()
    .filter((one) => !one.hadRecentInput && !one.sources.some(filling))
    .map((one) => [one.startTime, one.value])),
  ).observe({ type: "layout-shift", buffered: true });
  const look = () => {  // Gradio's own loading screen comes and goes, on a busy machine twice
    const loading = Boolean(document.querySelector(".loading"));
    if (window.loading && !loading) window.shown = performance.now();
    window.loading = loading;
    requestAnimationFrame(look);
  };
  look();
}"""


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
def test_nothing_moves_while_the_page_fills(visit, size):
    page = visit(*size, script=f"({SHIFTS})()")
    page.wait_for_timeout(500)
    shown, shifted = page.evaluate("[window.shown, window.shifted]")
    assert sum(value for time, value in shifted if time >= shown - 20) < 0.1
    assert shifted  # it was looked


STOP = """() => {
  const here = document.activeElement;
  const parts = [here, here.nextElementSibling];
  let one = here;
  while (parts.length < 7 && (one = one.parentElement)) parts.push(one);
  const drawn = () => parts.map((one) => {
    const { outlineStyle, outlineWidth, boxShadow, borderColor } = one ? getComputedStyle(one) : {};
    return [outlineStyle === "none" ? "" : outlineStyle + outlineWidth, boxShadow, borderColor];
  }).join("|");
  if (here === document.body) return "";  // past the end
  (window.stops ??= []).push([here.outerHTML.slice(0, 160), drawn(), drawn]);
  return here.outerHTML;
}"""
RINGLESS = """() => {
  document.activeElement.blur();
  return window.stops.filter(([, then, drawn]) => drawn() === then).map(([stop]) => stop);
}"""


@pytest.mark.parametrize(
    "title",
    [
        "Detect",
        "Published",
        *(
            pytest.param(one, marks=pytest.mark.long)
            for one in ("Search", "Fine-tune", "Benchmark")
        ),
    ],
)
def test_every_stop_of_the_keyboard_has_a_ring(visit, title):
    page = visit()
    page.get_by_role("tab", name=title).click()
    page.wait_for_timeout(500)
    stops = set()
    for _ in range(24):
        page.keyboard.press("Tab")
        page.wait_for_timeout(60)  # a border's colour moves
        stops.add(page.evaluate(STOP))
    assert len(stops) > 12
    page.wait_for_timeout(300)
    page.mouse.click(2, 2)
    page.wait_for_timeout(300)
    assert page.evaluate(RINGLESS) == []
    assert page.broken == []
