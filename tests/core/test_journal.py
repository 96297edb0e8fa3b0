"""Journals: what was appended is there after a kill, and another's file is not taken up."""

import json

import pytest

from setar_core.journal import Journal, check_same, differences, whole_lines

FIRST = {"plan": {"ratios": [0, 0.1]}}
BEGINNING = b'{"plan"'


def read(path, most=100):
    return list(whole_lines(path, "log", BEGINNING, most))


def test_every_append_is_on_the_disk_before_the_file_is_closed(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = Journal(path, FIRST)
    journal.append({"a": 1}, {"a": 2})
    assert [json.loads(line.content) for line in read(path)] == [FIRST, {"a": 1}, {"a": 2}]
    journal.close()


@pytest.mark.parametrize("tail", [b"", b'{"a": ', b"\xff\0\0"])
def test_it_goes_on_after_the_last_whole_line(tmp_path, tail):
    path = tmp_path / "j.jsonl"
    Journal(path, FIRST).close()
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    (line,) = read(path)
    assert (line.number, line.content, line.end) == (1, whole, len(whole))
    journal = Journal(path, FIRST, line.end)
    journal.append({"a": 1})
    assert path.read_bytes() == whole + b'{"a": 1}\n'
    journal.close()


@pytest.mark.parametrize("text", ["", '{"pl', '{"plan": {"ord'])
def test_a_first_line_that_was_cut_is_no_line(tmp_path, text):
    path = tmp_path / "j.jsonl"
    path.write_text(text)
    assert read(path) == []


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_text("what I must not forget")
    with pytest.raises(ValueError, match=r"j\.jsonl is no log; give another file"):
        read(path)
    path.write_text("x" * 100)
    with pytest.raises(ValueError, match="line 1: too long for a log"):
        read(path)


def test_differences_are_named_but_for_that_of_the_backbones_names():
    ours = {"backbone": "b", "weights": "1", "ratios": (0, 0.1)}
    assert list(differences({"backbone": "a", "weights": "1", "ratios": [0, 0.1]}, ours)) == []
    found = list(differences({"ratios": [0]}, ours))
    assert found == [("weights", None, "1"), ("ratios", [0], [0, 0.1])]


def test_a_difference_is_told_in_what_can_be_printed(tmp_path):
    for key in ("\x1f", "labels_of\u202e"):
        with pytest.raises(ValueError, match="was made with") as error:
            check_same(tmp_path / "j.jsonl", {key: "a"}, {})
        assert str(error.value).isprintable()
