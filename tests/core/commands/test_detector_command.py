"""A saved detector on the command line: made by `verdict --save`, opened by every command that
judges, to the same bits; what it brings is not given again."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from setar_core.__main__ import main
from setar_core.detector import Detector

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def place(golden, tmp_path):
    shutil.copytree(golden / "clip" / "images", tmp_path / "id")
    rng = np.random.default_rng(0)
    (tmp_path / "noise").mkdir()
    for i in range(4):
        noise = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "noise" / f"{i}.png")
    return tmp_path


@pytest.fixture
def model(golden):
    clip = golden / "clip"
    return ["--backbone", f"local-dir:{clip}", "--labels", str(clip / "labels.json")]


@pytest.fixture(params=["mine.json", "mine.zip"])
def saved(request, place, model):
    out = place / request.param
    made = ["--score", "gl_mcm", "--temperature", "2", "--calibrate", str(place / "id")]
    assert main(["verdict", *model, *made, "--save", str(out)]) == 0
    return out


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_way_gives_the_same_bits(place, saved, capsys):
    image = place / "noise" / "0.png"
    here = Detector.load(saved).verdict(image)
    capsys.readouterr()
    assert main(["verdict", str(image), "--detector", str(saved), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images"][0]["score"] == here.score
    assert told["threshold"]["value"] == here.threshold
    out = place / "s.csv"
    assert (
        main(["scores", "--images", str(image), "--detector", str(saved), "--out", str(out)]) == 0
    )
    assert [float(row["gl_mcm"]) for row in rows(out)] == [here.score]
    sets = ["--id", str(place / "id"), "--ood", str(place / "noise"), "--bootstrap", "0"]
    bench = ["benchmark", *sets, "--detector", str(saved), "--out", str(place / "r.json")]
    assert main([*bench, "--batch-size", "1"]) == 0
    lines = (place / "r.scores.jsonl").read_text(encoding="utf-8")
    assert repr(here.score) in lines
    page = json.loads((place / "r.json").read_text(encoding="utf-8"))
    assert {(row["recipe"], row["score"]) for row in page["rows"]} == {("mine", "gl_mcm")}


def test_a_threshold_may_be_found_again(place, saved, capsys):
    again = ["--calibrate", str(place / "noise"), "--recall", "0.5"]
    assert main(["verdict", str(place / "id"), "--detector", str(saved), *again, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["threshold"]["n"] == 4


def test_other_scores_of_it_are_had_by_name(place, saved, capsys):
    out = place / "s.csv"
    base = ["scores", "--images", str(place / "noise"), "--detector", str(saved), "--out", str(out)]
    assert main([*base, "--scores", "mcm,energy"]) == 0
    assert set(rows(out)[0]) == {"image", "mcm", "energy"}
    assert main([*base, "--scores", "all"]) == 0
    assert "left out: knn: " in capsys.readouterr().err and "max_logit" in rows(out)[0]
    assert main([*base, "--scores", "knn"]) == 2
    assert "learns from ID images" in capsys.readouterr().err


REFUSED = {
    "brings what --labels": ["--detector", "{saved}", "--labels", "animals"],
    "brings what --score": ["--detector", "{saved}", "--score", "mcm"],
    "brings what --temperature": ["--detector", "{saved}", "--temperature", "1.0"],
    "brings what --prompt": ["--detector", "{saved}", "--prompt", "a photo of a {{}}"],
    "brings what --negatives": ["--detector", "{saved}", "--negatives", "words.txt"],
    "no detector": ["--detector", "{saved}.gone"],
    "--backbone and --labels missing": [],
    "it is for": ["--detector", "{saved}", "--backbone", "emoji"],
    "ends in .json or .zip": ["--detector", "{saved}", "--save", "mine.txt"],
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_meant_is_refused_in_a_line(reason, place, saved, capsys):
    given = ["".join(list(word.format(saved=saved))) for word in REFUSED[reason]]  # as typed
    assert main(["verdict", str(place / "noise"), *given]) == 2
    told = capsys.readouterr().err
    assert reason in told and "Traceback" not in told


def test_a_detector_without_a_threshold_asks_for_one(place, model, golden, capsys):
    from setar_core.backbones import load_backbone
    from setar_core.labels import LabelSet

    clip = load_backbone(f"local-dir:{golden / 'clip'}")
    Detector(clip, LabelSet.load(golden / "clip" / "labels.json")).save(place / "bare.json")
    command = ["verdict", str(place / "noise"), "--detector", str(place / "bare.json")]
    assert main(command) == 2
    assert "has no threshold" in capsys.readouterr().err
    assert main([*command, "--threshold", "0.1"]) == 0
    assert main(["verdict", *model, "--threshold", "1"]) == 2
    assert "there is no image to judge" in capsys.readouterr().err
    assert main(["verdict", str(place / "noise"), *model]) == 2
    assert "needs a threshold" in capsys.readouterr().err
