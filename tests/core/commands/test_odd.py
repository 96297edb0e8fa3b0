"""What odd files, a killed command or a closed stream must not do.

A mark says what does not hold yet; whoever mends it takes the mark away.
"""

import os
import signal
import subprocess
import sys
import time

import pytest

from setar_core.__main__ import main
from setar_core.detector import Detector
from setar_core.paths import EXAMPLES
from setar_core.search.trace import Trace
from tests.processes import heeds


def npy(header):
    """A file of numpy's with this header."""
    data = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data + bytes(16)


REST = ", 'fortran_order': False, 'shape': "
HEADERS = {
    "a bracket that is never closed": "{'descr': '<c16'" + REST + "(",
    "a string that is never closed": "'''",
    "two types": "{'descr': ',f8'" + REST + "(2,)}",
    "a giant length": "{'descr': '<f8'" + REST + f"({10**30},)}}",
    "half a type": "{'descr': ('<f8',)" + REST + "(2,)}",
    "a key that is a list": "{[]: 1}",
    "too deep": "-" * 8000 + "1",
}


@pytest.fixture
def numbers(tmp_path):
    (tmp_path / "numbers.txt").write_text("1\n2\n3\n")
    return str(tmp_path / "numbers.txt")


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_metrics_of_any_bytes_is_a_sentence(header, numbers, tmp_path, capsys):
    (tmp_path / "odd.npy").write_bytes(npy(header))
    assert main(["metrics", "--id-scores", str(tmp_path / "odd.npy"), "--ood-scores", numbers]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "odd.npy" in said


@pytest.fixture
def model(golden):
    clip = golden / "clip"
    return ["--backbone", f"local-dir:{clip}", "--labels", str(clip / "labels.json")]


@pytest.mark.parametrize("chunks", [0, 1])
def test_the_earlier_table_stays_until_the_new_one_is_whole(
    chunks, model, golden, tmp_path, monkeypatch
):
    """What lies on the disk after some chunks is what a kill would leave there."""

    def watched(self, *args):
        for i, chunk in enumerate(read(self, *args)):
            if i == chunks:
                seen.append(out.read_bytes())
                raise KeyboardInterrupt
            yield chunk

    read, seen, out = Detector.read, [], tmp_path / "scores.csv"
    given = ["scores", "--images", str(golden / "clip" / "images"), *model, "--out", str(out)]
    assert main(given) == 0
    earlier = out.read_bytes()
    monkeypatch.setattr(Detector, "read", watched)
    assert main(given) == 130
    assert seen == [earlier] and out.read_bytes() == earlier


def test_a_trace_that_cannot_grow_replaces_no_finished_recipe(
    model, golden, tmp_path, monkeypatch, capsys
):
    def full(self, trial):
        if trial.index == 4:
            raise OSError(f"{trace} cannot be written (No space left on device)")

    out, trace = tmp_path / "recipe.json", tmp_path / "trace.jsonl"
    out.write_text('{"ratios": {"visual.1.up": 0.3}, "notes": {"finished": true}}')
    earlier = out.read_bytes()
    monkeypatch.setattr(Trace, "write", full)
    images = str(golden / "clip" / "images")
    given = ["search", "--images", images, *model, "--ratios", "0,0.4", "--order", "visual_only"]
    assert main([*given, "--out", str(out), "--trace", str(trace)]) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert out.read_bytes() == earlier
    assert last.startswith("error: ") and str(out) in last and str(trace) in last


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
@pytest.mark.parametrize("command", ["verdict", "metrics"])
def test_a_closed_stream_is_no_traceback(command, closed, model, numbers, monkeypatch, capsys):
    given = {
        "verdict": ["verdict", str(EXAMPLES / "fox.webp"), *model, "--threshold", "0"],
        "metrics": ["metrics", "--id-scores", numbers, "--ood-scores", numbers],
    }
    monkeypatch.setattr(sys, closed, None)
    code = main(given[command])
    told = capsys.readouterr()
    assert code == (2 if closed == "stdout" else 0)
    assert told.err.count("\n") == 1 if closed == "stdout" else told.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["verdict", "scores", "search", "benchmark", "metrics"])
def test_a_signal_while_a_command_loads_is_no_traceback(command, number, model, golden, tmp_path):
    images, pipe = str(golden / "clip" / "images"), tmp_path / "pipe"
    os.mkfifo(pipe)  # keeps `metrics` waiting
    given = {
        "verdict": [images, *model, "--threshold", "0"],
        "scores": ["--images", images, *model, "--out", str(tmp_path / "s.csv")],
        "search": ["--images", images, *model, "--out", str(tmp_path / "r.json")],
        "benchmark": ["--id", images, "--ood", str(EXAMPLES), *model, "--out", str(tmp_path / "r")],
        "metrics": ["--id-scores", str(pipe), "--ood-scores", str(pipe)],
    }[command]
    process = subprocess.Popen(
        [sys.executable, "-m", "setar_core", command, *given],
        cwd=golden.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not heeds(process.pid):
        time.sleep(0.01)
    process.send_signal(number)
    assert process.communicate() == ("", "stopped\n")
    assert process.returncode == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("side", [8000, 10_000, 20_000])
def test_a_picture_over_the_limit_is_one_line_whatever_its_decoder_warns_of(
    side, model, tmp_path, capsys, recwarn
):
    header = b"P5 %d %d 255\n" % (side, side)
    (tmp_path / "large.pgm").write_bytes(header + bytes(100))
    assert main(["verdict", str(tmp_path / "large.pgm"), *model, "--threshold", "0"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "megapixels" in said and not recwarn.list
