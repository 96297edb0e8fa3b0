"""Negatives, shaping and images to learn from on the command line: what they give to every command,
and one line for what is missing or of no use."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from setar_core.__main__ import main
from setar_core.scores import ALONE, SCORES

LEARN = [name for name, score in SCORES.items() if score.learns]
MINED = ["neglabel", "csp"]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def place(golden, tmp_path):
    """The tiny CLIP's own pictures, as ID set; two a class to learn from; OOD; words."""
    pictures = golden / "clip" / "images"
    shutil.copytree(pictures, tmp_path / "id")
    others = sorted(pictures.rglob("*.png"))
    for path, other in zip(others, others[1:] + others[:1], strict=True):
        folder = tmp_path / "learn" / path.parent.name
        folder.mkdir(parents=True)
        shutil.copy(path, folder / "0.png")
        shutil.copy(other, folder / "1.png")
    rng = np.random.default_rng(0)
    (tmp_path / "noise").mkdir()
    for i in range(6):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(
            tmp_path / "noise" / f"{i}.png"
        )
    colours = ("red", "old", "tall", "round", "wet", "soft")
    things = ("car", "hill", "cup", "fork", "lamp", "rope", "tent", "wheel", "chair", "spoon")
    words = "\n".join(f"{one} {thing}" for one in colours for thing in things)
    (tmp_path / "words.txt").write_text(words)
    (tmp_path / "heavy.json").write_text('{"ratios": {"visual.3.up": 0.4, "text.2.up": 0.3}}')
    return tmp_path


@pytest.fixture
def model(golden):
    clip = golden / "clip"
    return ["--backbone", f"local-dir:{clip}", "--labels", str(clip / "labels.json")]


@pytest.fixture
def scores(place, model):
    """Runs `scores` on six pictures; gives the exit code."""

    def run(*more):
        return main(["scores", "--images", str(place / "noise"), *model,
                     "--out", str(place / "s.csv"), *map(str, more)])  # fmt: skip

    return run


@pytest.fixture
def bench(place, model):
    def run(*more):
        sets = ["--id", str(place / "id"), "--ood", str(place / "noise")]
        return main(["benchmark", *sets, *model, "--bootstrap", "0", "--out",
                     str(place / "r.json"), *map(str, more)])  # fmt: skip

    return run


def columns(place):
    with (place / "s.csv").open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file))[1:]


def test_all_scores_are_had_where_all_is_given(scores, place, capsys):
    given = ["--fit", place / "learn", "--negatives", place / "words.txt"]
    assert scores("--scores", "all", *given) == 0
    assert columns(place) == list(SCORES)
    said = capsys.readouterr().err
    assert "left out" not in said.replace("are left out", "")
    assert "NegLabel: " in said and "negative labels in" in said


def test_those_that_cannot_be_had_are_named_with_the_reason(scores, place, capsys):
    assert scores("--scores", "all") == 0
    assert columns(place) == list(ALONE)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out")]
    assert [line.split(": ")[1] for line in lines] == [n for n in SCORES if n not in ALONE]
    assert all(("give --fit DIR" in line) != ("give --negatives FILE" in line) for line in lines)
    assert scores("--scores", "all", "--fit", place / "id") == 0
    said = capsys.readouterr().err
    assert "left out: mahalanobis: Mahalanobis++ learns how images of one class differ" in said
    assert {"knn", "nnguide", "fdbd", "layers_mcm"} < set(columns(place))
    assert scores("--scores", "all", "--shaping", "ash-p:65") == 0
    assert "left out: gl_mcm: GL-MCM looks at more than the logits" in capsys.readouterr().err
    assert columns(place) == [n for n in ALONE if SCORES[n].needs == {"logits"}]


def test_a_verdict_by_each_score_that_needs_something(place, model, capsys):
    given = ["verdict", str(place / "noise"), *model, "--calibrate", str(place / "id"), "--json"]
    for name in (*LEARN, *MINED):
        flag = ["--negatives", "words.txt"] if name in MINED else ["--fit", "learn"]
        assert main([*given, "--score", name, flag[0], str(place / flag[1])]) == 0
        out, said = capsys.readouterr()
        page = json.loads(out)
        context = page["threshold"]["context"]
        assert context["score"] == name
        assert ("negatives" in context, "fit" in context) == (name in MINED, name in LEARN)
        assert all(image["scores"][name] == image["score"] for image in page["images"])
        assert ("9 negative labels in 9 groups" in said) == (name in MINED)


def test_a_shaping_comes_before_any_score_of_logits(scores, place, capsys):
    found = {}
    for shaping in (None, "react:p90", "react:1.0", "ash-p:90", "ash-b:90", "ash-s:95"):
        more = [] if shaping is None else ["--shaping", shaping]
        more += ["--fit", place / "learn"] if shaping == "react:p90" else []
        assert scores("--scores", "mcm,energy", *more) == 0
        found[shaping] = (place / "s.csv").read_text()
    assert len(set(found.values())) >= 5  # a limit of 1.0 may lie above every activation


def test_a_benchmark_learns_and_mines_for_each_recipe(bench, place, capsys):
    given = ["--recipe", "original", place / "heavy.json", "--fit", place / "learn",
             "--negatives", place / "words.txt", "--threshold-from", place / "noise"]  # fmt: skip
    assert bench("--scores", "all", *given) == 0
    page = json.loads((place / "r.json").read_text())
    assert [row["score"] for row in page["rows"]][: len(SCORES)] == list(SCORES)
    settings = page["settings"]
    assert settings["scores"] == list(SCORES)
    fits = settings["fit"]
    assert fits["original"].keys() == fits["heavy"].keys() == set(LEARN)
    assert fits["original"]["knn"] != fits["heavy"]["knn"]
    assert settings["negatives"]["original"].keys() == set(MINED)
    assert len(page["thresholds"]) == 2 * len(SCORES)
    assert bench("--scores", "mcm,energy", "--shaping", "react:p90", *given[3:5]) == 0
    settings = json.loads((place / "r.json").read_text())["settings"]
    assert settings["shaping"]["original"].startswith("react:p90 at ")


@pytest.mark.parametrize("command", ["scores", "bench"])
def test_a_run_with_others_is_not_resumed(command, place, request, capsys):
    run = request.getfixturevalue(command)
    fit = ["--scores", "knn,mcm", "--fit", place / "learn"]
    assert run(*fit) == 0 and run(*fit, "--resume") == 0
    capsys.readouterr()
    assert run(*fit[:3], place / "id", "--resume") == 2
    assert "made with fit" in capsys.readouterr().err
    shaped = ["--scores", "energy,mcm", "--shaping", "ash-p:65"]
    assert run(*shaped) == 0 and run(*shaped, "--resume") == 0
    capsys.readouterr()
    for other in (["--shaping", "ash-p:70"], []):
        assert run(*shaped[:2], *other, "--resume") == 2
        assert "made with shaping" in capsys.readouterr().err
    mined = ["--scores", "neglabel", "--negatives", place / "words.txt"]
    assert run(*mined) == 0 and run(*mined, "--resume") == 0
    words = (place / "words.txt").read_text()
    (place / "words.txt").write_text(words.replace("red", "blue"))
    capsys.readouterr()
    assert run(*mined, "--resume") == 2
    assert "made with negatives" in capsys.readouterr().err


def test_images_that_are_learned_and_tried_are_warned_about(bench, place, model, capsys):
    fit = ["--scores", "knn", "--fit", place / "id"]
    assert bench(*fit) == 0
    assert "--fit and --id share images" in capsys.readouterr().err
    given = ["verdict", str(place / "noise"), *model, "--score", "knn", "--fit", str(place / "id")]
    assert main([*given, "--calibrate", str(place / "id" / "zebra")]) == 0
    assert "--fit and --calibrate share images" in capsys.readouterr().err
    assert main([*given, "--calibrate", str(place / "learn")]) == 0
    assert "share images" not in capsys.readouterr().err


def test_an_image_to_learn_from_that_cannot_be_read_is_said_once(bench, place, capsys):
    (place / "learn" / "zebra" / "x.png").write_text("no image")
    recipes = ["--recipe", "original", place / "heavy.json"]
    assert bench("--scores", "knn", "--fit", place / "learn", *recipes) == 1
    assert capsys.readouterr().err.count("skipped: x.png") == 1


def test_class_folders_that_are_no_labels_give_no_class(scores, place, capsys):
    (place / "learn" / "zebra").rename(place / "learn" / "Zebra fish")
    assert scores("--scores", "mahalanobis", "--fit", place / "learn") == 2
    said = capsys.readouterr().err
    assert "warning: no classes to learn from" in said and "Zebra fish" in said
    assert "the class of 80 of the 80 ID images is not known" in said


REFUSED = {
    "a score that learns": (["--scores", "knn"], "KNN needs ID images to learn from; give --fit"),
    "a score of negatives": (["--scores", "csp"], "CSP needs negative labels; give --negatives"),
    "a shaping that learns": (["--shaping", "react:p90"], "learns from ID images; give --fit"),
    "no shaping": (["--shaping", "scale:85"], "is none; use react:p90"),
    "a shaping of patches": (
        ["--scores", "gl_mcm", "--shaping", "ash-s:90"], "looks at more than the logits"),
    "images of no use": (["--scores", "mcm", "--fit", "id"], "MCM learn nothing; leave it out"),
    "words of no use": (["--negatives", "words.txt"], "is for neglabel and csp; ask for one"),
    "no such words": (["--scores", "csp", "--negatives", "none.txt"], "no such file"),
    "no folder to learn from": (["--scores", "knn", "--fit", "words.txt"], "is a file"),
    "two word lists": (
        ["--scores", "csp", "--negatives", "words.txt", "--negatives", "words.txt"], "give one"),
    "too many groups": (
        ["--scores", "neglabel", "--negatives", "words.txt", "--groups", "20"],
        "20 groups of 9 negative labels cannot be made"),
    "half a group": (["--groups", "1.5"], "invalid int"),
    "too many neighbours": (
        ["--scores", "knn", "--fit", "id", "--neighbors", "41"], "it learned from 40 ID images"),
    "a shrinkage above one": (["--shrinkage", "2"], "shrinkage is 2"),
    "a score twice": (["--scores", "mcm,mcm"], "name each once"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_missing_or_of_no_use_takes_one_line(case, scores, place, capsys):
    more, reason = REFUSED[case]
    paths = {"id", "learn", "words.txt", "none.txt"}
    try:
        code = scores(*(place / part if part in paths else part for part in more))
    except SystemExit as stop:  # argparse
        code = stop.code
    said = capsys.readouterr().err
    assert code == 2 and reason in said
    assert said.count("\n") == 1 or "mining" in said or "reading" in said


def test_a_score_for_a_verdict_is_one(place, model, capsys):
    given = ["verdict", str(place / "noise"), *model, "--threshold", "0", "--score"]
    for name in ("all", "mcm,energy"):
        assert main([*given, name]) == 2
        assert f"score '{name}' is unknown" in capsys.readouterr().err


def test_examples_change_every_score_and_are_measured(place, model, capsys):
    asked = ["scores", *model, "--images", str(place / "noise"), "--scores", "mcm,max_logit"]
    found = {}
    for name, more in (("plain", []), ("mixed", ["--examples", str(place / "learn")])):
        assert main([*asked, "--out", str(place / f"{name}.csv"), *more]) == 0
        found[name] = (place / f"{name}.csv").read_text()
    assert found["plain"] != found["mixed"]
    said = capsys.readouterr().err
    assert "examples: of 80 pictures, judged with the other half of them" in said
    for more, reason in (
        (["--example-share", "0.3"], "--example-share is for --examples DIR"),
        (
            ["--examples", str(place / "learn"), "--example-share", "2"],
            "the share of examples is 2",
        ),
        (["--examples", str(place / "noise")], "examples lie in a folder a label"),
    ):
        assert main([*asked, "--out", str(place / "refused.csv"), *more]) == 2
        assert reason in capsys.readouterr().err
    assert not (place / "refused.csv").exists()
