"""The page in a real Chromium: what a visitor does, from an upload to a download."""

import csv
import json
import re
from pathlib import Path

import pytest
from gradio.media import get_image
from PIL import Image
from playwright.sync_api import expect

from demo.server.shipped import examples
from setar_core.scores import ALONE
from tests.browser import UNLABELLED

pytestmark = pytest.mark.browser


def upload(page, *files):
    page.locator("#pictures input[type=file]").set_input_files([str(file) for file in files])


def rows(page):
    return page.locator("#rows button.row")


def test_the_page_opens_with_the_examples_judged(visit, served, drawn):
    page = visit()
    assert rows(page).count() == len(examples())
    expect(page.locator("h1")).to_have_text("SeTAR Explorer")
    assert page.locator("h1").count() == 1
    expect(page.locator("#rows")).to_contain_text("distribution")
    expect(page.locator("#tally")).to_contain_text("The recipe changes 4 of these 16 verdicts")
    expect(page.locator("#detail")).to_contain_text("The recipe changes this verdict")
    expect(page.locator("#detail .dot").first).to_be_visible()
    expect(page.locator("#detail .scores li")).to_have_count(len(ALONE))
    expect(page.locator("#backbone, #bar").first).to_contain_text("not photographs")
    assert page.broken == []
    outside = [u for u in page.asked if not u.startswith((served, "data:", "blob:"))]
    assert outside == []
    drawn(page, "detect")


def test_every_control_has_a_name(visit):
    page = visit()
    for title in ("More", "Teach it your world"):
        page.get_by_role("button", name=title).first.click()
    assert page.evaluate(UNLABELLED) == []


def test_an_upload_is_judged_and_bad_files_are_named(visit, tmp_path):
    page = visit()
    good = tmp_path / "one <b>good<i>.png"
    Image.open(examples()[0]).save(good)
    bad = tmp_path / "notes.jpg"
    bad.write_text("no picture")
    odd = tmp_path / "list.txt"
    odd.write_text("no picture either")
    upload(page, good, bad, odd)
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#notice .notice.bad")).to_contain_text("notes.jpg")
    expect(page.locator("#notice .notice.bad")).to_contain_text("list.txt")
    assert page.locator("#rows b, #detail h2 b").filter(has_text="good").count() == 0
    assert page.broken == []


def test_a_row_shows_its_picture(visit):
    page = visit()
    third = rows(page).nth(2)
    name = third.locator(".name").inner_text().split()[0]
    third.click()
    expect(page.locator("#detail h2")).to_contain_text(name)
    third = rows(page).nth(2)
    expect(third).to_have_attribute("aria-current", "true")
    third.press("ArrowDown")
    expect(rows(page).nth(3)).to_have_attribute("aria-current", "true")
    page.get_by_label("name", exact=True).check()
    expect(page.locator("#rows .name").first).to_contain_text("bucket")
    names = [text.split()[0] for text in page.locator("#rows .name").all_inner_texts()]
    expect(page.locator("#rows .name").first).to_contain_text(sorted(names)[0])


def test_the_patch_map_can_be_taken_away_and_stays_away(visit):
    page = visit()
    patches = page.locator("#detail svg.patches")
    expect(patches).not_to_have_count(0)
    page.get_by_label("Show the patch map").uncheck()
    expect(patches).to_have_count(0)
    rows(page).nth(2).click()
    expect(page.locator("#detail h2")).not_to_have_text("bucket.webp")
    expect(patches).to_have_count(0)
    page.get_by_label("Show the patch map").check()
    expect(patches).not_to_have_count(0)


def test_the_score_crosses_its_line_as_the_recipe_grows(visit):
    page = visit()
    strength, said = (
        page.locator("#strength-share input[type=range]"),
        page.locator("#detail .said"),
    )
    expect(said).to_have_count(2)
    expect(said.nth(1)).to_contain_text("close call, out")
    strength.focus()
    strength.press("Home")
    expect(said).to_have_count(1)
    expect(said.first).to_contain_text("close call, in")
    expect(page.locator("#detail h2")).to_have_text("bucket.webp")
    strength.press("ArrowRight")
    expect(page.locator("#tally")).to_contain_text("The recipe changes 1 of these 16 verdicts")
    page.get_by_role("button", name="Copy link").click()
    address = page.locator("#address input, #address textarea")
    expect(address).to_have_value(re.compile("strength=0.05"))
    page.get_by_role("button", name="Edit the ratios").click()
    expect(page.locator("#spectrum")).to_be_visible()
    again = visit(query="&strength=0.05")
    expect(again.locator("#strength-share input[type=range]")).to_have_value("0.05")
    expect(again.locator("#tally")).to_contain_text("changes 1 of these 16 verdicts")


def test_photographs_are_not_judged_in_silence(visit):
    page = visit()
    upload(page, get_image("cheetah.jpg"), get_image("lion.jpg"))
    expect(page.locator("#notice")).to_contain_text("These look like photographs")
    load = page.locator("button#for-photographs")
    load.click()
    expect(page.locator("#bar-notice")).to_contain_text("could not be reached")
    expect(page.locator("#backbone input")).to_have_value("emoji")  # no hub is here
    page.locator("#pictures").get_by_label("Clear").click()
    expect(page.locator("#notice")).not_to_contain_text("These look like photographs")
    expect(load).to_be_hidden()


def test_the_threshold_moves_the_verdicts(visit):
    page = visit()
    for name in ("#line", "#line-altered"):
        line = page.locator(f"{name} input[type=range]")
        line.fill(line.get_attribute("max"))
        expect(page.locator("#found")).to_contain_text("set by hand")
    expect(page.locator("#tally")).to_contain_text("changes none of these 16 verdicts")
    expect(page.locator("#tally")).to_contain_text(f"{len(examples())} out-of-distribution")


def test_changing_the_score_judges_again(visit):
    page = visit()
    rows(page).nth(2).click()
    name = rows(page).nth(2).inner_text().splitlines()[0]
    page.locator("#score input").click()
    page.get_by_role("option", name="MaxLogit").click()
    expect(page.locator("#detail")).to_contain_text("MaxLogit")
    expect(page.locator("#detail h2")).to_contain_text(name)  # the picture stays
    expect(page.locator("#rows")).not_to_contain_text("no threshold yet")
    expect(page.locator("#notice progress")).to_have_count(0)
    assert page.broken == []


def test_where_judging_takes_long_the_threshold_is_void(visit, monkeypatch):
    page = visit()
    monkeypatch.setattr("demo.detect.handlers.AT_ONCE", 0.0)
    page.locator("#score input").click()
    page.get_by_role("option", name="Energy").click()
    expect(page.locator("#notice")).to_contain_text("Threshold void")
    expect(page.locator("#rows")).to_contain_text("no threshold yet")
    page.get_by_role("button", name="Judge", exact=True).click()
    expect(page.locator("#rows")).not_to_contain_text("no threshold yet")
    expect(page.locator("#detail")).to_contain_text("Energy")


def test_without_a_recipe_one_column_is_left(visit):
    page = visit()
    page.locator("#recipe input").click()
    page.get_by_role("option", name="none").click()
    expect(page.locator("#detail .said")).to_have_count(1)
    expect(page.locator("#strength")).to_be_hidden()


def test_a_recipe_of_ones_own(visit, tmp_path):
    page = visit()
    mine = tmp_path / "mine.json"
    mine.write_text('{"ratios": {"visual.0.up": 0.5}}')
    page.get_by_role("button", name="More").first.click()
    page.locator("#recipe-file input[type=file]").set_input_files(str(mine))
    expect(page.locator("#recipe input")).to_have_value(re.compile("^uploaded "))
    expect(page.locator("#found")).not_to_contain_text("0.040598")
    expect(page.locator("#rows")).to_contain_text("distribution")


def test_labels_are_counted_as_they_are_written(visit):
    page = visit()
    page.get_by_role("button", name="More").first.click()
    page.locator("#labels textarea").fill("fox\nfox\n<img src=x onerror=alert(1)>quark")
    said = page.locator("#said")
    expect(said).to_contain_text("3 labels")
    expect(said).to_contain_text("Labels that occur twice share")
    expect(said).to_contain_text("quark")
    assert said.locator("img").count() == 0
    expect(page.locator("#label-set input")).to_have_value("my own text")


def test_calibrating_on_own_pictures(visit):
    page = visit()
    page.get_by_role("button", name="Teach it your world").click()
    page.get_by_label("my own pictures").check()
    page.locator("#own input[type=file]").set_input_files([str(p) for p in examples()[:5]])
    expect(page.locator("#own")).to_contain_text(examples()[4].stem[:6])
    page.locator("button#calibrate").click()
    expect(page.locator("#found")).to_contain_text("of 5 calibration images")
    expect(page.locator("#notice")).to_contain_text("only 5")


def test_verdicts_are_downloaded(visit):
    page = visit()
    for kind in ("csv", "json"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download {kind.upper()}").click()
        text = Path(download.value.path()).read_text()
        assert download.value.suggested_filename == f"verdicts.{kind}"
        found = list(csv.DictReader(text.splitlines())) if kind == "csv" else json.loads(text)
        images = found if kind == "csv" else found["images"]
        assert [image["image"] for image in images] == [path.name for path in examples()]


def test_a_link_opens_the_same_settings(visit):
    page = visit()
    page.locator("#label-set input").click()
    page.get_by_role("option", name=re.compile("^food")).click()
    expect(page.locator("#said")).not_to_contain_text("dog")
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#address input, #address textarea")).to_have_value(
        re.compile("labels=food")
    )
    again = visit(query="&labels=food&score=energy")
    expect(again.locator("#label-set input")).to_have_value(re.compile("food"))
    expect(again.locator("#notice")).to_contain_text("no threshold yet")


def test_an_example_is_judged_with_a_click(visit):
    page = visit()
    page.get_by_role("button", name="Judge the example").nth(1).click()
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#detail h2")).to_have_text(examples()[1].name)


def test_own_pictures_and_examples_do_not_replace_each_other_and_are_found_again(visit, tmp_path):
    page = visit()
    mine = tmp_path / "mine.png"
    Image.open(examples()[4]).save(mine)
    upload(page, mine)
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Judge the example").nth(1).click()
    expect(rows(page)).to_have_count(2)
    expect(page.locator("#detail h2")).to_have_text(examples()[1].name)
    page.get_by_role("tab", name="Spectrum").click()
    expect(page).to_have_url(re.compile("tab=spectrum"))
    page.reload()
    expect(page.locator("#spectrum")).to_be_visible()
    page.get_by_role("tab", name="Detect").click()
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#rows .name")).to_contain_text("mine.png")
    expect(page.locator("#pictures")).to_contain_text("mine")


def test_a_picture_is_pasted(visit):
    page = visit()
    page.evaluate("""async () => {
      const canvas = new OffscreenCanvas(64, 64);
      canvas.getContext('2d').fillRect(0, 0, 40, 40);
      const file = new File([await canvas.convertToBlob()], 'x.png', { type: 'image/png' });
      const box = new DataTransfer();
      box.items.add(file);
      document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: box, bubbles: true }));
    }""")
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#rows .name")).to_contain_text("pasted-")


@pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_narrow_screen_needs_no_sideways_scrolling(visit, dark, drawn):
    page = visit(width=390, height=844, dark=dark)
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]
    upload(page, *examples()[:1])
    expect(rows(page)).to_have_count(1)
    drawn(page, "narrow-dark" if dark else "narrow")


def test_dark_mode_is_dark_everywhere(visit, drawn):
    page = visit(dark=True)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background)[:3])) < 60
    fill = page.locator("#axes .main-svg text").first.evaluate("e => getComputedStyle(e).fill")
    assert min(map(int, re.findall(r"\d+", fill)[:3])) > 150
    drawn(page, "detect-dark")


def test_detect_by_keyboard_alone(visit):
    page = visit()
    page.locator("#rows button.row").first.focus()
    first = page.locator("#detail h2").inner_text()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#detail h2")).not_to_have_text(first)
    page.locator("#strength input[type=range]").focus()
    page.keyboard.press("Home")
    expect(page.locator("#rows .weights")).to_have_count(0)  # nothing is dropped any more
    page.locator("#calibration button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("button#calibrate")).to_be_visible()
    page.locator("#examples button").nth(4).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#rows button.row")).to_have_count(1)
    page.locator("#more button").first.focus()
    page.keyboard.press("Enter")
    page.locator("#labels textarea").focus()
    page.wait_for_timeout(500)  # a box that was just drawn takes its text a moment later
    page.keyboard.press("Control+A")
    page.keyboard.type("fox\nguitar\npizza\nowl\ncar")
    page.keyboard.press("Tab")
    expect(page.locator("#said")).to_contain_text("5 labels")
    assert page.broken == []
