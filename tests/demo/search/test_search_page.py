"""Search in a real Chromium: watched from its start, stopped, used, found again after a reload."""

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from demo.server.shipped import examples
from setar_core.paths import ASSETS
from setar_core.published import published_runs

pytestmark = pytest.mark.browser
SLOW = 240_000  # milliseconds; machines that run tests are busy
SMALL = "0, 0.3"
LONG = ", ".join(f"{i / 100:g}" for i in range(40))


@pytest.fixture
def visit(fresh, served):
    """Opens the page on Search, each time as another visitor."""
    pages = []

    def visit(width=1280, height=900, dark=False) -> Page:
        pages.append(opened(fresh(width, height), served, dark))
        return pages[-1]

    yield visit
    for page in (one for first in pages for one in first.context.pages if not one.is_closed()):
        if page.locator("#search-stop").is_visible():  # or it would keep the next one waiting
            page.locator("#search-stop").click()
            expect(page.locator("#search-start")).to_be_visible(timeout=SLOW)


def opened(page, served, dark=False):
    page.set_default_timeout(SLOW)
    page.goto(f"{served}?__theme={'dark' if dark else 'light'}")
    page.get_by_role("tab", name="Search").click()
    expect(page.locator("#search-state .notice")).to_be_visible(timeout=SLOW)
    return page


def search(page, ratios=SMALL):
    page.locator("#search-ratios").locator("input, textarea").fill(ratios)
    page.locator("#search-start").click()


WATCHED = """() => {
  window.told = [];
  const tell = () => window.told.push(document.querySelector('#search-state')?.innerText ?? '');
  new MutationObserver(tell).observe(document.body,
    { subtree: true, childList: true, characterData: true });
}"""


def says(page, words):
    expect(page.locator("#search-state")).to_contain_text(re.compile(words), timeout=SLOW)


def test_a_whole_search_is_watched_and_used(visit, drawn):
    page = visit()
    says(page, "Press Search")
    page.evaluate(WATCHED)
    page.locator("#search-start").click()
    expect(page.locator("#search-stop")).to_be_visible()
    expect(page.locator("#search-start")).to_be_hidden()
    expect(page.locator("#search-map td")).to_have_count(9)
    expect(page.locator("#search-patches rect").first).to_be_attached()
    expect(page.locator("#search-strip button")).to_have_count(8)
    says(page, "Done: loss")
    told = page.evaluate("window.told")
    seen = {int(n) for said in told for n in re.findall(r"Candidate (\d+) of 81", said)}
    assert len(seen) > 3, told
    expect(page.locator("#search-objective-chart")).to_contain_text("81 of 81 candidates")
    expect(page.locator("#search-result")).to_contain_text("Before and after")
    drawn(page, "search")
    page.locator("#search-strip button").nth(3).click()
    expect(page.locator("#search-strip button").nth(3)).to_have_attribute("aria-pressed", "true")
    for kind in ("recipe", "trace"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download {kind}").click()
        text = Path(download.value.path()).read_text()
        assert json.loads(text.splitlines()[0] if kind == "trace" else text)
    page.set_viewport_size({"width": 1280, "height": 500})
    page.locator("#search-use").scroll_into_view_if_needed()
    assert page.evaluate("scrollY") > 0
    page.locator("#search-use").click()
    expect(page.locator("#detect")).to_be_visible(timeout=SLOW)
    assert page.evaluate("scrollY") == 0  # where Detect says what it does
    expect(page.locator("#recipe input")).to_have_value(re.compile("^searched "))
    expect(page.locator("#rows button.row")).to_have_count(len(examples()), timeout=SLOW)
    page.get_by_role("tab", name="Benchmark").click()
    weights = page.locator("#bench-recipes label", has_text=re.compile("searched "))
    expect(weights.locator("input")).to_be_checked(timeout=SLOW)
    assert page.broken == []


HIDDEN = """() => {
  Object.defineProperty(document, 'hidden', { get: () => true });
  window.setInterval = () => 0;
}"""


def test_a_search_goes_on_in_a_hidden_tab(visit):
    """Browsers hold a hidden tab's timers for a minute, longer than a search waits for a look."""
    page = visit()
    says(page, "Press Search")
    page.evaluate(HIDDEN)
    page.locator("#search-start").click()
    says(page, "Done: loss")


def test_a_search_is_found_again_after_a_reload_and_stopped(visit, served):
    page = visit()
    search(page, LONG)
    says(page, "Candidate")
    opened(page, served)
    says(page, "Candidate")
    expect(page.locator("#search-stop")).to_be_visible()
    page.locator("#search-stop").click()
    says(page, r"Stopped as you asked, after \d+ of 360")
    expect(page.locator("#search-use")).to_be_visible()
    opened(page, served)
    says(page, "Stopped as you asked")
    expect(page.locator("#search-result")).to_contain_text("Before and after")
    page.locator("#search-resume").click()
    says(page, r"Candidate \d+ of 360")
    expect(page.locator("#search-resume")).to_be_hidden()
    page.locator("#search-again").get_by_role("button").first.click()
    expect(page.locator("#search-replay")).to_be_disabled()


def test_a_closed_tab_frees_the_machine(visit, monkeypatch):
    monkeypatch.setattr("demo.server.jobs.ORPHANED", 3.0)
    first, second = visit(), visit()
    search(first, LONG)
    says(first, "Candidate")
    search(second)
    says(second, "In the queue: another search is before yours")
    first.close()
    says(second, "Done")


def test_a_second_visitor_waits_and_can_use_detect(visit):
    first, second = visit(), visit()
    search(first, LONG)
    says(first, "Candidate")
    search(second)
    says(second, "In the queue: another search is before yours")
    second.get_by_role("tab", name="Detect").click()
    second.locator("#examples button").first.click()
    expect(second.locator("#rows button.row")).to_have_count(1, timeout=SLOW)
    first.locator("#search-stop").click()
    says(first, "Stopped")
    second.get_by_role("tab", name="Search").click()
    says(second, "Done")


def test_bad_files_are_refused_in_words(visit, tmp_path):
    page = visit()
    page.locator("#search-more").get_by_role("button").first.click()
    more = page.locator("#search-lambda input")
    more.fill("-1")
    page.locator("#search-start").click()
    says(page, "Lambda is -1")
    more.fill("0.1")
    page.get_by_label("my own pictures (zip)").check()
    page.locator("#search-start").click()
    says(page, "No zip is here")
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("../evil.png", b"x")
    page.locator("#search-zip input[type=file]").set_input_files(str(bad))
    expect(page.locator("#search-zip")).to_contain_text("bad")
    page.locator("#search-start").click()
    says(page, "leads out of its folder")
    page.get_by_label("shipped pictures").check()
    page.locator("#search-again").get_by_role("button").first.click()
    trace = tmp_path / "other.jsonl"
    plan = {"order": "visual_text", "ratios": [0, 0.1], "top_k": 12, "lambda_ood": 0.1}
    made_for = {"backbone": "x", "weights": "0", "labels": "0", "images": "0"}
    candidate = {
        "step": 0, "tower": "visual", "weight": "up", "block": 5, "ratio": 0, "locoop_loss": 1,
        "loss_id": 1, "loss_ood": 0, "acc": 50, "ood_patch_percent": 0,
    }  # fmt: skip
    lines = ({"plan": plan, "fingerprint": made_for}, candidate)
    trace.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page.locator("#search-file input[type=file]").set_input_files(str(trace))
    expect(page.locator("#search-file")).to_contain_text("other")
    page.locator("#search-continue").click()
    says(page, "was made for weights")
    page.locator("#search-replay").click()
    says(page, "A replay of a trace with 1 candidate")
    assert page.broken == []


def test_a_trace_is_named_replayed_and_halted(visit):
    page = visit()
    page.locator("#search-again").get_by_role("button").first.click()
    traces = {run.slug: run.trace_file for run in published_runs() if run.searched}
    trace = traces["clip_base-pascal_voc-setar"]
    page.locator("#search-file input[type=file]").set_input_files(str(trace))
    expect(page.locator("#search-file")).to_contain_text("clip_base")
    page.locator("#search-replay").click()
    says(page, "candidates in ViT-B-16/openai, labels Pascal VOC")
    expect(page.locator("#search-fit")).to_contain_text("the bar above has emoji", timeout=SLOW)
    expect(page.locator("#search-use")).to_be_hidden()
    key = page.locator("#search-film button.play")
    at = "Number(document.querySelector('#search-film .keys input').value)"
    key.click()
    expect(key).to_have_text("❚❚ Pause")
    page.wait_for_function(f"{at} > 4 && {at} < 200")
    key.click()
    expect(key).to_have_text("▶ Play")
    page.wait_for_timeout(1000)
    halted = page.evaluate(at)
    page.wait_for_timeout(1000)
    assert page.evaluate(at) == halted
    key.click()
    page.wait_for_function(f"{at} > {halted}")
    search(page, "abc")
    says(page, "Candidate ratios “abc”")
    page.wait_for_timeout(1500)
    says(page, "Candidate ratios “abc”")
    page.locator("#search-file button[aria-label='Clear']").click()
    recipe = ASSETS / "recipes" / "emoji-searched.json"
    page.locator("#search-file input[type=file]").set_input_files(str(recipe))
    expect(page.locator("#search-file")).to_contain_text("emoji-searched")
    page.locator("#search-replay").click()
    says(page, "An uploaded recipe")
    expect(page.locator("#search-use")).to_be_visible(timeout=SLOW)
    expect(page.locator("#search-fit")).to_contain_text("fits emoji")
    expect(page.locator("#search-right figure.chart")).to_have_count(0)
    assert page.broken == []


@pytest.mark.parametrize("dark", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_narrow_screen_needs_no_sideways_scrolling(visit, dark, drawn):
    page = visit(width=390, height=844, dark=dark)
    search(page)
    says(page, "Done")
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]
    drawn(page, "search-narrow-dark" if dark else "search-narrow")
