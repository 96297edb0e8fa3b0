"""`papers` and `accuracy` on the command line, in the embedded world."""

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from setar_core.__main__ import main
from setar_core.paths import BENCHMARK

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["papers", "--world", "emoji", "--small"]


def numbers(folder):
    """A report without its commands, which name the folder."""
    page = json.loads((folder / "papers.json").read_text())
    for table in page["tables"]:
        for row in table["rows"]:
            del row["commands"]
    return page


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("papers")
    assert main([*SMALL, "--table", "projection", "--out", str(out)]) == 0
    return out


def test_all_four_reports_have_the_numbers(whole):
    page = numbers(whole)
    rows = page["tables"][0]["rows"]
    assert [row["title"] for row in rows if row["cells"]] == ["Without"] * 2 + ["With"] * 2
    lacking = [row for row in rows if row["lacks"]]
    assert {row["known"] for row in lacking} == {"pascal_voc"} and not page["comparable"]
    shown = f"{rows[0]['cells'][0]['value']:.2f}"
    for ending in ("html", "md", "tex"):
        text = (whole / f"papers.{ending}").read_text()
        assert shown in text and "no Pascal VOC" in text


def test_each_number_is_what_its_command_finds_alone(whole, tmp_path):
    page = json.loads((whole / "papers.json").read_text())
    row = page["tables"][0]["rows"][0]
    (command,) = row["commands"]
    arguments = shlex.split(command)[1:]
    arguments[arguments.index("--out") + 1] = str(tmp_path / "alone.json")
    assert arguments[0] == "benchmark" and main(arguments) == 0
    rows = json.loads((tmp_path / "alone.json").read_text())["rows"]
    found = {(r["ood"], m): r[m] for r in rows if r["score"] == row["score"] for m in ("fpr95",)}
    for cell in row["cells"]:
        if cell["metric"] == "fpr95":
            assert cell["value"] == found[cell["column"].replace("average", "mean"), "fpr95"]


def test_a_killed_run_goes_on_to_the_same_report(whole, tmp_path):
    out = tmp_path / "killed"
    asked = [*SMALL, "--table", "projection", "--out", str(out)]
    run = [sys.executable, "-m", "setar_core", *asked]
    process = subprocess.Popen(run, cwd=ROOT, stderr=subprocess.DEVNULL)
    found = out / "search" / "vit-b-16.imagenet1k.search.jsonl"
    begun = time.monotonic()
    while not found.exists() or found.read_bytes().count(b"\n") < 4:
        assert process.poll() is None and time.monotonic() < begun + 120
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "search" / "vit-b-16.imagenet1k.search.json").exists()
    assert main([*asked, "--resume"]) == 0
    assert numbers(out) == numbers(whole)


def test_a_run_begins_in_a_folder_of_its_own(whole, tmp_path, capsys):
    assert main([*SMALL, "--table", "projection", "--out", str(whole)]) == 2
    assert "is not empty; --resume goes on with it" in capsys.readouterr().err
    assert main(["papers", "--world", "emoji", "--out", str(whole), "--resume"]) == 2
    assert "another run: small was True" in capsys.readouterr().err
    (tmp_path / "mine.txt").touch()
    assert main([*SMALL, "--out", str(tmp_path), "--resume"]) == 2
    assert "holds no run of `papers`" in capsys.readouterr().err
    for wrong, told in (
        (["--table", "9"], "table '9' is unknown"),
        (["--backbone", "ViT"], "network 'ViT' is unknown; use vit-b-16, vit-l-14, swinv2-b"),
        (["--table", "1", "--backbone", "swinv2-b"], "have no row of swinv2-b"),
    ):
        assert main([*SMALL, *wrong, "--out", str(tmp_path / "new")]) == 2
        assert told in capsys.readouterr().err
    assert main(["papers", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "new")]) == 2
    assert "no such folder; datasets.md" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_commands_alone_are_listed(tmp_path, capsys):
    asked = ["papers", "--world", "emoji", "--table", "2", "--list", "--out", str(tmp_path / "x")]
    assert main(asked) == 0
    lines = capsys.readouterr().out.splitlines()
    kinds = [line.split()[1] for line in lines]
    assert kinds.count("finetune") == 5 * 3 and kinds.count("search") == 1
    assert len(set(lines)) == len(lines) and not (tmp_path / "x").exists()


@pytest.mark.long
def test_all_of_it_small(tmp_path):
    assert main([*SMALL, "--out", str(tmp_path / "all")]) == 1  # a tower is deeper than the other
    page = numbers(tmp_path / "all")
    assert sum(len(row["cells"]) for table in page["tables"] for row in table["rows"]) > 900


@pytest.fixture
def pictures(tmp_path):
    """Two pictures of each of five animals."""
    for name in ("bat", "bear", "bee", "fox", "owl"):
        for path in sorted((BENCHMARK / "id" / name).iterdir())[:2]:
            (tmp_path / "id" / name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, tmp_path / "id" / name / path.name)
    return tmp_path / "id"


def test_accuracy_is_that_of_a_benchmark(pictures, tmp_path, capsys):
    out = tmp_path / "accuracy.json"
    model = ["--backbone", "emoji", "--labels", "animals"]
    asked = ["accuracy", "--images", str(pictures), *model, "--recipe", "emoji-searched"]
    assert main([*asked, "--out", str(out)]) == 0
    page = json.loads(out.read_text())
    bench = ["benchmark", "--id", str(pictures), "--ood", str(BENCHMARK / "noise"), *model]
    results = tmp_path / "results.json"
    more = ["--recipe", "emoji-searched", "--scores", "mcm", "--bootstrap", "0"]
    assert main([*bench, *more, "--out", str(results)]) == 0
    wanted = json.loads(results.read_text())["accuracy"]["emoji-searched"]
    assert page["top1"] == pytest.approx(wanted) and page["images"] == 10
    assert sum(one["right"] for one in page["classes"]) == round(wanted / 10)
    assert page["top1"] <= page["top5"] <= 100 and page["ci"][0] <= page["top1"] <= page["ci"][1]
    assert f"{page['top1']:.2f} % of 10 images right" in capsys.readouterr().out


def test_accuracy_counts_what_it_could_not_read(pictures, capsys):
    (pictures / "fox" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    model = ["--backbone", "emoji", "--labels", "animals"]
    assert main(["accuracy", "--images", str(pictures), *model]) == 1
    told = capsys.readouterr()
    assert "skipped:" in told.err and "torn.png" in told.err and "of 10 images right" in told.out


def test_accuracy_needs_folders_that_bear_labels(pictures, capsys):
    model = ["--backbone", "emoji", "--labels", "food"]
    assert main(["accuracy", "--images", str(pictures), *model]) == 2
    assert "does not hold one folder of images for each label" in capsys.readouterr().err
