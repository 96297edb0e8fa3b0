"""Two processes find what one finds; one that dies ends the run with a sentence, and is resumed."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

IMAGES = Path(__file__).resolve().parents[4] / "assets" / "benchmark"


@pytest.fixture
def place(golden, tmp_path):
    """Folders of the tiny CLIP's pictures, of which one is broken, and of emoji."""
    shutil.copytree(golden / "clip" / "images", tmp_path / "id")
    (tmp_path / "id" / "otter" / "broken.png").write_text("no image")
    (tmp_path / "ood").mkdir()
    for number, path in enumerate(sorted((IMAGES / "noise").iterdir())[:70]):
        shutil.copy(path, tmp_path / "ood" / f"{number}{path.suffix}")
    return tmp_path


@pytest.fixture
def model(golden):
    clip = golden / "clip"
    return ["--backbone", f"local-dir:{clip}", "--labels", clip / "labels.json"]


def traced(path):
    """What a trace says, but for how long it took."""
    pages = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in page.items() if k != "seconds"} for page in pages]


def assert_alike(one, other):
    """Traces with the same candidates, and losses within 1e-6."""
    assert len(one) == len(other) > 1
    for mine, theirs in zip(one, other, strict=True):
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            if isinstance(value, float):
                assert theirs[key] == pytest.approx(value, abs=1e-6), key
            else:
                assert theirs[key] == value, key


SEARCHES = {
    "golden": ["--ratios", "0,0.1,0.2,0.3,0.4", "--top-k", "9"],
    "golden, exhaustive": ["--order", "layer_exhaustive", "--ratios", "0,0.2,0.4", "--top-k", "9"],
}


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.long)])
@pytest.mark.parametrize("given", SEARCHES.values(), ids=SEARCHES)
def test_a_search_finds_what_one_process_finds(given, size, golden, model, run, tmp_path):
    def search(number):
        out = ["--out", tmp_path / f"{number}.json", "--trace", tmp_path / f"{number}.jsonl"]
        images = ["--images", golden / "clip" / "images"]
        codes, _, said = run(["search", *images, *model, *given, *out], number)
        assert codes == [0] * number, said
        return json.loads((tmp_path / f"{number}.json").read_text())

    one, many = search(1), search(size)
    assert_alike(traced(tmp_path / "1.jsonl"), traced(tmp_path / f"{size}.jsonl"))
    assert many["ratios"] == one["ratios"]


@pytest.mark.long
def test_a_search_on_emoji_finds_what_one_process_finds(run, tmp_path):
    def search(number):
        out = ["--out", tmp_path / f"{number}.json", "--trace", tmp_path / f"{number}.jsonl"]
        given = ["--images", IMAGES / "calibration", "--labels", "animals", "--backbone", "emoji"]
        assert run(["search", *given, *out], number)[0] == [0] * number
        return json.loads((tmp_path / f"{number}.json").read_text())["ratios"]

    assert search(1) == search(2)
    assert_alike(traced(tmp_path / "1.jsonl"), traced(tmp_path / "2.jsonl"))


def test_scores_are_those_of_one_process_to_the_bit(place, model, run):
    """Blocks of images that are read are the same; those around a broken one up to rounding."""
    for size in (1, 2):
        out = ["--out", place / f"{size}.csv", "--logits", place / f"{size}.npz"]
        codes, _, said = run(["scores", "--images", place / "ood", *model, *out], size)
        assert codes == [0] * size, said
    assert (place / "1.csv").read_bytes() == (place / "2.csv").read_bytes()
    one, two = np.load(place / "1.npz"), np.load(place / "2.npz")
    assert all((one[name] == two[name]).all() for name in one.files)


def test_what_cannot_be_read_is_told_once(place, model, run):
    images = ["--images", place / "ood", place / "id"]
    for size in (1, 2):
        codes, _, said = run(["scores", *images, *model, "--out", place / f"{size}.csv"], size)
        assert codes == [1] * size
        assert said.count("skipped: broken.png") == 1
    one, two = (list(csv.reader((place / f"{size}.csv").open())) for size in (1, 2))
    assert [row[0] for row in one] == [row[0] for row in two]
    numbers = [np.array([row[1:] for row in rows[1:]], dtype=float) for rows in (one, two)]
    np.testing.assert_allclose(*numbers, rtol=1e-5, atol=1e-6)


def test_a_benchmark_and_the_accuracy_are_those_of_one_process(place, model, run):
    sets = ["--id", place / "id", "--ood", place / "ood", "--bootstrap", "20"]
    for size in (1, 2):
        codes, told, said = run(
            ["benchmark", *sets, *model, "--batch-size", "7", "--out", place / f"{size}.json"], size
        )
        assert codes == [1] * size and told.count("AUROC") == 1, said
        assert said.count("broken.png") == 1
        counted = ["accuracy", "--images", place / "id", *model, "--out", place / f"a{size}.json"]
        codes, told, said = run(counted, size)
        assert codes == [1] * size and told.count("images right") == 1, said
    assert (place / "a1.json").read_bytes() == (place / "a2.json").read_bytes()
    one, two = (json.loads((place / f"{size}.json").read_text()) for size in (1, 2))
    assert one["left_out"] == two["left_out"]
    for mine, theirs in zip(one["rows"], two["rows"], strict=True):
        for name, value in mine.items():
            assert theirs[name] == (
                pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
            )


@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_run_and_it_is_resumed(victim, place, model, started, run):
    """kill -9 of one of two in the middle; three go on."""
    for number in range(400):
        shutil.copy(place / "ood" / "0.webp", place / "ood" / f"more-{number}.webp")
    given = ["scores", "--images", place / "ood", *model, "--scores", "mcm"]
    assert run([*given, "--out", place / "one.csv"], 1)[0] == [0]
    processes = started([*given, "--out", place / "two.csv"])
    journal = place / "two.csv.jsonl"
    until = time.monotonic() + 240
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 60):
        assert all(p.poll() is None for p in processes) and time.monotonic() < until
        time.sleep(0.005)
    processes[victim].send_signal(signal.SIGKILL)
    (_, said), code = processes[1 - victim].communicate(timeout=60), processes[1 - victim].wait()
    assert code == 2 and said.count("\n") == 1
    assert "another process of this run has ended" in said and "--resume goes on" in said
    known = journal.read_bytes()
    known = known[: known.rindex(b"\n") + 1]
    codes, _, said = run([*given, "--out", place / "two.csv", "--resume"], 3)
    assert codes == [0, 0, 0], said
    assert f"{known.count(b'{') - 1} images are in" in said
    assert journal.read_bytes().startswith(known)
    one, two = (list(csv.reader((place / f"{n}.csv").open())) for n in ("one", "two"))
    assert [row[0] for row in one] == [row[0] for row in two]
    numbers = [np.array([row[1:] for row in rows[1:]], dtype=float) for rows in (one, two)]
    np.testing.assert_allclose(*numbers, rtol=1e-6)


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the process by /proc")
def test_torchrun_starts_them_again_and_they_go_on(place, model, run):
    """kill -9 of one of two that `--max-restarts` starts again, with `--resume`."""
    for number in range(400):
        shutil.copy(place / "ood" / "0.webp", place / "ood" / f"more-{number}.webp")
    given = ["scores", "--images", place / "ood", *model, "--scores", "mcm"]
    assert run([*given, "--out", place / "one.csv"], 1)[0] == [0]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--nproc-per-node", "2", "--max-restarts", "1", "-m", "--", "setar_core"]
    out = place / "two.csv"
    process = subprocess.Popen(
        [*torchrun, *map(str, given), "--out", str(out), "--resume"],
        cwd=IMAGES.parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    journal, until = Path(f"{out}.jsonl"), time.monotonic() + 240
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 60):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.005)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (second,) = (
        int(child)
        for child in children
        if b"\0RANK=1\0" in Path(f"/proc/{child}/environ").read_bytes()
    )
    os.kill(second, signal.SIGKILL)
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0 and "images are in" in said, said
    one, two = (list(csv.reader((place / f"{n}.csv").open())) for n in ("one", "two"))
    assert [row[0] for row in one] == [row[0] for row in two]


def test_a_search_that_lost_a_process_goes_on_alone(golden, model, started, run, tmp_path):
    given = ["search", "--images", golden / "clip" / "images", *model, *SEARCHES["golden"]]
    assert run([*given, "--out", tmp_path / "a.json", "--trace", tmp_path / "a.jsonl"], 1)[0] == [0]
    out = ["--out", tmp_path / "b.json", "--trace", tmp_path / "b.jsonl"]
    processes = started([*given, *out])
    until = time.monotonic() + 240
    while not (tmp_path / "b.jsonl").exists():
        assert all(p.poll() is None for p in processes) and time.monotonic() < until
        time.sleep(0.001)
    processes[1].send_signal(signal.SIGKILL)
    _, said = processes[0].communicate(timeout=60)
    assert processes[0].returncode in (0, 2) and "Traceback" not in said
    codes, _, said = run([*given, *out, "--resume"], 1)
    assert codes == [0], said
    assert_alike(traced(tmp_path / "a.jsonl"), traced(tmp_path / "b.jsonl"))


REFUSED = {
    "arguments": (["scores", "--nonsense"], "arguments are required"),
    "a value": (["scores", "--images", "nowhere", "--out", "never.csv"], "no such file or folder"),
    "a command of one process": (["metrics", "--id-scores", "a", "--ood-scores", "b"], "a: cannot"),
}


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_all_refuse_is_said_once(arguments, sentence, model, run):
    more = model if arguments[0] == "scores" else []
    codes, told, said = run([*arguments, *more])
    assert codes == [2, 2] and not told
    assert said.count(sentence) == 1 and said.count("\n") == 1


def test_the_first_signal_stops_all_with_one_sentence(place, model, started):
    for number in range(400):
        shutil.copy(place / "ood" / "0.webp", place / "ood" / f"more-{number}.webp")
    processes = started(["scores", "--images", place / "ood", *model, "--out", place / "s.csv"])
    journal = place / "s.csv.jsonl"
    until = time.monotonic() + 240
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 60):
        assert all(p.poll() is None for p in processes) and time.monotonic() < until
        time.sleep(0.005)
    for process in processes:
        process.terminate()
    said = "".join(process.communicate(timeout=60)[1] for process in processes)
    assert {process.returncode for process in processes} <= {143, 2}
    assert said.count("\n") == 1 and "Traceback" not in said
