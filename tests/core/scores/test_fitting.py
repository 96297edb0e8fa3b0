"""What a detector learned: kept through changes that do not touch it, voided by others, and saved
as safetensors that are looked at before they are believed."""

import json
import threading
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from setar_core.backbones import load_backbone
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe, Site
from setar_core.scores import SCORES, ScoreOptions
from setar_core.scores.shaping import Shaping

LEARN = [name for name, score in SCORES.items() if score.learns]
OF_IMAGES = [name for name in LEARN if "classes" not in SCORES[name].learns_from]
MAHALANOBIS = ("mahalanobis", "relative_mahalanobis")


@pytest.fixture(scope="module")
def classes(images):
    """Of the pictures, one a class, taken two by two."""
    return [c // 2 for c in images.classes]


@pytest.fixture(scope="module")
def fitted(clip, labels, paths, classes):
    return Detector(clip, labels).fit(paths, LEARN, classes)


def test_class_folders_tell_the_classes(images, labels):
    assert images.classes == tuple(range(len(labels)))


def test_a_verdict_tells_every_score_that_learned(fitted, paths):
    verdict = fitted.verdict(paths[0])
    assert set(LEARN) <= verdict.scores.keys()
    many = dict(fitted.verdicts(paths[:5]))
    assert many[paths[0]].scores == pytest.approx(verdict.scores, rel=1e-3, abs=1e-4)


def test_what_one_image_a_class_cannot_teach_is_told_and_the_others_learn(
    clip, labels, paths, images
):
    refused = {}
    detector = Detector(clip, labels).fit(
        paths, LEARN, images.classes, on_refusal=refused.__setitem__
    )
    assert refused.keys() == set(MAHALANOBIS)
    assert "no class of these 40 ID images has two" in refused["mahalanobis"]
    assert detector.fitted.keys() == set(OF_IMAGES)
    with pytest.raises(ValueError, match="no class of these 40 ID images has two"):
        Detector(clip, labels).fit(paths, ["knn", "mahalanobis"], images.classes)
    with pytest.raises(ValueError, match="the class of 40 of the 40 ID images is not known"):
        Detector(clip, labels).fit(paths, ["mahalanobis"])


def test_what_was_learned_stays_under_another_score_and_goes_with_what_it_learned_by(fitted):
    assert fitted.with_score("energy").fitted.keys() == set(LEARN)
    assert fitted.with_score("knn", ScoreOptions(neighbors=3)).fitted.keys() == set(LEARN)
    firm = fitted.with_score("mahalanobis", ScoreOptions(shrinkage=0.5))
    assert firm.fitted.keys() == set(OF_IMAGES)
    assert "was not fitted" in firm.lacks("mahalanobis")
    warm = fitted.with_score("mcm", ScoreOptions(2.0))
    assert "layers_mcm" not in warm.fitted and "knn" in warm.fitted
    assert not fitted.with_shaping(Shaping.parse("ash-p:65")).fitted
    assert fitted.fitted.keys() == set(LEARN)


@pytest.mark.parametrize("name", LEARN)
def test_a_threshold_holds_for_what_was_learned_alone(name, fitted, paths, classes):
    mine = fitted.with_score(name).calibrate(paths, recall=0.9)
    line = mine.threshold
    assert line.context.fit and fitted.with_score(name).with_threshold(line).threshold == line
    again = mine.fit(paths, classes=classes)
    assert again.threshold is None and again.with_threshold(line).threshold == line
    other = mine.fit(paths[::2] + paths[1:9:2], classes=[0, 1] * 10 + [0, 1] * 2)
    if other.context.fit != line.context.fit:  # the blocks of layers_mcm may be the same
        with pytest.raises(ValueError, match="found with another fit"):
            other.with_threshold(line)
    else:
        assert name == "layers_mcm"


def test_a_shaping_learns_its_limit_and_bars_what_it_does_not_touch(clip, labels, paths):
    shaped = Detector(clip, labels, "energy", shaping=Shaping.parse("react:p90"))
    with pytest.raises(ValueError, match="react:p90 learns from ID images"):
        shaped.verdict(paths[0])
    ready = shaped.fit(paths)
    assert ready.shaping.limit is not None and ready.shaping.asked == shaped.shaping
    assert "react:p90 at" in ready.context.shaping
    assert "knn" not in ready.verdict(paths[0]).scores
    for name in ("gl_mcm", "knn", "fdbd", "layers_mcm"):
        with pytest.raises(ValueError, match="looks at more than the logits that react:p90 shapes"):
            ready.with_score(name)
    with pytest.raises(ValueError, match="KNN looks at more than the logits that react:p90"):
        ready.fit(paths, ["knn"])
    with pytest.raises(ValueError, match="GL-MCM looks at more"):
        Detector(clip, labels, "gl_mcm").with_shaping(Shaping.parse("ash-p:65"))
    with pytest.raises(ValueError, match=r"ash-p:99.9 keeps none of \d+ features"):
        Detector(clip, labels, shaping=Shaping.parse("ash-p:99.9")).verdict(paths[0])


def test_blocks_without_a_token_of_the_whole_image_are_told(golden, paths):
    swin = load_backbone(f"timm:local-dir:{golden / 'swin'}")
    detector = Detector(swin, LabelSet(tuple(f"class {i}" for i in range(24))))
    assert "have no token that stands for the whole image" in detector.lacks("layers_mcm")
    assert "reads none" in detector.lacks("neglabel")
    with pytest.raises(ValueError, match="MCM of layers looks at every block"):
        detector.with_score("layers_mcm")
    assert detector.fit(paths, ["knn", "fdbd", "nnguide"]).verdict(paths[0]).scores["knn"] <= 0


def test_many_threads_may_use_and_change_one(fitted, paths):
    evidence = next(iter(fitted.read(paths[:8])))[1]
    wanted = {name: fitted.score_of(evidence, name) for name in LEARN}
    wrong = []

    def work(name):
        for _ in range(20):
            mine = fitted.with_score(name, ScoreOptions(neighbors=10))
            if not torch.equal(mine.score_of(evidence), wanted[name]):
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in LEARN]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_was_saved_is_what_is_read(fitted, clip, labels, paths, tmp_path):
    file = tmp_path / "fit.safetensors"
    fitted.save_fit(file)
    again = Detector(clip, labels).with_fit(file)
    assert again.fitted.keys() == set(LEARN)
    for name in LEARN:
        assert again.with_score(name).context == fitted.with_score(name).context
    assert again.verdict(paths[0]).scores == fitted.verdict(paths[0]).scores
    assert [path.name for path in tmp_path.iterdir()] == ["fit.safetensors"]


def test_a_learned_limit_is_saved_too(clip, labels, paths, tmp_path):
    file, asked = tmp_path / "fit.safetensors", Shaping.parse("react:p80")
    ready = Detector(clip, labels, "energy", shaping=asked).fit(paths)
    ready.save_fit(file)
    again = Detector(clip, labels, "energy", shaping=asked).with_fit(file)
    assert again.context == ready.context
    for other in (None, Shaping.parse("react:p90"), Shaping.parse("react:1.0")):
        with pytest.raises(ValueError, match="learned with other shaping"):
            Detector(clip, labels, "energy", shaping=other).with_fit(file)


def test_nothing_learned_is_nothing_to_save(clip, labels, tmp_path, monkeypatch, paths):
    with pytest.raises(ValueError, match="nothing was learned yet"):
        Detector(clip, labels).save_fit(tmp_path / "fit.safetensors")
    monkeypatch.setitem(SCORES, "knn", replace(SCORES["knn"], tensors={}))
    with pytest.raises(ValueError, match="KNN learned bank, and names"):
        Detector(clip, labels).fit(paths, ["knn"]).save_fit(tmp_path / "fit.safetensors")


@pytest.fixture
def saved(fitted, tmp_path):
    file = tmp_path / "fit.safetensors"
    fitted.save_fit(file)
    return file


def test_another_ground_is_refused(saved, clip, labels, golden):
    others = {
        "recipe": Detector(clip.with_recipe(Recipe({Site("visual", 3, "up"): 0.3})), labels),
        "labels": Detector(clip, LabelSet(labels.names[::-1])),
        "weights": Detector(
            load_backbone(f"timm:local-dir:{golden / 'vit'}"),
            LabelSet(tuple(f"class {i}" for i in range(24))),
        ),
    }
    for name, detector in others.items():
        with pytest.raises(ValueError, match=f"learned with other {name}"):
            detector.with_fit(saved)
    firm = Detector(clip, labels, options=ScoreOptions(shrinkage=0.5))
    with pytest.raises(ValueError, match=r"Mahalanobis\+\+ learned by .*None.*, here it is .*0\.5"):
        firm.with_fit(saved)


def rewritten(file, tensors=lambda t: t, page=lambda p: p, metadata=None):
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        known = json.loads(opened.metadata()["setar"])
    save_file(tensors(load_file(file)), file, metadata or {"setar": json.dumps(page(known))})


FORGED = {
    "no metadata": (dict(metadata={"a": "b"}), "no fit that a detector saved"),
    "no JSON": (dict(metadata={"setar": "{"}), "it is not JSON"),
    "a number that is none": (dict(metadata={"setar": '{"version": NaN}'}), "no number that JSON"),
    "a list": (dict(page=lambda p: [p]), "no fit of version 1"),
    "a later version": (dict(page=lambda p: p | {"version": 2}), "no fit of version 1"),
    "no weights": (dict(page=lambda p: {k: v for k, v in p.items() if k != "weights"}), "weights"),
    "a limit of nothing": (dict(page=lambda p: p | {"limit": 0.5}), "its limit is 0.5"),
    "a limit in words": (dict(page=lambda p: p | {"limit": "low"}), "its limit is 'low'"),
    "an unknown score": (dict(page=lambda p: p | {"options": {"best": {}}}), "no score 'best'"),
    "a score that learns nothing": (dict(page=lambda p: p | {"options": {"mcm": {}}}), "'mcm'"),
    "a score less": (dict(page=lambda p: p | {"options": {"knn": {}}}), "and not those that"),
    "a tensor less": (dict(tensors=lambda t: {k: t[k] for k in t if k != "knn.bank"}), "not those"),
    "a tensor more": (dict(tensors=lambda t: t | {"more": torch.ones(1)}), "not those"),
    "another type": (dict(tensors=lambda t: t | {"knn.bank": t["knn.bank"].double()}), "is F64"),
    "other features": (
        dict(tensors=lambda t: t | {"knn.bank": torch.ones(4, 3)}), r"knn\.bank is \[4, 3\]"),
    "no image": (dict(tensors=lambda t: t | {"knn.bank": t["knn.bank"][:0]}), "knn.bank is"),
    "other blocks": (
        dict(tensors=lambda t: t | {"layers_mcm.shares": torch.ones(2)}), "layers_mcm.shares is"),
    "two widths": (
        dict(tensors=lambda t: t | {"mahalanobis.centres": torch.ones(3, 1)}),
        "mahalanobis.(centres|whitening) is"),
    "a vector": (dict(tensors=lambda t: t | {"fdbd.mean": torch.ones(1, 1)}), "fdbd.mean is"),
    "infinity": (dict(tensors=lambda t: t | {"fdbd.mean": t["fdbd.mean"] / 0}), "no finite number"),
}  # fmt: skip


@pytest.mark.parametrize("case", FORGED)
def test_a_file_that_is_not_what_it_says_is_refused_in_a_sentence(case, saved, clip, labels):
    change, reason = FORGED[case]
    rewritten(saved, **change)
    with pytest.raises(ValueError, match=reason) as refusal:
        Detector(clip, labels).with_fit(saved)
    assert len(str(refusal.value)) < 600


def test_what_is_no_safetensors_is_refused(clip, labels, tmp_path, monkeypatch):
    pickle = tmp_path / "fit.safetensors"
    torch.save({"knn.bank": torch.ones(2, 2)}, pickle)
    detector = Detector(clip, labels)
    with pytest.raises(ValueError, match="a renamed pickle is refused"):
        detector.with_fit(pickle)
    with pytest.raises(ValueError, match="no such file"):
        detector.with_fit(tmp_path)
    monkeypatch.setattr("setar_core.scores.fitting.MAX_BYTES", 3)
    with pytest.raises(ValueError, match="at most 3 are read"):
        detector.with_fit(pickle)


def test_a_disk_without_room_leaves_what_was_there(saved, fitted, monkeypatch):
    before = saved.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        fitted.save_fit(saved)
    assert saved.read_bytes() == before and len(list(saved.parent.iterdir())) == 1
