"""What scores need besides labels: mined and taught once, and refused with the reason."""

import zipfile

import pytest

from demo.server.jobs import result_of
from demo.server.library import Library
from demo.server.request import More, checked_settings
from demo.server.shipped import EMBEDDED, label_set, shipped_calibration
from demo.server.supplies import equipped, negatives_of, threshold_pictures, worth_of_examples
from setar_core.labels import LabelSet
from setar_core.paths import BENCHMARK
from setar_core.recipe import Recipe
from setar_core.scores import SCORES

ANIMALS = "\n".join(label_set("animals").names)


@pytest.fixture(scope="module")
def library():
    library = Library()
    library.open(EMBEDDED).wait()
    return library


def asked(score, labels=ANIMALS, **more):
    return checked_settings(
        EMBEDDED, labels, "a photo of a {}", None, score, 1.0, 1.0, More(**more)
    )


def made(library, settings, recipe=None, **how):
    return result_of(equipped(library, settings, recipe, **how))


@pytest.mark.parametrize("name", SCORES)
def test_every_score_can_be_had_of_the_embedded_backbone(library, name):
    detector = made(library, asked(name))
    assert detector.score == name and not detector.lacks(name)
    verdict = detector.verdict(next((BENCHMARK / "id" / "fox").glob("*.webp")))
    assert verdict.scores[name] == verdict.score
    assert bool(verdict.nearest) == (name in ("neglabel", "csp"))


def test_what_was_made_is_made_once(library):
    settings = asked("knn")
    assert made(library, settings) is made(library, settings)
    assert made(library, asked("knn", neighbors=3)) is not made(library, settings)


def test_a_recipe_reads_the_same_negatives_with_its_own_weights(library):
    plain = made(library, asked("neglabel"))
    altered = made(library, asked("neglabel"), Recipe.load("emoji-searched"))
    mine, theirs = plain.negatives["neglabel"], altered.negatives["neglabel"]
    assert mine.words == theirs.words and mine.fingerprint == theirs.fingerprint


def test_words_of_ones_own_are_the_negatives(library):
    detector = made(library, asked("neglabel", words="guitar\n truck \n\nguitar\npizza"))
    assert detector.negatives["neglabel"].words == ("guitar", "truck", "pizza")
    mined = made(library, asked("neglabel")).negatives["neglabel"].words
    assert len(mined) > 100 and not set(mined) & set(label_set("animals").names)


def test_what_taught_a_score_sets_no_threshold(library):
    every = shipped_calibration(EMBEDDED, label_set("animals"))
    assert threshold_pictures(asked("mcm")) == every
    left = threshold_pictures(asked("knn"))
    bank = made(library, asked("knn")).fitted["knn"].learned["bank"]
    assert len(left) + len(bank) == len(every) and set(left) < set(every)
    whole = made(library, asked("knn"), every=True).fitted["knn"].learned["bank"]
    assert len(whole) == len(every)
    assert threshold_pictures(asked("msp", shaping="react:p90")) == left
    assert threshold_pictures(asked("msp", shaping="react:1.0")) == every


def test_a_visitors_zip_teaches_and_its_folders_are_classes(library, tmp_path):
    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for label in ("fox", "owl"):
            for file in sorted((BENCHMARK / "calibration" / label).glob("*.webp"))[:3]:
                archive.write(file, f"{label}/{file.name}")
    settings = asked("mahalanobis", "fox\nowl", learn_from=str(path))
    learned = made(library, settings).fitted["mahalanobis"].learned
    assert any(len(tensor) == 2 for tensor in learned.values())
    assert threshold_pictures(settings) == shipped_calibration(EMBEDDED, settings.labels)


@pytest.fixture
def shown(tmp_path):
    """A zip of pictures of two labels."""
    path = tmp_path / "shown.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for label in ("fox", "owl"):
            for file in sorted((BENCHMARK / "calibration" / label).glob("*.webp"))[:4]:
                archive.write(file, f"{label}/{file.name}")
    return str(path)


def test_examples_of_labels_are_mixed_into_them_and_measured(library, shown):
    plain, settings = made(library, asked("mcm")), asked("mcm", examples=shown, share=0.7)
    mixed = made(library, settings)
    rows = (plain.classifier.weight != mixed.classifier.weight).any(dim=-1)
    names = [name for name, changed in zip(plain.labels.names, rows, strict=True) if changed]
    assert sorted(names) == ["fox", "owl"]
    assert plain.context.changes(mixed.context) == ("examples",)
    held = result_of(worth_of_examples(library, settings))
    assert held.pictures == 8 and 0 <= held.text <= 1 and 0 <= held.mixed <= 1
    with pytest.raises(ValueError, match="do not bear the labels' names"):
        made(library, asked("mcm", "truck\nlamp\nsofa", examples=shown))


@pytest.mark.parametrize(
    ("score", "labels", "more", "reason"),
    [
        ("knn", "truck\nlamp", {}, "none are shipped for these; add a zip"),
        ("mcm", ANIMALS, {"shaping": "relu"}, "shaping 'relu' is none"),
        ("gl_mcm", ANIMALS, {"shaping": "ash-s:90"}, "looks at more than the logits"),
        ("neglabel", ANIMALS, {"words": "a" * 300}, "300 characters"),
        ("neglabel", ANIMALS, {"words": "a\nb", "groups": 3.0}, "3 groups of 2"),
        ("knn", ANIMALS, {"neighbors": 0.5}, "whole number"),
        ("knn", ANIMALS, {"neighbors": 5000.0}, "5000"),
        ("nothing", ANIMALS, {}, "score 'nothing' is unknown"),
    ],
)
def test_what_cannot_be_had_says_why(library, score, labels, more, reason):
    with pytest.raises(ValueError, match=reason):
        made(library, asked(score, labels, **more)).verdict(
            next((BENCHMARK / "id" / "fox").glob("*.webp"))
        )


def test_a_public_host_reads_no_hundred_thousand_words_for_one(library, monkeypatch):
    monkeypatch.setattr(library, "public", True)
    monkeypatch.setattr("demo.server.supplies.PUBLIC_WORDS", 10)
    with pytest.raises(ValueError, match="give negative words of your own"):
        result_of(negatives_of(library, EMBEDDED, LabelSet(("fox", "owl")), "csp"))
    mine = result_of(negatives_of(library, EMBEDDED, label_set("animals"), "csp", ("truck",)))
    assert [word.word for word in mine.words] == ["truck"]
