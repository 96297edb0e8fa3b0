"""Traces: a search that was killed goes on as if it had not been, and no other does."""

import dataclasses
import json
from pathlib import Path

import pytest

from setar_core.search.plan import SearchPlan
from setar_core.search.trace import Trace, header, replay
from tests.core.search.traces import EXHAUSTIVE, PLAN, SCORED, searched, values

pytestmark = pytest.mark.usefixtures("one_thread")

FINE = (0, 0.05, 0.1, 0.2, 0.3)  # both towers win something
CUT = {
    "greedy": SearchPlan(ratios=FINE, top_k=5),
    "principal": SearchPlan(order="text_visual", ratios=FINE, top_k=5, prune="principal"),
    "interleaved": SearchPlan(order="interleaved", ratios=FINE, top_k=5, projection=True),
    "exhaustive": SearchPlan(order="layer_exhaustive", ratios=(0, 0.1, 0.2, 0.3), top_k=5),
    "auroc": SearchPlan(ratios=FINE, top_k=5, objective="auroc"),
    "fpr": SearchPlan(ratios=FINE, top_k=5, objective="fpr", score="mcm"),
}


@pytest.mark.parametrize("plan", [PLAN, EXHAUSTIVE, SCORED], ids=["greedy", "exhaustive", "fpr"])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_a_stopped_search_goes_on_as_if_it_had_not_been(world, tmp_path, plan, share):
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    expected = searched(whole, world, plan)
    stop = max(1, int(share * len(expected)))
    searched(part, world, plan, stop=stop)
    with part.open("a") as file:  # a line that was cut by the end of the process
        file.write('{"step": 1, "tower": "vis')
    found = searched(part, world, plan, resume=True)
    assert values(part) == values(whole)
    assert found[-1].recipe == expected[-1].recipe
    assert [t.improved for t in found] == [t.improved for t in expected]
    assert all(trial.known for trial in found[:stop])


@pytest.mark.parametrize("memory", [None, 5_000_000], ids=["ample", "tight"])
@pytest.mark.parametrize("plan", CUT.values(), ids=CUT)
def test_wherever_a_trace_was_cut_its_search_goes_on_to_the_same_bits(
    world, tmp_path, plan, memory
):
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    expected = searched(whole, world, plan, memory=memory)
    lines = whole.read_text().splitlines(keepends=True)
    for cut in range(2, len(lines), len(lines) // 9):  # within a site, and where one begins
        part.write_text("".join(lines[:cut]))
        found = searched(part, world, plan, resume=True, memory=memory)
        assert values(part) == values(whole), f"cut after {cut} lines"
        assert found[-1].recipe == expected[-1].recipe


@pytest.mark.parametrize("tail", [b"\xff\xfe", b'{"step": 1, "tower": "caf\xc3', b"\0" * 4096])
def test_what_follows_the_last_whole_line_may_be_anything(world, tmp_path, tail):
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    searched(whole, world, SCORED)
    searched(part, world, SCORED, stop=3)
    part.write_bytes(part.read_bytes().replace(b"\n", b"\r\n") + tail)  # as another system ends it
    searched(part, world, SCORED, resume=True)
    assert values(part) == values(whole)


def test_a_trace_of_more_candidates_than_the_search_has_is_refused(world, tmp_path):
    path = tmp_path / "t.jsonl"
    trials = searched(path, world, SCORED)
    text = path.read_text() + path.read_text().splitlines(keepends=True)[-1] + "rest"
    path.write_text(text)
    words = "the trace holds 9 candidates, this search has 8; "
    with pytest.raises(ValueError, match=words):
        Trace(path, header(*world, SCORED), resume=True, total=8)
    assert path.read_text() == text
    trace = Trace(path, header(*world, SCORED), resume=True)
    with trace, pytest.raises(ValueError, match=words):
        trace.write(trials[0])


def test_a_full_disk_is_told_with_the_name_of_the_file(world):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OSError, match=r"/dev/full cannot be written \(No space left"):
        Trace(full, header(*world, PLAN))


def test_resuming_a_whole_trace_runs_nothing(world, tmp_path, monkeypatch):
    path = tmp_path / "t.jsonl"
    expected = searched(path, world, PLAN)
    before = path.read_text()
    monkeypatch.setattr("setar_core.search.evaluator.Evaluator.measure", None)
    found = searched(path, world, PLAN, resume=True)
    assert found[-1].recipe == expected[-1].recipe
    assert path.read_text() == before


def test_resuming_without_a_whole_line_starts_anew(world, tmp_path):
    path = tmp_path / "t.jsonl"
    for text in ("", '{"plan": {"ord'):
        path.write_text(text)
        searched(path, world, SCORED, resume=True)
        assert len(path.read_text().splitlines()) == 1 + 4 * 2
    path.write_text("what I must not forget")
    with pytest.raises(ValueError, match="is no trace"):
        Trace(path, header(*world, SCORED), resume=True)
    assert path.read_text() == "what I must not forget"


def test_another_search_is_not_resumed(world, tmp_path):
    path = tmp_path / "t.jsonl"
    searched(path, world, PLAN, stop=2)
    backbone, calibration = world
    fewer = dataclasses.replace(
        calibration, images=calibration.images[:-1], classes=calibration.classes[:-1]
    )
    other = backbone.with_weights({s: -backbone.weight(s) for s in backbone.sites("q")})
    other._original = other  # a network of its own, not an altered one
    prompt = dataclasses.replace(
        calibration, labels=dataclasses.replace(calibration.labels, prompt="the {}")
    )
    kept = path.read_text()
    for someone, words in (
        ((backbone, fewer, PLAN), "made for images"),
        ((other, calibration, PLAN), "made for weights"),
        ((backbone, prompt, PLAN), "made for labels"),
        ((backbone, calibration, dataclasses.replace(PLAN, top_k=6)), "made with top_k 5"),
    ):
        with pytest.raises(ValueError, match=words):
            Trace(path, header(*someone), resume=True)
    assert path.read_text() == kept, "a refused trace stays as it was"
    path.write_text(kept.replace('"backbone"', '"ba\x7fkbone"', 1))
    with pytest.raises(ValueError, match="made for") as refused:
        Trace(path, header(backbone, calibration, PLAN), resume=True)
    assert str(refused.value).isprintable()
    path.write_text(kept.replace('"backbone"', f'"{"x" * 5000}"', 1))
    with pytest.raises(ValueError, match="made for xxx") as refused:
        Trace(path, header(backbone, calibration, PLAN), resume=True)
    assert len(str(refused.value)) < 600


def test_a_long_objective_is_refused_in_a_sentence():
    first = {"plan": {"objective": "x" * 5000, "prune": "minor", "seed": 0}, "fingerprint": {}}
    with pytest.raises(ValueError, match="is unknown") as refused:
        list(replay(json.dumps(first) + "\n"))
    assert len(str(refused.value)) < 300
    with pytest.raises(ValueError, match="is unknown") as refused:
        SearchPlan(objective="x" * 5000)
    assert len(str(refused.value)) < 300


def test_what_is_no_trace_is_refused(world, tmp_path):
    path = tmp_path / "t.jsonl"
    first = header(*world, PLAN)
    rows = [json.dumps(first), json.dumps({"step": 0, "tower": "visual"})]
    for text, words in (
        ("[1]\n", "not an object"),
        ("{}\n", "no fingerprint"),
        ("\n".join(rows) + "\n", "line 2: 'weight' is missing"),
        (f"{rows[0]}\n{{broken\n", "line 2 is not JSON"),
        ("\xff\n", "not UTF-8"),
    ):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match=words):
            Trace(path, first, resume=True)


def test_a_trace_of_other_candidates_is_refused(world, tmp_path):
    path = tmp_path / "t.jsonl"
    searched(path, world, PLAN, stop=3)
    rows = path.read_text().splitlines()
    path.write_text("\n".join([rows[0], rows[2]]) + "\n")
    with pytest.raises(ValueError, match=r"goes on with visual.3.up at 0.1 where"):
        searched(path, world, PLAN, resume=True)
