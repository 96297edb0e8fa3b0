"""A score is one function and one entry in the catalogue: what CONTRIBUTING promises, done here."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from setar_core.__main__ import main
from setar_core.scores import SCORES, Score


def margin(logits):
    """The best label's cosine above the second's."""
    best = logits.whole.topk(2, dim=-1).values / logits.scale
    return best[:, 0] - best[:, 1]


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    question = "How far is the best label above the second?"
    score = Score("margin", "Margin", question, "cos_1 - cos_2", "here", margin, uses=())
    monkeypatch.setitem(SCORES, "margin", score)


@pytest.fixture
def given(golden, tmp_path):
    shutil.copytree(golden / "clip" / "images", tmp_path / "id")
    rng = np.random.default_rng(0)
    for i in range(4):
        (tmp_path / "noise").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(
            tmp_path / "noise" / f"{i}.png"
        )
    clip = golden / "clip"
    return ["--backbone", f"local-dir:{clip}", "--labels", str(clip / "labels.json")]


@pytest.mark.parametrize("command", ["verdict", "scores", "benchmark"])
def test_the_help_tells_it(command, capsys):
    assert main([command, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "margin Margin: How far is the best label above the second?" in said
    for name, score in SCORES.items():
        assert f"{name} {score.title}: {score.question}" in said


def test_scores_has_it(given, tmp_path):
    out = tmp_path / "s.csv"
    command = ["scores", "--images", str(tmp_path / "noise"), "--out", str(out), *given]
    for asked in ("all", "margin"):
        assert main([*command, "--scores", asked, "--logits", str(tmp_path / "l.npz")]) == 0
        with out.open(newline="") as file:
            rows = list(csv.DictReader(file))
        logits = np.load(tmp_path / "l.npz")
        best = np.sort(logits["whole"] / float(logits["scale"]), axis=1)
        found = [float(row["margin"]) for row in rows]
        np.testing.assert_allclose(found, best[:, -1] - best[:, -2], atol=1e-6)


def test_a_verdict_and_a_benchmark_have_it(given, tmp_path, capsys):
    noise = str(tmp_path / "noise")
    assert main(["verdict", noise, *given, "--score", "margin", "--threshold", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"][0]["score"] >= 0
    out = tmp_path / "r.json"
    assert main(["benchmark", "--id", str(tmp_path / "id"), "--ood", noise, *given, "--bootstrap",
                 "0", "--scores", "mcm,margin", "--out", str(out)]) == 0  # fmt: skip
    assert [row["score"] for row in json.loads(out.read_text())["rows"]] == ["mcm", "margin"]
    assert "| Margin |" in capsys.readouterr().out
