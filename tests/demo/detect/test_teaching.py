"""A detector that a visitor teaches: pictures that show the labels, and some that do not."""

from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import expect

from demo.detect import teaching
from demo.detect.controls import OWN, SHIPPED
from demo.detect.words import of_batch
from demo.server.settings import ORIGINAL
from demo.server.shipped import EMBEDDED, pictures
from setar_core.labels import PROMPT
from setar_core.metrics.separation import recall_interval, separation
from setar_core.paths import BENCHMARK
from tests.demo.detect.test_detect_handlers import ANIMALS, controls, judge, last
from tests.demo.told import words

KNOWN = [str(p) for label in ("fox", "owl") for p in pictures(BENCHMARK / "id" / label)[:12]]
FOREIGN = [
    str(path)
    for label in ("dog", "cat", "bear", "chicken")
    for path in pictures(BENCHMARK / "id" / label)[:5]
]
TWO = {"names": "fox\nowl"}


def taught(handlers, known=KNOWN, foreign=FOREIGN, **changes):
    first = judge(handlers, **changes)
    said = controls(**changes)
    return last(handlers.calibrate(OWN, known, foreign, first.batch, "score", None, 0.95, *said))


def test_both_kinds_of_mistakes_are_told_with_their_intervals(handlers):
    page = taught(handlers, score="max_logit", **TWO)
    batch = handlers.batches.find(page.batch)
    line, found = batch.thresholds[ORIGINAL], teaching.mistakes(batch, ORIGINAL)
    scores = batch.foreign[ORIGINAL]["max_logit"]
    assert len(scores) == 20 and len(line.scores) == 24
    assert found.accepted == (sum(score >= line.value for score in scores), 20)
    assert found.refused == (sum(score < line.value for score in line.scores), 24)
    low, high = recall_interval(*found.accepted)
    assert f"{low:.0%} to {high:.0%}" in words(page.found)
    assert "Refused by mistake: 1 of 24" in words(page.found)


def test_a_moved_line_moves_the_mistakes(handlers):
    page = taught(handlers, score="max_logit", **TWO)
    lowest = handlers.batches.find(page.batch).span(ORIGINAL)[0]
    moved = handlers.line_moved(0, lowest, page.batch, "score", None)
    found = teaching.mistakes(handlers.batches.find(page.batch), ORIGINAL)
    assert found.refused.found == 0 and found.accepted.found == 20
    assert "Accepted by mistake: 20 of 20" in words(moved.found)


def test_the_curve_is_of_both_rates_at_every_threshold(handlers):
    page = taught(handlers, score="energy", **TWO)
    batch = handlers.batches.find(page.batch)
    lines, refused, accepted = teaching.trade_off(batch, ORIGINAL)
    known = np.array(batch.calibration[ORIGINAL].scores)
    foreign = np.array(batch.foreign[ORIGINAL]["energy"])
    for line, one, other in zip(lines, refused, accepted, strict=True):
        assert one == pytest.approx(100 * np.mean(known < line))
        assert other == pytest.approx(100 * np.mean(foreign >= line))
    assert "foreign, accepted by mistake" in str(page.trade.value)


def test_a_score_that_cannot_work_names_one_that_can(handlers):
    batch = handlers.batches.find(taught(handlers, **TWO).batch)
    known, foreign = batch.every[ORIGINAL], batch.foreign[ORIGINAL]
    assert not teaching.advice(batch)  # these it tells apart
    alike = {name: known[name].scores for name in foreign if name != "energy"}
    poor = replace(batch, foreign={ORIGINAL: {**foreign, **alike}})
    said = teaching.advice(poor)
    assert "with 2 of them it can hardly refuse anything" in said
    apart = separation(known["energy"].scores, foreign["energy"]).auroc
    assert f"MCM puts 50% in the right order, Energy {apart:.0%}" in said
    assert said in words(of_batch(poor))


def test_another_score_is_taught_by_the_same_pictures(handlers):
    page = taught(handlers, **TWO)
    first = handlers.batches.find(page.batch)
    other = last(handlers.judge(None, page.batch, "score", 0.95, *controls(score="energy", **TWO)))
    batch = handlers.batches.find(other.batch)
    assert batch.teachers == first.teachers and batch.foreign == first.foreign
    assert batch.thresholds[ORIGINAL].scores == first.every[ORIGINAL]["energy"].scores


def test_pictures_of_other_labels_teach_nothing(handlers):
    page = taught(handlers, **TWO)
    said = controls(names="crate\nbarrel")
    other = handlers.batches.find(
        last(handlers.judge(None, page.batch, "score", 0.95, *said)).batch
    )
    assert other.teachers is None and not other.thresholds


def test_few_labels_are_doubted_without_foreign_pictures_too(handlers):
    page = taught(handlers, foreign=(), **TWO)
    assert "Give some pictures that show none of them" in words(page.notice)
    assert teaching.mistakes(handlers.batches.find(page.batch), ORIGINAL) is None
    assert "by mistake" not in words(page.found)
    many = taught(handlers, foreign=(), names=ANIMALS)
    assert "hardly refuse" not in words(many.notice)


def test_shipped_pictures_take_the_place_of_ones_own(handlers):
    page = taught(handlers, names=ANIMALS)
    assert handlers.batches.find(page.batch).teachers
    said = controls(names=ANIMALS)
    last(handlers.calibrate(SHIPPED, None, None, page.batch, "score", None, 0.95, *said))
    batch = handlers.batches.find(page.batch)
    assert batch.teachers is None and not batch.foreign and batch.thresholds[ORIGINAL].n == 200
    assert (batch.settings.backbone, batch.settings.labels.prompt) == (EMBEDDED, PROMPT)


@pytest.mark.browser
def test_a_visitor_teaches_a_detector_and_takes_it_along(visit):
    page = visit(width=390, height=844)
    page.get_by_role("button", name="Teach it your world").click()
    page.get_by_label("my own pictures").check()
    page.locator("#own input[type=file]").set_input_files(KNOWN)
    page.locator("#foreign input[type=file]").set_input_files(FOREIGN)
    expect(page.locator("#own")).to_contain_text("011")
    expect(page.locator("#foreign")).to_contain_text("004")
    page.locator("button#calibrate").click()
    expect(page.locator("#found")).to_contain_text("Accepted by mistake")
    expect(page.locator("#trade .main-svg").first).to_be_visible()
    found, before = page.locator("#found"), page.locator("#found").inner_text()
    page.locator("#trade").scroll_into_view_if_needed()
    box = page.locator("#trade .nsewdrag").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], middle, steps=4)
    page.mouse.up()
    expect(found).to_contain_text("by hand")
    assert found.inner_text() != before
    with page.expect_download() as download:
        page.locator("#save-detector").click()
    assert download.value.suggested_filename == "detector.zip"
    assert page.broken == []
