"""The command line: what it prints, what it writes, and one line for what it refuses."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from setar_core.__main__ import main
from setar_core.scores import ALONE


@pytest.fixture
def model(golden):
    clip = golden / "clip"
    return ["--backbone", f"local-dir:{clip}", "--labels", str(clip / "labels.json")]


@pytest.mark.parametrize(
    "error",
    [
        lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        lambda: torch.empty(10**15),
        lambda: np.empty(10**16),
    ],
    ids=["cuda", "cpu", "numpy"],
)
def test_too_little_memory_is_said_in_one_line(error, monkeypatch, capsys):
    def run(args):
        found = error()
        if isinstance(found, Exception):
            raise found

    monkeypatch.setattr("setar_core.commands.metrics.run", run)
    given = ["metrics", "--id-scores", "a", "--ood-scores", "b"]
    assert main(given) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "out of memory" in said and "--batch-size" in said
    monkeypatch.setattr("setar_core.commands.metrics.run", lambda args: (_ for _ in ()).throw(
        RuntimeError("another fault")))  # fmt: skip
    with pytest.raises(RuntimeError, match="another fault"):
        main(given)


@pytest.fixture
def images(golden, tmp_path):
    folder = tmp_path / "images"
    shutil.copytree(golden / "clip" / "images" / "zebra", folder / "zebra")
    shutil.copytree(golden / "clip" / "images" / "abacus", folder / "abacus")
    return folder


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_scores_and_logits_of_a_folder(model, images, tmp_path, golden):
    out, npz = tmp_path / "s.csv", tmp_path / "logits"
    assert main(["scores", "--images", str(images), *model, "--out", str(out),
                 "--logits", str(npz)]) == 0  # fmt: skip
    table = rows(out)
    assert [row["image"] for row in table] == [
        str(images / "abacus" / "0.png"),
        str(images / "zebra" / "0.png"),
    ]
    assert list(table[0]) == ["image", *ALONE]
    logits = np.load(npz, allow_pickle=False)
    assert logits["whole"].shape == (2, 40)
    assert logits["local"].shape == (2, 36, 40)
    assert logits["images"].tolist() == [row["image"] for row in table]
    cosines = logits["whole"] / float(logits["scale"])
    p = np.exp(cosines) / np.exp(cosines).sum(axis=1, keepdims=True)
    np.testing.assert_allclose([float(row["mcm"]) for row in table], p.max(axis=1), rtol=1e-5)
    theirs = np.load(golden / "clip" / "forward.npz")["vanilla/logits_global"]
    np.testing.assert_allclose(logits["whole"], theirs[[0, 39]], atol=1e-4)


def test_scores_that_were_asked_for_at_a_temperature(model, images, tmp_path):
    out = tmp_path / "s.csv"
    main(["scores", "--images", str(images), *model, "--scores", "energy,msp",
          "--temperature", "0.5", "--out", str(out)])  # fmt: skip
    warm = rows(out)
    main(["scores", "--images", str(images), *model, "--scores", "energy,msp", "--out", str(out)])
    assert list(warm[0]) == ["image", "energy", "msp"]
    assert warm[0]["msp"] == rows(out)[0]["msp"]
    assert warm[0]["energy"] != rows(out)[0]["energy"]


def test_the_authors_list_is_pruned_as_told(model, images, tmp_path):
    recipe = tmp_path / "r.json"
    recipe.write_text('[["visual", "W_up", 3, 0.1], ["text", "W_up", 3, 0.05]]')
    found = []
    for extra in ([], ["--recipe", str(recipe)], ["--recipe", str(recipe), "--prune", "principal"]):
        out = tmp_path / "s.csv"
        assert main(["scores", "--images", str(images), *model, *extra, "--out", str(out)]) == 0
        found.append(rows(out)[0]["mcm"])
    assert len(set(found)) == 3


def test_verdicts_against_a_calibrated_threshold(model, images, golden, capsys):
    arguments = ["verdict", str(images), *model, "--calibrate", str(golden / "clip" / "images")]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("in-distribution: " in line or "out-of-distribution" in line for line in lines)
    assert main([*arguments, "--json", "--recall", "0.5", "--score", "gl_mcm"]) == 0
    page = json.loads(capsys.readouterr().out)
    assert page["threshold"]["n"] == 40
    assert page["threshold"]["reached"] == 0.5
    first = page["images"][0]
    assert first["in_distribution"] == (first["score"] >= first["threshold"])
    low, high = first["band"]
    assert [low, high] == page["threshold"]["band"] and low <= first["threshold"] <= high
    sides = {True: "in-distribution", False: "out-of-distribution"}
    close = low <= first["score"] < high
    assert first["verdict"] == ("close call" if close else sides[first["in_distribution"]])
    assert len(first["top"]) == 5
    assert np.array(first["patches"]).shape == (6, 6)


def test_a_score_of_the_table_is_a_threshold_to_the_last_digit(model, images, tmp_path, capsys):
    out = tmp_path / "s.csv"
    names = ("mcm", "energy", "entropy", "variance")
    assert main(["scores", "--images", str(images), *model, "--out", str(out)]) == 0
    for name in names:
        for row in rows(out):
            given = ["verdict", str(images), *model, "--score", name, "--threshold", row[name]]
            assert main([*given, "--json"]) == 0
            page = json.loads(capsys.readouterr().out)
            found = [image["in_distribution"] for image in page["images"]]
            assert found == [float(other[name]) >= float(row[name]) for other in rows(out)]


def test_a_negative_threshold_may_be_written_with_an_exponent(model, images, capsys):
    given = ["verdict", str(images), *model, "--score", "entropy", "--json", "--threshold"]
    assert main([*given, "-1e-3"]) == 0
    assert json.loads(capsys.readouterr().out)["threshold"]["value"] == -0.001


def test_a_recall_that_is_none_is_refused_before_an_image_is_read(model, images, capsys):
    given = ["verdict", str(images), *model]
    assert main([*given, "--calibrate", str(images), "--recall", "95"]) == 2
    assert main([*given, "--threshold", "0.1", "--recall", "0.9"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "recall is 95" in said[0] and "--recall is for --calibrate" in said[1]


def test_a_broken_image_is_skipped_and_the_exit_code_says_so(model, images, tmp_path, capsys):
    (images / "abacus" / "x.png").write_text("no image")
    out = tmp_path / "s.csv"
    assert main(["scores", "--images", str(images), *model, "--out", str(out)]) == 1
    assert len(rows(out)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "x.png" in error
    assert main(["verdict", str(images), *model, "--threshold", "0"]) == 1


def test_when_every_image_is_broken_both_commands_agree(model, tmp_path, capsys):
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_text("no image")
    out = tmp_path / "s.csv"
    for command in (
        ["scores", "--images", str(folder), "--out", str(out)],
        ["verdict", str(folder), "--threshold", "0"],
    ):
        assert main([*command, *model]) == 1
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(":")[:2] for line in lines] == [
            ["skipped", " a.png"],
            ["skipped", " b.png"],
        ]
    assert rows(out) == []


def test_a_name_that_is_not_utf8_stops_nothing(model, images, tmp_path, capsys):
    name = os.fsdecode(b"caf\xe9.png")
    try:
        shutil.copy(images / "zebra" / "0.png", images / "zebra" / name)
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    out, npz = tmp_path / "s.csv", tmp_path / "logits.npz"
    assert main(["scores", "--images", str(images), *model, "--out", str(out),
                 "--logits", str(npz)]) == 0  # fmt: skip
    assert rows(out)[-1]["image"] == str(images / "zebra" / "caf\\udce9.png")
    assert np.load(npz)["images"][-1] == str(images / "zebra" / name)
    verdict = ["verdict", str(images), *model, "--threshold", "0"]
    assert main([*verdict, "--json"]) == 0
    text = capsys.readouterr().out
    text.encode("utf-8")
    assert json.loads(text)["images"][-1]["image"] == str(images / "zebra" / name)
    assert main(verdict) == 0
    assert "caf\\udce9.png: " in capsys.readouterr().out


def test_a_calibrated_threshold_is_told(model, images, golden, capsys):
    found = ["verdict", str(images), *model, "--calibrate", str(golden / "clip" / "images")]
    assert main(found) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "accepts 95.0% of 40 calibration images" in line
    assert "expect 83.1% to 99.4%" in line
    assert main([*found, "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_no_cell_is_a_formula(model, images, tmp_path, monkeypatch):
    monkeypatch.chdir(images.parent)
    shutil.copy(images / "zebra" / "0.png", "=1+1.png")
    main(["scores", "--images", "=1+1.png", *model, "--out", "s.csv"])
    assert rows(images.parent / "s.csv")[0]["image"] == "'=1+1.png"


def test_doubtful_labels_are_warned_about(model, images, tmp_path, capsys):
    labels = tmp_path / "l.txt"
    labels.write_text("fox\nfox\nbee\n")
    assert main(["verdict", str(images), *model[:2], "--labels", str(labels),
                 "--threshold", "0"]) == 0  # fmt: skip
    assert (
        "warning: labels that occur twice share their probability: fox" in capsys.readouterr().err
    )


def test_labels_that_become_one_are_warned_about(model, images, tmp_path, capsys):
    labels = tmp_path / "l.txt"
    labels.write_text(f"Fox\nfox\n{'🦊' * 90}\n{'🦊' * 91}\n", encoding="utf-8")
    given = ["verdict", str(images), *model[:2], "--labels", str(labels), "--threshold", "0"]
    assert main(given) == 0
    cut, alike = capsys.readouterr().err.splitlines()[-2:]
    assert cut.startswith("warning: labels are cut after 77 tokens with their prompt: 🦊")
    assert "reads as one text share their probability: 'Fox' = 'fox', '🦊" in alike


def test_words_that_the_embedded_backbone_never_saw_are_warned_about(images, tmp_path, capsys):
    labels = tmp_path / "l.txt"
    labels.write_text("fox\nzeppelin\n")
    assert main(["verdict", str(images), "--backbone", "emoji", "--labels", str(labels),
                 "--threshold", "0"]) == 0  # fmt: skip
    error = capsys.readouterr().err
    assert "never trained on these words" in error
    assert "zeppelin" in error
    assert "fox" not in error


REFUSED = {
    "unknown label set": (["--labels", "nothing"], "no label set 'nothing'"),
    "unknown score": (["--scores", "best"], "use mcm"),
    "no temperature": (["--temperature", "0"], "temperature is 0"),
    "a tiny temperature": (["--temperature", "1e-40"], "from 1e-06 to 1e+06"),
    "a prune of nothing": (["--prune", "principal"], "leave it out or give one"),
    "a device for the result": (["--out", "/dev/null"], "a device or a pipe"),
    "a folder that keeps nothing": (["--out", "/proc/s.csv"], "cannot be written"),
    "two results in one": (["--out", "s.csv", "--logits", "./s.csv"], "two outputs"),
    "a recipe of zeros for another": (["--recipe", "zeros.json"], "is for 'emoji'"),
    "no recipe": (["--recipe", "nothing.json"], "cannot be read"),
    "another's recipe": (["--recipe", "vit-b-16-imagenet1k"], "is for 'ViT-B-16/openai'"),
    "no device": (["--device", "abacus"], "unknown device"),
    "no image": (["--images", "nothing.png"], "no such file"),
    "no number": (["--temperature", "warm"], "invalid float"),
    "no folder for the result": (["--out", "no/such/place.csv"], "folder does not exist"),
    "unknown backbone": (["--backbone", "emojo"], "near it: emoji"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_takes_one_line_and_exit_code_2(case, model, images, tmp_path, capsys):
    extra, reason = REFUSED[case]
    (tmp_path / "zeros.json").write_text('{"backbone": "emoji", "ratios": {"visual.1.up": 0}}')
    extra = [str(tmp_path / part) if part == "zeros.json" else part for part in extra]
    arguments = ["scores", "--images", str(images), *model, "--out", str(tmp_path / "s.csv")]
    try:
        code = main([*arguments, *extra])
    except SystemExit as stop:  # argparse
        code = stop.code
    assert code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert reason in error


@pytest.mark.parametrize("name", ["ViT-B-16/openai", "timm:deit_tiny_patch16_224.fb_in1k"])
def test_a_hub_that_is_away_takes_one_line_too(name, images, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert main(["verdict", str(images), "--backbone", name, "--labels", "imagenet1k",
                 "--threshold", "0"]) == 2  # fmt: skip
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "could not be reached" in error


def test_a_prune_that_contradicts_the_recipe_is_refused(model, images, tmp_path, capsys):
    (tmp_path / "r.json").write_text('{"ratios": {"visual.1.up": 0.1}, "prune": "principal"}')
    assert main(["verdict", str(images), *model, "--threshold", "0", "--prune", "minor",
                 "--recipe", str(tmp_path / "r.json")]) == 2  # fmt: skip
    assert "'principal'" in capsys.readouterr().err


def test_a_terminal_that_cannot_write_a_label_stops_nothing(model, images, tmp_path, golden):
    names = json.loads((golden / "clip" / "labels.json").read_text())
    (tmp_path / "l.json").write_text(json.dumps([f"{name} \u732b" for name in names]))
    for extra in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "setar_core", "verdict", str(images), *model, "--threshold", "0",
             "--labels", str(tmp_path / "l.json"), *extra],
            capture_output=True, text=True, cwd=golden.parents[1],
            env=os.environ | {"PYTHONIOENCODING": "ascii"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "\\u732b" in done.stdout


def test_the_program_itself(model, images, golden):
    """A process of its own: nothing but the verdicts on stdout, nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "setar_core", "verdict", str(images), *model, "--threshold", "0"],
        capture_output=True, text=True, cwd=golden.parents[1],
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2
