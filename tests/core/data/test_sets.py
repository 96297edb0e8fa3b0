"""Folders as sets: their names, their classes, and what is refused."""

import shutil

import pytest
from PIL import Image

from setar_core.data.sets import ImageSet, open_sets
from setar_core.labels import LabelSet

LABELS = LabelSet(("fire engine", "bee", "Polar-bear"))


@pytest.fixture
def draw(tmp_path):
    """Makes tiny pictures at the given paths; the folder they are in."""

    def make(*files):
        for file in files:
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4)).save(path)
        return tmp_path

    return make


def test_folders_with_labels_names_are_classes(draw):
    folder = draw("polar_bear/1.png", "bee/1.png", "bee/sub/2.png", "fire engine/1.png")
    found = ImageSet.from_folder(folder, labels=LABELS)
    assert found.files == ("bee/1.png", "bee/sub/2.png", "fire engine/1.png", "polar_bear/1.png")
    assert found.classes == (1, 1, 0, 2)


def test_neither_spaces_nor_the_form_of_accents_tell_classes_apart(draw):
    labels = LabelSet(("café", "dining table", "tv monitor", "Straße"))
    folder = draw("cafe\u0301/1.png", "diningtable/1.png", "TV-monitor/1.png", "strasse/1.png")
    assert ImageSet.from_folder(folder, labels=labels).classes == (2, 0, 1, 3)
    composed = LabelSet(("tv", "cafe\u0301"))
    assert ImageSet.from_folder(draw("b/CAF\u00c9/1.png") / "b", labels=composed).classes == (1,)


def test_some_labels_may_have_no_folder(draw):
    assert ImageSet.from_folder(draw("bee/1.png"), labels=LABELS).classes == (1,)


def test_foreign_names_are_classes_in_order_when_there_are_as_many(draw):
    folder = draw("n03/1.png", "n01/1.png", "n02/1.png")
    assert ImageSet.from_folder(folder, labels=LABELS).classes == (0, 1, 2)
    draw("n04/1.png")
    assert ImageSet.from_folder(folder, labels=LABELS).classes is None


def test_classes_are_not_guessed(draw):
    mixed = ImageSet.from_folder(draw("bee/1.png", "x/1.png", "y/1.png"), labels=LABELS)
    assert mixed.classes is None
    assert mixed.strangers == ("x", "y")
    assert ImageSet.from_folder(draw("loose.png"), labels=LABELS).classes is None


def test_the_fingerprint_follows_the_files_and_not_the_folder(draw, tmp_path):
    one = ImageSet.from_folder(draw("a/1.png", "a/2.png") / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert ImageSet.from_folder(tmp_path / "b").fingerprint == one.fingerprint
    Image.new("RGB", (40, 40), "red").save(tmp_path / "b" / "2.png")
    assert ImageSet.from_folder(tmp_path / "b").fingerprint != one.fingerprint
    (tmp_path / "a" / "2.png").rename(tmp_path / "a" / "3.png")
    assert ImageSet.from_folder(tmp_path / "a").fingerprint != one.fingerprint


def test_sets_of_one_name_are_told_apart_by_their_parents(draw):
    folder = draw("in/test/1.png", "a/test/1.png", "b/test/1.png", "mean/1.png", "cal/test/1.png")
    oods = [folder / "a" / "test", folder / "b" / "test", folder / "mean"]
    inside, outside, examples = open_sets(folder / "in/test", oods, LABELS, folder / "cal" / "test")
    assert [inside.name, *(s.name for s in outside), examples.name] == [
        "in/test", "a/test", "b/test", f"{folder.name}/mean", "test (calibration)",
    ]  # fmt: skip


def test_a_set_may_be_calibrated_on_but_still_bears_another_name(draw):
    folder = draw("id/1.png", "ood/1.png")
    inside, _, examples = open_sets(folder / "id", [folder / "ood"], LABELS, folder / "id")
    assert inside.name != examples.name


def test_sets_that_share_images_are_refused(draw):
    folder = draw("id/1.png", "id/sub/1.png", "ood/1.png")
    for ood in (folder / "id", folder / "id" / "sub", folder):
        with pytest.raises(ValueError, match="share images"):
            open_sets(folder / "id", [ood], LABELS)
    with pytest.raises(ValueError, match="given twice"):
        open_sets(folder / "id", [folder / "ood"] * 2, LABELS)


def test_an_ood_folder_inside_another_is_refused(draw):
    folder = draw("id/1.png", "ood/1.png", "ood/sub/1.png", "ood-2/1.png")
    oods = [folder / "ood", folder / "ood-2", folder / "ood" / "sub"]
    for order in (oods, oods[::-1]):
        with pytest.raises(ValueError, match=r"both OOD.* share images"):
            open_sets(folder / "id", order, LABELS)
    assert len(open_sets(folder / "id", oods[:2], LABELS)[1]) == 2


def test_errors_point_to_the_layouts(draw):
    folder = draw("id/1.png")
    (folder / "empty").mkdir()
    for wrong in (folder / "nothing", folder / "empty", folder / "id" / "1.png"):
        with pytest.raises(ValueError, match=r"datasets\.md"):
            ImageSet.from_folder(wrong)
