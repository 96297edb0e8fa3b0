"""Fine-tune in a real Chromium: started, stopped, resumed, found after a reload, used."""

import re
import zipfile

import pytest
from playwright.sync_api import expect

from setar_core.paths import BENCHMARK

pytestmark = pytest.mark.browser
SLOW = 240_000  # milliseconds; machines that run tests are busy


def says(page, words):
    expect(page.locator("#finetune-state")).to_contain_text(re.compile(words), timeout=SLOW)


def test_a_training_is_watched_stopped_resumed_found_and_used(visit, drawn):
    page = visit()
    page.set_default_timeout(SLOW)
    page.get_by_role("tab", name="Fine-tune").click()
    says(page, "Press Train")
    page.locator("#finetune-start").click()
    expect(page.locator("#finetune-stop")).to_be_visible(timeout=SLOW)
    says(page, r"Step \d+ of 10")
    expect(page.locator("#finetune-losses .js-plotly-plot")).to_be_visible(timeout=SLOW)
    page.locator("#finetune-stop").click()
    says(page, "Stopped as you asked")
    page.locator("#finetune-resume").click()
    says(page, r"Step \d+ of 10|Done")
    page.reload()
    page.get_by_role("tab", name="Fine-tune").click()
    says(page, "Done: 10 steps")
    expect(page.locator("#finetune-drift .js-plotly-plot")).to_be_visible(timeout=SLOW)
    expect(page.locator("#finetune-table")).to_contain_text("AUROC")
    drawn(page, "finetune")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 900})
    page.locator("#finetune-use").click()
    expect(page.locator("#recipe input")).to_have_value(re.compile(r"SeTAR\+FT \("), timeout=SLOW)
    expect(page.get_by_role("tab", name="Detect")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Fine-tune").click()
    page.get_by_role("button", name="Compare in Benchmark").click()
    expect(page.get_by_role("tab", name="Benchmark")).to_have_attribute("aria-selected", "true")
    for name in ("original", "emoji-searched", re.compile(r"SeTAR\+FT \(")):
        expect(page.get_by_role("checkbox", name=name)).to_be_checked(timeout=SLOW)
    assert page.broken == []


def test_a_zip_without_class_folders_is_told_in_words(visit, tmp_path):
    path = tmp_path / "holiday.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(next((BENCHMARK / "id").glob("*/*")), "beach.webp")
    page = visit(width=390, height=844)
    page.get_by_role("tab", name="Fine-tune").click()
    page.get_by_label("my own pictures (zip)").check()
    page.locator("#finetune-zip input[type=file]").set_input_files(path)
    expect(page.locator("#finetune-zip")).to_contain_text("holiday")
    page.locator("#finetune-start").click()
    says(page, "holiday.zip holds no folders")
    expect(page.locator("#finetune-start")).to_be_enabled()
    assert page.broken == []


def test_a_second_visitor_waits_and_is_told(visit):
    first, second = visit(), visit()
    for page in (first, second):
        page.get_by_role("tab", name="Fine-tune").click()
    first.get_by_label("Epochs", exact=True).fill("40")
    first.locator("#finetune-start").click()
    says(first, r"Step \d+ of")
    second.locator("#finetune-start").click()
    says(second, "another training is before yours")
    first.locator("#finetune-stop").click()
    says(first, "Stopped as you asked")
    says(second, r"Step \d+ of 10")
    second.locator("#finetune-stop").click()
    says(second, "Stopped as you asked")
    assert first.broken == second.broken == []
