"""Scores: higher is in-distribution, by their formulas, whatever the scale in the logits."""

import math

import pytest
import torch

from setar_core.backbones.base import Logits
from setar_core.scores.logits import SCORES, gl_mcm, l_mcm, mcm, patch_map, probabilities

COSINES = torch.rand(6, 9, generator=torch.Generator().manual_seed(0))
PATCHES = torch.rand(6, 4, 9, generator=torch.Generator().manual_seed(1))


def logits(scale, whole=COSINES, local=PATCHES, num_id=9):
    return Logits(whole * scale, local * scale, (2, 2), num_id, scale)


@pytest.mark.parametrize("name", SCORES)
def test_every_score_ranks_an_obvious_pair(name):
    sure = torch.full((1, 9), 0.1).index_fill(1, torch.tensor([3]), 0.9)
    unsure = torch.full((1, 9), 0.1)
    scale = 20.0
    mine, other = (
        SCORES[name](logits(scale, x, x[:, None].expand(1, 4, 9))) for x in (sure, unsure)
    )
    assert mine.shape == (1,)
    assert mine > other


@pytest.mark.parametrize("name", sorted(set(SCORES) - {"msp"}))
def test_the_scale_in_the_logits_does_not_matter(name):
    for temperature in (0.01, 1.0, 3.0):
        small, large = (SCORES[name](logits(s), temperature) for s in (1.0, 100.0))
        torch.testing.assert_close(small, large, rtol=1e-4, atol=1e-7)


def test_msp_is_taken_at_the_models_own_scale_and_no_other():
    expected = (COSINES * 50).softmax(-1).amax(-1)
    for temperature in (0.5, 1.0, 7.0):
        torch.testing.assert_close(SCORES["msp"](logits(50.0), temperature), expected)


def test_the_formulas_written_out():
    p = (COSINES / 0.3).softmax(-1)
    local = (PATCHES / 0.3).softmax(-1).flatten(1).amax(-1)
    given = logits(10.0)
    expected = {
        "mcm": p.amax(-1),
        "l_mcm": local,
        "energy": 0.3 * (COSINES / 0.3).exp().sum(-1).log(),
        "max_logit": COSINES.amax(-1),
        "entropy": (p * p.log()).sum(-1),
        "variance": (p - p.mean(-1, keepdim=True)).square().mean(-1),
    }
    for name, value in expected.items():
        torch.testing.assert_close(SCORES[name](given, 0.3), value, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(SCORES["gl_mcm"](given, 0.3, 0.5), p.amax(-1) + 0.5 * local)
    assert torch.equal(gl_mcm(given), mcm(given) + l_mcm(given))


def test_negatives_are_no_labels():
    whole = torch.cat([COSINES, torch.full((6, 3), 5.0)], dim=1)
    local = torch.cat([PATCHES, torch.full((6, 4, 3), 5.0)], dim=2)
    for name, score in SCORES.items():
        with_negatives = score(logits(10.0, whole, local, num_id=9))
        torch.testing.assert_close(with_negatives, score(logits(10.0)), msg=name)
    assert probabilities(logits(10.0, whole, local)).shape == (6, 9)


def test_the_patch_map_is_the_best_probability_of_each_patch():
    expected = (PATCHES * 40).softmax(-1).amax(-1).reshape(6, 2, 2)
    torch.testing.assert_close(patch_map(logits(40.0)), expected)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_is_none_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature"):
        SCORES["mcm"](logits(1.0), temperature)


def test_a_local_score_without_patches_is_refused():
    with pytest.raises(ValueError, match="patches"):
        SCORES["gl_mcm"](Logits(COSINES, None, (0, 0), 9, 1.0))
