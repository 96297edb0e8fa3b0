"""`search` writes a recipe and a trace, says what it refuses, and can be stopped and killed."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from setar_core.__main__ import main
from setar_core.recipe import Recipe
from setar_core.search.greedy import greedy_search
from setar_core.search.trace import replay
from tests.core.search.traces import values

pytestmark = pytest.mark.usefixtures("one_thread")

FIELDS = ["step", "tower", "weight", "block", "ratio", "locoop_loss", "loss_id", "loss_ood", "acc",
          "ood_patch_percent", "objective", "improved", "seconds"]  # fmt: skip


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


def test_a_quick_search_says_what_it_left_out(golden, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("setar_core.search.race.SMALL", 0)
    monkeypatch.setattr("setar_core.search.greedy.rounds_fast", lambda device: True)
    assert main(command(golden, tmp_path)) == 0
    exact = Recipe.load(tmp_path / "r.json")
    assert main(command(golden, tmp_path, "--quick")) == 0
    found = Recipe.load(tmp_path / "r.json")
    assert found.ratios == exact.ratios and found.notes["plan"]["quick"] is True
    rows = values(tmp_path / "t.jsonl")
    out = sum("left_out" in row for row in rows)
    assert rows[0]["plan"]["quick"] is True and out
    told = f"quick: {out} of 24 candidates were left out by their bf16 intervals"
    assert told in capsys.readouterr().err


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


def full_disk(path):
    return OSError(f"{path} cannot be written (No space left on device)")


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (MemoryError(), 2), (full_disk("t.jsonl"), 2)]
)
def test_what_did_not_end_takes_no_finished_recipes_place(
    error, code, golden, tmp_path, capsys, monkeypatch
):
    broken_off(monkeypatch, error, 5)
    out, beside = tmp_path / "r.json", tmp_path / "r.partial.json"
    for there in ('{"ratios": {}}', "no recipe at all"):
        out.write_text(there)
        for _ in range(2):  # the second takes the first one's place
            assert main(command(golden, tmp_path)) == code
            said = capsys.readouterr().err
            assert f"{out} is as it was, and the best recipe so far is in {beside}" in said
            assert out.read_text() == there
            assert Recipe.load(beside).notes["stopped"] == "after 5 of 24 candidates"
    beside.write_text("somebody's")
    assert main(command(golden, tmp_path)) == code
    assert (tmp_path / "r.partial.json.old").read_text() == "somebody's"


def test_what_did_not_end_is_followed_by_what_did(golden, tmp_path, capsys, monkeypatch):
    out = tmp_path / "r.json"
    with monkeypatch.context() as patch:
        for after in (5, 7):
            broken_off(patch, KeyboardInterrupt(), after)
            assert main([*command(golden, tmp_path), "--resume"]) == 130
            assert f"the best recipe so far is in {out}; --resume" in capsys.readouterr().err
            assert Recipe.load(out).notes["stopped"].startswith(f"after {after} of")
            patch.undo()
    assert main([*command(golden, tmp_path), "--resume"]) == 0
    assert "stopped" not in Recipe.load(out).notes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.json", "t.jsonl"]


@pytest.mark.parametrize("there", [True, False])
def test_when_nothing_can_be_written_both_files_are_named(
    there, golden, tmp_path, capsys, monkeypatch
):
    def full(*given):
        raise full_disk(out)

    out, trace = tmp_path / "r.json", tmp_path / "t.jsonl"
    if there:
        out.write_text('{"ratios": {}}')
    monkeypatch.setattr("setar_core.commands.search.save_whole", full)
    broken_off(monkeypatch, full_disk(trace), 3)
    assert main(command(golden, tmp_path)) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"error: {trace} cannot be written") and "so far is lost" in last
    assert f"{out} is {'as it was' if there else 'not there'}" in last
    assert out.exists() == there


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


@pytest.mark.parametrize(
    ("kept", "said"), [(30, "10 of the 40 labels"), (8, "warning: most labels")]
)
def test_labels_without_pictures_are_told(golden, tmp_path, capsys, kept, said):
    images = tmp_path / "images"
    for folder in sorted((golden / "clip" / "images").iterdir())[:kept]:
        shutil.copytree(folder, images / folder.name)
    given = command(golden, tmp_path, "--images", str(images), "--ratios", "0,0.2")
    assert main([*given, "--order", "visual_only"]) == 0
    assert said in capsys.readouterr().err
    assert Recipe.load(tmp_path / "r.json").notes["calibration"] == {"images": kept, "labels": 40}


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
