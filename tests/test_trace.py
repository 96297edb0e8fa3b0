"""Traces: a search that was killed goes on as if it had not been, and any trace can be replayed."""

import dataclasses
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from setar_core.__main__ import main
from setar_core.backbones import load_backbone
from setar_core.calibration import CalibrationSet
from setar_core.labels import LabelSet
from setar_core.plan import SearchPlan
from setar_core.recipe import Recipe
from setar_core.search import greedy_search
from setar_core.trace import Trace, header, line, replay

PLAN = SearchPlan(ratios=(0, 0.1, 0.3), top_k=5)
EXHAUSTIVE = SearchPlan(order="layer_exhaustive", ratios=(0, 0.2), top_k=5)
SCORED = SearchPlan(order="visual_only", ratios=(0, 0.2), top_k=5, objective="fpr", score="mcm")
FIELDS = ["step", "tower", "weight", "block", "ratio", "locoop_loss", "loss_id", "loss_ood", "acc",
          "ood_patch_percent", "objective", "improved", "seconds"]  # fmt: skip

MEASURED = FIELDS[5:11]


@pytest.fixture(scope="module")
def world(golden):
    backbone = load_backbone(f"local-dir:{golden / 'clip'}")
    labels = LabelSet(tuple(json.loads((golden / "clip" / "labels.json").read_text())))
    images = golden / "clip" / "images"
    return backbone, CalibrationSet.from_folder(images, labels, backbone.preprocess)


def searched(path, world, plan, resume=False, stop=None):
    """Search into a trace, perhaps only so many candidates."""
    trials = []
    with Trace(path, header(*world, plan), resume) as trace:
        for trial in greedy_search(*world, plan, done=trace.done):
            trace.write(trial)
            trials.append(trial)
            if stop is not None and len(trials) == stop:
                break
    return trials


def values(path):
    """The lines without what differs between runs."""
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def close(rows):
    """The rows, with what was measured equal to rounding: a resumed search rounds otherwise."""
    return [
        {k: pytest.approx(v, abs=1e-4) if k in MEASURED else v for k, v in row.items()}
        for row in rows
    ]


@pytest.mark.parametrize("plan", [PLAN, EXHAUSTIVE, SCORED], ids=["greedy", "exhaustive", "fpr"])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_a_stopped_search_goes_on_as_if_it_had_not_been(world, tmp_path, plan, share):
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    expected = searched(whole, world, plan)
    stop = max(1, int(share * len(expected)))
    searched(part, world, plan, stop=stop)
    with part.open("a") as file:  # a line that was cut by the end of the process
        file.write('{"step": 1, "tower": "vis')
    found = searched(part, world, plan, resume=True)
    assert values(part) == close(values(whole))
    assert found[-1].recipe.ratios == expected[-1].recipe.ratios
    assert [t.improved for t in found] == [t.improved for t in expected]
    assert all(trial.known for trial in found[:stop])


def test_resuming_a_whole_trace_runs_nothing(world, tmp_path, monkeypatch):
    path = tmp_path / "t.jsonl"
    expected = searched(path, world, PLAN)
    before = path.read_text()
    monkeypatch.setattr("setar_core.workbench.Workbench.measure", None)
    found = searched(path, world, PLAN, resume=True)
    assert found[-1].recipe == expected[-1].recipe
    assert path.read_text() == before


def test_resuming_without_a_whole_line_starts_anew(world, tmp_path):
    path = tmp_path / "t.jsonl"
    for text in ("", '{"plan": {"ord'):
        path.write_text(text)
        searched(path, world, SCORED, resume=True)
        assert len(path.read_text().splitlines()) == 1 + 4 * 2


def test_another_search_is_not_resumed(world, tmp_path):
    path = tmp_path / "t.jsonl"
    searched(path, world, PLAN, stop=2)
    backbone, calibration = world
    fewer = dataclasses.replace(
        calibration, images=calibration.images[:-1], classes=calibration.classes[:-1]
    )
    other = backbone.with_weights({s: -backbone.weight(s) for s in backbone.sites("q")})
    other._original = other  # a network of its own, not an altered one
    prompt = dataclasses.replace(
        calibration, labels=dataclasses.replace(calibration.labels, prompt="the {}")
    )
    kept = path.read_text()
    for someone, words in (
        ((backbone, fewer, PLAN), "made for images"),
        ((other, calibration, PLAN), "made for weights"),
        ((backbone, prompt, PLAN), "made for labels"),
        ((backbone, calibration, dataclasses.replace(PLAN, top_k=6)), "made with top_k 5"),
    ):
        with pytest.raises(ValueError, match=words):
            Trace(path, header(*someone), resume=True)
    assert path.read_text() == kept, "a refused trace stays as it was"


def test_what_is_no_trace_is_refused(world, tmp_path):
    path = tmp_path / "t.jsonl"
    first = header(*world, PLAN)
    rows = [json.dumps(first), json.dumps({"step": 0, "tower": "visual"})]
    for text, words in (
        ("[1]\n", "not an object"),
        ("{}\n", "no fingerprint"),
        ("\n".join(rows) + "\n", "line 2: 'weight' is missing"),
        (f"{rows[0]}\n{{broken\n", "line 2 is not JSON"),
        ("\xff\n", "not UTF-8"),
    ):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match=words):
            Trace(path, first, resume=True)


def test_a_trace_of_other_candidates_is_refused(world, tmp_path):
    path = tmp_path / "t.jsonl"
    searched(path, world, PLAN, stop=3)
    rows = path.read_text().splitlines()
    path.write_text("\n".join([rows[0], rows[2]]) + "\n")
    with pytest.raises(ValueError, match=r"goes on with visual.3.up at 0.1 where"):
        searched(path, world, PLAN, resume=True)


def test_a_replay_shows_what_the_search_showed(world, tmp_path):
    for plan in (PLAN, EXHAUSTIVE, SCORED):
        path = tmp_path / f"{plan.order}.jsonl"
        trials = searched(path, world, plan)
        for seen, again in zip(trials, replay(path.read_text()), strict=True):
            assert (seen.site, seen.ratio, seen.step) == (again.site, again.ratio, again.step)
            assert seen.objective == pytest.approx(again.objective)
            assert seen.improved == again.improved
            assert seen.measures.losses == again.measures.losses
            assert dict(seen.recipe.ratios) == dict(again.recipe.ratios)
            assert again.recipe.backbone == world[0].name


BAD = {
    "infinite": ({"locoop_loss": math.inf}, "locoop_loss is inf, not a finite number"),
    "not a number": ({"loss_id": math.nan}, "loss_id is nan"),
    "huge": ({"loss_ood": 10**400}, "loss_ood is 1000"),
    "a word": ({"acc": "all"}, "acc is 'all', not a number"),
    "an infinite step": ({"step": math.inf}, "step is inf"),
    "a list": ({"ratio": [0.1]}, "ratio is"),
    "seconds": ({"seconds": "long"}, "seconds is 'long'"),
    "metrics": ({"auroc": 50, "aupr": math.inf, "fpr": 1}, "aupr is inf"),
    "no site": ({"block": "x"}, "'visual.x.up' names no site"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_no_search_writes_is_refused_with_its_line(world, tmp_path, case):
    changes, said = BAD[case]
    path = tmp_path / "t.jsonl"
    searched(path, world, PLAN, stop=2)
    first, one, two = map(json.loads, path.read_text().splitlines())
    text = "".join(json.dumps(row) + "\n" for row in (first, one, two | changes))
    with pytest.raises(ValueError, match=f"line 3: {re.escape(said)}"):
        list(replay(text))
    with pytest.raises(ValueError, match="line 1: backbone is"):
        list(replay(text.replace(f'"backbone": "{world[0].name}"', '"backbone": 3')))


def test_an_objective_that_cannot_be_measured_is_at_its_worst(world, tmp_path):
    for objective, worst in (("auroc", 0.0), ("aupr", 0.0), ("fpr", 100.0)):
        plan = dataclasses.replace(SCORED, objective=objective)
        (trial, *_) = searched(tmp_path / f"{objective}.jsonl", world, plan, stop=1)
        none = dataclasses.replace(trial.measures, metrics=None)
        none = dataclasses.replace(trial, measures=none, objective=math.nan, improved=False)
        row = line(none)
        assert row["objective"] == worst and row["improved"] is False
        text = "".join(json.dumps(page) + "\n" for page in (header(*world, plan), line(trial), row))
        again = list(replay(text))
        assert math.isnan(again[1].objective) and not again[1].improved
        assert again[1].best.objective(objective) == pytest.approx(trial.objective)


def test_the_authors_traces_can_be_replayed(shared):
    for slug in ("clip_base-imagenet1k", "swin_base-imagenet1k", "clip_base-pascal_voc"):
        text = (shared / "published" / f"{slug}-setar.trace.json").read_text()
        trials = list(replay(text))
        assert len(trials) == len(json.loads(text))
        index = json.loads((shared / "published" / "index.json").read_text())
        (run,) = [run for run in index if run["slug"] == f"{slug}-setar"]
        published = Recipe.loads(json.dumps(run["recipe"]))
        assert dict(trials[-1].recipe.ratios) == dict(published.ratios)


def command(golden, tmp_path, *more):
    clip = golden / "clip"
    return ["search", "--images", str(clip / "images"), "--backbone", f"local-dir:{clip}",
            "--labels", str(clip / "labels.json"), "--top-k", "5", "--ratios", "0,0.1,0.3",
            "--out", str(tmp_path / "r.json"), "--trace", str(tmp_path / "t.jsonl"),
            *more]  # fmt: skip


def test_the_command_line_writes_recipe_and_trace(golden, tmp_path, capsys):
    assert main(command(golden, tmp_path)) == 0
    rows = values(tmp_path / "t.jsonl")
    assert set(rows[0]) == {"plan", "fingerprint"}
    assert len(rows) == 1 + 8 * 3
    assert [*rows[1], "seconds"] == FIELDS
    page = json.loads((golden / "clip" / "search" / "visual_text.json").read_text())
    loss = page["trace"]["0"]["visual"]["W_up"]["3"]["0.1"]["loss"]
    assert rows[2]["locoop_loss"] == pytest.approx(loss["locoop_loss"], abs=5e-5)
    recipe = Recipe.load(tmp_path / "r.json")
    assert len(recipe.ratios) == 8 and recipe.notes["lambda"] == 0.1
    out = capsys.readouterr()
    assert "locoop_loss -0.0177309 -> " in out.out
    assert "visual tower: the inputs of all 4" in out.err
    for row in values(tmp_path / "t.jsonl")[1:]:
        assert row["objective"] == row["locoop_loss"]


def test_a_trace_with_candidates_is_not_written_over(golden, tmp_path, capsys):
    trace, old = tmp_path / "t.jsonl", tmp_path / "t.jsonl.old"
    short = command(golden, tmp_path, "--order", "visual_only", "--ratios", "0,0.1")
    trace.write_text('{"plan": {}}\n')  # nothing to lose
    assert main(short) == 0 and not old.exists()
    before = trace.read_text()
    capsys.readouterr()
    assert main(short) == 0
    assert old.read_text() == before
    said = [row for row in capsys.readouterr().err.splitlines() if ".old" in row]
    assert len(said) == 1 and "holds 8 candidates" in said[0]
    assert main([*short, "--resume"]) == 0
    assert old.read_text() == before


def test_swin_blocks_are_pairs_in_the_trace(golden, tmp_path):
    swin = golden / "swin"
    assert main(["search", "--images", str(swin / "images"), "--backbone",
                 f"timm:local-dir:{swin}", "--labels", str(swin / "labels.json"),
                 "--top-k", "2", "--lambda", "0.4", "--ratios", "0,0.3", "--out",
                 str(tmp_path / "r.json"), "--trace", str(tmp_path / "t.jsonl")]) == 0  # fmt: skip
    rows = values(tmp_path / "t.jsonl")[1:]
    assert [row["block"] for row in rows[::2]] == [[2, 1], [2, 0], [1, 1], [1, 0], [0, 1], [0, 0]]
    assert rows[1]["locoop_loss"] == pytest.approx(-0.80023313, abs=5e-5)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--top-k", "40"], "top-k is 40 of 40 labels"),
        (["--ratios", "0,1"], "below 1"),
        (["--ratios", "0,x"], "numbers with commas"),
        (["--ratios", "0,0.995"], "drops all"),
        (["--order", "sideways"], "is unknown"),
        (["--weight", "W_up"], "weight 'W_up' is unknown; use q, k, v, o, up, down"),
        (["--objective", "fpr95"], "is unknown"),
        (["--score", "x"], "score 'x' is unknown"),
        (["--memory", "lots"], "is not a size"),
        (["--precision", "fp16"], "precision 'fp16' is unknown"),
        (["--lambda", "nan"], "lambda is nan"),
        (["--seed", "-3"], "seed is -3"),
        (["--batch-size", "0"], "batch_size is 0"),
        (["--images", "nowhere"], "no such folder"),
        (["--out", "nowhere/r.json"], "its folder does not exist"),
        (["--top-k", "many"], "invalid int value"),
    ],
)
def test_what_the_command_refuses_is_one_line(golden, tmp_path, capsys, more, words):
    try:
        code = main(command(golden, tmp_path, *more))
    except SystemExit as error:
        code = error.code
    out = capsys.readouterr()
    assert code == 2
    assert words in out.err
    assert out.err.count("\n") == 1 and not out.out
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("content", [None, b"no picture"], ids=["empty", "broken"])
def test_a_class_without_images_is_refused(golden, tmp_path, capsys, content):
    images = tmp_path / "images"
    shutil.copytree(golden / "clip" / "images", images)
    (images / "otter" / "0.png").unlink()
    if content:
        (images / "otter" / "0.png").write_bytes(content)
    assert main(command(golden, tmp_path, "--images", str(images))) == 2
    assert "otter" in capsys.readouterr().err


def test_a_killed_search_loses_only_the_candidate_in_flight(golden, tmp_path):
    arguments = command(golden, tmp_path)
    arguments[arguments.index("--ratios") + 1] = ",".join(str(i / 60) for i in range(50))
    trace = tmp_path / "t.jsonl"
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "setar_core", *arguments], cwd=root, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        ends = time.monotonic() + 120
        while time.monotonic() < ends and process.poll() is None:
            if trace.exists() and trace.read_bytes().count(b"\n") > 20:
                break
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    written = trace.read_text()
    whole = written[: written.rfind("\n") + 1].splitlines()
    assert 20 < len(whole) <= 401
    assert main([*arguments, "--resume"]) == 0
    after = trace.read_text().splitlines()
    assert after[: len(whole)] == whole
    assert len(after) == 1 + 8 * 50
    again = tmp_path / "again.jsonl"
    arguments[arguments.index("--trace") + 1] = str(again)
    best = Recipe.load(tmp_path / "r.json")
    assert main(arguments) == 0
    assert values(again) == close(values(trace))
    assert Recipe.load(tmp_path / "r.json").ratios == best.ratios
