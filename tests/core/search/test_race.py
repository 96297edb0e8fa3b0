"""The quick search: it finds what the exact one does, and says what it left out."""

import dataclasses

import pytest
import torch

from setar_core.recipe import Site
from setar_core.search import race
from setar_core.search.greedy import greedy_search
from setar_core.search.plan import SearchPlan
from setar_core.search.race import Race, error
from setar_core.search.trace import Trace, header, replay
from setar_core.search.trial import Losses, Measures
from tests.core.search.traces import PLAN, searched, values

pytestmark = pytest.mark.usefixtures("one_thread", "raced")

FINE = SearchPlan(ratios=(0, 0.05, 0.1, 0.2, 0.3, 0.4), top_k=5)
PLANS = {
    "greedy": FINE,
    "coarse": PLAN,
    "exhaustive": dataclasses.replace(FINE, order="layer_exhaustive", ratios=(0, 0.1, 0.2, 0.3)),
    "principal": dataclasses.replace(FINE, order="text_visual", prune="principal"),
    "loss_ood": dataclasses.replace(FINE, objective="loss_ood", batch_size=4),
}


@pytest.fixture
def raced(monkeypatch):
    """Small networks race too, on any processor."""
    monkeypatch.setattr(race, "SMALL", 0)
    monkeypatch.setattr("setar_core.search.greedy.rounds_fast", lambda device: True)


def quick(plan):
    return dataclasses.replace(plan, quick=True)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_quick_search_finds_what_the_exact_one_does(world, plan):
    *_, exact = greedy_search(*world, plan)
    trials = list(greedy_search(*world, quick(plan)))
    assert trials[-1].recipe.ratios == exact.recipe.ratios
    assert trials[-1].best.objective(plan.objective) == pytest.approx(
        exact.best.objective(plan.objective), abs=1e-6
    )
    assert len(trials) == exact.total
    for trial in trials:
        assert not (trial.improved and trial.left_out)
        assert trial.left_out is None or trial.ratio


def test_the_interval_holds_the_exact_objective_of_what_was_left_out(world):
    exact = {(t.site, t.ratio): t.objective for t in greedy_search(*world, FINE)}
    out = [t for t in greedy_search(*world, quick(FINE)) if t.left_out]
    assert out
    for trial in out:
        low, high = trial.left_out
        assert low <= exact[trial.site, trial.ratio] <= high


def test_a_stopped_quick_search_goes_on_alike(world, tmp_path):
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    expected = searched(whole, world, quick(FINE))
    lines = whole.read_text().splitlines(keepends=True)
    for cut in (2, 5, 7, 12, 19, len(lines) - 1):
        part.write_text("".join(lines[:cut]))
        found = searched(part, world, quick(FINE), resume=True)
        for mine, theirs in zip(values(part), values(whole), strict=True):
            limits = mine.pop("left_out", ()), theirs.pop("left_out", ())
            numbers = mine.keys() - {"plan", "fingerprint", "tower", "weight", "block"}
            told = [{key: row[key] for key in numbers} for row in (mine, theirs)]
            assert told[0] == pytest.approx(told[1], rel=1e-5), f"cut after {cut} lines"
            assert limits[0] == pytest.approx(limits[1], rel=1e-4)  # what was settled ran again
        assert found[-1].recipe.ratios == expected[-1].recipe.ratios


def test_a_replay_tells_what_was_left_out(world, tmp_path):
    path = tmp_path / "t.jsonl"
    expected = searched(path, world, quick(FINE))
    found = list(replay(path.read_text()))
    assert [t.left_out for t in found] == [t.left_out for t in expected]
    assert [t.improved for t in found] == [t.improved for t in expected]
    assert found[-1].recipe.ratios == expected[-1].recipe.ratios
    bad = path.read_text().replace('"left_out": [', '"left_out": [1, ', 1)
    with pytest.raises(ValueError, match=r"left_out is .*not two numbers"):
        list(replay(bad))


def test_quick_and_exact_traces_are_not_mixed(world, tmp_path):
    path = tmp_path / "t.jsonl"
    searched(path, world, FINE, stop=2)
    assert '"quick"' not in path.read_text()
    with pytest.raises(ValueError, match="made with quick"):
        Trace(path, header(*world, quick(FINE)), resume=True)
    searched(path, world, quick(FINE), stop=2)
    with pytest.raises(ValueError, match="made with quick"):
        Trace(path, header(*world, FINE), resume=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"objective": "auroc"}, "cannot tell"), ({"precision": "bf16"}, "ends in fp32"),
     ({"quick": 1}, "give true or false")],
)  # fmt: skip
def test_what_cannot_race_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        SearchPlan(**{"quick": True, **settings})


def test_without_bf16_or_in_a_small_network_every_candidate_runs(world, monkeypatch):
    def value(trials):
        return [(t.measures.losses, t.improved, t.left_out) for t in trials]

    exact = value(greedy_search(*world, FINE))
    monkeypatch.setattr(race, "SMALL", 2**19)
    assert value(greedy_search(*world, quick(FINE))) == exact
    monkeypatch.setattr(race, "SMALL", 0)
    monkeypatch.setattr("setar_core.search.greedy.rounds_fast", lambda device: False)
    assert value(greedy_search(*world, quick(FINE))) == exact


class Told:
    """Stands for an evaluator: each ratio's shares of images are given."""

    def __init__(self, shares):
        self.told = shares
        self.source = self
        self.ran = []

    def weight(self, site):
        return torch.zeros(1)

    def recall(self, site, ratio):
        return None

    def learn(self, site, ratio, measures):
        pass

    def builder(self, site, ratio):
        self.ran.append(ratio)
        return Made(self.told[ratio])


class Made:
    def __init__(self, told):
        self.told = told

    def shares(self):
        return self.told

    def build(self):
        mean = float(self.told.mean())
        return Measures(Losses(mean, mean, 0.0, 0.0, 0.0))


def test_a_winner_that_bf16_places_second_is_not_left_out():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(4, 32, generator=generator, dtype=torch.float64)
    means = torch.tensor([0.0, -0.5, -0.52, 3.0]).double()[:, None]
    exact = dict(zip((0.0, 0.1, 0.2, 0.3), means.expand(-1, 32), strict=True))
    rounded = dict(zip(exact, means + 0.3 * (noise - noise.mean(dim=1, keepdim=True)), strict=True))
    rounded[0.2] = rounded[0.2] + 0.04  # bf16 takes it for worse than 0.1
    plan = SearchPlan(ratios=tuple(exact), quick=True)
    full = Told(exact)
    found = Race(full, Told(rounded), plan).run(Site("visual", 0, "up"), None, ())
    assert found[0.2].left_out is None
    assert found[0.3].left_out is not None
    assert full.ran == [0.0, 0.1, 0.2]
    low, high = found[0.3].left_out
    assert low < 3 < high


def test_the_error_is_of_a_mean():
    assert error(torch.tensor([1.0, -1.0, 1.0, -1.0]), torch.zeros(4)) == pytest.approx(
        (4 / 3) ** 0.5 / 2
    )
    assert error(torch.ones(1), torch.ones(1)) == float("inf")
