"""The bootstrap against a plain loop over resampled images, and what it decides."""

import time

import numpy as np
import pytest

from setar_core.metrics import bootstrap
from setar_core.metrics.bootstrap import interval, resampled, standings
from setar_core.metrics.separation import Metrics, separation


def plain(ids, oods, count, seed):
    """One `separation` of freshly drawn images after another."""
    rng = np.random.default_rng(seed)
    return np.array(
        [separation(rng.choice(ids, len(ids)), rng.choice(oods, len(oods))) for _ in range(count)]
    )


@pytest.mark.parametrize("levels", [1, 2, 5, 30, 10**9])
@pytest.mark.parametrize("seed", range(4))
def test_a_weighted_table_is_the_separation_of_the_images_that_were_drawn(levels, seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 80, 2)
    ids = np.floor((rng.random(n) + 0.2) * levels)
    oods = np.floor(rng.random(m) * levels)
    steps = np.union1d(ids, oods)
    for _ in range(20):
        mine, theirs = rng.choice(ids, n), rng.choice(oods, m)
        a = (mine[:, None] == steps).sum(axis=0)[None]
        b = (theirs[:, None] == steps).sum(axis=0)[None]
        found = bootstrap._metrics(a, b)[0]
        assert found == pytest.approx(separation(mine, theirs), abs=1e-12)


@pytest.mark.parametrize(
    ("n", "m"), [(120, 60), (900, 3000), (6000, 2500)], ids=["exact", "grouped", "rounded"]
)
def test_intervals_agree_with_a_plain_bootstrap(n, m):
    rng = np.random.default_rng(3)
    ids, oods = rng.normal(1.5, 1, n), rng.normal(0, 1, m)
    found = resampled(ids[None], oods[None], 2000, seed=1)[0]
    wanted = plain(ids, oods, 600, seed=2)
    chance = 4 * wanted.std(axis=0) * np.sqrt(1 / 600 + 1 / 2000)
    assert (np.abs(found.mean(axis=0) - wanted.mean(axis=0)) < chance).all()
    np.testing.assert_allclose(found.std(axis=0), wanted.std(axis=0), rtol=0.15)
    point = separation(ids, oods)
    low, high = interval(found, point)
    for value, under, over in zip(point, low, high, strict=True):
        assert under <= value <= over


def test_the_seed_decides_and_the_order_of_detectors_does_not():
    rng = np.random.default_rng(0)
    ids, oods = rng.random((2, 50)) + 0.3, rng.random((2, 40))
    found = resampled(ids, oods, 100, seed=5)
    np.testing.assert_array_equal(found, resampled(ids, oods, 100, seed=5))
    np.testing.assert_array_equal(found[::-1], resampled(ids[::-1], oods[::-1], 100, seed=5))
    assert (found != resampled(ids, oods, 100, seed=6)).any()
    assert (found != resampled(ids, oods, 100, seed=5, stream=1)).any()


def test_perfect_and_constant_scores_have_no_width():
    high, low = np.arange(30.0)[None] + 100, np.arange(20.0)[None]
    sure = Metrics(0, 1, 1)
    assert interval(resampled(high, low)[0], sure) == (sure, sure)
    same = resampled(np.ones((1, 30)), np.ones((1, 10)))[0]
    np.testing.assert_allclose(same, np.broadcast_to([1, 0.5, 0.75], same.shape))


def test_an_interval_holds_its_value():
    point = Metrics(0.2, 0.5, 0.9)
    low, high = interval(np.full((10, 3), 0.5), point)
    assert low == (0.2, 0.5, 0.5)
    assert high == (0.5, 0.5, 0.9)


def test_infinite_scores_are_scores():
    ids = np.array([[1.0, 2.0, np.inf]])
    found = resampled(ids, np.array([[-np.inf, 0.0]]), 50)
    np.testing.assert_array_equal(found[0], np.broadcast_to([0, 1, 1], (50, 3)))


def test_a_difference_of_two_detectors_is_judged_on_the_same_images():
    """A tiny but steady lead is a lead, although both intervals overlap."""
    rng = np.random.default_rng(0)
    ids, oods = rng.normal(1, 1, 400), rng.normal(0, 1, 300)
    better = np.stack([ids + 0.15, ids, rng.normal(1.1, 1, 400)])
    others = np.stack([oods, oods, rng.normal(0, 1, 300)])
    points = [separation(i, o) for i, o in zip(better, others, strict=True)]
    draws = resampled(better, others)
    ranks = standings(points, draws)
    assert ranks[0].auroc == "best"
    assert ranks[1].auroc == ""
    low, high = interval(draws[1], points[1])
    assert low.auroc < points[0].auroc < high.auroc
    assert standings(points[:1], draws[:1]) == [Metrics("best", "best", "best")]


def test_a_difference_within_noise_is_level_and_equals_share_the_lead():
    rng = np.random.default_rng(1)
    ids, oods = rng.normal(1, 1, (2, 60)), rng.normal(0, 1, (2, 60))
    points = [separation(i, o) for i, o in zip(ids, oods, strict=True)]
    ranks = {rank.auroc for rank in standings(points, resampled(ids, oods))}
    assert ranks == {"best", "level"}
    same = [Metrics(0.1, 0.9, 0.8)] * 2
    assert standings(same, None) == [Metrics("best", "best", "best")] * 2
    assert standings([Metrics(0.2, 0.9, 0.8), Metrics(0.1, 0.95, 0.9)], None)[0] == ("", "", "")


def test_no_resample_and_no_scores_are_refused():
    one = np.ones((1, 3))
    with pytest.raises(ValueError, match="at least 1"):
        resampled(one, one, 0)
    with pytest.raises(ValueError, match="NaN"):
        resampled(one * np.nan, one)


def test_a_million_scores_take_seconds():
    rng = np.random.default_rng(0)
    ids, oods = rng.normal(1, 1, (1, 10**6)), rng.normal(0, 1, (1, 10**6))
    start = time.process_time()  # a busy machine is no slower by this clock
    low, high = interval(resampled(ids, oods)[0], separation(ids[0], oods[0]))
    assert time.process_time() - start < 12  # a few; slow machines are given time
    assert 0 < high.auroc - low.auroc < 0.003
