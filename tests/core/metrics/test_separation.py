"""Metrics against scikit-learn, against their definitions and against published numbers."""

import json
import time

import numpy as np
import pytest
from scipy.stats import beta
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from setar_core.metrics.separation import (
    Metrics,
    nearest_to_recall,
    recall_interval,
    separation,
    threshold_at_recall,
)


def reference(ids: np.ndarray, oods: np.ndarray) -> Metrics:
    """The same three numbers by way of scikit-learn's curves."""
    truth = np.r_[np.ones(len(ids)), np.zeros(len(oods))]
    scores = np.r_[ids, oods]
    fpr, recall, _ = roc_curve(truth, scores, drop_intermediate=False)
    fpr, recall = fpr[1:], recall[1:]  # the first point accepts nothing
    last = np.searchsorted(recall, 1.0)  # below it nothing of ID is left
    fpr, recall = fpr[last::-1], recall[last::-1]
    nearest = np.argmin(np.abs(recall - 0.95))
    return Metrics(
        fpr[nearest], roc_auc_score(truth, scores), average_precision_score(truth, scores)
    )


@pytest.mark.parametrize("levels", [1, 2, 3, 7, 40, 10**9])
@pytest.mark.parametrize("seed", range(6))
def test_equals_scikit_learn_on_ties(levels, seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 300, 2)
    ids = np.floor((rng.random(n) + 0.2) * levels)
    oods = np.floor(rng.random(m) * levels)
    assert separation(ids, oods) == pytest.approx(reference(ids, oods), abs=1e-12)


@pytest.mark.parametrize("n", range(10, 400, 20))
def test_between_two_recalls_that_are_equally_near_the_papers_code_decides(n):
    rng = np.random.default_rng(n)
    ids, oods = rng.normal(1, 1, n), rng.normal(0, 1, 500)
    assert separation(ids, oods) == pytest.approx(reference(ids, oods), abs=1e-12)


def test_order_scale_and_container_do_not_matter():
    rng = np.random.default_rng(0)
    ids, oods = rng.normal(1, 1, 500), rng.normal(0, 1, 400)
    expected = separation(ids, oods)
    assert separation(rng.permutation(ids), oods[::-1]) == expected
    assert separation(np.exp(ids), np.exp(oods)) == expected
    assert separation(ids.tolist(), tuple(oods)) == expected


def test_exchanging_the_sides_mirrors_the_auroc():
    rng = np.random.default_rng(1)
    ids, oods = rng.integers(0, 9, 300), rng.integers(0, 7, 200)
    assert separation(ids, oods).auroc + separation(oods, ids).auroc == pytest.approx(1)


def test_perfect_useless_and_reversed_scores():
    high, low = np.arange(100.0) + 1000, np.arange(100.0)
    assert separation(high, low) == (0.0, 1.0, 1.0)
    assert separation(low, high)[:2] == (1.0, 0.0)
    assert separation(np.ones(30), np.ones(10)) == (1.0, 0.5, 0.75)


def test_one_score_on_a_side():
    assert separation([2.0], [1.0]) == (0.0, 1.0, 1.0)
    assert separation([1.0], [2.0]) == (1.0, 0.0, 0.5)
    assert separation([1.0], [0.0, 1.0, 2.0]) == pytest.approx((2 / 3, 0.5, 1 / 3))


def test_infinite_scores_are_ordered():
    assert separation([np.inf, np.inf, 1], [-np.inf, -np.inf, 0]) == (0.0, 1.0, 1.0)
    assert separation([-np.inf] * 4, [-np.inf] * 4) == (1.0, 0.5, 0.5)


def test_fpr_is_read_at_the_lowest_threshold_of_its_recall():
    ids = np.arange(100.0)  # 95 % are accepted at 5.0; the first that is not is 4.0
    assert separation(ids, [4.0, 4.5, 5.0, 3.0]).fpr95 == 0.5
    assert np.mean(np.array([4.0, 4.5, 5.0, 3.0]) >= threshold_at_recall(ids)) == 0.25


@pytest.mark.parametrize("n", [1, 2, 3, 9, 10, 11, 19, 20, 21, 59, 200, 906])
@pytest.mark.parametrize("recall", [0.5, 0.8, 0.95, 0.99, 1.0])
def test_threshold_is_the_kth_highest_score(n, recall):
    ids = np.random.default_rng(n).permutation(np.arange(float(n)))
    accepted = np.sum(ids >= threshold_at_recall(ids, recall))
    assert accepted == max(1, np.floor(round(n * recall, 9) + 0.5))


def test_threshold_among_ties_is_the_kth_highest_score_too():
    assert threshold_at_recall([3.0] * 92 + [1.0] * 8) == 1.0  # the 95th, though 92 % is nearer
    assert threshold_at_recall([3.0] * 95 + [1.0] * 5) == 3.0
    assert threshold_at_recall([3.0] * 94 + [1.0] * 6) == 1.0
    assert threshold_at_recall([5.0] * 7) == 5.0
    rng = np.random.default_rng(4)
    for _ in range(50):
        ids = rng.integers(0, 9, rng.integers(1, 60)).astype(float)
        recall = rng.choice([0.5, 0.8, 0.95, 1.0])
        k = min(range(1, len(ids) + 1), key=lambda k: (abs(k - len(ids) * recall), -k))
        assert threshold_at_recall(ids, recall) == np.sort(ids)[::-1][k - 1]


def test_the_nearest_recall_among_ties():
    assert nearest_to_recall([3.0] * 92 + [1.0] * 8) == 3.0  # 92 % is nearer than 100 %
    assert nearest_to_recall([3.0] * 89 + [1.0] * 11) == 1.0
    apart = np.random.default_rng(5).permutation(np.arange(70.0))
    assert nearest_to_recall(apart, 0.8) == threshold_at_recall(apart, 0.8)


def test_fpr_and_nearest_recall_cut_at_one_place():
    rng = np.random.default_rng(3)
    for _ in range(50):
        ids = rng.integers(0, 60, rng.integers(2, 200)).astype(float)
        cut = nearest_to_recall(ids)
        rejected = ids[ids < cut]
        between = [(cut + rejected.max()) / 2] if len(rejected) else []
        assert separation(ids, [cut, *between]).fpr95 == 1
        assert separation(ids, rejected if len(rejected) else [cut - 1]).fpr95 == 0


@pytest.mark.parametrize("k, n", [(0, 1), (1, 1), (19, 20), (95, 100), (3, 7), (0, 50), (475, 500)])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_interval_is_clopper_and_pearsons(k, n, confidence):
    low, high = recall_interval(k, n, confidence)
    tail = (1 - confidence) / 2
    assert low == pytest.approx(beta.ppf(tail, k, n - k + 1) if k else 0.0)
    assert high == pytest.approx(beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0)
    assert low <= k / n <= high


def test_interval_as_tabled():
    assert recall_interval(19, 20) == pytest.approx((0.7513, 0.9987), abs=5e-5)


@pytest.mark.parametrize(
    "ids, oods, reason",
    [
        ([], [1.0], "ID scores are empty"),
        ([1.0], [], "OOD scores are empty"),
        ([1.0, np.nan, 2.0], [1.0], "1 of 3 ID scores are NaN; leave"),
        ([1.0], [np.nan, np.nan], "2 of 2 OOD scores are NaN"),
        (np.ones((2, 2)), [1.0], r"ID scores have shape \(2, 2\)"),
        ([1.0], 3.0, r"OOD scores have shape \(\)"),
    ],
)
def test_bad_scores_are_refused(ids, oods, reason):
    with pytest.raises(ValueError, match=reason):
        separation(ids, oods)


def test_bad_recalls_and_counts_are_refused():
    for recall in (0, -0.1, 1.01, float("nan")):
        with pytest.raises(ValueError, match=r"recall .* is not in"):
            threshold_at_recall([1.0, 2.0], recall)
    with pytest.raises(ValueError, match="NaN"):
        threshold_at_recall([1.0, float("nan")])
    for k, n in ((-1, 5), (6, 5), (0, 0)):
        with pytest.raises(ValueError, match="is not a share"):
            recall_interval(k, n)
    with pytest.raises(ValueError, match="confidence"):
        recall_interval(1, 2, 95)


def test_a_million_scores_a_side_take_under_a_second():
    rng = np.random.default_rng(0)
    ids, oods = rng.normal(1, 1, 10**6), rng.normal(0, 1, 10**6)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        found = separation(ids, oods)
        times.append(time.perf_counter() - start)
    assert found.auroc == pytest.approx(0.7602, abs=2e-3)  # the normal law at 1 / sqrt(2)
    assert min(times) < 1


def test_every_published_number_is_reproduced(shared):
    """All runs of arXiv:2406.12629 that the authors published, from their scores of every image."""
    runs = json.loads(shared("published/index.json").read_text())
    compared = 0
    for run in runs:
        with np.load(shared(f"published/{run['slug']}.npz")) as scores:
            for scorer, printed in run["metrics"].items():
                ids = scores[f"{run['id_dataset']}/{scorer}"]
                sets = [name for name in printed if name != "average"]
                found = {name: separation(ids, scores[f"{name}/{scorer}"]) for name in sets}
                found["average"] = Metrics(*np.mean(list(found.values()), axis=0))
                for name, metrics in found.items():
                    expected = [printed[name][key] for key in Metrics._fields]
                    difference = np.abs(100 * np.array(metrics) - expected).max()
                    assert difference < 0.00501, (run["slug"], scorer, name, difference)
                    compared += 3
    assert compared > 400
