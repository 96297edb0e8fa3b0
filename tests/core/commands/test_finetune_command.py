"""`finetune`, what a kill leaves, and adapters in the other commands."""

import csv
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from setar_core.__main__ import main
from setar_core.adapter import Adapter

QUICK = ["--preset", "lora", "--rank", "2", "--epochs", "2", "--batch-size", "16", "--top-k", "9"]


@pytest.fixture
def ask(golden, tmp_path):
    """The command's arguments on the tiny CLIP."""

    def ask(*more, out="a.safetensors"):
        return [
            "finetune", "--backbone", f"local-dir:{golden / 'clip'}",
            "--labels", str(golden / "clip" / "labels.json"),
            "--images", str(golden / "clip" / "images"), "--out", str(tmp_path / out), *more,
        ]  # fmt: skip

    return ask


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_authors_run_from_the_command_line(ask, golden, tmp_path):
    page = json.loads((golden / "clip" / "finetune_lora.json").read_text())
    first = np.load(golden / "clip" / "finetune_lora.npz")
    start = {}
    for key in first.files:
        if key.startswith("init/"):
            parts = key.split(".")
            tower = "visual" if "vision_model" in key else "text"
            part = "A" if "lora_A" in key else "B"
            start[f"{tower}.{parts[parts.index('layers') + 1]}.up/{part}"] = first[key]
    np.savez(tmp_path / "start.npz", **start)
    (tmp_path / "batches.json").write_text(json.dumps(page["batches"]))
    s = page["settings"]
    asked = ask(
        "--preset",
        "lora",
        "--rank",
        str(s["r"]),
        "--lambda",
        str(s["lambda"]),
        "--top-k",
        str(s["top_k"]),
        "--rate",
        str(s["lr"]),
        "--weight-decay",
        str(s["wd"]),
        "--no-augment",
        "--batches",
        str(tmp_path / "batches.json"),
        "--start",
        str(tmp_path / "start.npz"),
        "--log",
        str(tmp_path / "log.jsonl"),
    )
    assert main(asked) == 0
    told = lines(tmp_path / "log.jsonl")
    assert [line["step"] for line in told] == list(range(len(page["batches"])))
    for ours, theirs in zip(told, page["trace"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["locoop_loss"], abs=5e-5)
        assert ours["rate"] == pytest.approx(theirs["lr"], rel=1e-9)
    assert "loss_npos" not in told[0] and told[0]["loss_ood"] is not None


def test_an_adapter_is_used_like_a_recipe(ask, golden, tmp_path, capsys):
    assert main(ask(*QUICK)) == 0
    adapter = tmp_path / "a.safetensors"
    model = ask()[1:5]
    images = str(golden / "clip" / "images")
    told = {}
    for name, more in {"plain": [], "adapter": ["--adapter", str(adapter)]}.items():
        out = tmp_path / f"{name}.csv"
        assert main(["scores", *model, "--images", images, "--out", str(out), *more]) == 0
        told[name] = [row["mcm"] for row in csv.DictReader(out.open())]
    assert told["plain"] != told["adapter"]
    bench = ["benchmark", *model, "--id", images, "--ood", str(golden / "ood" / "images")]
    bench += ["--bootstrap", "0", "--recipe", "original", "--adapter", str(adapter)]
    assert main([*bench, "--out", str(tmp_path / "r.json")]) == 0
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert {row["recipe"] for row in rows} == {"original", "a"}
    capsys.readouterr()
    both = ["verdict", *model, "--adapter", str(adapter), "--recipe", "vit-b-16-voc"]
    both += ["--threshold", "1", images]
    assert main(both) == 2
    assert "leave --recipe out" in capsys.readouterr().err


@pytest.mark.parametrize("augmented", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_killed_training_ends_in_the_same_bytes(ask, tmp_path, augmented):
    many = [*QUICK, "--epochs", "20", *([] if augmented else ["--no-augment"])]
    logs = ["--log", str(tmp_path / "log.jsonl")]
    code = "import setar_core.commands.finetune as f; f.EVERY = 0.05\n"
    code += "import sys; from setar_core.__main__ import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *ask(*many, *logs)], stderr=subprocess.DEVNULL
    )
    state = tmp_path / "a.safetensors.state"
    end = time.monotonic() + 60
    while time.monotonic() < end and not state.exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.exists() and not (tmp_path / "a.safetensors").exists()
    assert main(ask(*many, *logs, "--resume")) == 0
    assert not state.exists()
    assert main(ask(*many, out="b.safetensors")) == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    steps = [line["step"] for line in lines(tmp_path / "log.jsonl")]
    assert steps == list(range(len(steps))) and len(steps) == 20 * 3


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--preset", "adam"], "preset 'adam' is unknown"),
        (["--preset", "setar-ft"], "there is no recipe"),
        (["--rate", "-1"], "rate is -1.0"),
        (["--rate", "nan"], "rate is nan"),
        (["--top-k", "40"], "no patch is OOD"),
        (["--rank", "1000"], "rank is 1000"),
        (["--preset", "coop", "--context", "a  b"], "one space between"),
        (["--preset", "coop", "--context", "90"], "from 1 to 64"),
        (["--batches", "missing.json"], "cannot be read"),
        (["--adapter-is", "x"], "unrecognized"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(ask, capsys, tmp_path, more, reason):
    preset = [] if "--preset" in more else ["--preset", "lora"]
    assert main(ask(*preset, *more)) == 2
    told = capsys.readouterr().err
    assert reason in told and "Traceback" not in told
    assert not (tmp_path / "a.safetensors").exists()


@pytest.mark.parametrize(
    "text", ["{}", "[1]", "[[1, true]]", "[[0.5]]", '[["a"]]', "[[99]]", "[[]]"]
)
def test_an_order_that_is_none_is_refused(ask, capsys, tmp_path, text):
    (tmp_path / "batches.json").write_text(text)
    assert main(ask(*QUICK, "--batches", str(tmp_path / "batches.json"))) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_rate_that_blows_up_says_where_and_keeps_what_was_good(ask, capsys, tmp_path):
    assert main(ask(*QUICK, "--moves", "full", "--rate", "1e6", "--epochs", "20")) == 2
    told = capsys.readouterr().err
    assert "try a rate of" in told and "step " in told
    assert not (tmp_path / "a.safetensors").exists()
    for path in tmp_path.glob("*.partial.safetensors"):
        Adapter.load(path)
