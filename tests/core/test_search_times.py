"""Measured search times: read as they were recorded, and refused where they are something else."""

import json

import pytest

from setar_core.search_times import search_times

ENTRY = {
    "title": "ViT-B-16, random weights",
    "images": 128,
    "labels": 1000,
    "candidates": 216,
    "seconds": 100.0,
    "procedure_seconds": 650.0,
    "sampled": 6,
    "command": "python -m tests.speed.search --backbone ViT-B-16",
}


def written(tmp_path, page):
    path = tmp_path / "search_times.json"
    path.write_text(json.dumps(page))
    return path


def test_times_are_read_as_they_were_recorded(tmp_path):
    whole = ENTRY | {"title": "emoji", "sampled": None}
    found = search_times(written(tmp_path, {"machine": "2 cores", "measured": [ENTRY, whole]}))
    assert found.machine == "2 cores"
    assert [time.title for time in found.measured] == ["ViT-B-16, random weights", "emoji"]
    assert found.measured[0].ratio == 6.5 and found.measured[1].sampled is None


def test_nothing_measured_is_nothing(tmp_path):
    assert search_times(tmp_path / "absent.json") is None
    assert search_times(written(tmp_path, {"machine": "2 cores", "measured": []})) is None


@pytest.mark.parametrize(
    "page",
    [
        [],
        {"measured": [ENTRY]},
        {"machine": "m", "measured": [{"title": "x"}]},
        {"machine": "m", "measured": [ENTRY | {"more": 1}]},
        {"machine": "m", "measured": [ENTRY | {"seconds": 0}]},
        {"machine": "m", "measured": [ENTRY | {"images": "many"}]},
    ],
)
def test_something_else_is_refused(tmp_path, page):
    with pytest.raises(ValueError, match=r"search_times\.json holds no search times"):
        search_times(written(tmp_path, page))


def test_what_ships_is_a_whole_and_a_sampled_search():
    found = search_times()
    assert {time.title: time.sampled is None for time in found.measured} == {
        "emoji": True,
        "ViT-B-16, random weights": False,
    }
    assert all(time.command.startswith("python -m tests.speed.search") for time in found.measured)
