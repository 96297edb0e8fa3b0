"""Images in shards on the command line: the same numbers as of the files they were packed from."""

import csv
import io
import json
import tarfile
from pathlib import Path

import pytest

from setar_core.__main__ import main
from setar_core.paths import BENCHMARK

EMOJI = ["--backbone", "emoji", "--labels", "animals"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The same pictures as files and as two shards of each set, with labels."""
    root = tmp_path_factory.mktemp("packed")
    for name, step in (("id", 50), ("near", 20)):
        files = sorted((BENCHMARK / name).rglob("*.webp"))[::step][:10]
        for half in (0, 1):
            with tarfile.open(root / f"{name}-{half}.tar", "w") as tar:
                for number in range(5 * half, 5 * half + 5):
                    data, label = files[number].read_bytes(), files[number].parent.name
                    kept = root / name / label / f"{number}.webp"
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    kept.write_bytes(data)
                    _add(tar, f"{number}.webp", data)
                    _add(tar, f"{number}.cls", label.encode())
    return root


def _add(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def scores(path):
    with path.open(newline="") as file:
        return {Path(row["image"]).name: float(row["mcm"]) for row in csv.DictReader(file)}


def test_scores_of_shards_are_those_of_the_files(packed, tmp_path):
    found = []
    for number, images in enumerate(("id", "id-{0..1}.tar")):
        out = tmp_path / f"{number}.csv"
        asked = ["scores", "--images", f"{packed}/{images}", *EMOJI, "--scores", "mcm"]
        assert main([*asked, "--out", str(out)]) == 0
        found.append(scores(out))
    assert len(found[0]) == 10 and found[1] == pytest.approx(found[0], rel=1e-6)


def test_a_shard_that_is_cut_short_is_named_and_the_rest_is_scored(packed, tmp_path, capsys):
    whole = (packed / "id-1.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "s.csv"
    asked = ["scores", "--images", str(tmp_path), *EMOJI, "--scores", "mcm", "--out", str(out)]
    assert main(asked) == 1
    assert "cut.tar: is cut short, behind" in capsys.readouterr().err
    before = scores(out)
    assert 0 < len(before) < 5 and main([*asked, "--resume"]) == 1 and scores(out) == before


def test_a_benchmark_of_shards_is_that_of_the_folders(packed, tmp_path):
    pages = []
    for number, kind in enumerate(("", "-{0..1}.tar")):
        out = tmp_path / f"{number}.json"
        sets = ["--id", f"{packed}/id{kind}", "--ood", f"{packed}/near{kind}"]
        more = ["--scores", "mcm", "--bootstrap", "0", "--out", str(out)]
        assert main(["benchmark", *sets, *EMOJI, *more]) == 0
        pages.append(json.loads(out.read_text()))
    rows = [page["rows"][0] for page in pages]
    for metric in ("fpr95", "auroc", "n_id", "n_ood"):
        assert rows[0][metric] == pytest.approx(rows[1][metric], abs=1e-6)
    asked = ["accuracy", "--images", f"{packed}/id-{{0..1}}.tar", *EMOJI]
    assert main([*asked, "--out", str(tmp_path / "a.json")]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["images"] == rows[0]["n_id"] == 10
