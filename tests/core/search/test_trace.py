"""Traces: a search that was killed goes on as if it had not been, and any trace can be replayed."""

import dataclasses
import itertools
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
import torch

from setar_core.__main__ import main
from setar_core.backbones import load_backbone
from setar_core.data.calibration import CalibrationSet
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe, Site
from setar_core.search.greedy import greedy_search
from setar_core.search.plan import SearchPlan
from setar_core.search.trace import Trace, header, line, replay

PLAN = SearchPlan(ratios=(0, 0.1, 0.3), top_k=5)
EXHAUSTIVE = SearchPlan(order="layer_exhaustive", ratios=(0, 0.2), top_k=5)
SCORED = SearchPlan(order="visual_only", ratios=(0, 0.2), top_k=5, objective="fpr", score="mcm")
FINE = (0, 0.05, 0.1, 0.2, 0.3)  # both towers win something
CUT = {
    "greedy": SearchPlan(ratios=FINE, top_k=5),
    "principal": SearchPlan(order="text_visual", ratios=FINE, top_k=5, prune="principal"),
    "interleaved": SearchPlan(order="interleaved", ratios=FINE, top_k=5, projection=True),
    "exhaustive": SearchPlan(order="layer_exhaustive", ratios=(0, 0.1, 0.2, 0.3), top_k=5),
    "auroc": SearchPlan(ratios=FINE, top_k=5, objective="auroc"),
    "fpr": SearchPlan(ratios=FINE, top_k=5, objective="fpr", score="mcm"),
}
FIELDS = ["step", "tower", "weight", "block", "ratio", "locoop_loss", "loss_id", "loss_ood", "acc",
          "ood_patch_percent", "objective", "improved", "seconds"]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """As in the processes that are started here: other threads round otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def world(golden):
    backbone = load_backbone(f"local-dir:{golden / 'clip'}")
    labels = LabelSet(tuple(json.loads((golden / "clip" / "labels.json").read_text())))
    images = golden / "clip" / "images"
    return backbone, CalibrationSet.from_folder(images, labels, backbone.preprocess)


def searched(path, world, plan, resume=False, stop=None, memory=None):
    """Search into a trace, perhaps only so many candidates."""
    trials = []
    with Trace(path, header(*world, plan), resume) as trace:
        for trial in greedy_search(*world, plan, done=trace.done, memory=memory):
            trace.write(trial)
            trials.append(trial)
            if stop is not None and len(trials) == stop:
                break
    return trials


def values(path):
    """The lines without what differs between runs."""
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


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
    assert values(part) == values(whole)
    assert found[-1].recipe == expected[-1].recipe
    assert [t.improved for t in found] == [t.improved for t in expected]
    assert all(trial.known for trial in found[:stop])


@pytest.mark.parametrize("memory", [None, 5_000_000], ids=["ample", "tight"])
@pytest.mark.parametrize("plan", CUT.values(), ids=CUT)
def test_wherever_a_trace_was_cut_its_search_goes_on_to_the_same_bits(
    world, tmp_path, plan, memory
):
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    expected = searched(whole, world, plan, memory=memory)
    lines = whole.read_text().splitlines(keepends=True)
    for cut in range(2, len(lines), len(lines) // 9):  # within a site, and where one begins
        part.write_text("".join(lines[:cut]))
        found = searched(part, world, plan, resume=True, memory=memory)
        assert values(part) == values(whole), f"cut after {cut} lines"
        assert found[-1].recipe == expected[-1].recipe


@pytest.mark.parametrize("tail", [b"\xff\xfe", b'{"step": 1, "tower": "caf\xc3', b"\0" * 4096])
def test_what_follows_the_last_whole_line_may_be_anything(world, tmp_path, tail):
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    searched(whole, world, SCORED)
    searched(part, world, SCORED, stop=3)
    part.write_bytes(part.read_bytes().replace(b"\n", b"\r\n") + tail)  # as another system ends it
    searched(part, world, SCORED, resume=True)
    assert values(part) == values(whole)


def test_a_trace_of_more_candidates_than_the_search_has_is_refused(world, tmp_path):
    path = tmp_path / "t.jsonl"
    trials = searched(path, world, SCORED)
    text = path.read_text() + path.read_text().splitlines(keepends=True)[-1] + "rest"
    path.write_text(text)
    words = "the trace holds 9 candidates, this search has 8; "
    with pytest.raises(ValueError, match=words):
        Trace(path, header(*world, SCORED), resume=True, total=8)
    assert path.read_text() == text
    trace = Trace(path, header(*world, SCORED), resume=True)
    with trace, pytest.raises(ValueError, match=words):
        trace.write(trials[0])


def test_a_full_disk_is_told_with_the_name_of_the_file(world):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OSError, match=r"/dev/full cannot be written \(No space left"):
        Trace(full, header(*world, PLAN))


def test_resuming_a_whole_trace_runs_nothing(world, tmp_path, monkeypatch):
    path = tmp_path / "t.jsonl"
    expected = searched(path, world, PLAN)
    before = path.read_text()
    monkeypatch.setattr("setar_core.search.evaluator.Evaluator.measure", None)
    found = searched(path, world, PLAN, resume=True)
    assert found[-1].recipe == expected[-1].recipe
    assert path.read_text() == before


def test_resuming_without_a_whole_line_starts_anew(world, tmp_path):
    path = tmp_path / "t.jsonl"
    for text in ("", '{"plan": {"ord'):
        path.write_text(text)
        searched(path, world, SCORED, resume=True)
        assert len(path.read_text().splitlines()) == 1 + 4 * 2
    path.write_text("what I must not forget")
    with pytest.raises(ValueError, match="is no trace"):
        Trace(path, header(*world, SCORED), resume=True)
    assert path.read_text() == "what I must not forget"


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
        text = shared(f"published/{slug}-setar.trace.json").read_text()
        trials = list(replay(text))
        assert len(trials) == len(json.loads(text))
        index = json.loads(shared("published/index.json").read_text())
        (run,) = [run for run in index if run["slug"] == f"{slug}-setar"]
        published = Recipe.loads(json.dumps(run["recipe"]))
        assert dict(trials[-1].recipe.ratios) == dict(published.ratios)


def test_an_equal_loss_is_no_improvement():
    def row(step, layer, ratio, loss):
        site = {"step": step, "tower": "visual", "weight": "W_up", "layer": layer, "ratio": ratio}
        rest = {"loss_id": loss, "loss_ood": 0.0, "acc": 50.0, "ood_patch_percent": 10.0}
        return site | {"locoop_loss": loss} | rest

    rows = [row(0, 1, 0, 1.0), row(0, 1, 0.1, 0.9), row(1, 0, 0, 0.9), row(1, 0, 0.1, 0.9)]
    trials = list(replay(json.dumps(rows)))
    assert [trial.improved for trial in trials] == [True, True, False, False]
    assert trials[-1].recipe.ratios == {Site("visual", 1, "up"): 0.1, Site("visual", 0, "up"): 0.0}


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
    second = trace.read_text()
    assert main(short) == 0
    assert old.read_text() == before, "an old trace is not written over either"
    assert (tmp_path / "t.jsonl.old2").read_text() == second
    trace.write_text("what I must not forget")
    assert main(short) == 0
    assert (tmp_path / "t.jsonl.old3").read_text() == "what I must not forget"


@pytest.mark.parametrize(
    "more",
    [
        ["--top-k", "40"],
        ["--precision", "tf32"],
        ["--ratios", "0,0.995"],
        ["--objective", "fpr"],  # known only when the original weights are measured
    ],
)
def test_a_refused_search_leaves_the_trace_and_the_recipe_that_are_there(
    golden, tmp_path, monkeypatch, more
):
    trace, out = tmp_path / "t.jsonl", tmp_path / "r.json"
    assert main(command(golden, tmp_path, "--order", "visual_only")) == 0
    before = trace.read_bytes(), out.read_bytes()
    if "fpr" in more:
        broken_off(monkeypatch, ValueError("no patch is OOD"), 0)
    assert main(command(golden, tmp_path, "--order", "visual_only", *more)) == 2
    assert (trace.read_bytes(), out.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.json", "t.jsonl"]


def test_resuming_without_a_trace_is_said(golden, tmp_path, capsys):
    short = command(golden, tmp_path, "--order", "visual_only", "--ratios", "0,0.1", "--resume")
    assert main(short) == 0
    assert f"{tmp_path / 't.jsonl'} is not there; starting from the" in capsys.readouterr().err
    (tmp_path / "t.jsonl").write_text('{"plan": {"ord')
    assert main(short) == 0
    assert "t.jsonl holds no candidate; starting from the" in capsys.readouterr().err
    assert main(short) == 0
    assert "8 candidates are in " in capsys.readouterr().err


def test_a_trace_that_is_too_long_is_refused_in_one_line(golden, tmp_path, capsys):
    short = command(golden, tmp_path, "--order", "visual_only", "--ratios", "0,0.1")
    assert main(short) == 0
    trace = tmp_path / "t.jsonl"
    trace.write_text(trace.read_text() + trace.read_text().splitlines(keepends=True)[-1])
    capsys.readouterr()
    assert main([*short, "--resume"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "holds 9 candidates, this search has 8" in error


def broken_off(monkeypatch, error, after):
    """The search raises `error` once it has made so many trials."""

    def search(*given, **more):
        yield from itertools.islice(greedy_search(*given, **more), after)
        raise error

    monkeypatch.setattr("setar_core.search.greedy.greedy_search", search)


def test_a_stopped_command_says_what_there_is_and_how_to_go_on(
    golden, tmp_path, capsys, monkeypatch
):
    short = command(golden, tmp_path, "--order", "visual_only")
    with monkeypatch.context() as patch:
        broken_off(patch, KeyboardInterrupt(), 7)
        assert main(short) == 130
    trace, out = tmp_path / "t.jsonl", tmp_path / "r.json"
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        f"stopped after 7 of 12 candidates; the best recipe so far is in {out}; "
        f"--resume goes on from {trace}"
    )
    assert len(trace.read_text().splitlines()) == 1 + 7
    best = list(replay(trace.read_text()))[-1].recipe
    assert dict(Recipe.load(out).ratios) == dict(best.ratios)
    assert main([*short, "--resume"]) == 0
    assert len(trace.read_text().splitlines()) == 1 + 12
    with monkeypatch.context() as patch:
        broken_off(patch, KeyboardInterrupt(), 2)
        arguments = [*short[: short.index("--trace")], "--order", "visual_only"]
        assert main(arguments) == 130
        assert "--resume" not in capsys.readouterr().err
        broken_off(patch, KeyboardInterrupt(), 0)
        before = trace.read_bytes(), out.read_bytes()
        assert main(short) == 130
        assert capsys.readouterr().err == "stopped\n"
    assert (trace.read_bytes(), out.read_bytes()) == before


def test_what_was_found_stays_when_the_memory_is_too_small(golden, tmp_path, capsys, monkeypatch):
    broken_off(monkeypatch, MemoryError("cannot allocate memory"), 5)
    assert main(command(golden, tmp_path)) == 2
    assert "out of memory" in capsys.readouterr().err
    assert Recipe.load(tmp_path / "r.json").notes["before"]
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 1 + 5


@pytest.mark.parametrize("option", ["--out", "--trace"])
def test_what_cannot_be_written_is_refused_before_anything_is_loaded(
    golden, tmp_path, capsys, monkeypatch, option
):
    monkeypatch.setattr("setar_core.backbones.load_backbone", None)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    shut = tmp_path / "shut"
    shut.symlink_to("/proc/nothing")
    other = {"--out": "t.jsonl", "--trace": "r.json"}[option]
    for given, words in (
        (pipe, "is a device or a pipe"),
        (shut, "cannot be written"),
        (tmp_path, "is a folder"),
        ("", "is a folder"),
        (tmp_path / other, "is to hold two outputs"),
        (tmp_path / f"{other}.part", "is to hold two outputs"),
    ):
        assert main(command(golden, tmp_path, option, str(given))) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and words in error
    assert pipe.is_fifo()


def test_a_recipe_on_a_full_disk_is_told_with_its_name(golden, tmp_path, capsys):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    out = tmp_path / "r.json"
    out.write_text("what was there")
    (tmp_path / "r.json.part").symlink_to("/dev/full")
    assert main(command(golden, tmp_path, "--order", "visual_only")) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{out} cannot be written (No space left on device)" in error
    assert out.read_text() == "what was there"


def test_a_recipe_goes_to_where_a_link_leads(golden, tmp_path):
    (tmp_path / "r.json").symlink_to(tmp_path / "far.json")
    short = command(golden, tmp_path, "--order", "visual_only", "--ratios", "0,0.1")
    assert main([*short, "--prune", "principal"]) == 0
    assert (tmp_path / "r.json").is_symlink()
    assert Recipe.load(tmp_path / "far.json").prune == "principal"


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
        (["--ratios", ""], "numbers with commas"),
        (["--memory", "lots"], "is not a size"),
        (["--memory", ""], "is not a size"),
        (["--memory", "9" * 400], "more than any machine has"),
        (["--memory", "9" * 400 + "x"], "is not a size"),
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
    root = Path(__file__).resolve().parents[3]
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
    assert values(again) == values(trace)
    assert Recipe.load(tmp_path / "r.json").ratios == best.ratios
