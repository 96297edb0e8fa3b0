"""Histograms, curves and rates, against their definitions."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from setar_core.metrics.curves import curve, histogram, rates, threshold_of_fpr95
from setar_core.metrics.separation import separation


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    return rng.normal(1, 1, 300).round(1), rng.normal(0, 1, 200).round(1)


def test_every_threshold_has_the_rates_of_scikit_learn(scores):
    ids, oods = scores
    found = curve(ids, oods, points=10_000)
    truth = np.r_[np.ones(len(ids)), np.zeros(len(oods))]
    fpr, recall, thresholds = roc_curve(truth, np.r_[ids, oods], drop_intermediate=False)
    np.testing.assert_allclose(found.thresholds, thresholds[1:])
    np.testing.assert_allclose(found.fpr, fpr[1:])
    np.testing.assert_allclose(found.recall, recall[1:])
    precision, recall, _ = precision_recall_curve(truth, np.r_[ids, oods])
    kept = np.isin(found.recall, recall)
    np.testing.assert_allclose(found.precision[kept][::-1][-20:], precision[:-1][-20:])
    for i in (0, 7, -1):
        assert rates(ids, oods, found.thresholds[i]) == (found.recall[i], found.fpr[i])


@pytest.mark.parametrize("digits", [0, 1, 9])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_threshold_of_the_fpr_has_that_fpr(digits, size):
    rng = np.random.default_rng(digits)
    for n in (1, 7, 19, 20, 21, 300):
        ids = size * rng.normal(1, 1, n).round(digits)
        oods = size * rng.normal(0, 1, 200).round(digits)
        threshold = threshold_of_fpr95(ids, oods)
        assert (oods >= threshold).mean() == separation(ids, oods).fpr95
        recalls = [(ids >= score).mean() for score in ids]
        nearest = min(recalls, key=lambda recall: (abs(recall - 0.95), -recall))
        assert (ids >= threshold).mean() == nearest
    assert threshold_of_fpr95([1.0, 2.0], [5.0]) == threshold_of_fpr95([1.0], [-np.inf]) == 1
    assert threshold_of_fpr95([1.0], [0.5, 2.0]) == 1
    assert threshold_of_fpr95([0.123456789], [0.12345]) == 0.123456


def test_a_threshold_written_with_few_digits_is_given_with_them():
    for k in range(1, 1000):
        score = k / 1000
        assert threshold_of_fpr95([score], [score - 0.05]) == score
        assert threshold_of_fpr95([-score], [-score - 0.05]) == -score
    assert threshold_of_fpr95([0.123456789], [0.1]) == 0.1234


def test_many_points_are_thinned_evenly_and_the_ends_stay():
    rng = np.random.default_rng(0)
    ids, oods = rng.normal(1, 1, 20_000), rng.normal(0, 1, 20_000)
    thin, full = curve(ids, oods, 200), curve(ids, oods, 10**9)
    assert len(thin.fpr) <= 200
    assert thin.thresholds[0] == full.thresholds[0]
    assert (thin.recall[-1], thin.fpr[-1]) == (1, 1)
    assert set(zip(*thin, strict=True)) <= set(zip(*full, strict=True))
    assert np.diff(thin.recall + thin.fpr).max() < 0.02


def test_a_histogram_holds_every_image_once(scores):
    found = histogram(*scores, bins=25)
    assert len(found.edges) == 26
    assert found.ids.sum() == pytest.approx(1)
    assert found.oods.sum() == pytest.approx(1)


@pytest.mark.parametrize("value", [0.0, 3.0, -2.0])
def test_constant_and_infinite_scores_have_a_histogram(value):
    found = histogram([value] * 3, [value])
    assert found.edges[0] < value < found.edges[-1]
    assert found.ids.max() == 1
    found = histogram([np.inf, 1.0], [-np.inf, 0.0])
    assert (found.edges[0], found.edges[-1]) == (0, 1)
    assert found.ids[-1] == 1
