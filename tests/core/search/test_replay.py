"""Any trace can be replayed, ours and the authors', and what no search writes is refused."""

import dataclasses
import json
import math
import re

import pytest

from setar_core.recipe import Recipe, Site
from setar_core.search.trace import header, line, replay
from tests.core.search.traces import EXHAUSTIVE, PLAN, SCORED, searched

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_replay_shows_what_the_search_showed(world, tmp_path):
    for plan in (PLAN, EXHAUSTIVE, SCORED):
        path = tmp_path / f"{plan.order}.jsonl"
        trials = searched(path, world, plan)
        for seen, again in zip(trials, replay(path.read_text()), strict=True):
            assert (seen.site, seen.ratio, seen.step) == (again.site, again.ratio, again.step)
            assert seen.objective == pytest.approx(again.objective)
            assert seen.improved == again.improved
            assert seen.measures.losses == again.measures.losses
            assert dict(seen.recipe.ratios) == dict(again.recipe.ratios)
            assert again.recipe.backbone == world[0].name


BAD = {
    "infinite": ({"locoop_loss": math.inf}, "locoop_loss is inf, not a finite number"),
    "not a number": ({"loss_id": math.nan}, "loss_id is nan"),
    "huge": ({"loss_ood": 10**400}, "loss_ood is 1000"),
    "a word": ({"acc": "all"}, "acc is 'all', not a number"),
    "an infinite step": ({"step": math.inf}, "step is inf"),
    "a list": ({"ratio": [0.1]}, "ratio is"),
    "seconds": ({"seconds": "long"}, "seconds is 'long'"),
    "metrics": ({"auroc": 50, "aupr": math.inf, "fpr": 1}, "aupr is inf"),
    "no site": ({"block": "x"}, "'visual.x.up' names no site"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_no_search_writes_is_refused_with_its_line(world, tmp_path, case):
    changes, said = BAD[case]
    path = tmp_path / "t.jsonl"
    searched(path, world, PLAN, stop=2)
    first, one, two = map(json.loads, path.read_text().splitlines())
    text = "".join(json.dumps(row) + "\n" for row in (first, one, two | changes))
    with pytest.raises(ValueError, match=f"line 3: {re.escape(said)}"):
        list(replay(text))
    with pytest.raises(ValueError, match="line 1: backbone is"):
        list(replay(text.replace(f'"backbone": "{world[0].name}"', '"backbone": 3')))
    with pytest.raises(ValueError, match=r"line 1: objective .* is unknown"):
        list(replay(text.replace('"objective": "locoop_loss"', '"objective": ["fpr"]', 1)))


def test_an_objective_that_cannot_be_measured_is_at_its_worst(world, tmp_path):
    for objective, worst in (("auroc", 0.0), ("aupr", 0.0), ("fpr", 100.0)):
        plan = dataclasses.replace(SCORED, objective=objective)
        (trial, *_) = searched(tmp_path / f"{objective}.jsonl", world, plan, stop=1)
        none = dataclasses.replace(trial.measures, metrics=None)
        none = dataclasses.replace(trial, measures=none, objective=math.nan, improved=False)
        row = line(none)
        assert row["objective"] == worst and row["improved"] is False
        text = "".join(json.dumps(page) + "\n" for page in (header(*world, plan), line(trial), row))
        again = list(replay(text))
        assert math.isnan(again[1].objective) and not again[1].improved
        assert again[1].best.objective(objective) == pytest.approx(trial.objective)


def test_the_authors_traces_can_be_replayed(shared):
    for slug in ("clip_base-imagenet1k", "swin_base-imagenet1k", "clip_base-pascal_voc"):
        text = shared(f"published/{slug}-setar.trace.json").read_text()
        trials = list(replay(text))
        assert len(trials) == len(json.loads(text))
        index = json.loads(shared("published/index.json").read_text())
        (run,) = [run for run in index if run["slug"] == f"{slug}-setar"]
        published = Recipe.loads(json.dumps(run["recipe"]))
        assert dict(trials[-1].recipe.ratios) == dict(published.ratios)


def test_an_equal_loss_is_no_improvement():
    def row(step, layer, ratio, loss):
        site = {"step": step, "tower": "visual", "weight": "W_up", "layer": layer, "ratio": ratio}
        rest = {"loss_id": loss, "loss_ood": 0.0, "acc": 50.0, "ood_patch_percent": 10.0}
        return site | {"locoop_loss": loss} | rest

    rows = [row(0, 1, 0, 1.0), row(0, 1, 0.1, 0.9), row(1, 0, 0, 0.9), row(1, 0, 0.1, 0.9)]
    trials = list(replay(json.dumps(rows)))
    assert [trial.improved for trial in trials] == [True, True, False, False]
    assert trials[-1].recipe.ratios == {Site("visual", 1, "up"): 0.1, Site("visual", 0, "up"): 0.0}
