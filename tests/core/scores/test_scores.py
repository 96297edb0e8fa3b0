"""Scores: higher is in-distribution, by their formulas, whatever the scale in the logits."""

import inspect
from dataclasses import fields, replace
from importlib import import_module

import pytest
import torch

from setar_core.backbones.base import Logits
from setar_core.scores import NEEDS, SCORES, Score, ScoreOptions
from setar_core.scores.evidence import Cosines, Evidence
from setar_core.scores.logits import gl_mcm, l_mcm, mcm, patch_map

COSINES = torch.rand(6, 9, generator=torch.Generator().manual_seed(0))
PATCHES = torch.rand(6, 4, 9, generator=torch.Generator().manual_seed(1))
FEATURES = torch.rand(6, 5, generator=torch.Generator().manual_seed(2))


def logits(scale, whole=COSINES, local=PATCHES):
    return Logits(whole * scale, local * scale, (2, 2), scale)


def evidence(*given, **more):
    return Evidence(logits(*given, **more))


def toy(function, needs, uses=(), **more):
    return Score("toy", "Toy", "?", "f", "here", function, frozenset(needs), uses, **more)


OF_LOGITS = [name for name, score in SCORES.items() if score.needs <= {"logits", "patches"}]


@pytest.mark.parametrize("name", OF_LOGITS)
def test_every_score_ranks_an_obvious_pair(name):
    sure = torch.full((1, 9), 0.1).index_fill(1, torch.tensor([3]), 0.9)
    unsure = torch.full((1, 9), 0.1)
    mine, other = (
        SCORES[name](evidence(20.0, x, x[:, None].expand(1, 4, 9))) for x in (sure, unsure)
    )
    assert mine.shape == (1,)
    assert mine > other


@pytest.mark.parametrize("score", SCORES.values(), ids=lambda score: score.name)
def test_an_entry_of_the_catalogue_is_what_its_function_takes(score):
    function = resolved(score.function)
    count = len(score.needs - {"patches"}) or 1
    taken = [*inspect.signature(function).parameters][count:]
    if score.learner:
        learner, count = resolved(score.learner), len(score.learns_from)
        assert tuple(inspect.signature(learner).parameters)[count:] == score.learns_by
    assert tuple(taken[len(taken) - len(score.uses) :]) == score.uses
    assert bool(taken[: len(taken) - len(score.uses)]) == score.learns
    assert set(score.options) <= {option.name for option in fields(ScoreOptions)}
    assert score.needs | score.learns_from <= set(NEEDS)
    assert score.source.removeprefix("arXiv:") in function.__doc__
    assert score.made_for.endswith(".") and score.question.endswith("?")


def resolved(name):
    file, function = name.split(".")
    return getattr(import_module(f"setar_core.scores.{file}"), function)


@pytest.mark.parametrize("name", sorted(set(OF_LOGITS) - {"msp", "gen"}))
def test_the_scale_in_the_logits_does_not_matter(name):
    for temperature in (0.01, 1.0, 3.0):
        options = ScoreOptions(temperature)
        small, large = (SCORES[name](evidence(scale), options) for scale in (1.0, 100.0))
        torch.testing.assert_close(small, large, rtol=1e-4, atol=1e-7)


def test_msp_is_taken_at_the_models_own_scale_and_no_other():
    expected = (COSINES * 50).softmax(-1).amax(-1)
    for temperature in (0.5, 1.0, 7.0):
        found = SCORES["msp"](evidence(50.0), ScoreOptions(temperature))
        torch.testing.assert_close(found, expected)


def test_the_formulas_written_out():
    p = (COSINES / 0.3).softmax(-1)
    local = (PATCHES / 0.3).softmax(-1).flatten(1).amax(-1)
    given = evidence(10.0)
    expected = {
        "mcm": p.amax(-1),
        "l_mcm": local,
        "energy": 0.3 * (COSINES / 0.3).exp().sum(-1).log(),
        "max_logit": COSINES.amax(-1),
        "entropy": (p * p.log()).sum(-1),
        "variance": (p - p.mean(-1, keepdim=True)).square().mean(-1),
    }
    for name, value in expected.items():
        found = SCORES[name](given, ScoreOptions(0.3))
        torch.testing.assert_close(found, value, rtol=1e-4, atol=1e-6)
    found = SCORES["gl_mcm"](given, ScoreOptions(0.3, 0.5))
    torch.testing.assert_close(found, p.amax(-1) + 0.5 * local)
    assert torch.equal(gl_mcm(given.logits), mcm(given.logits) + l_mcm(given.logits))


def test_negatives_are_given_to_the_score_that_was_mined_for():
    mined = {"csp": Cosines(COSINES, COSINES[:, :2]), "neglabel": Cosines(COSINES, COSINES[:, :3])}
    given = replace(evidence(10.0), negatives=mined)
    wide = toy(lambda cosines: cosines.negatives.sum(-1), needs={"neglabel"})
    assert torch.equal(wide(given), COSINES[:, :3].sum(-1))
    with pytest.raises(ValueError, match="Toy needs negative labels as NegLabel mines them"):
        wide(evidence(10.0))


def test_the_patch_map_is_the_best_probability_of_each_patch():
    expected = (PATCHES * 40).softmax(-1).amax(-1).reshape(6, 2, 2)
    torch.testing.assert_close(patch_map(logits(40.0)), expected)


def test_a_score_is_given_what_it_needs_and_nothing_else():
    whole = Logits(COSINES, None, (2, 2), 1.0)
    with pytest.raises(ValueError, match="GL-MCM needs the logits of patches"):
        SCORES["gl_mcm"](Evidence(whole))
    norm = toy(lambda features: features.norm(dim=-1), needs={"features"})
    assert torch.equal(norm(Evidence(whole, FEATURES)), FEATURES.norm(dim=-1))
    with pytest.raises(ValueError, match="Toy needs features"):
        norm(Evidence(whole))
    both = toy(
        lambda logits, features, temperature: temperature * features[:, 0] / logits.scale,
        needs={"logits", "features"},
        uses=("temperature",),
    )
    assert torch.equal(both(Evidence(whole, FEATURES), ScoreOptions(3.0)), 3 * FEATURES[:, 0])


def test_a_score_that_learns_is_fitted_once_and_the_others_are_themselves():
    def centre(features):
        return {"middle": features.mean(0)}

    def centred(features, middle):
        return -(features - middle).norm(dim=-1)

    from_features = frozenset({"features"})
    score = toy(centred, needs={"features"}, learner=centre, learns_from=from_features)
    given = Evidence(logits(1.0), FEATURES)
    with pytest.raises(ValueError, match="Toy learns from ID images"):
        score(given)
    parts = [Evidence(logits(1.0)[rows], FEATURES[rows]) for rows in (slice(4), slice(4, 6))]
    fitted = score.fit(Evidence.join(parts))
    torch.testing.assert_close(fitted(given), -(FEATURES - FEATURES.mean(0)).norm(dim=-1))
    assert SCORES["mcm"].fit(given) is SCORES["mcm"]


def test_parts_are_joined_as_they_were():
    parts = [evidence(2.0, COSINES[rows], PATCHES[rows]) for rows in (slice(1), slice(1, 6))]
    together = Evidence.join(parts)
    assert torch.equal(together.logits.whole, COSINES * 2)
    assert torch.equal(together.logits.local, PATCHES * 2)
    assert together.features is None and together.holds == {"logits", "patches"}
