"""The page's handlers, called as the plain functions they are."""

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gradio.media import get_image
from PIL import Image

from demo.detect import exports
from demo.detect import handlers as detect_handlers
from demo.detect.components.detail import Detail
from demo.detect.components.rows import Rows, rows
from demo.detect.components.tally import Tally
from demo.detect.controls import OWN, SHIPPED, sources_offered
from demo.detect.judging import MAX_FILES, check_batch
from demo.detect.view import Page
from demo.page import choices
from demo.page.choices import default_recipe
from demo.page.components.labels import LabelSummary
from demo.page.components.notices import Notices
from demo.server.library import Library
from demo.server.request import NO_RECIPE, More
from demo.server.settings import ALTERED, ORIGINAL
from demo.server.shipped import EMBEDDED, examples, label_set
from demo.server.store import Store
from demo.server.supplies import threshold_pictures
from setar_core.backbones import load_backbone
from setar_core.detector import Detector
from setar_core.labels import PROMPT
from setar_core.recipe import Recipe
from setar_core.scores import ALONE, SCORES
from tests.demo.told import is_bad, words

ANIMALS = "\n".join(label_set("animals").names)
HOSTILE = '<img src=x onerror="alert(1)">'


def controls(**changes):
    """What the page's controls say, in the order of `read_settings`."""
    said = {
        "backbone": EMBEDDED,
        "names": ANIMALS,
        "prompt": PROMPT,
        "recipe": NO_RECIPE,
        "score": "mcm",
        "temperature": 1.0,
        "local_weight": 1.0,
    }
    return list((said | changes).values())


def last(pages):
    """Only what each output showed in the end."""
    shown = Page()
    for page in pages:
        assert isinstance(page, Page)
        kept = Page()
        shown = Page(*(a if b == none else b for a, b, none in zip(shown, page, kept, strict=True)))
    return shown


def judge(handlers, files=None, name=None, recall=0.95, **changes):
    return last(handlers.judge(files, name, "score", recall, *controls(**changes)))


@pytest.fixture
def picture(tmp_path):
    """Draws a picture to a file of the given name."""

    def draw(name, colour="red", size=(80, 60), mode="RGB", **options):
        path = tmp_path / name
        Image.new(mode, size, colour).save(path, **options)
        return str(path)

    return draw


# Judging


def test_the_examples_are_judged_on_opening(handlers):
    page = judge(handlers)
    batch = handlers.batches.find(page.batch)
    assert [image.path for image in batch.images] == examples()
    assert all(image.verdicts[ORIGINAL].decided for image in batch.images)
    assert len(page.rows) == len(examples())
    assert "in-distribution" in words(page.detail)
    assert all(one.patches.cells for one in page.detail.evidence)


def test_original_and_recipe_stand_side_by_side(library, handlers):
    page = judge(handlers, recipe=default_recipe(library, EMBEDDED))
    batch = handlers.batches.find(page.batch)
    assert set(batch.thresholds) == {ORIGINAL, ALTERED}
    values = [batch.thresholds[weights].value for weights in (ORIGINAL, ALTERED)]
    assert values[0] != values[1]  # one recall, two thresholds
    assert batch.thresholds[ORIGINAL].recall == batch.thresholds[ALTERED].recall
    first = next(image for image in batch.images if image.differs)
    name = page.batch
    page = handlers.look(name, "score", batch.images.index(first))
    assert [one.title for one in page.detail.said] == ["Original weights", "SeTAR recipe"]
    assert "changes this verdict" in page.detail.lead
    alike = next(image for image in batch.images if not image.changed)
    page = handlers.look(name, "score", batch.images.index(alike))
    assert [one.title for one in page.detail.said] == ["Both"] and len(page.detail.dots) == 2


def test_a_visitor_shares_no_sheet_with_another(handlers):
    first, second = judge(handlers), judge(handlers)
    assert first.batch != second.batch
    assert len(first.batch) >= 20


def test_progress_is_told_before_the_verdicts(handlers):
    pages = list(handlers.judge(None, None, "score", 0.95, *controls()))
    assert pages[0].notice.kind == "busy"


def test_visitors_who_come_together_share_the_work_of_the_opening(handlers, monkeypatch):
    asked, scores = [], detect_handlers.scores

    def counted(*args):
        asked.append(args)
        return (yield from scores(*args))

    monkeypatch.setattr(detect_handlers, "scores", counted)
    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(lambda _: judge(handlers), range(4)))
    assert len(asked) == 1
    batches = [handlers.batches.find(page.batch) for page in pages]
    assert len({page.batch for page in pages}) == 4
    assert all(batch == batches[0] and len(batch.images) == len(examples()) for batch in batches)


def test_a_threshold_set_by_hand_is_not_the_next_visitors(handlers):
    mine = judge(handlers).batch
    found = handlers.batches.find(mine).thresholds[ORIGINAL].value
    last([handlers.line_moved(0, 0.5, mine, "score", None)])
    judge(handlers, temperature=2.0)  # another visitor, so that the opening is no longer kept
    assert handlers.batches.find(judge(handlers, name=mine).batch).thresholds[ORIGINAL] == 0.5
    assert handlers.batches.find(judge(handlers).batch).thresholds[ORIGINAL].value == found


def test_an_opening_that_failed_is_tried_again(handlers, monkeypatch):
    def broken(*args):
        raise ValueError("the disk is away")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(detect_handlers, "judged", broken)
        assert "The disk is away" in words(judge(handlers).notice)
    assert len(judge(handlers).rows) == len(examples())


# Bad input


def test_a_bad_file_is_named_and_the_others_are_judged(handlers, picture, tmp_path):
    text = tmp_path / "notes.jpg"
    text.write_text("no picture")
    whole = Path(picture("whole.jpg", size=(300, 300)))
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:500])
    huge = picture("huge.png", colour=0, size=(10_500, 10_000), mode="L")
    empty = tmp_path / "empty.png"
    empty.touch()
    bad = [str(text), str(cut), huge, str(empty)]
    page = judge(handlers, [*bad, str(whole)])
    batch = handlers.batches.find(page.batch)
    assert [image.name for image in batch.images] == ["whole.jpg"]
    assert len(batch.problems) == len(bad)
    for file in bad:
        assert Path(file).name in words(page.notice)
    assert str(tmp_path) not in words(page.notice)


def test_unusual_images_are_judged(handlers, picture, tmp_path):
    deep = tmp_path / "deep.png"
    Image.fromarray(np.linspace(0, 65535, 6400).reshape(80, 80).astype(np.uint16)).save(deep)
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [Image.new("P", (40, 40), i) for i in range(3)]
    moving = tmp_path / "moving.gif"
    frames[0].save(moving, save_all=True, append_images=frames[1:])
    files = [
        str(deep),
        str(moving),
        picture("cmyk.jpg", colour=(10, 200, 30, 0), mode="CMYK"),
        picture("palette.png", colour=3, mode="P"),
        picture("alpha.png", colour=(255, 0, 0, 40), mode="RGBA"),
        picture("turned.jpg", exif=exif),
    ]
    batch = handlers.batches.find(judge(handlers, files).batch)
    assert len(batch.images) == len(files) and not batch.problems


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": ""}, "empty"),
        ({"names": "cat"}, "only label"),
        ({"names": "cat\n" + "x" * 10_000}, "10000 characters"),
        ({"prompt": "no place"}, "{}"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": None}, "temperature"),
        ({"local_weight": None}, "local weight"),
        ({"score": "best"}, "score"),
        ({"recipe": "../secret"}, "recipe"),
    ],
)
def test_a_bad_setting_is_said_and_nothing_is_lost(handlers, change, said):
    first = judge(handlers)
    page = judge(handlers, name=first.batch, **change)
    assert is_bad(page.notice) and said.lower() in words(page.notice).lower()
    assert len(handlers.batches.find(first.batch).images) == len(examples())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"backbone": "ViT-B-16/openai", "ratios": {"visual.0.up": 0.1}}', "ViT-B-16/openai"),
        ('{"ratios": {"visual.99.up": 0.1}}', "visual.99.up"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(handlers, text, said):
    title = handlers.library.keep_recipe(Recipe.loads(text), "uploaded")
    page = judge(handlers, recipe=title)
    assert is_bad(page.notice) and said.lower() in words(page.notice).lower()


def test_many_labels_work(handlers):
    names = "\n".join(f"thing {i}" for i in range(5_000))
    page = judge(handlers, [str(examples()[0])], names=names)
    batch = handlers.batches.find(page.batch)
    assert len(batch.images) == 1 and not batch.thresholds  # no shipped pictures of such labels
    assert "no threshold yet" in words(page.rows)


def test_a_batch_has_limits(tmp_path):
    with pytest.raises(ValueError, match="at most 200"):
        check_batch([tmp_path] * (MAX_FILES + 1))
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(300_000_000)
    with pytest.raises(ValueError, match="500 MB"):
        check_batch([large, large])


def test_markup_of_a_visitor_stays_text(handlers, picture):
    named = picture("<b onmouseover=alert(1)>x.png")
    page = judge(handlers, [named], names=f"{HOSTILE}\n<script>alert(2)</script>\n${{1+1}}")
    said = choices.labels_counted(Library(), EMBEDDED, f"{HOSTILE}\n{HOSTILE}")
    sent = [
        Rows().postprocess(page.rows),
        Detail().postprocess(page.detail),
        Tally().postprocess(page.tally),
        Notices().postprocess(page.notice),
        LabelSummary().postprocess(said),
    ]
    assert "<" not in str(sent) and str(sent).count("&lt;b onmouse") >= 2


# Thresholds


def test_moving_the_threshold_asks_no_network(handlers, monkeypatch):
    page = judge(handlers)
    monkeypatch.setattr(handlers.library, "detector", None)
    scores = [e.verdicts[ORIGINAL].score for e in handlers.batches.find(page.batch).images]
    handlers.line_moved(0, max(scores), page.batch, "score", None)
    images = handlers.batches.find(page.batch).images
    assert sum(e.verdicts[ORIGINAL].in_distribution for e in images) == 1
    moved = handlers.line_moved(0, min(scores), page.batch, "score", None)
    images = handlers.batches.find(page.batch).images
    assert all(e.verdicts[ORIGINAL].in_distribution for e in images)
    assert "set by hand" in words(moved.found)


def test_a_line_moved_by_hand_leaves_the_calibration(library, handlers):
    page = judge(handlers, recipe=default_recipe(library, EMBEDDED))
    before = handlers.batches.find(page.batch)
    moved = handlers.line_moved(0, 0.01, page.batch, "score", None)
    after = handlers.batches.find(page.batch)
    assert after.thresholds == {**before.thresholds, ORIGINAL: 0.01}
    assert after.calibration == before.calibration
    assert f"cuts 0 of {before.calibration[ORIGINAL].n}" in str(moved.axes.value)  # the histogram
    low, high, _ = after.span(ORIGINAL)
    found = before.thresholds[ORIGINAL].scores
    assert low <= min(found) and max(found) <= high
    handlers.recall_moved(0.6, page.batch, "score", None)
    again = handlers.batches.find(page.batch).thresholds
    assert [threshold.recall for threshold in again.values()] == [0.6, 0.6]


def test_a_moving_line_reads_no_picture_again(handlers, monkeypatch):
    page = judge(handlers)
    monkeypatch.setattr("demo.detect.view.read_image", None)
    handlers.library = None
    moved = handlers.line_moved(0, 0.01, page.batch, "score", page.picked)
    assert moved.detail.picture


def test_a_change_that_is_taken_back_restores_the_thresholds(handlers):
    first = judge(handlers)
    before = handlers.batches.find(first.batch)
    handlers.settings_changed(first.batch, "score", None, *controls(score="energy"))
    handlers.recall_moved(0.6, first.batch, "score", None)
    assert not handlers.batches.find(first.batch).thresholds
    page = handlers.settings_changed(first.batch, "score", None, *controls())
    after = handlers.batches.find(first.batch)
    assert after.thresholds[ORIGINAL].scores == before.thresholds[ORIGINAL].scores
    assert after.thresholds[ORIGINAL].recall == 0.6
    assert not after.stale and page.notice == []
    assert "no threshold yet" not in words(page.rows)


def test_moving_the_recall_moves_both_thresholds(library, handlers):
    page = judge(handlers, recipe=default_recipe(library, EMBEDDED))
    before = handlers.batches.find(page.batch).thresholds
    handlers.recall_moved(0.6, page.batch, "score", None)
    after = handlers.batches.find(page.batch).thresholds
    assert all(after[weights].value > before[weights].value for weights in before)
    assert all(threshold.recall == 0.6 for threshold in after.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": "cat\ndog"}, "labels"),
        ({"prompt": "a drawing of a {}"}, "prompt"),
        ({"score": "energy"}, "score"),
        ({"temperature": 2.0}, "temperature"),
        ({"recipe": "emoji-searched"}, "recipe"),
        ({"backbone": "ViT-B-16/openai"}, "backbone"),
    ],
)
def test_a_change_voids_the_threshold_visibly(handlers, change, said):
    first = judge(handlers)
    page = handlers.settings_changed(first.batch, "score", None, *controls(**change))
    assert "Threshold void" in words(page.notice) and said in words(page.notice)
    assert "no threshold yet" in words(page.rows)
    assert not handlers.batches.find(first.batch).thresholds
    by_hand = handlers.line_moved(0, 0.5, first.batch, "score", None)
    assert "Threshold void" in words(by_hand.notice)


def followed(handlers, name, picked=None, **changes):
    return list(handlers.settings_followed(name, "score", picked, 0.95, *controls(**changes)))


@pytest.mark.parametrize(
    "change",
    [{"names": "cat\ndog\nfox"}, {"prompt": "a drawing of a {}"}, {"score": "energy"},
     {"temperature": 2.0}, {"recipe": "emoji-searched"}],
)  # fmt: skip
def test_a_change_is_followed_by_judging_where_that_is_quick(handlers, change, monkeypatch):
    monkeypatch.setattr(detect_handlers, "AT_ONCE", 60.0)
    first = judge(handlers)
    pages = followed(handlers, first.batch, 3, **change)
    batch = handlers.batches.find(first.batch)
    assert not batch.stale and batch.thresholds
    assert batch.settings.changed(handlers.batches.find(judge(handlers).batch).settings)
    assert pages[-1].picked == 3 and pages[-1].batch == first.batch
    again = followed(handlers, first.batch, 3, **change)
    assert [page.batch for page in again] == [Page().batch]  # nothing is judged twice


@pytest.mark.parametrize(
    "change",
    [{"backbone": "ViT-B-16/openai"}, {"score": "neglabel"}, {"score": "knn"}],
)
def test_a_change_of_unknown_cost_waits_to_be_asked(handlers, change):
    first = judge(handlers)
    (page,) = followed(handlers, first.batch, **change)
    assert "Press Judge" in words(page.notice) and handlers.batches.find(first.batch).stale


def test_judging_that_takes_long_waits_to_be_asked(handlers, monkeypatch):
    first = judge(handlers)
    monkeypatch.setattr(detect_handlers, "AT_ONCE", 0.0)
    (page,) = followed(handlers, first.batch, score="energy")
    assert "Press Judge" in words(page.notice)


def test_a_judging_that_fails_leaves_the_verdicts_void_and_may_be_tried_again(
    handlers, monkeypatch
):
    monkeypatch.setattr(detect_handlers, "AT_ONCE", 60.0)
    first = judge(handlers)

    def full(job):
        raise ValueError("too many wait already")

    with monkeypatch.context() as patched:
        patched.setattr(handlers.jobs, "start", full)
        page = followed(handlers, first.batch, score="energy")[-1]
    assert "Too many wait" in words(page.notice) and "no threshold yet" in words(page.rows)
    again = followed(handlers, first.batch, score="energy")[-1]
    assert "no threshold yet" not in words(again.rows)
    assert handlers.batches.find(first.batch).settings.score == "energy"


def test_of_two_changes_the_later_one_is_kept(handlers, monkeypatch):
    monkeypatch.setattr(detect_handlers, "AT_ONCE", 60.0)
    first = judge(handlers)
    asked = [controls(score=score) for score in ("energy", "gl_mcm")]
    one, other = (handlers.settings_followed(first.batch, "score", None, 0.95, *a) for a in asked)
    next(one), next(other)  # both are being judged
    last(other), last(one)
    assert handlers.batches.find(first.batch).settings.score == "gl_mcm"


def test_judging_again_after_a_change_calibrates_anew(handlers):
    first = judge(handlers)
    handlers.settings_changed(first.batch, "score", None, *controls(score="energy"))
    page = judge(handlers, name=first.batch, score="energy")
    threshold = handlers.batches.find(page.batch).thresholds[ORIGINAL]
    assert threshold.context.score == "energy"
    assert "Threshold void" not in words(page.notice)


def test_nothing_changed_voids_nothing(handlers):
    first = judge(handlers)
    handlers.settings_changed(first.batch, "score", None, *controls())
    assert handlers.batches.find(first.batch).thresholds


def test_own_pictures_calibrate_and_few_of_them_warn(handlers, picture):
    page = judge(handlers, names="crate\nbarrel")
    assert "no threshold yet" in words(page.notice)
    own = [picture(f"{i}.png", colour=(40 * i, 90, 10)) for i in range(6)]
    said = controls(names="crate\nbarrel")
    page = last(handlers.calibrate(OWN, own, None, page.batch, "score", None, 0.95, *said))
    threshold = handlers.batches.find(page.batch).thresholds[ORIGINAL]
    assert threshold.n == 6
    assert "only 6" in words(page.notice)
    assert "95 % confidence" in words(page.found)


def test_calibration_says_what_is_missing(handlers, tmp_path):
    page = judge(handlers, names="crate\nbarrel")
    said = controls(names="crate\nbarrel")
    for source, files, expected in (
        (OWN, None, "20 or more"),
        (SHIPPED, None, "no shipped calibration"),
        (OWN, [str(tmp_path / "gone.png")], "gone.png"),
    ):
        after = last(
            handlers.calibrate(source, files, None, page.batch, "score", None, 0.95, *said)
        )
        assert is_bad(after.notice) and expected in words(after.notice)


def test_calibrating_after_a_change_judges_first(handlers):
    first = judge(handlers)
    said = controls(score="gl_mcm")
    page = last(handlers.calibrate(SHIPPED, None, None, first.batch, "score", None, 0.9, *said))
    batch = handlers.batches.find(page.batch)
    assert batch.settings.score == "gl_mcm" and not batch.stale
    assert batch.thresholds[ORIGINAL].recall == 0.9


# The list and exports


def test_rows_sort_and_select(handlers):
    page = judge(handlers)
    batch = handlers.batches.find(page.batch)
    by_score = [batch.images[i].verdicts[ORIGINAL].score for i in batch.order("score")]
    assert by_score == sorted(by_score, reverse=True)
    names = [batch.images[i].name for i in batch.order("name")]
    assert names == sorted(names)
    picked = handlers.look(page.batch, "name", 3)
    assert picked.detail.name == batch.images[3].name
    assert [row.place for row in picked.rows if row.picked] == [3]


def test_disagreements_come_first(library, handlers):
    page = judge(handlers, recipe=default_recipe(library, EMBEDDED))
    batch = handlers.batches.find(page.batch)
    one = batch.images[4].verdicts
    middle = (one[ORIGINAL].score, one[ALTERED].score + 1)
    apart = batch.with_thresholds(dict(zip((ORIGINAL, ALTERED), middle, strict=True)))
    first = apart.images[apart.order("changes")[0]]
    assert first.differs and rows(apart, apart.order("score"), None)[0].differs


def test_a_sheet_that_is_gone_is_said(handlers):
    for page in (
        handlers.look("gone", "score", None),
        handlers.recall_moved(0.9, "gone", "score", None),
        handlers.line_moved(0, 0.9, "gone", "score", None),
    ):
        assert "no longer kept" in words(page.notice)


def test_only_the_last_sheets_are_kept(handlers):
    page = judge(handlers)
    batch = handlers.batches.find(page.batch)
    few = Store(2)
    for name in "abc":
        few.put(name, batch)
    assert few.find("a") is None and few.find("c") is batch


def test_a_deleted_picture_leaves_its_verdict(handlers, picture):
    file = picture("brief.png")
    page = judge(handlers, [file])
    Path(file).unlink()
    assert handlers.look(page.batch, "score", 0).detail.picture is None


def test_exports_hold_every_number(library, handlers, picture):
    page = judge(handlers, [picture("=cmd.png")], recipe=default_recipe(library, EMBEDDED))
    batch = handlers.batches.find(page.batch)
    (line,) = csv.DictReader(io.StringIO(exports.as_csv(batch)))
    assert line["image"] == "'=cmd.png"
    verdict = batch.images[0].verdicts[ALTERED]
    assert float(line["altered_mcm"]) == verdict.score
    assert line["original_label_1"] == batch.images[0].verdicts[ORIGINAL].top[0][0]
    text = Path(exports.saved(batch, "json")).read_text()
    found = json.loads(text)
    assert found["images"][0]["altered"]["score"] == verdict.score
    assert found["settings"]["recipe"]["backbone"] == EMBEDDED
    assert set(found["thresholds"]) == {ORIGINAL, ALTERED}
    assert "NaN" not in text


def test_close_calls_are_told_wherever_verdicts_are(handlers):
    page = judge(handlers)
    batch = handlers.batches.find(page.batch)
    close = [image.name for image in batch.images if image.verdicts[ORIGINAL].close]
    assert 0 < len(close) < len(batch.images)
    lines = csv.DictReader(io.StringIO(exports.as_csv(batch)))
    images = exports.as_dict(batch)["images"]
    for line, image, row in zip(lines, images, batch.images, strict=True):
        verdict = row.verdicts[ORIGINAL]
        said = "close call" if row.name in close else verdict.side
        assert line["original_verdict"] == image["original"]["verdict"] == said
        assert line["original_in_distribution"] == str(verdict.in_distribution)
        assert image["original"]["in_distribution"] is verdict.in_distribution
        low, high = exports.as_dict(batch)["thresholds"]["original"]["band"]
        assert (low <= verdict.score < high) == (row.name in close)
    assert f"{len(close)} close call" in words(page.tally)
    chips = {row.name: row.lines[0].chip.words for row in page.rows}
    assert {name for name, said in chips.items() if said.startswith("close call, ")} == {*close}
    moved = handlers.line_moved(0, 0.04, page.batch, "score", None)
    assert "close call" not in words(moved.rows)  # a line set by hand is as sure as the hand


def test_a_cell_that_is_a_formula_is_guarded(handlers, picture):
    page = judge(handlers, [picture("a.png")], names="=HYPERLINK(1)\n+2\n-3\n@x")
    (line,) = csv.DictReader(io.StringIO(exports.as_csv(handlers.batches.find(page.batch))))
    assert line["original_label_1"].startswith("'")


def test_judge_judges_what_is_shown(handlers):
    one, two = map(str, examples()[:2])
    args = ("score", 0.95, *controls())
    uploaded = last(handlers.judge([one], None, *args))
    example = last(handlers.judge([two], uploaded.batch, *args))
    again = last(handlers.judge_again([one], example.batch, *args))
    assert [e.path for e in handlers.batches.find(again.batch).images] == [examples()[1]]
    left = last(handlers.judge_left([one], again.batch, *args))
    assert [e.path for e in handlers.batches.find(left.batch).images] == [examples()[0]]
    empty = last(handlers.judge_left([], left.batch, *args))
    assert len(handlers.batches.find(empty.batch).images) == len(examples())


def test_a_download_lies_among_the_uploads_and_goes_with_them(handlers):
    from gradio.utils import get_upload_folder

    batch = handlers.batches.find(judge(handlers).batch)
    first, second = (Path(exports.saved(batch, "csv")) for _ in range(2))
    assert first != second and first.name == "verdicts.csv"
    assert Path(get_upload_folder()) in first.parents


def test_shipped_pictures_are_offered_where_there_are_any():
    asked = (EMBEDDED, ANIMALS, PROMPT)
    assert [c[0] for c in sources_offered(*asked, SHIPPED).choices] == [SHIPPED, OWN]
    for other in (
        (EMBEDDED, "cat\nquark", PROMPT),
        ("ViT-B-16/openai", ANIMALS, PROMPT),
        ("", "", ""),
    ):
        offered = sources_offered(*other, SHIPPED)
        assert [c[0] for c in offered.choices] == [OWN] and offered.value == OWN


def test_too_many_files_are_refused_before_a_model_is_loaded(handlers, monkeypatch):
    mine = judge(handlers).batch  # with thresholds of its own
    monkeypatch.setattr(detect_handlers, "detectors", lambda *_: pytest.fail("a model was loaded"))
    for name in (None, mine):
        files = ["x.png"] * (MAX_FILES + 1)
        (page,) = handlers.judge(files, name, "score", 0.95, *controls())
        assert f"at most {MAX_FILES}" in words(page.notice)


def test_a_void_sheet_keeps_its_scores(handlers):
    batch = handlers.batches.find(judge(handlers).batch)
    outdated = replace(batch.with_thresholds({}), stale=("score",))
    assert [e.verdicts[ORIGINAL].score for e in outdated.images] == [
        e.verdicts[ORIGINAL].score for e in batch.images
    ]


# How much of a recipe


def test_a_recipes_strength_scales_its_ratios_and_is_said(library, handlers):
    recipe = default_recipe(library, EMBEDDED)
    more = [getattr(More(), name) for name in More._fields[:-1]]
    whole = judge(handlers, recipe=recipe)
    half = last(handlers.judge(None, None, "score", 0.95, *controls(recipe=recipe), *more, 0.5))
    settings = handlers.batches.find(half.batch).settings
    full = handlers.batches.find(whole.batch).settings.recipe
    assert settings.recipe.ratios == {site: ratio / 2 for site, ratio in full.ratios.items()}
    assert settings.titles[ALTERED] == "SeTAR recipe × 0.5"
    assert half.detail != whole.detail
    none = last(handlers.judge(None, None, "score", 0.95, *controls(recipe=recipe), *more, 0))
    assert handlers.batches.find(none.batch).settings.weights == (ORIGINAL,)
    bad = last(handlers.judge(None, None, "score", 0.95, *controls(recipe=recipe), *more, 2))
    assert is_bad(bad.notice) and "strength" in words(bad.notice)


def test_weights_that_were_calibrated_are_not_calibrated_again(library, handlers, monkeypatch):
    asked, scores = [], detect_handlers.scores

    def counted(library, made, paths):
        asked.append(list(made))
        return (yield from scores(library, made, paths))

    monkeypatch.setattr(detect_handlers, "scores", counted)
    judge(handlers)
    judge(handlers, recipe=default_recipe(library, EMBEDDED))
    judge(handlers, recipe=default_recipe(library, EMBEDDED), score="energy")
    assert asked == [[ORIGINAL], [ALTERED]]


def test_every_score_of_a_picture_stands_against_its_own_threshold(handlers):
    page = judge(handlers, score="gl_mcm")
    batch = handlers.batches.find(page.batch)
    found = batch.every[ORIGINAL]
    assert set(found) == {*ALONE}
    shown = {dot.title: dot for dot in page.detail.scores}
    verdict = batch.images[page.picked].verdicts[ORIGINAL]
    for name in ALONE:
        accepted = verdict.scores[name] >= found[name].value
        assert accepted == (shown[SCORES[name].title].at >= 50)
    backbone, paths = load_backbone(EMBEDDED), threshold_pictures(batch.settings)
    for name in ("mcm", "energy"):  # as a detector of its own is calibrated
        alone = Detector(backbone, batch.settings.labels, name).calibrate(paths)
        assert found[name].value == pytest.approx(alone.threshold.value, rel=1e-6)
    refused = sum(dot.at < 50 for dot in page.detail.scores)
    assert str(refused) in page.detail.tally or refused in (0, len(ALONE))


def test_photographs_are_told_and_only_where_the_model_knows_none(handlers):
    files = [get_image("cheetah.jpg"), get_image("bus.png")]
    page = judge(handlers, files)
    assert "look like photographs" in words(page.notice)
    assert handlers.batches.find(page.batch).photographs
    assert "photographs" not in words(judge(handlers).notice)
    assert "photographs" not in words(judge(handlers, [*map(str, examples()[:3]), files[0]]).notice)
