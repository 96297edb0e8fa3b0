"""The Benchmark tab in a real Chromium: from choosing sets to a saved figure."""

import json
import shutil
import threading
import time
import zipfile

import pytest
from playwright.sync_api import expect

from demo.page.words import number
from demo.server.device.turns import TurnQueue
from setar_core.paths import ASSETS, BENCHMARK
from tests.browser import SLOW, UNLABELLED

pytestmark = pytest.mark.browser
LONG = 300_000  # milliseconds; machines that run tests are busy
LINE = """() => {
  const gd = document.querySelector('#bench-scores .js-plotly-plot'), axis = gd._fullLayout.xaxis;
  const box = gd.getBoundingClientRect();
  return [box.left + axis._offset + axis.d2p(gd.layout.shapes[0].x0), box.top + 120];
}"""


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    """The first pictures of every shipped set: three a class, 24 where there are none."""
    folder = tmp_path_factory.mktemp("benchmark")
    for found in sorted(BENCHMARK.glob("*/")):
        inside = sorted(path for path in found.iterdir() if path.is_dir())
        for path in inside or [found]:
            copy = folder / path.relative_to(BENCHMARK)
            copy.mkdir(parents=True)
            for file in sorted(path.glob("*.webp"))[: 3 if inside else 24]:
                shutil.copy(file, copy)
    return folder


@pytest.fixture(autouse=True)
def few(some, monkeypatch):
    """The page's own sets are small; the shipped ones are measured by the tests of the core."""
    monkeypatch.setattr("demo.benchmark.sets.BENCHMARK", some)


@pytest.fixture
def opened(visit):
    """The tab, with two small OOD sets ticked."""

    def opened(**options):
        page = visit(**options)
        page.get_by_role("tab", name="Benchmark").click()
        page.locator("#bench-run").wait_for()
        for name in ("other:", "textures", "glyphs"):
            page.locator("#bench-oods label", has_text=name).click()
        return page

    return opened


@pytest.fixture
def zips(tmp_path):
    """Six animals in class folders and six pictures of noise, packed as a visitor would."""
    found = {}
    for name, files in (
        (
            "pets",
            [*ASSETS.glob("benchmark/id/fox/*")][:3] + [*ASSETS.glob("benchmark/id/owl/*")][:3],
        ),
        ("static", [*ASSETS.glob("benchmark/noise/*")][:6]),
    ):
        found[name] = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(found[name], "w") as archive:
            for file in files:
                archive.write(file, f"{file.parent.name}/{file.name}")
    return found


@pytest.fixture
def slow(monkeypatch):
    """A benchmark takes its time; while this is set, a batch does not end."""
    held, run = threading.Event(), TurnQueue.run

    def late(self, what, *args):
        if what.startswith("benchmark"):
            time.sleep(0.3)
            while held.is_set():
                time.sleep(0.05)
        return run(self, what, *args)

    monkeypatch.setattr(TurnQueue, "run", late)
    yield held
    held.clear()


def run(page):
    page.locator("#bench-run").click()
    page.locator("#bench-notice .notice.good").wait_for(timeout=LONG)
    page.locator("#bench-scores .main-svg").first.wait_for()


def test_the_table_scrolls_and_the_page_does_not(visit):
    page = visit()
    page.get_by_role("tab", name="Benchmark").click()
    run(page)
    expect(page.locator("#bench-table .sideways")).to_be_visible()
    expect(page.locator("#bench-notice")).to_contain_text("Done")
    expect(page.locator("#bench-rates")).to_contain_text("of animals (known)")
    for width in (1280, 1024, 800):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("other:", "textures", "glyphs", "near:"):
        page.locator("#bench-oods label", has_text=name).click()
    page.set_viewport_size({"width": 1280, "height": 900})
    run(page)
    expect(page.locator("#bench-table thead")).not_to_contain_text("mean")
    expect(page.locator("#bench-table .sideways")).to_be_hidden()


def test_a_reload_shows_the_last_run(opened):
    page = opened()
    run(page)
    shown = page.locator("#bench-table table").inner_text()
    page.reload()  # opens the tab that was open
    expect(page.locator("#bench-notice")).to_contain_text("Your last benchmark: emoji")
    assert page.locator("#bench-table table").inner_text() == shown
    expect(page.locator("#bench-run")).to_be_visible()
    page.locator("#bench-table button[data-index='3']").click()
    expect(page.locator("#bench-table button[data-index='3'][aria-pressed=true]")).to_have_count(1)
    assert not page.broken


def test_a_visitor_measures_looks_moves_the_line_and_saves(opened, tmp_path, drawn):
    page = opened()
    run(page)
    page.locator("#bench-keys").scroll_into_view_if_needed()
    page.locator("#bench-table").scroll_into_view_if_needed()
    drawn(page, "benchmark")
    table = page.locator("#bench-table table")
    expect(table.locator("thead")).to_contain_text("FPR95 ↓")
    expect(table.locator("tbody tr")).to_have_count(4)  # two weights, two scores
    expect(table.locator(".waiting")).to_have_count(0)
    expect(table.locator("tbody b").first).to_be_visible()
    table.locator("button[data-index='3']").click()  # the second detector on the second set
    expect(table.locator("button[data-index='3']")).to_have_attribute("aria-pressed", "true")

    rates = page.locator("#bench-rates .rates")
    before = rates.inner_text()
    page.locator("#bench-scores").scroll_into_view_if_needed()
    x, y = page.evaluate(LINE)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 70, y, steps=5)
    expect(rates).not_to_have_text(before)  # before the server has heard of it
    page.mouse.up()
    expect(rates.locator(".others")).to_be_visible()  # the server has heard of it
    page.wait_for_function("(x) => Math.abs((" + LINE + ")()[0] - x) < 3", arg=x + 70, timeout=SLOW)
    typed = page.locator("#bench-threshold input")
    typed.fill("-5")
    typed.press("Enter")
    expect(rates.locator(".let")).to_have_text("100.0%")

    for kind, start in (("png", b"\x89PNG"), ("svg", b"<svg"), ("html", b"<!doctype")):
        with page.expect_download() as download:
            page.locator(f"button[data-figure=roc][data-kind={kind}]").click()
        path = tmp_path / f"roc.{kind}"
        download.value.save_as(path)
        assert path.read_bytes().startswith(start)
    for title, name in (("CSV", "csv"), ("JSON", "json"), ("Markdown", "md"), ("LaTeX", "tex")):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download {title}").click()
        download.value.save_as(tmp_path / f"b.{name}")
    rows = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert len(rows) == 4 * 3

    picked = page.locator("#bench-selected .gallery button").first
    name = picked.get_attribute("title").split(" (")[0]
    picked.click()
    expect(page.get_by_role("tab", name="Detect")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#rows button.row").first).to_contain_text(name, timeout=SLOW)
    assert not page.broken


BINS = """() => {
  const gd = document.querySelector('#bench-scores .js-plotly-plot'), axis = gd._fullLayout.xaxis;
  const box = gd.getBoundingClientRect(), left = box.left + axis._offset;
  const [known] = gd._fullData, most = known.y.indexOf(Math.max(...known.y));
  const height = gd._fullLayout.yaxis._length, top = box.top + gd._fullLayout.yaxis._offset;
  return [left, axis._length, left + axis.d2p(known.x[most]), top + height - 6];
}"""


def lit(page):
    """How many pictures are selected, as the line under the histogram says it."""
    said = page.locator("#bench-brush b").inner_text()
    return int(said.split()[0]) if "selected" in said else None


def test_pictures_are_brushed_light_up_and_open_in_detect(opened, drawn):
    page = opened()
    run(page)
    expect(page.locator("#bench-said")).to_contain_text("in the mean of 2 sets")
    expect(page.locator("#bench-said li").first).to_contain_text("original weights")
    scores = page.locator("#bench-scores")
    scores.scroll_into_view_if_needed()
    left, width, bar, bottom = page.evaluate(BINS)
    page.mouse.click(bar, bottom)  # a bar of known pictures
    expect(page.locator("#bench-brush b")).to_contain_text("selected")
    expect(page.locator("#bench-brush")).to_contain_text("0 foreign")
    known = lit(page)
    expect(page.locator("#bench-selected .gallery button")).to_have_count(min(known, 24))

    left, width, bar, bottom = page.evaluate(BINS)
    page.mouse.move(left + 0.02 * width, bottom - 60)  # the lowest half, of both
    page.mouse.down()
    page.mouse.move(left + 0.5 * width, bottom - 40, steps=8)
    page.mouse.up()
    expect(page.locator("#bench-brush select")).to_have_value("both")
    expect(page.locator("#bench-brush .hint")).not_to_contain_text("0 foreign")
    page.wait_for_function(
        "() => document.querySelector('#bench-roc .js-plotly-plot')"
        "._fullData.some((one) => one.name === 'selected' && one.x.length > 1)"
    )
    expect(page.locator("#bench-differences")).to_contain_text(f"of {lit(page)}")
    drawn(page, "brushed")

    page.locator("#bench-brush .clear").click()
    expect(page.locator("#bench-brush b")).to_have_text("Select pictures")
    page.locator("#bench-roc").scroll_into_view_if_needed()
    box = page.locator("#bench-roc .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 2, steps=8)
    page.mouse.up()
    expect(page.locator("#bench-brush b")).to_contain_text("selected")

    threshold = page.locator("#bench-threshold input").input_value()
    page.locator("#bench-selected .all").click()
    expect(page.get_by_role("tab", name="Detect")).to_have_attribute("aria-selected", "true")
    shown = page.locator("#rows .known", has_text="animals: known, shows").first
    expect(shown).to_be_visible()
    expect(page.locator("#detail .known")).to_contain_text("In the benchmark:")
    expect(page.locator("#found")).to_contain_text(number(float(threshold)))
    assert not page.broken


def test_one_metric_and_a_selection_by_keyboard_alone(opened):
    page = opened()
    run(page)
    page.locator("#bench-table input:checked").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#bench-table input:checked")).to_have_value("0")
    expect(page.locator("#bench-table input:checked")).to_be_focused()
    expect(page.locator("#bench-table thead")).not_to_contain_text("AUROC")
    expect(page.locator("#bench-table thead")).to_contain_text("FPR95")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#bench-table thead")).to_contain_text("AUROC")
    page.locator("#bench-brush [name=low]").focus()
    page.keyboard.type("0")
    page.keyboard.press("Tab")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    expect(page.locator("#bench-brush b")).to_contain_text("selected")
    assert lit(page) > 100  # all of both sets
    page.locator("#bench-beside input").first.focus()
    page.keyboard.press("Space")
    expect(page.locator("#bench-differences tbody tr")).to_have_count(3)
    assert not page.broken


def test_zips_are_measured_and_a_stopped_run_goes_on(opened, zips, slow):
    page = opened()
    page.get_by_text("Your own images, zipped").click()
    page.locator("#bench-zips input[type=file]").set_input_files(str(zips["static"]))
    expect(page.locator("#bench-zips")).to_contain_text("static")
    page.locator("#bench-run").click()
    expect(page.locator("#bench-notice")).to_contain_text("Scoring", timeout=SLOW)
    page.locator("#bench-stop").click()
    expect(page.locator("#bench-notice")).to_contain_text("Press Run to go on", timeout=SLOW)
    run(page)
    expect(page.locator("#bench-table thead")).to_contain_text("static")


def test_run_is_heard_as_soon_as_the_stop_is_told(opened, slow):
    """A run ends only after its batch; a busy server takes its time."""
    page = opened()
    start, stop = page.locator("#bench-run"), page.locator("#bench-stop")
    expect(stop).to_be_hidden()
    start.click()
    expect(start).to_be_hidden()
    expect(page.locator("#bench-notice")).to_contain_text("Scoring", timeout=SLOW)
    slow.set()
    stop.click()
    expect(stop).to_contain_text("Stopping")
    expect(stop).to_be_disabled()
    expect(start).to_be_hidden()
    slow.clear()
    expect(page.locator("#bench-notice")).to_contain_text("Press Run to go on", timeout=SLOW)
    start.click()
    expect(stop).to_have_text("Stop")
    expect(page.locator("#bench-notice")).not_to_contain_text("Press Run to go on")
    page.locator("#bench-notice .notice.good").wait_for(timeout=LONG)
    expect(stop).to_be_hidden()
    expect(start).to_be_enabled()


def test_a_run_goes_on_when_the_page_is_loaded_anew(opened, slow):
    page = opened()
    page.locator("#bench-run").click()
    expect(page.locator("#bench-notice")).to_contain_text("Scoring", timeout=SLOW)
    slow.set()
    page.reload()  # opens the tab that was open
    expect(page.locator("#bench-notice")).to_contain_text("Scoring", timeout=SLOW)
    expect(page.locator("#bench-stop")).to_be_visible()
    expect(page.locator("#bench-run")).to_be_hidden()
    slow.clear()
    page.locator("#bench-notice .notice.good").wait_for(timeout=LONG)
    expect(page.locator("#bench-run")).to_be_visible()
    expect(page.locator("#bench-table .waiting")).to_have_count(0)
    assert not page.broken


def test_the_tab_fits_a_phone_and_every_control_has_a_name(opened):
    page = opened(width=390, height=844)
    run(page)
    page.locator("#bench-brush [name=low]").fill("0")
    page.locator("#bench-brush [name=high]").fill("1")
    page.locator("#bench-brush [type=submit]").click()
    expect(page.locator("#bench-brush b")).to_contain_text("selected")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(UNLABELLED) == []


def test_what_is_wrong_is_told(opened, tmp_path):
    page = opened()
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("../evil.png", b"x")
    page.get_by_text("Your own images, zipped").click()
    page.locator("#bench-zips input[type=file]").set_input_files(str(tmp_path / "bad.zip"))
    expect(page.locator("#bench-zips")).to_contain_text("bad")  # its ending stands apart
    page.locator("#bench-run").click()
    expect(page.locator("#bench-notice .notice.bad")).to_contain_text(
        "leads out of its folder", timeout=SLOW
    )
    expect(page.locator("#bench-run")).to_be_visible()
