"""`scores` that was stopped, killed, or short of room: what was there stays, what was done too."""

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from setar_core.__main__ import main
from setar_core.commands.scored.table import ScoreTable
from setar_core.detector import Detector

ROOT = Path(__file__).resolve().parents[4]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def place(golden, tmp_path):
    """A folder of the tiny CLIP's own pictures, and one that is broken."""
    for name in ("abacus", "otter", "zebra"):
        shutil.copy(golden / "clip" / "images" / name / "0.png", tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_text("no image")
    return tmp_path


@pytest.fixture
def given(golden, place):
    clip = golden / "clip"
    return ["scores", "--images", str(place), "--backbone", f"local-dir:{clip}", "--labels",
            str(clip / "labels.json"), "--out", str(place / "s.csv")]  # fmt: skip


@pytest.fixture
def read(monkeypatch):
    """The names of the images that are read."""
    names = []

    def read(self, paths, *more):
        names.extend(path.name for path in paths)
        return each(self, paths, *more)

    each = Detector.read
    monkeypatch.setattr(Detector, "read", read)
    return names


def rows(place):
    with (place / "s.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_that_was_cut_off_at_any_byte_goes_on_to_the_same_files(given, place, capsys):
    logits = ["--logits", str(place / "l.npz")]
    assert main([*given, *logits]) == 1
    wanted, lines = rows(place), (place / "s.csv.jsonl").read_bytes()
    arrays = dict(np.load(place / "l.npz"))
    whole = np.concatenate([arrays["whole"][:, None], arrays["local"]], axis=1).tobytes()
    assert not (place / "l.npz.growing").exists()
    starts = np.cumsum([len(line) for line in lines.splitlines(keepends=True)]).tolist()
    each = len(whole) // 3
    for end, held in [
        *((end, len(whole)) for end in (0, 5, *starts, starts[1] + 9, starts[-1] - 1)),
        *((starts[-1], size) for size in (0, 7, each, 2 * each - 4)),
    ]:
        (place / "s.csv.jsonl").write_bytes(lines[:end])
        (place / "l.npz.growing").write_bytes(whole[:held])
        (place / "s.csv").write_text("an earlier table")
        capsys.readouterr()
        assert main([*given, *logits, "--resume"]) == 1
        assert alike(rows(place), wanted)
        found = np.load(place / "l.npz")
        assert found["images"].tolist() == arrays["images"].tolist()
        for name in ("whole", "local", "scale"):
            np.testing.assert_allclose(found[name], arrays[name], rtol=1e-4, atol=1e-4)
        assert capsys.readouterr().err.count("skipped: broken.png") == 1


def alike(some, others):
    """Up to what the size of a batch does to the last digits."""
    numbers = [
        [[float(value) for name, value in row.items() if name != "image"] for row in table]
        for table in (some, others)
    ]
    names = [[row["image"] for row in table] for table in (some, others)]
    return names[0] == names[1] and np.allclose(*numbers, rtol=1e-4, atol=1e-6)


def test_what_was_done_is_not_done_again(given, place, read, capsys):
    assert main(given) == 1 and len(read) == 4
    table, journal = (place / "s.csv").read_bytes(), place / "s.csv.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    for kept, left in ((2, 3), (len(lines), 0)):
        read.clear()
        journal.write_bytes(b"".join(lines[:kept]))
        assert main([*given, "--resume"]) == 1
        assert len(read) == left and (place / "s.csv").read_bytes() == table
        assert f"{kept - 1} images are in {journal} already" in capsys.readouterr().err
    journal.unlink()
    assert main([*given, "--resume"]) == 1
    assert f"{journal} has no image yet; starting from the first" in capsys.readouterr().err


def test_a_killed_run_goes_on(given, place, capsys):
    """kill -9 in the middle, in a process of its own."""
    (place / "broken.png").unlink()
    for i in range(200):
        shutil.copy(place / "zebra.png", place / f"more-{i}.png")
    (place / "s.csv").write_text("an earlier table")
    journal = place / "s.csv.jsonl"
    process = subprocess.Popen([sys.executable, "-m", "setar_core", *given], cwd=ROOT)
    deadline = time.monotonic() + 240
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 30):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    known = journal.read_bytes()
    known = known[: known.rindex(b"\n") + 1]
    assert (place / "s.csv").read_text() == "an earlier table"
    assert main([*given, "--resume"]) == 0
    assert f"{known.count(b'{') - 1} images are in" in capsys.readouterr().err
    assert journal.read_bytes().startswith(known)
    resumed = rows(place)
    assert len(resumed) == 203 == len({row["image"] for row in resumed})
    for row in resumed:
        assert "more" not in row["image"] or alike([row], [resumed[-1] | {"image": row["image"]}])


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_stopped_again_and_again_comes_to_its_end(number, given, place):
    """At any moment: while it loads, reads, and writes its table."""
    for i in range(300):
        shutil.copy(place / "zebra.png", place / f"more-{i}.png")
    given = [*given, "--logits", str(place / "l.npz"), "--resume"]
    rng, kept, code = np.random.default_rng(0), b"", None
    (place / "s.csv").write_text("an earlier table")
    while code not in (0, 1):
        process = subprocess.Popen([sys.executable, "-m", "setar_core", *given], cwd=ROOT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(5, 30))
        process.send_signal(number)
        code = process.wait()
        assert code in (0, 1, -signal.SIGKILL, 128 + signal.SIGTERM, -signal.SIGTERM)
        journal = place / "s.csv.jsonl"
        now = journal.read_bytes() if journal.exists() else b""
        assert now.startswith(kept[: kept.rfind(b"\n") + 1])  # nothing done is done again
        kept = now
        assert (place / "s.csv").read_bytes() == b"an earlier table" or len(rows(place)) == 303
    assert len(rows(place)) == 303 == len(np.load(place / "l.npz")["images"])


@pytest.mark.parametrize("extra", [[], ["--logits"]])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_full_disk_leaves_the_earlier_table(after, extra, given, place, capsys, monkeypatch):
    def full(number):
        calls.append(number)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")

    calls, extra = [], [*extra, *(str(place / "l.npz") for _ in extra)]
    (place / "s.csv").write_text("an earlier table")
    (place / "l.npz").write_text("earlier logits")
    with monkeypatch.context() as patch:
        patch.setattr("setar_core.journal.os.fsync", full)
        assert main([*given, *extra]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be written (No space left on device); make room and resume from it" in said
    assert (place / "s.csv").read_text() == "an earlier table"
    assert (place / "l.npz").read_text() == "earlier logits"
    assert main([*given, *extra, "--resume"]) == 1
    assert len(rows(place)) == 3
    assert not extra or len(np.load(place / "l.npz")["images"]) == 3


@pytest.mark.parametrize("name", ["s.csv", "l.npz"])
def test_a_disk_that_is_full_in_the_end_leaves_all_that_was_found(name, given, place, capsys):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (place / name).write_text("earlier")
    (place / f"{name}.part").symlink_to("/dev/full")
    extra = ["--logits", str(place / "l.npz")]
    assert main([*given, *extra]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"{place / name} cannot be written (No space left on device)" in said
    assert (place / name).read_text() == "earlier"
    assert main([*given, *extra, "--resume"]) == 1
    assert "4 images are in" in capsys.readouterr().err


def test_without_resume_what_a_killed_run_left_is_set_aside(given, place, capsys):
    left = {place / "s.csv.jsonl": "a killed run's", place / "l.npz.growing": "its logits"}
    for path, text in left.items():
        path.write_text(text)
    extra = ["--logits", str(place / "l.npz")]
    assert main([*given, *extra]) == 1
    assert capsys.readouterr().err.count("--resume would go on") == 2
    assert main([*given, *extra]) == 1  # finished: nothing to set aside
    assert "--resume would go on" not in capsys.readouterr().err
    for path, text in left.items():
        assert Path(f"{path}.old").read_text() == text and not Path(f"{path}.old2").exists()


def changed(place):
    (place / "l.json").write_text('["zebra", "abacus"]')
    (place / "r.json").write_text('{"ratios": {"visual.3.up": 0.1}}')
    return {
        "scores": ["--scores", "mcm"],
        "temperature": ["--temperature", "2"],
        "labels": ["--labels", str(place / "l.json")],
        "recipe": ["--recipe", str(place / "r.json")],
        "logits": ["--logits", str(place / "l.npz")],
        "images": ["--images", str(place / "zebra.png")],
    }


def test_a_run_under_other_conditions_is_not_resumed(given, place, capsys):
    assert main(given) == 1
    names = ("s.csv", "s.csv.jsonl")
    before = [(place / name).read_bytes() for name in names]
    for what, extra in changed(place).items():
        capsys.readouterr()
        assert main([*given, *extra, "--resume"]) == 2
        assert f"made with {what}" in capsys.readouterr().err.splitlines()[-1]
        assert [(place / name).read_bytes() for name in names] == before
    shutil.copy(place / "otter.png", place / "zebra.png")
    assert main([*given, "--resume"]) == 2
    assert "made with files" in capsys.readouterr().err


LINES = [
    "no json",
    "[1, 2]",
    '{"image": ["x"], "scores": [0.5]}',
    '{"image": "elsewhere.png", "scores": [0.5]}',
    '{"image": "IMAGE", "scores": [0.5, 0.5]}',
    '{"image": "IMAGE", "scores": [NaN]}',
    '{"image": "IMAGE", "scores": [true]}',
    '{"image": "IMAGE", "scores": {"mcm": 0.5}}',
    '{"image": "IMAGE", "scores": [0.5], "logits": 4}',
    '{"image": "IMAGE", "left_out": 3}',
    '{"image": "IMAGE", "scores": [1' + "0" * 5000 + "]}",
    "[" * 100_000,
    "x" * 10**6,
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:40])
def test_a_file_that_is_no_journal_of_scores_is_refused_and_left(line, given, place, capsys):
    assert main([*given, "--scores", "mcm"]) == 1
    journal = place / "s.csv.jsonl"
    first = journal.read_text().splitlines()[0]
    line = line.replace("IMAGE", str(place / "zebra.png"))
    for text in (f"{line}\n", f"{first}\n{line}\n"):
        journal.write_text(text)
        capsys.readouterr()
        assert main([*given, "--scores", "mcm", "--resume"]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and len(said) < 1000 and str(journal) in said
        assert journal.read_text() == text


@pytest.mark.parametrize("ends", [[0], [-4], [12], [True], ["4"], [6480, 6480], [6480, 12964]])
def test_logits_that_end_elsewhere_are_refused(ends, given, place, capsys):
    given = [*given, "--scores", "mcm", "--logits", str(place / "l.npz")]
    assert main(given) == 1
    journal, growing = place / "s.csv.jsonl", place / "l.npz.growing"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    first, *scored = (page for page in lines if "left_out" not in page)
    pages = [page | {"logits": end} for page, end in zip(scored, ends, strict=False)]
    journal.write_text("".join(json.dumps(page) + "\n" for page in (first, *pages)))
    growing.write_bytes(bytes(100_000))
    assert main([*given, "--resume"]) == 2
    assert "start without --resume" in capsys.readouterr().err


def test_images_that_are_given_twice_are_read_once_and_told_twice(given, place, read):
    twice = ["--images", *(str(place / f"{name}.png") for name in ("zebra", "otter", "zebra"))]
    assert main([*given, *twice, "--logits", str(place / "l.npz")]) == 0
    assert read == ["zebra.png", "otter.png"]
    found = rows(place)
    assert found[0] == found[2] != found[1]
    logits = np.load(place / "l.npz")
    assert logits["images"].tolist() == [row["image"] for row in found]
    assert (logits["local"][0] == logits["local"][2]).all()
    assert not (logits["whole"][0] == logits["whole"][1]).all()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_scores_that_are_no_numbers_leave_the_image_out(value, given, place, monkeypatch, capsys):
    def spoilt(self, images, scores, logits):
        scores[[path.name == "otter.png" for path in images].index(True), 2] = value
        return add(self, images, scores, logits)

    add = ScoreTable.add
    monkeypatch.setattr(ScoreTable, "add", spoilt)
    assert main([*given, "--logits", str(place / "l.npz")]) == 1
    assert "skipped: 'otter.png': its scores are no numbers" in capsys.readouterr().err
    names = [os.path.basename(row["image"]) for row in rows(place)]
    assert names == ["abacus.png", "zebra.png"]
    assert [Path(name).name for name in np.load(place / "l.npz")["images"]] == names
