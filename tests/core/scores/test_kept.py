"""What is kept on disk: whole or not there, bounded, and shared by processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from setar_core.paths import cache
from setar_core.scores import kept as place
from setar_core.scores.kept import keep, kept

SHAPE = (30, 8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SETAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "texts"


def rows(seed=0):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def test_what_was_kept_is_there(folder):
    assert kept("a", SHAPE) is None
    keep("a", rows())
    assert torch.equal(kept("a", SHAPE), rows())
    assert [path.name for path in folder.iterdir()] == ["a.safetensors"]
    assert folder.stat().st_mode & 0o077 == 0 or os.name == "nt"


def test_another_shape_is_not_it():
    keep("a", rows())
    assert kept("a", (8, 30)) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"\0" * 100_000,
        lambda data: data[:-5] + bytes([data[-5] ^ 1]) + data[-4:],
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data.replace(b"crc32", b"crc23"),
        lambda data: data.replace(b"rows", b"cols"),
        lambda data: data.replace(b"F32", b"I32"),
    ],
)
def test_a_file_that_is_not_whole_is_not_there(damage, folder):
    keep("a", rows())
    path = folder / "a.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    assert kept("a", SHAPE) is None
    keep("a", rows(1))
    assert torch.equal(kept("a", SHAPE), rows(1))


def test_what_was_used_longest_ago_goes_first(folder, monkeypatch):
    for age, name in ((3, "a"), (2, "b"), (1, "c")):
        keep(name, rows())
        path = folder / f"{name}.safetensors"
        os.utime(path, (path.stat().st_mtime - 100 * age,) * 2)
    assert kept("a", SHAPE) is not None  # used now
    monkeypatch.setattr(place, "LIMIT", 3 * path.stat().st_size)
    keep("d", rows())
    assert sorted(p.stem for p in folder.iterdir()) == ["a", "c", "d"]


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SETAR_CACHE", str(tmp_path / "file"))
    keep("a", rows())
    assert kept("a", SHAPE) is None


def test_a_write_that_fails_leaves_nothing(folder, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(place.os, "replace", full)
    keep("a", rows())
    assert list(folder.iterdir()) == []


def test_two_processes_may_write_at_once(folder):
    code = (
        "import torch; from setar_core.scores.kept import keep, kept\n"
        "torch.set_num_threads(1)\n"
        "rows = torch.arange(400_000.).view(-1, 8)\n"
        "for i in range(60):\n"
        "    keep(f'k{i % 3}', rows)\n"
        "    found = kept(f'k{i % 3}', rows.shape)\n"
        "    assert found is not None and torch.equal(found, rows)\n"
    )
    root = Path(__file__).resolve().parents[3]
    runs = [subprocess.Popen([sys.executable, "-c", code], cwd=root) for _ in range(2)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    assert sorted(path.name for path in folder.iterdir()) == [f"k{i}.safetensors" for i in range(3)]


def test_where_things_are_kept(monkeypatch, tmp_path):
    assert cache() == tmp_path / "cache"
    monkeypatch.delenv("SETAR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache() == tmp_path / "setar"
    for other in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", other)
        assert cache() == Path.home() / ".cache" / "setar"
