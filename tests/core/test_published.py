"""The authors' published runs as shipped: equal to the source, small, and true to their own law."""

import json

import numpy as np
import pytest

from setar_core.metrics.bins import binned_separation, binned_threshold, redrawn
from setar_core.metrics.separation import Metrics, separation
from setar_core.paths import PUBLISHED
from setar_core.published import (
    MEAN,
    VANILLA,
    best,
    id_sets_of,
    published_runs,
    scores_of,
    search_times,
    table,
)

RUNS = published_runs()
SEARCHED = [run for run in RUNS if run.searched]
B16, SWIN = "ViT-B-16/openai", "timm:swinv2_base_window16_256.ms_in1k"


def named(run):
    return run.slug


@pytest.fixture(scope="module")
def source(shared):
    """The authors' material, which is not in the repository."""
    return lambda name: shared(f"published/{name}")


# Shipped files


def test_the_files_are_small_and_hold_no_pickle():
    files = [path for path in PUBLISHED.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".jsonl", ".md"}
    assert sum(path.stat().st_size for path in files) < 1_500_000
    for path in files:
        path.read_text(encoding="utf-8")  # text, so no pickle


def test_every_file_names_its_source():
    ours = PUBLISHED / "search_times.json"  # measured by us
    files = [path for path in PUBLISHED.rglob("*.json*") if path != ours]
    assert len(files) == 1 + 21 + 5
    for path in files:
        text = path.read_text(encoding="utf-8")
        page = json.loads(text.splitlines()[0] if path.suffix == ".jsonl" else text)
        assert page["source"]["repository"] == "https://github.com/X1AOX1A/SeTAR"
        assert page["source"]["commit"] == "1564daa"
        assert page["source"]["paper"] == "arXiv:2406.12629"
        assert "MIT" in page["source"]["licence"]


def test_the_facts_are_the_authors(source):
    assert json.loads((PUBLISHED / "runs.json").read_text())["runs"] == json.loads(
        source("index.json").read_text()
    )


@pytest.mark.parametrize("run", SEARCHED, ids=named)
def test_the_traces_are_the_authors_to_seven_digits(run, source):
    rows = json.loads(source(f"{run.slug}.trace.json").read_text())
    mine = [json.loads(line) for line in run.trace_file.read_text().splitlines()[1:]]
    assert len(mine) == len(rows)
    for shipped, row in zip(mine, rows, strict=True):
        places = {"tower", "weight", "layer", "step"}
        assert all(shipped[key] == row[key] for key in places)
        numbers = set(row) - places
        assert set(shipped) == set(row)
        assert [shipped[k] for k in numbers] == pytest.approx([row[k] for k in numbers], rel=1e-6)


@pytest.mark.parametrize("run", RUNS, ids=named)
def test_every_image_is_in_a_bin(run, source):
    with np.load(source(f"{run.slug}.npz")) as scores:
        for score in run.metrics:
            histograms = run.histograms(score)
            assert (np.diff(histograms.edges) > 0).all()
            for name, counts in histograms.counts.items():
                values = scores[f"{name}/{score}"].astype(float)
                assert counts.sum() == len(values) == run.images[name]
                assert (np.histogram(values, histograms.edges)[0] == counts).all()


# Metrics from bins


@pytest.mark.parametrize("run", RUNS, ids=named)
def test_the_bins_give_the_printed_metrics(run):
    for score, printed in run.metrics.items():
        histograms = run.histograms(score)
        for name in run.ood_sets(score):
            binned, expected = histograms.separation(name), printed[name]
            assert 100 * np.abs(np.subtract(binned.metrics, expected)).max() < 0.15
            assert 100 * binned.error.fpr95 < 0.16
            assert 100 * binned.error.auroc < 0.12
            assert 100 * binned.error.aupr < 0.24
            for low, value, high in zip(binned.low, expected, binned.high, strict=True):
                assert low - 0.5001e-4 <= value <= high + 0.5001e-4  # printed to two decimals


@pytest.mark.parametrize("bins", [2, 7, 40, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_the_true_metrics_lie_within_the_bounds_of_any_bins(bins, seed):
    rng = np.random.default_rng(seed)
    ids, oods = rng.normal(1, 1, 400 + seed), rng.normal(0, 1.5, 300)
    edges = np.linspace(-9, 9, bins + 1)
    binned = binned_separation(np.histogram(ids, edges)[0], np.histogram(oods, edges)[0])
    true = separation(ids, oods)
    for low, value, high in zip(binned.low, true, binned.high, strict=True):
        assert low - 1e-12 <= value <= high + 1e-12
    for low, value, high in zip(binned.low, binned.metrics, binned.high, strict=True):
        assert low <= value <= high


def test_bins_that_separate_leave_nothing_open():
    binned = binned_separation([0, 0, 20], [10, 0, 0])
    assert binned.metrics == (0, 1, 1) and binned.error == (0, 0, 0)


def test_one_bin_tells_nothing():
    binned = binned_separation([100], [50])
    assert binned.low == pytest.approx((0, 0, np.mean(np.arange(1, 101) / np.arange(51, 151))))
    assert binned.high == (1, 1, 1)
    assert binned.metrics.auroc == 0.5


def test_the_threshold_lies_in_its_bin():
    assert binned_threshold([0, 1, 2, 3], [4, 16, 80]) == pytest.approx(1 + 2 / 17)
    assert 2 < binned_threshold([0, 1, 2, 3], [0, 0, 10]) < 3


def test_redrawn_bins_keep_the_shares():
    drawn = redrawn([0, 1, 4], [1, 3], [0, 0.5, 2, 4])
    assert drawn == pytest.approx([0.125, 0.375, 0.5])


@pytest.mark.parametrize(
    ("ids", "oods", "reason"),
    [
        ([1, 2], [1], "2 ID bins and 1 OOD"),
        ([0, 0], [1, 1], "ID counts hold no image"),
        ([1, 1], [0, 0], "OOD counts hold no image"),
        ([1, -1], [1, 1], "at least 0"),
        ([1.0, 2.0], [1, 1], "whole numbers"),
    ],
)
def test_bad_counts_are_refused(ids, oods, reason):
    with pytest.raises(ValueError, match=reason):
        binned_separation(ids, oods)


# The authors' table


def test_all_runs_are_there():
    assert len(RUNS) == 21 and len({run.slug for run in RUNS}) == 21
    assert id_sets_of(B16) == ("imagenet1k", "pascal_voc")
    assert id_sets_of(SWIN) == ("imagenet1k",)
    assert set(scores_of(B16, "pascal_voc")) == {"mcm", "gl_mcm"}
    assert set(scores_of(SWIN, "imagenet1k")) == {"mcm", "energy", "gl_mcm"}
    assert scores_of("nothing", "imagenet1k") == ()


def test_the_table_is_the_papers():
    lines = table(B16, "imagenet1k", "mcm")
    assert [line.run.method for line in lines] == [VANILLA, "LoRA", "SeTAR", "SeTAR+FT"]
    vanilla, _, setar, _ = lines
    assert vanilla.change is None
    assert setar.metrics[MEAN] == pytest.approx(Metrics(0.4024, 0.9105, 0.9821))
    assert setar.change[MEAN].fpr95 == pytest.approx((40.24 - 43.09) / 43.09)
    assert best(lines, MEAN) == pytest.approx(Metrics(0.3866, 0.9155, 0.9830))


def test_the_mean_is_the_mean():
    for run in RUNS:
        for printed in run.metrics.values():
            sets = [metrics for name, metrics in printed.items() if name != MEAN]
            assert np.abs(np.mean(sets, axis=0) - printed[MEAN]).max() < 1.01e-4


def test_a_score_without_an_original_has_no_change():
    lines = table(SWIN, "imagenet1k", "gl_mcm")
    assert [line.run.method for line in lines] == ["LoRA", "SeTAR+FT"]
    assert all(line.change is None for line in lines)
    assert table(SWIN, "pascal_voc", "mcm") == ()


# Searches


@pytest.mark.parametrize("run", SEARCHED, ids=named)
def test_the_best_of_a_trace_is_its_recipe(run):
    """Strict improvement on a best so far that is carried over all blocks; 0 where none came."""
    ratios, least = {}, np.inf
    for candidate in run.trace():
        ratios.setdefault(candidate.site, 0.0)
        if candidate.loss < least:
            least, ratios[candidate.site] = candidate.loss, candidate.ratio
            assert candidate.improved
        assert candidate.best.losses.locoop_loss == least
    assert ratios == dict(run.trace()[-1].recipe.ratios) == dict(run.recipe.ratios)
    assert list(ratios) == list(run.recipe.ratios)


@pytest.mark.parametrize("run", SEARCHED, ids=named)
def test_a_search_tries_each_ratio_at_each_site_in_order(run):
    trace, ratios = run.trace(), run.settings["candi_ratios"]
    assert [c.step for c in trace] == [i // len(ratios) for i in range(len(trace))]
    assert [c.ratio for c in trace] == ratios * len(run.recipe.ratios)
    for candidate in trace:
        losses = candidate.measures.losses
        whole = losses.loss_id + run.settings["locoop_lambda"] * losses.loss_ood
        assert candidate.loss == pytest.approx(whole, abs=1e-6)
        assert 0 <= losses.ood_patch_percent <= 100 and 0 <= losses.accuracy <= 100
    kept = [c for c in trace if c.ratio == 0]  # the network as it stands: the best so far
    for before, now in zip(trace[8::9], kept[1:], strict=False):
        assert now.loss == pytest.approx(before.best.losses.locoop_loss, rel=1e-6)


@pytest.mark.parametrize("run", SEARCHED, ids=named)
def test_a_trace_names_the_backbone_that_its_recipe_is_for(run):
    assert {trial.recipe.backbone for trial in run.trace()} == {run.backbone}
    assert len(run.trace()) == run.trace()[0].total


def test_a_run_without_a_search_has_no_trace():
    assert all(run.trace() == () for run in RUNS if not run.searched)
    assert {run.method for run in SEARCHED} == {"SeTAR"}


# Search times

ENTRY = {
    "title": "ViT-B-16, random weights",
    "images": 128,
    "labels": 1000,
    "candidates": 216,
    "seconds": 100.0,
    "procedure_seconds": 650.0,
    "sampled": 6,
    "command": "python -m tests.speed.search --backbone ViT-B-16",
}


def written(tmp_path, page):
    path = tmp_path / "search_times.json"
    path.write_text(json.dumps(page))
    return path


def test_times_are_read_as_they_were_recorded(tmp_path):
    whole = ENTRY | {"title": "emoji", "sampled": None}
    found = search_times(written(tmp_path, {"machine": "2 cores", "measured": [ENTRY, whole]}))
    assert found.machine == "2 cores"
    assert [time.title for time in found.measured] == ["ViT-B-16, random weights", "emoji"]
    assert found.measured[0].ratio == 6.5 and found.measured[1].sampled is None


def test_nothing_measured_is_nothing(tmp_path):
    assert search_times(tmp_path / "absent.json") is None
    assert search_times(written(tmp_path, {"machine": "2 cores", "measured": []})) is None


@pytest.mark.parametrize(
    "page",
    [
        [],
        {"measured": [ENTRY]},
        {"machine": "m", "measured": [{"title": "x"}]},
        {"machine": "m", "measured": [ENTRY | {"more": 1}]},
        {"machine": "m", "measured": [ENTRY | {"seconds": 0}]},
        {"machine": "m", "measured": [ENTRY | {"images": "many"}]},
    ],
)
def test_something_else_is_refused(tmp_path, page):
    with pytest.raises(ValueError, match=r"search_times\.json holds no search times"):
        search_times(written(tmp_path, page))


def test_what_ships_is_a_whole_and_a_sampled_search():
    found = search_times()
    assert {time.title: time.sampled is None for time in found.measured} == {
        "emoji": True,
        "ViT-B-16, random weights": False,
    }
    assert all(time.command.startswith("python -m tests.speed.search") for time in found.measured)
