"""`scores` as Parquet, and in memory that does not grow with its images."""

import csv
import pathlib
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from setar_core import Detector, LabelSet, load_backbone
from setar_core.__main__ import main
from setar_core.backbones import Logits
from setar_core.commands.metrics import read_scores
from setar_core.commands.scored.formats import write
from setar_core.commands.scored.table import ScoreTable
from setar_core.data.names import Names

ROOT = Path(__file__).resolve().parents[4]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def given(golden, tmp_path):
    clip = golden / "clip"
    shutil.copy(clip / "images" / "otter" / "0.png", tmp_path / "=1+1.png")
    (tmp_path / "broken.png").write_text("no image")
    shutil.copy(clip / "images" / "zebra" / "0.png", tmp_path / "zebra.png")
    return ["scores", "--images", str(tmp_path), "--backbone", f"local-dir:{clip}",
            "--labels", str(clip / "labels.json"), "--out"]  # fmt: skip


def test_parquet_holds_what_csv_holds(given, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    table, columns = out / "s.csv", out / "s.parquet"
    assert main([*given, str(table)]) == main([*given, str(columns)]) == 1
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = pq.read_table(columns)
    assert found.column_names == list(rows[0]) and len(rows) == 2
    assert [Path(name).name for name in found["image"].to_pylist()] == ["=1+1.png", "zebra.png"]
    for name in found.column_names[1:]:
        assert found.schema.field(name).type == pa.float64()
        assert found[name].to_pylist() == [float(row[name]) for row in rows]
        np.testing.assert_array_equal(read_scores(columns, name), read_scores(table, name))
    assert main([*given, str(columns), "--resume"]) == 1
    assert pq.read_table(columns).equals(found)
    capsys.readouterr()
    files = ["--id-scores", str(columns), "--ood-scores", str(table)]
    assert main(["metrics", *files, "--column", "mcm"]) == 0
    assert "50.00" in capsys.readouterr().out


def test_a_table_without_rows_has_its_columns(tmp_path):
    write(str(tmp_path / "s.parquet"), ["mcm", "energy"], [])
    assert pq.read_table(tmp_path / "s.parquet").column_names == ["image", "mcm", "energy"]


def test_rows_come_in_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("setar_core.commands.scored.formats.GROUP", 3)
    rows = [(f"\udcff{i}.png", [i / 7]) for i in range(7)]
    write(str(tmp_path / "s.parquet"), ["mcm"], iter(rows))
    file = pq.ParquetFile(tmp_path / "s.parquet")
    assert file.metadata.num_row_groups == 3
    assert file.read()["image"].to_pylist()[6] == r"\udcff6.png"
    assert file.read()["mcm"].to_pylist() == [row[1][0] for row in rows]


def test_without_pyarrow_nothing_is_read(given, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("setar_core.commands.scored.formats.find_spec", lambda name: None)
    assert main([*given, str(tmp_path / "s.parquet")]) == 2
    assert "Parquet needs pyarrow; install setar-explorer[parquet]" in capsys.readouterr().err
    assert not (tmp_path / "s.parquet.jsonl").exists()


ODD = {
    "no Parquet": (None, "mcm", "no Parquet file that is read here"),
    "no such column": ({"mcm": [0.5]}, "energy", "give --column 'mcm'"),
    "words": ({"mcm": ["x"]}, "mcm", "give another file"),
    "several": ({"mcm": [0.5], "gl_mcm": [0.5]}, None, "give --column 'mcm' or --column 'gl_mcm'"),
    "an empty cell": ({"mcm": [0.5, None]}, "mcm", "row 2: nan is no finite number"),
    "infinity": ({"mcm": [np.inf]}, "mcm", "row 1: inf is no finite number"),
}


@pytest.mark.parametrize(("columns", "name", "said"), ODD.values(), ids=ODD)
def test_odd_parquet_is_refused_with_the_reason(columns, name, said, tmp_path):
    path = tmp_path / "odd.parquet"
    if columns is None:
        path.write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    else:
        pq.write_table(pa.table(columns), path)
    with pytest.raises(ValueError, match=r"odd\.parquet") as refused:
        read_scores(path, name)
    assert said in str(refused.value)


def test_more_rows_than_are_read_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("setar_core.commands.metrics.MAX_BYTES", 2_000)
    pq.write_table(pa.table({"mcm": np.zeros(251)}), tmp_path / "s.parquet")
    with pytest.raises(ValueError, match="251 rows; at most 250 are read"):
        read_scores(tmp_path / "s.parquet")


def test_an_image_takes_as_little_memory_as_its_name(golden, tmp_path):
    """Whether 2,000 or 22,000 images: a name, its hash, and where its line begins."""
    clip = golden / "clip"
    backbone = load_backbone(f"local-dir:{clip}")
    detector = Detector(backbone, LabelSet.load(clip / "labels.json"))
    logits = Logits(torch.zeros(1000, 1), None, 1.0, (0, 0))

    def memory(count):
        images = Names(f"shard.tar/{i:09}.jpg" for i in range(count))
        tracemalloc.start()
        out = str(tmp_path / f"{count}.parquet")
        table = ScoreTable(detector, ["mcm"], images, tmp_path / f"{count}.jsonl")
        for first in range(0, count, 1000):
            table.add(list(map(Path, images[first : first + 1000])), torch.rand(1000, 1), logits)
        others = tracemalloc.Filter(False, pathlib.__file__)  # its table of words grows at times
        held = sum(x.size for x in tracemalloc.take_snapshot().filter_traces([others]).traces)
        assert table.known == count and table.whole and not len(table.missing)
        table.save(out)
        table.close()
        tracemalloc.stop()
        assert pq.ParquetFile(out).metadata.num_rows == count
        return held

    assert (memory(22_000) - memory(2_000)) / 20_000 < 64


def test_pyarrow_is_asked_only_for_parquet():
    code = (
        "import sys, setar_core.commands.scored.formats, setar_core.commands.metrics\n"
        "assert 'pyarrow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
