"""Detectors for ONNX Runtime: the same scores and verdicts, by a folder that needs none of us."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from setar_core.__main__ import main
from setar_core.backbones import load_backbone
from setar_core.data.images import find_images, read_image
from setar_core.data.negatives import Negatives
from setar_core.data.sets import ImageSet
from setar_core.detector import Detector
from setar_core.interop import onnx
from setar_core.labels import LabelSet
from setar_core.paths import BENCHMARK
from setar_core.recipe import Recipe
from setar_core.scores import SCORES
from setar_core.scores.mining import negative_classifier
from setar_core.scores.shaping import Shaping

MODULES = (
    "import sys\nfor name in ('torch', 'torchvision', 'setar_core'): sys.modules[name] = None\n"
)
WORDS = Negatives.loads("\n".join(f"thing {i}" for i in range(40)))


@pytest.fixture(scope="module")
def emoji():
    clip = load_backbone("emoji").with_recipe(Recipe.load("emoji-searched"))
    detector = Detector(clip, LabelSet.load("animals"), "gl_mcm")
    return detector.calibrate(find_images([BENCHMARK / "calibration"])[::4])


@pytest.fixture(scope="module")
def exported(emoji, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    onnx.export_onnx(emoji, folder)
    return folder


def session_of(folder):
    found = onnxruntime.InferenceSession(folder / "model.onnx")
    return lambda pixels: found.run(None, {"pixels": pixels.numpy()})


def same_verdicts(detector, folder, paths):
    """Scores within 1e-5, the same labels, and the same decision for each."""
    run = session_of(folder)
    for path in paths:
        pixels = detector.backbone.preprocess(read_image(path))[None]
        score, label, known = run(pixels)
        (verdict,) = detector.verdicts_of(pixels)
        assert score[0] == pytest.approx(verdict.score, abs=1e-5)
        assert detector.labels.names[label[0]] == verdict.top[0][0]
        assert known[0] == (verdict.score >= verdict.threshold)


def test_the_shipped_sets_get_the_same_verdicts(emoji, exported):
    same_verdicts(emoji, exported, find_images([BENCHMARK])[::25])


@pytest.mark.long
def test_all_of_the_shipped_sets_get_the_same_verdicts(emoji, exported):
    same_verdicts(emoji, exported, find_images([BENCHMARK]))


def test_any_number_of_pictures_is_taken(emoji, exported):
    paths = find_images([BENCHMARK / "near"])[:70]
    pixels = torch.stack([emoji.backbone.preprocess(read_image(path)) for path in paths])
    ours = emoji.scores_of(pixels).numpy()
    run = session_of(exported)
    for count in (1, 3, 70):
        np.testing.assert_allclose(run(pixels[:count])[0], ours[:count], rtol=0, atol=1e-5)


def test_the_readme_runs_without_us(emoji, exported, tmp_path):
    for file in exported.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = find_images([BENCHMARK / "id"])[0]
    read_image(path).save(tmp_path / "photo.jpg", quality=100)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    code = MODULES + re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    verdict = emoji.verdict(tmp_path / "photo.jpg")
    name, score = done.stdout.rsplit(maxsplit=1)
    assert name == verdict.top[0][0] and float(score) == pytest.approx(verdict.score, abs=1e-5)
    assert emoji.backbone.recipe.fingerprint[:16] in text and repr(emoji.threshold.value) in text


def made(golden, network, score, shaping=None):
    """A detector of a tiny network, with what its score needs."""
    prefix = "" if network == "clip" else "timm:"
    backbone = load_backbone(f"{prefix}local-dir:{golden / network}")
    if backbone.has_text:
        labels = LabelSet.load(golden / "clip" / "labels.json")
    else:
        labels = LabelSet(tuple(f"class {i}" for i in range(backbone.num_classes)))
    detector = Detector(backbone, labels, "msp")
    if SCORES[score].group == "negatives":
        way = score
        mined = negative_classifier(backbone, labels, replace_method(WORDS, way))
        detector = detector.with_negatives({way: mined})
    if shaping:
        detector = detector.with_shaping(Shaping.parse(shaping))
    detector = detector.with_score(score)
    if SCORES[score].learns or (shaping or "").startswith("react:p"):
        paths = list(ImageSet.from_folder(golden / "clip" / "images").paths())
        classes = [i % min(8, len(labels)) for i in range(len(paths))]
        detector = detector.fit(paths, (score,), classes)
    return detector


def replace_method(words, way):
    return replace(words, mining=replace(words.mining, method=way))


FEW = [("clip", "neglabel", None), ("clip", "layers_mcm", None), ("swin", "msp", "ash-s:90")]
MANY = [
    pytest.param(network, score, shaping, marks=pytest.mark.long)
    for network in ("clip", "vit", "swin")
    for score in SCORES
    for shaping in (("react:p90", None) if (network, score) == ("clip", "energy") else (None,))
    if (network, score, shaping) not in FEW
    and (network == "clip" or SCORES[score].group != "negatives")
    and (network != "swin" or score != "layers_mcm")
]


@pytest.mark.parametrize(("network", "score", "shaping"), [*FEW, *MANY])
def test_every_score_of_every_kind_of_network(golden, network, score, shaping, tmp_path):
    detector = made(golden, network, score, shaping)
    assert onnx.export_onnx(detector, tmp_path) < 1e-3
    paths = find_images([golden / "ood" / "images"])[:5]
    pixels = torch.stack([detector.backbone.preprocess(read_image(path)) for path in paths])
    found, label = session_of(tmp_path)(pixels)
    np.testing.assert_allclose(found, detector.scores_of(pixels), rtol=1e-4, atol=1e-5)
    assert len(label) == 5


@pytest.mark.parametrize("size", [(37, 64), (64, 37), (200, 301), (48, 48), (3, 500), (1, 1)])
@pytest.mark.parametrize("network", ["clip", "vit", "swin"])
def test_the_preprocessing_is_ours_to_the_bit(golden, network, size):
    prefix = "" if network == "clip" else "timm:"
    ours = load_backbone(f"{prefix}local-dir:{golden / network}").preprocess
    space = {}
    exec(onnx._preprocessing(ours), space)
    chance = np.random.default_rng(1)
    picture = Image.fromarray(chance.integers(0, 256, (*size, 3), dtype=np.uint8))
    assert np.array_equal(space["preprocess"](picture), ours(picture).numpy())


def test_the_command_writes_a_whole_folder_or_none(emoji, tmp_path, capsys):
    emoji.save(tmp_path / "mine.zip")
    command = ["export", "--detector", str(tmp_path / "mine.zip"), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out")
    labels = json.loads((tmp_path / "out" / "labels.json").read_text(encoding="utf-8"))
    assert tuple(labels) == emoji.labels.names
    assert main(command) == 2 and "is there already" in capsys.readouterr().err


REFUSED = {
    "leave those out": ["--recipe", "emoji-searched"],
    "--to onnx for a --detector": ["--to", "timm"],
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_does_not_go_together_is_refused(reason, emoji, tmp_path, capsys):
    emoji.save(tmp_path / "mine.zip")
    out = ["--out", str(tmp_path / "out")]
    assert main(["export", "--detector", str(tmp_path / "mine.zip"), *out, *REFUSED[reason]]) == 2
    assert reason in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_network_of_another_library_is_refused(tmp_path, capsys):
    command = ["export", "--backbone", "emoji", "--recipe", "emoji-searched", "--to", "timm"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 2
    assert "is a network of open_clip" in capsys.readouterr().err
    assert main(["export", "--recipe", "emoji-searched", "--out", str(tmp_path / "out")]) == 2
    assert "--backbone is missing" in capsys.readouterr().err


def test_without_the_packages_it_says_what_to_install(emoji, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"setar-explorer\[onnx\]"):
        onnx.export_onnx(emoji, tmp_path)


def test_a_score_that_was_not_fitted_is_refused(emoji, tmp_path):
    with pytest.raises(ValueError, match="was not fitted"):
        onnx.export_onnx(emoji.with_score("knn"), tmp_path)


def test_what_differs_is_not_given(emoji, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "TOLERANCE", -1.0)
    with pytest.raises(ValueError, match="differ by"):
        onnx.export_onnx(emoji, tmp_path)
