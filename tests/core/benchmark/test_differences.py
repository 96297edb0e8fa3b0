"""What one detector has more than another, what a benchmark comes to, and what it was made with."""

import csv
import io
import json

import numpy as np
import pytest

from setar_core.benchmark.about import About
from setar_core.benchmark.differences import conclusion, differences
from setar_core.benchmark.results import Detection, compare, mean
from setar_core.benchmark.tables import as_csv, as_latex, as_markdown
from setar_core.data.sets import MEAN
from setar_core.metrics.separation import separation

ONE, OTHER = Detection("original", "mcm"), Detection("heavy", "mcm")
KNOWN, FOREIGN = 300, 200


def scores(shift, noise=1.0, seed=0):
    """Two detectors on the same images: the second is better by `shift`, apart from noise."""
    rng = np.random.default_rng(seed)
    ids, oods = rng.normal(2, 1, KNOWN), rng.normal(0, 1, FOREIGN)
    mine = [ids + shift + noise * rng.normal(0, 0.1, KNOWN), oods - shift]
    return np.stack([ids, mine[0]], axis=1), np.stack([oods, mine[1]], axis=1)


def compared(shift, **options):
    return compare((ONE, OTHER), *scores(shift, **options), "noise", 500)


def test_a_difference_is_that_of_the_metrics_and_its_interval_is_of_both_together():
    found = compared(0.3)
    ids, oods = scores(0.3)
    metrics = [separation(ids[:, d], oods[:, d]) for d in range(2)]
    changes = differences(found, OTHER, ONE)
    for place, (name, change) in enumerate(changes.items()):
        assert change.value == pytest.approx(metrics[1][place] - metrics[0][place])
        assert change.low <= change.value <= change.high
        own = np.diff(np.percentile(found.resamples[1, :, place], [2.5, 97.5]))[0]
        assert change.high - change.low < 2 * own, name
    back = differences(found, ONE, OTHER)["auroc"]
    assert back.value == -changes["auroc"].value
    assert (back.low, back.high) == pytest.approx((-changes["auroc"].high, -changes["auroc"].low))
    assert not changes["auroc"].chance


def test_a_pair_on_the_same_images_is_told_apart_where_two_intervals_overlap():
    """What an interval of the difference is for: both move alike when images are drawn anew."""
    found = compared(0.06, noise=0.0)
    change = differences(found, OTHER, ONE)["auroc"]
    one, other = (np.percentile(found.resamples[d, :, 1], [2.5, 97.5]) for d in range(2))
    assert one[1] > other[0] and change.low > 0


def test_without_resamples_nothing_is_said_of_chance():
    change = differences(compare((ONE, OTHER), *scores(0.3), "noise", 0), OTHER, ONE)["fpr95"]
    assert (change.low, change.high, change.chance) == (None, None, None)


def test_the_same_detector_differs_by_nothing():
    change = differences(compared(0.3), ONE, ONE)["aupr"]
    assert change == (0, 0, 0) and change.chance


def test_a_conclusion_says_what_is_fewer_and_how_sure_it_is():
    found = conclusion({"noise": compared(0.5)})
    (told,) = found.told
    change = differences(compared(0.5), OTHER, ONE)["fpr95"]
    assert told == (
        f"MCM with heavy lets {-100 * change.value:.1f} points fewer of the foreign ones through "
        f"than MCM with the original weights ({-100 * change.high:.1f} to {-100 * change.low:.1f})"
    )
    assert str(found).startswith("Where 95 % of the known images are kept: MCM with heavy")
    worse = conclusion({"noise": compared(-0.5)})
    assert "points more of the foreign ones through" in worse.told[0]


def test_a_conclusion_says_no_difference_beyond_chance():
    (told,) = conclusion({"noise": compared(0.0)}).told
    assert told.startswith("no difference beyond chance between MCM with heavy and MCM with the")
    assert "fewer to" in told and "more of the foreign" in told


def test_equal_detectors_are_said_to_be_equal():
    ids, oods = scores(0)
    found = compare((ONE, OTHER), ids[:, [0, 0]], oods[:, [0, 0]], "noise", 100)
    (told,) = conclusion({"noise": found}).told
    assert told == (
        "MCM with heavy and MCM with the original weights let the same share of the foreign ones "
        "through"
    )


def test_the_mean_is_what_is_concluded_of_several_sets():
    parts = [
        compare((ONE, OTHER), *scores(0.4, seed=seed), name, 200, stream=seed)
        for seed, name in enumerate(("noise", "dark"))
    ]
    together = {"noise": parts[0], "dark": parts[1], MEAN: mean((ONE, OTHER), parts)}
    found = conclusion(together)
    assert "in the mean of 2 sets" in found.of
    change = differences(together[MEAN], OTHER, ONE)["fpr95"]
    assert f"{-100 * change.value:.1f} points fewer" in found.told[0]
    values = [differences(part, OTHER, ONE)["fpr95"].value for part in parts]
    assert change.value == pytest.approx(np.mean(values))


def test_of_one_recipe_the_best_score_is_compared_and_one_alone_described():
    pair = (ONE, Detection("original", "energy"))
    (told,) = conclusion({"noise": compare(pair, *scores(0.5), "noise", 200)}).told
    assert told.startswith("Energy with the original weights lets")
    ids, oods = scores(0)
    alone = compare((ONE,), ids[:, :1], oods[:, :1], "noise", 200)
    (told,) = conclusion({"noise": alone}).told
    assert told.startswith("MCM with the original weights lets") and " % of the foreign" in told
    assert conclusion({}) is None


ABOUT = About(
    backbone="emoji",
    weights="ab" * 32,
    labels=100,
    labels_fingerprint="cd" * 32,
    prompt="a photo of a {}",
    options={
        "temperature": 2.0,
        "shaping": {"original": "react:0.5", "heavy": "react:0.6"},
        "fit": {"original": {"knn": "12ab"}, "heavy": {"knn": "34cd"}},
    },
    recipes={
        "original": "nothing changed",
        "heavy": "drops minor components of 1 matrices: x 40 %",
    },
    fingerprints={"original": "original", "heavy": "ef" * 32},
    scores=("mcm",),
    known={"pets": KNOWN},
    foreign={"noise": FOREIGN},
    accuracy={"original": 0.9, "heavy": 0.85},
    resamples=500,
    conclusion="It is better.",
)


def test_every_table_says_what_it_was_measured_with():
    rows = compared(0.3).rows
    for text in (as_markdown(rows, ABOUT), as_latex(rows, ABOUT)):
        for part in (
            "It is better.", "emoji", "abababababab", "100 labels", "temperature 2.0",
            "shaping react:0.5 / react:0.6, fit)", "300 images",
            "noise 200 images", "original 90.00", "heavy 85.00", "may be chance", "500 resamples",
        ):  # fmt: skip
            assert part in text
    latex = as_latex(rows, ABOUT)
    assert not set(latex) & set("≈↓↑“”") and r"a photo of a \{\}" in latex
    lines = list(csv.DictReader(io.StringIO(as_csv(rows, ABOUT))))
    assert [line["id_accuracy"] for line in lines] == ["90", "85"]
    assert lines[1]["recipe_fingerprint"] == "ef" * 32
    assert {line["backbone"] for line in lines} == {"emoji"}
    assert [line["auroc_standing"] for line in lines] == [row.standing.auroc for row in rows]
    assert json.loads(lines[0]["options"]) == ABOUT.options


def test_what_a_visitor_named_is_text_in_every_table():
    hostile = ABOUT.__class__(**{
        **ABOUT.__dict__, "prompt": "=cmd {} <b>|*x*\\", "known": {"=1+1": 3},
    })  # fmt: skip
    rows = compared(0.3).rows
    (line, _) = csv.DictReader(io.StringIO(as_csv(rows, hostile)))
    assert line["id"] == "'=1+1" and line["prompt"].startswith("'=cmd")
    assert "<b>" not in as_markdown(rows, hostile)
    assert r"\textbackslash{}" in as_latex(rows, hostile)
