"""A threshold knows how it was found, and holds nowhere else."""

import dataclasses
import unicodedata

import pytest
import torch
from PIL import Image

from setar_core.data.calibration import CalibrationSet, class_folders
from setar_core.data.images import ImageError
from setar_core.labels import LabelSet
from setar_core.scores import ScoreOptions
from setar_core.threshold import Context, calibrate

CONTEXT = Context("emoji", "original", "abc", "mcm", ScoreOptions())
SCORES = [i / 100 for i in range(100)]


@pytest.mark.parametrize(("recall", "kept"), [(0.95, 95), (0.5, 50), (1.0, 100), (0.001, 1)])
def test_the_threshold_accepts_the_share_that_was_asked(recall, kept):
    threshold = calibrate(SCORES, recall, CONTEXT)
    assert sum(score >= threshold.value for score in SCORES) == kept
    assert threshold.reached == kept / 100
    low, high = threshold.interval
    assert low <= threshold.reached <= high
    assert threshold.warning is None


def test_among_ties_what_is_reached_is_what_is_accepted():
    tied = [0.3] * 92 + [0.1] * 8
    threshold = calibrate(tied, 0.95, CONTEXT)
    assert threshold.value == 0.1  # the 95th highest
    assert threshold.reached == 1.0 == sum(score >= threshold.value for score in tied) / 100
    assert threshold.interval[1] == 1.0


def test_the_interval_is_clopper_and_pearsons():
    low, high = calibrate(SCORES, 0.95, CONTEXT).interval
    assert (low, high) == pytest.approx((0.88717, 0.98357), abs=1e-4)  # tables: 95 of 100


def test_few_images_warn_and_widen_the_interval():
    few = calibrate(SCORES[:19], 0.95, CONTEXT)
    assert "only 19" in few.warning
    assert few.interval[0] < 0.75


@pytest.mark.parametrize("name", CONTEXT.page())
def test_any_change_voids_it_and_is_named(name):
    if hasattr(CONTEXT.options, name):
        other = dataclasses.replace(CONTEXT, options=ScoreOptions(**{name: 2.0}))
    else:
        other = dataclasses.replace(CONTEXT, **{name: "another"})
    threshold = calibrate(SCORES, 0.95, CONTEXT)
    threshold.check(CONTEXT)
    with pytest.raises(ValueError, match=f"another {name.replace('_', ' ')}; calibrate again"):
        threshold.check(other)


@pytest.mark.parametrize(
    ("scores", "recall", "reason"),
    [([], 0.95, "no calibration image"), ([float("nan")], 0.95, "finite"), ([1.0], 0.0, "recall"),
     ([1.0], 1.5, "recall"), ([1.0], float("nan"), "recall")],
)  # fmt: skip
def test_what_sets_no_threshold_is_refused(scores, recall, reason):
    with pytest.raises(ValueError, match=reason):
        calibrate(scores, recall, CONTEXT)


@pytest.fixture
def folder(tmp_path):
    for shade, name in ((10, "b fox"), (200, "a bee")):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("L", (8, 8), shade + i).save(tmp_path / name / f"{i}.png")
    return tmp_path


def shade(image):
    return torch.tensor(image.getpixel((0, 0)), dtype=torch.float32).reshape(3, 1, 1)


def test_classes_are_the_folders_in_order_or_by_name(folder):
    ordered = CalibrationSet.from_folder(folder, LabelSet(("bee", "fox")), shade)
    assert ordered.classes.tolist() == [0, 0, 1, 1]
    assert ordered.images[:, 0, 0, 0].tolist() == [200, 201, 10, 11]
    named = CalibrationSet.from_folder(folder, LabelSet(("b fox", "a bee")), shade)
    assert named.classes.tolist() == [1, 1, 0, 0]
    assert named.images[:, 0, 0, 0].tolist() == [200, 201, 10, 11]


@pytest.mark.parametrize("name", ["@eaDir", "__MACOSX", ".git", "$RECYCLE.BIN", "#recycle"])
def test_what_systems_keep_for_themselves_is_no_class(name, folder):
    (folder / name).mkdir()
    Image.new("L", (8, 8)).save(folder / name / "0.png")
    assert [path.name for path, _ in class_folders(folder, LabelSet(("bee", "fox")))] == [
        "a bee",
        "b fox",
    ]


def test_folders_are_named_in_either_form_of_accents(folder):
    (folder / "a bee").rename(folder / unicodedata.normalize("NFD", "zébu"))
    labels = LabelSet(("zébu", "b fox"))
    assert CalibrationSet.from_folder(folder, labels, shade).classes.tolist() == [1, 1, 0, 0]


def test_folders_are_matched_letter_by_letter_before_they_are_alike(tmp_path):
    for name in ("fox", "red-fox", "Red fox"):
        (tmp_path / name).mkdir()
    labels = LabelSet(("FOX", "red-fox", "Red fox"))
    assert [c for _, c in class_folders(tmp_path, labels)] == [2, 0, 1]


def test_folders_that_are_not_the_labels_are_refused(folder):
    with pytest.raises(ValueError, match="2 folders and there are 3 labels"):
        CalibrationSet.from_folder(folder, LabelSet(("a", "b", "c")), shade)
    with pytest.raises(ValueError, match="no label is called 'b fox'; name every folder"):
        CalibrationSet.from_folder(folder, LabelSet(("fox", "a bee")), shade)  # never guessed
    with pytest.raises(ValueError, match="two are the same label's"):
        (folder / "b fox").rename(folder / "a_bee")
        CalibrationSet.from_folder(folder, LabelSet(("a bee", "fox")), shade)
    with pytest.raises(ValueError, match="no such folder"):
        CalibrationSet.from_folder(folder / "none", LabelSet(("a", "b")), shade)


def test_some_of_the_labels_may_have_no_folder_where_the_others_bear_their_names(folder):
    names = ("zebra", "A_Bee", "owl", "b fox")
    found = CalibrationSet.from_folder(folder, LabelSet(names), shade)
    assert found.classes.tolist() == [1, 1, 3, 3] and found.labels.names == names
    assert found.missing == ("zebra", "owl") and found.warning is None  # half of them
    found = CalibrationSet.from_folder(folder, LabelSet((*names, "cat")), shade)
    assert found.warning.startswith("most labels, 3 of 5, have no picture")


def test_imagenets_own_ids_stand_for_its_labels(tmp_path):
    labels = LabelSet.load("imagenet1k")
    for name in ("n02123045", "n01440764", "n02119022"):
        (tmp_path / name).mkdir()
    found = [(path.name, labels.names[i]) for path, i in class_folders(tmp_path, labels)]
    assert found == [("n01440764", "tench"), ("n02119022", "red fox"), ("n02123045", "tabby cat")]
    with pytest.raises(ValueError, match="3 folders and there are 2 labels"):
        class_folders(tmp_path, LabelSet(("tench", "red fox")))
    (tmp_path / "n99999999").mkdir()
    with pytest.raises(ValueError, match="4 folders and there are 1000 labels"):
        class_folders(tmp_path, labels)


def test_a_broken_image_is_reported_and_left_out(folder):
    (folder / "a bee" / "1.png").write_bytes(b"\x89PNG\r\n broken")
    errors: list[ImageError] = []
    labels = LabelSet(("bee", "fox"))
    found = CalibrationSet.from_folder(folder, labels, shade, errors.append)
    assert found.classes.tolist() == [0, 1, 1]
    assert len(errors) == 1
    with pytest.raises(ImageError):
        CalibrationSet.from_folder(folder, labels, shade)
