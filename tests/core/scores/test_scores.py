"""Scores: higher is in-distribution, by their formulas, whatever the scale in the logits."""

import inspect
from dataclasses import fields
from importlib import import_module

import pytest
import torch

from setar_core.backbones.base import Logits
from setar_core.scores import NEEDS, SCORES, Score, ScoreOptions
from setar_core.scores.evidence import Evidence
from setar_core.scores.logits import gl_mcm, l_mcm, mcm, patch_map, probabilities

COSINES = torch.rand(6, 9, generator=torch.Generator().manual_seed(0))
PATCHES = torch.rand(6, 4, 9, generator=torch.Generator().manual_seed(1))
FEATURES = torch.rand(6, 5, generator=torch.Generator().manual_seed(2))


def logits(scale, whole=COSINES, local=PATCHES, num_id=9):
    return Logits(whole * scale, local * scale, (2, 2), num_id, scale)


def evidence(*given, **more):
    return Evidence(logits(*given, **more))


def toy(function, needs, uses=(), learns=False):
    return Score("toy", "Toy", "?", "f", "here", function, frozenset(needs), uses, learns)


@pytest.mark.parametrize("name", SCORES)
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
    file, name = score.function.split(".")
    function = getattr(import_module(f"setar_core.scores.{file}"), name)
    _, *options = inspect.signature(function).parameters
    assert tuple(options) == score.uses
    assert set(score.uses) <= {option.name for option in fields(ScoreOptions)}
    assert score.needs <= set(NEEDS)
    assert score.source.removeprefix("arXiv:") in function.__doc__


@pytest.mark.parametrize("name", sorted(set(SCORES) - {"msp"}))
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


def test_negatives_are_no_labels_but_where_a_score_needs_them():
    whole = torch.cat([COSINES, torch.full((6, 3), 5.0)], dim=1)
    local = torch.cat([PATCHES, torch.full((6, 4, 3), 5.0)], dim=2)
    given = evidence(10.0, whole, local, num_id=9)
    for name, score in SCORES.items():
        torch.testing.assert_close(score(given), score(evidence(10.0)), msg=name)
    assert probabilities(given.logits).shape == (6, 9)
    against = toy(lambda logits: -logits.whole[:, logits.num_id :].amax(-1), needs={"negatives"})
    assert torch.equal(against(given), torch.full((6,), -50.0))
    with pytest.raises(ValueError, match="Toy needs negative labels, and there are none"):
        against(evidence(10.0))


def test_the_patch_map_is_the_best_probability_of_each_patch():
    expected = (PATCHES * 40).softmax(-1).amax(-1).reshape(6, 2, 2)
    torch.testing.assert_close(patch_map(logits(40.0)), expected)


def test_a_score_is_given_what_it_needs_and_nothing_else():
    whole = Logits(COSINES, None, (2, 2), 9, 1.0)
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
    def centred(features):
        centre = features.mean(0)
        return lambda features: -(features - centre).norm(dim=-1)

    score = toy(centred, needs={"features"}, learns=True)
    given = Evidence(logits(1.0), FEATURES)
    with pytest.raises(ValueError, match="Toy learns from ID images"):
        score(given)
    parts = [Evidence(logits(1.0)[rows], FEATURES[rows]) for rows in (slice(4), slice(4, 6))]
    fitted = score.fit(Evidence.join(parts))
    torch.testing.assert_close(fitted(given), -(FEATURES - FEATURES.mean(0)).norm(dim=-1))
    assert fitted.fit(parts[0]) is fitted
    assert SCORES["mcm"].fit(given) is SCORES["mcm"]


def test_parts_are_joined_as_they_were():
    parts = [evidence(2.0, COSINES[rows], PATCHES[rows]) for rows in (slice(1), slice(1, 6))]
    together = Evidence.join(parts)
    assert torch.equal(together.logits.whole, COSINES * 2)
    assert torch.equal(together.logits.local, PATCHES * 2)
    assert together.features is None and together.holds == {"logits", "patches"}
