"""A ResNet on the command line: what can be had of it is, and the rest is refused in one line."""

import csv
import json
import shutil

import numpy as np
import pytest

from setar_core.__main__ import main
from setar_core.data.images import find_images
from setar_core.scores import ALONE, SCORES

pytestmark = pytest.mark.usefixtures("one_thread")
WHOLE = [name for name in ALONE if "patches" not in SCORES[name].needs]


@pytest.fixture
def place(golden, resnet, tmp_path):
    """Six pictures of each of its four labels."""
    names = ("zebra", "sea lion", "fox", "owl")
    (tmp_path / "labels.txt").write_text("".join(f"{name}\n" for name in names))
    for i, path in enumerate(find_images([golden / "clip" / "images"])[:24]):
        folder = tmp_path / "id" / names[i % 4]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f"{i}.png")
    (tmp_path / "recipe.json").write_text('{"ratios": {"visual.0.up": 0.4}}')
    return tmp_path


@pytest.fixture
def run(place, resnet):
    def run(command, *more):
        labels = [] if command == "export" else ["--labels", place / "labels.txt"]
        named = ["--backbone", f"timm:local-dir:{resnet}", *labels]
        return main([command, *map(str, (*named, *more))])

    return run


def test_scores_of_the_whole_image_are_had(run, place, capsys):
    out, logits = place / "s.csv", place / "l.npz"
    assert run("scores", "--images", place / "id", "--out", out, "--logits", logits) == 0
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[1:] == WHOLE and len(rows) == 24
    said = capsys.readouterr().err
    assert "left out: gl_mcm: GL-MCM looks at patches" in said and "left out: l_mcm" in said
    found = np.load(logits)
    assert (found["whole"].shape, found["local"].shape) == ((24, 4), (24, 0, 4))
    msp = np.exp(found["whole"]) / np.exp(found["whole"]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose([float(row["msp"]) for row in rows], msp.max(axis=1), rtol=1e-5)


def test_a_benchmark_leaves_out_what_looks_at_patches(run, place, golden, capsys):
    sets = ["--id", place / "id", "--ood", golden / "ood" / "images", "--bootstrap", "0"]
    shaped = ["--shaping", "react:p90", "--fit", place / "id", "--out", place / "r.json"]
    assert run("benchmark", *sets, *shaped) == 0
    page = json.loads((place / "r.json").read_text())
    assert {row["score"] for row in page["rows"]} == {"mcm"}
    assert "left out: gl_mcm" in capsys.readouterr().err


REFUSED = {
    "a recipe": (["verdict", "--recipe", "recipe.json", "--threshold", "0", "id"], "no blocks"),
    "a search": (["search", "--images", "id", "--out", "r.json"], "no blocks"),
    "training": (["finetune", "--images", "id", "--out", "a.safetensors"], "no blocks"),
    "an export": (["export", "--recipe", "recipe.json", "--out", "merged"], "no blocks"),
    "a score of patches": (
        ["verdict", "--score", "gl_mcm", "--threshold", "0", "id"], "GL-MCM looks at patches"),
    "a score of patches among others": (
        ["scores", "--scores", "mcm,l_mcm", "--images", "id", "--out", "s.csv"], "at patches"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_had_is_refused_in_one_line(case, run, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    (command, *more), reason = REFUSED[case]
    before = sorted(place.rglob("*"))
    assert run(command, *more) == 2
    said = capsys.readouterr().err.splitlines()
    assert reason in said[-1] and "use a" in said[-1]
    assert sorted(place.rglob("*")) == before
