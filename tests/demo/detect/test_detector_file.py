"""A detector as a file, on the page and over the API: saved there, opened anywhere, to the same
bits; a setting that is changed leaves it, and what cannot be opened leaves the settings."""

import json
import zipfile

import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import expect

from demo.detect import exports
from demo.detect.handlers import DetectHandlers
from demo.page import opened as page_opened
from demo.page.events import KEEP
from demo.page.words import number
from demo.server.library import Library
from demo.server.request import NO_RECIPE, More, read_settings
from demo.server.settings import DETECTOR
from demo.server.shipped import EMBEDDED, examples
from setar_core.__main__ import main
from setar_core.adapter import Adapter
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.paths import BENCHMARK
from setar_core.recipe import Recipe
from setar_core.scores import ScoreOptions
from tests.demo.told import is_bad, words

NAMES = ("fox", "otter", "zebra")
ONE = examples()[0]


@pytest.fixture(scope="module")
def pictures():
    return sorted((BENCHMARK / "calibration").rglob("*.webp"))[:12]


def with_recipe(clip, pictures):
    recipe = Recipe({next(clip.sites("up")): 0.4})
    options = ScoreOptions(2.0, 0.5)
    return Detector(clip.with_recipe(recipe), LabelSet(NAMES), "gl_mcm", options).calibrate(
        pictures
    )


def with_adapter(clip, pictures):
    site = next(clip.sites("up"))
    out, width = clip.weight(site).shape
    chance = torch.Generator().manual_seed(0)
    tensors = {
        f"{site}/A": torch.randn(2, width, generator=chance) / 10,
        f"{site}/B": torch.randn(out, 2, generator=chance) / 10,
    }
    adapter = Adapter("lora", tensors, clip.name, clip.fingerprint)
    return Detector(clip.with_adapter(adapter), LabelSet(NAMES, "an icon of a {}"), threshold=0.4)


def fitted(clip, pictures):
    options = ScoreOptions(neighbors=3)
    return Detector(clip, LabelSet(NAMES), "knn", options).fit(pictures).calibrate(pictures)


def of_odd_labels(clip, pictures):
    """The bar reads their text as a table."""
    return Detector(clip, LabelSet(("0 fox", "1 otter")), threshold=0.5)


MADE = {
    "recipe": with_recipe,
    "adapter": with_adapter,
    "fitted": fitted,
    "odd labels": of_odd_labels,
}


@pytest.fixture(params=MADE)
def saved(request, library, pictures, tmp_path):
    detector = MADE[request.param](library.backbone(EMBEDDED), pictures)
    detector.save(tmp_path / "mine.zip")
    return tmp_path / "mine.zip"


def given(library, file):
    """The bar's settings once the file was opened, and what is said."""
    *_, last = page_opened.detector_given(library, file and str(file))
    _, *values, _, _, notice = last
    return [getattr(value, "value", value) for value in values], notice


def judged(handlers, asked, files):
    """The batch of these files."""
    *_, page = handlers.judge([str(file) for file in files], None, "score", 0.95, *asked)
    assert not is_bad(page.notice), words(page.notice)
    return handlers.batches.find(page.batch)


def test_one_picture_gets_the_same_bits_in_every_place(
    library, handlers, saved, served, capsys, tmp_path
):
    here = Detector.load(saved).verdict(ONE)
    asked, notice = given(library, saved)
    assert not is_bad(notice), words(notice)
    batch = judged(handlers, asked, [ONE])
    assert batch.settings.weights == (DETECTOR,)
    there = batch.images[0].verdicts[DETECTOR]
    assert (there.score, there.threshold) == (here.score, here.threshold)
    assert there.page() == here.page()
    command = ["verdict", str(ONE), "--detector", str(saved), "--json"]
    assert main(command) in (0, 1)
    told = json.loads(capsys.readouterr().out)["images"][0]
    assert told["score"] == here.score
    client = Client(served, verbose=False)
    answer = client.predict([handle_file(ONE)], detector=handle_file(saved), api_name="/verdict")
    assert answer["images"][0][DETECTOR]["score"] == here.score
    assert answer["thresholds"][DETECTOR]["value"] == here.threshold
    out = tmp_path / "s.csv"
    scored = ["scores", "--images", str(ONE), "--detector", str(saved), "--out", str(out)]
    assert main(scored) == 0
    assert out.read_text().splitlines()[1].endswith(repr(here.score))


def test_many_pictures_get_the_same_scores_but_for_rounding(library, handlers, saved):
    alone = Detector.load(saved)
    asked, _ = given(library, saved)
    for image in judged(handlers, asked, examples()).images:
        there = image.verdicts[DETECTOR].score
        assert there == pytest.approx(alone.verdict(image.path).score, rel=1e-6)


def test_what_the_page_saves_is_what_it_shows(library, handlers, tmp_path):
    title = "emoji-searched"
    asked = [EMBEDDED, "\n".join(NAMES), "a photo of a {}", title, "gl_mcm", 1.0, 0.5]
    batch = judged(handlers, asked, [ONE])
    found = Detector.load(exports.saved_detector(library, batch))
    weights = batch.settings.weights[-1]
    assert found.backbone.recipe == Recipe.load(library.recipes(EMBEDDED)[title])
    assert found.threshold == batch.thresholds.get(weights)
    assert found.verdict(ONE).score == batch.images[0].verdicts[weights].score
    again = given(library, exports.saved_detector(library, batch))[0]
    assert judged(handlers, again, [ONE]).images[0].verdicts[DETECTOR].score == (
        batch.images[0].verdicts[weights].score
    )


def test_a_changed_setting_leaves_the_detector_and_back_again(library, saved):
    asked, _ = given(library, saved)
    assert read_settings(library, *asked).opened
    other = [*asked[:5], 7.0, *asked[6:]]
    assert not read_settings(library, *other).opened
    assert read_settings(library, *other).weights[0] == "original"
    assert read_settings(library, *asked).opened


def test_a_detector_that_is_gone_is_told(library):
    asked = [EMBEDDED, "fox\nowl", "a {}", NO_RECIPE, "mcm", 1.0, 1.0]
    with pytest.raises(ValueError, match="no longer kept"):
        read_settings(library, *asked, *More(detector="another"))


def test_what_cannot_be_opened_leaves_the_settings(library, saved, tmp_path):
    (tmp_path / "odd.zip").write_bytes(b"no zip")
    values, notice = given(library, tmp_path / "odd.zip")
    assert is_bad(notice) and "odd.zip" in words(notice)
    assert values[:-1] == [KEEP] * len(values[:-1]) and values[-1] is None
    with zipfile.ZipFile(saved) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    page = json.loads(files["mine.json"])
    for name in ("local-dir:/etc", "hf-hub:somebody/else"):
        page["backbone"]["name"] = name
        with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
            for file, data in files.items():
                archive.writestr(file, json.dumps(page) if file == "mine.json" else data)
        _, notice = given(library, tmp_path / "odd.zip")
        assert is_bad(notice) and "cannot be opened from here" in words(notice)
    _, notice = given(library, None)
    assert notice is None


def test_a_folder_of_the_server_is_in_no_file(golden, tmp_path):
    library = Library([f"local-dir:{golden / 'clip'}"])
    handlers = DetectHandlers(library)
    labels = "\n".join(LabelSet.load(golden / "clip" / "labels.json").names)
    asked = [library.default, labels, "a {}", NO_RECIPE, "mcm", 1.0, 1.0]
    batch = judged(handlers, asked, [ONE])
    file = exports.saved_detector(library, batch)
    with zipfile.ZipFile(file) as archive:
        text = archive.read("detector.json").decode()
    assert str(golden) not in text and json.loads(text)["backbone"]["name"] == "local-dir:clip"
    _, notice = given(library, file)
    assert not is_bad(notice)


def test_a_detector_takes_no_settings_beside_it(served, saved):
    client = Client(served, verbose=False)
    images = [handle_file(ONE)]
    for more, said in (
        ({"labels": "voc20"}, "leave out labels"),
        ({"shaping": "react:1.0"}, "negative_words or shaping"),
    ):
        with pytest.raises(AppError, match=said):
            client.predict(images, detector=handle_file(saved), **more, api_name="/verdict")
    with pytest.raises(AppError, match="not uploaded here"):
        client.predict(images, detector="/etc/passwd", api_name="/verdict")
    line = client.predict(images, detector=handle_file(saved), threshold=0.25, api_name="/verdict")
    assert line["thresholds"][DETECTOR] == {"value": 0.25, "found": "by hand"}


def test_own_words_and_a_shaping_over_the_api(served):
    client = Client(served, verbose=False)
    images = [handle_file(ONE)]
    words = "guitar\npizza\ntruck"
    answer = client.predict(images, score="neglabel", negative_words=words, api_name="/verdict")
    assert answer["settings"]["negatives"] == words.split()
    answer = client.predict(images, score="msp", shaping="ash-b:90", api_name="/verdict")
    assert answer["settings"]["shaping"] == "ash-b:90"


@pytest.mark.browser
def test_a_visitor_saves_a_detector_and_opens_it_again(visit, tmp_path):
    page = visit()
    with page.expect_download() as download:
        page.locator("#save-detector").click()
    file = tmp_path / "detector.zip"
    download.value.save_as(file)
    score = Detector.load(file).verdict(ONE).score
    page.get_by_role("button", name="More").first.click()
    page.locator("#temperature input").fill("3")
    page.locator("#temperature input").blur()
    expect(page.locator("#rows")).not_to_contain_text(number(score))  # judged again
    page.locator("#detector-file input[type=file]").set_input_files(str(file))
    expect(page.locator("#detector-notice")).to_contain_text("The detector is open")
    expect(page.locator("#temperature input")).to_have_value("1")
    expect(page.locator("#rows")).to_contain_text(number(score))  # by itself
    expect(page.locator("#tally")).not_to_contain_text("Original weights")
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    page.locator("#detector-file button").first.click()  # takes the file away
    page.locator("#detector-file input[type=file]").set_input_files(str(tmp_path / "bad.zip"))
    expect(page.locator("#detector-notice .notice.bad")).to_be_in_viewport()
    assert page.broken == []
