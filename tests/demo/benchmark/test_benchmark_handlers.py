"""The Benchmark tab's handlers, called as the plain functions they are: what is shown and saved."""

import csv
import json
import re
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio.utils import get_upload_folder

from demo.benchmark.components.brush import brushed
from demo.benchmark.components.selected import ALL
from demo.benchmark.components.table import Table, table
from demo.benchmark.files import figure_page, saved
from demo.benchmark.handing import handed
from demo.benchmark.handlers import ORIGINAL, BenchmarkHandlers
from demo.benchmark.runs import Brushed, Look, pictures
from demo.benchmark.tab import _look
from demo.benchmark.view import View
from demo.page.events import KEEP
from setar_core.benchmark.results import Detection
from tests.demo.benchmark.asking import begun, controls, filled, waiting
from tests.demo.told import words


def test_the_table_fills_set_by_set_with_progress(done, library, held):
    steps, _ = begun(BenchmarkHandlers(library), done[3])
    assert next(steps).stop.visible
    drawn = None
    for said, left in (
        ("Scoring pets: 12 of 33 images", 2 * 3),
        ("Scoring static: 24 of 33 images", 2 * 3),
        ("Comparing on static", 2 * 2),
        ("Scoring cloth: 33 of 33 images", 2 * 2),
        ("Comparing on cloth", 2),
    ):
        held.let_go(1)
        for view in steps:
            drawn = view.table if isinstance(view.table, Table) else drawn
            if said in words(view.notice):
                break
        assert waiting(drawn) == left
    held.set()
    assert waiting(filled(list(steps), "table")[-1]) == 0


def test_the_table_holds_every_number(done):
    handlers, name, views, _ = done
    assert "Done." in words(filled(views, "notice")[-1])
    last = filled(views, "table")[-1]
    assert (last.heads, last.metrics) == (
        ["mean", "static", "cloth"], ["FPR95 ↓", "AUROC ↑", "AUPR ↑"],
    )  # fmt: skip
    assert last.accuracy and all(row.accuracy for row in last.rows)
    row = handlers.runs.find(name).rows[0]
    number = last.rows[0].cells[last.heads.index(row.ood)].numbers[1]
    assert number.value == f"{100 * row.metrics.auroc:.2f}"
    assert number.interval == f"{100 * row.low.auroc:.0f}–{100 * row.high.auroc:.0f}"
    assert number.standing == row.standing[1]


def test_the_first_cell_is_shown_as_soon_as_it_is_there(done):
    handlers, name, views, _ = done
    shown = [view for view in views if hasattr(view.scores, "data")]
    assert len(shown) == 1
    assert shown[0].ood["choices"][0] == shown[0].ood["value"] == "static"
    run = handlers.runs.find(name)
    kept = (
        run.bench.scores_of(run.bench.id, run.bench.detections[0]) >= shown[0].threshold - 1e-7
    ).mean()
    assert abs(kept - 0.95) < 0.1


def test_the_mean_is_seen_first_and_exported_last(done):
    handlers, name, _, _ = done
    run = handlers.runs.find(name)
    found = table(run, None)
    assert found.heads == ["mean", "static", "cloth"]
    assert [[cell.place for cell in row.cells] for row in found.rows] == [
        [None, 0, 1], [None, 2, 3],
    ]  # fmt: skip
    assert [row.ood for row in run.rows[::2]] == ["static", "cloth", "mean"]
    with open(saved(run, "csv"), newline="") as file:
        assert [row["ood"] for row in csv.DictReader(file)][-1] == "mean"


def test_a_cell_and_the_dropdowns_open_the_same_view(done):
    handlers, name, _, _ = done
    by_cell = handlers.clicked(name, 1 * 2 + 1)
    assert by_cell.ood["value"] == "cloth"
    assert by_cell.detector["value"] == 1
    by_choice = handlers.look(name, 1, "cloth")
    assert by_choice.rates == by_cell.rates
    assert handlers.clicked(name, 99) == View()
    assert "no longer kept" in words(handlers.clicked("unknown", 0).notice)


def test_moving_the_threshold_moves_the_rates(done):
    handlers, name, _, _ = done
    run = handlers.runs.find(name)
    ids, oods = run.scores(Look(Detection(ORIGINAL, "mcm"), "static", 0.0))
    for threshold in (-1.0, float(np.median(ids)), float(ids.max()) + 1):
        view = handlers.threshold_moved(name, 0, "static", threshold)
        assert view.rates.kept == f"{(ids >= threshold).mean():.1%}"
        assert view.rates.passed == f"{(oods >= threshold).mean():.1%}"
        assert [name for name, _ in view.rates.others] == ["cloth"]
        line = view.scores.layout.shapes[0]
        assert line.x0 == line.x1 == threshold
        assert view.roc.data[-1].x[0] == (oods >= threshold).mean()
    emptied = handlers.threshold_moved(name, 0, "static", None)
    assert emptied == View(threshold=threshold)  # the box says again where the line is
    assert _look(handlers, name, 0, "static", None) == (run, run.look)
    assert len(view.rates.thresholds) == len(view.rates.recall) == len(view.rates.fpr)


def test_a_cell_opens_at_the_threshold_of_its_fpr(done):
    handlers, name, _, _ = done
    run = handlers.runs.find(name)
    for row in run.rows:
        if row.ood != "mean":
            seen = Detection(row.recipe, row.score)
            view = handlers.look(name, run.bench.detections.index(seen), row.ood)
            ids, oods = run.scores(Look(seen, row.ood, 0.0))
            assert (oods >= view.threshold).mean() == row.metrics.fpr95
            assert view.rates.passed == f"{row.metrics.fpr95:.1%}"
            assert abs((ids >= view.threshold).mean() - 0.95) <= 0.5 / len(ids) + 1e-9


def test_scores_near_zero_are_told_apart(library, zips):
    handlers = BenchmarkHandlers(library)
    asked = controls(scores=["variance"], id_zip=zips["pets"], ood_zips=[zips["static"]])
    views = list(handlers.run(None, *asked))
    name = next(view.name for view in views if isinstance(view.name, str))
    run = handlers.runs.find(name)
    detection = run.bench.detections[0]
    for scored in (run.bench.id, run.bench.oods[0]):  # as with many labels
        scored.values *= 1e-6
    view = handlers.look(name, 0, "static")
    ids, oods = run.scores(Look(detection, "static", 0.0))
    assert ids.max() < 1e-5 and (oods >= view.threshold).mean() == run.rows[0].metrics.fpr95
    moved = handlers.threshold_moved(name, 0, "static", float(np.sort(ids)[3]))
    assert moved.threshold == np.sort(ids)[3]
    assert moved.rates.kept == f"{(ids >= moved.threshold).mean():.1%}"
    points = moved.rates.thresholds
    assert len(set(points)) == len(points) > 12
    assert re.fullmatch(r"\d\.\d{4}e-\d\d", moved.rates.threshold)


def test_mistakes_and_false_positives_are_those_at_the_threshold(done):
    handlers, name, _, _ = done
    run = handlers.runs.find(name)
    look = Look(Detection(ORIGINAL, "mcm"), "static", -1.0)
    found = pictures(run, look)
    assert all(one.accepted for one in found) and len(found) == 12
    view = handlers.threshold_moved(name, 0, "static", -1.0)
    foreign, known = view.selected.groups
    assert len(foreign.pictures) == 12 and not known.pictures
    assert view.labels.bars[0].rate == "100"
    view = handlers.threshold_moved(name, 0, "static", 9.0)
    foreign, known = view.selected.groups
    assert not view.labels.bars and not foreign.pictures
    assert len(known.pictures) == min(12, len(run.bench.id.places))


def test_pictures_are_handed_to_detect_with_all_that_is_known(done, monkeypatch):
    handlers, name, _, asked = done
    run = handlers.runs.find(name)
    look = Look(Detection(ORIGINAL, "mcm"), "static", -1.0)
    said = [*asked[:7], *asked[7:17]]
    tabs, over, recipe, score = handed(handlers.library, run, look, 0, said)
    copy, path = Path(over.pictures[0]), pictures(run, look)[0].path
    assert tabs.selected == "detect" and score == "mcm" and recipe == KEEP
    assert copy.name == path.name and copy.read_bytes() == path.read_bytes()
    assert Path(get_upload_folder()) in copy.parents  # and goes with the uploads
    assert over.known == ("static: foreign; accepted by mistake",)
    assert over.line == (ORIGINAL, -1.0)
    _, over, *_ = handed(handlers.library, run, look, ALL, said)
    assert len(over.pictures) == len(over.known) == 12
    for module in ("handing", "components.selected"):  # as many as Detect takes at once
        monkeypatch.setattr(f"demo.benchmark.{module}.MAX_FILES", 5)
    shown = handlers.threshold_moved(name, 0, "static", -1.0).selected
    assert (shown.total, shown.opened) == (12, 5)
    assert len(handed(handlers.library, run, look, ALL, said)[1].pictures) == 5
    for place in (99, -2):
        with pytest.raises(ValueError, match="nothing at this place"):
            handed(handlers.library, run, look, place, said)

    told = []
    monkeypatch.setattr("demo.benchmark.handing.gr.Info", told.append)
    said[1] = "fox\nowl"
    _, over, *_ = handed(handlers.library, run, look, 0, said)
    assert over.line is None and "labels" in told[0]  # of other settings it does not hold


def test_what_is_brushed_is_lit_everywhere(done):
    handlers, name, _, _ = done
    run = handlers.runs.find(name)
    handlers.look(name, 0, "static")
    ids, oods = run.scores(run.look)
    known, foreign = handlers.threshold_moved(name, 0, "static", run.look.threshold).scores.data
    for side, wrong in ((known, np.less), (foreign, np.greater_equal)):  # a cell's mistakes
        mistakes = wrong(np.array(side.x), run.look.threshold)
        assert (np.array(side.marker.opacity) > 0.8).tolist() == mistakes.tolist()
    low, high = np.quantile(np.r_[ids, oods], [0.3, 0.7])
    chosen = Brushed(float(low), float(high), "both")
    view = handlers.brush(name, chosen)
    known, foreign = (int(((s >= low) & (s <= high)).sum()) for s in (ids, oods))
    assert (view.brush.known, view.brush.foreign) == (known, foreign) and known and foreign
    found = pictures(run, run.look)
    assert len(found) == known + foreign and {one.known for one in found} == {True, False}
    assert all(low <= one.score <= high for one in found)
    assert len({*view.scores.data[0].marker.opacity}) == 2  # lit, and pale
    lit = [one for one in view.roc.data if one.name == "selected"]
    assert len(lit) == 1 and len(lit[0].x) > 1
    assert sum(bar.selected for bar in view.labels.bars) <= foreign
    assert view.differences.accepts.endswith(f" of {known + foreign}")
    view = handlers.brush(name, chosen._replace(side="foreign"))
    assert (view.brush.known, view.brush.foreign) == (0, foreign)
    assert handlers.threshold_moved(name, 0, "static", 0.5).brush.foreign == foreign  # it stays
    assert handlers.brush(name, None).brush.low == ""
    handlers.brush(name, chosen)
    assert handlers.look(name, 1, "static").brush.low == ""  # scores of another detector


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"side": "all", "low": 0, "high": 1},
        {"side": "both", "low": "x", "high": 1},
        {"side": "both", "low": float("nan"), "high": 1},
    ],
)
def test_a_brush_that_is_none_is_refused(told):
    with pytest.raises(ValueError):
        brushed(gr.EventData(None, told))


def test_any_number_of_detectors_is_drawn_beside_the_chosen(done):
    handlers, name, _, _ = done
    run = handlers.runs.find(name)
    view = handlers.look(name, 0, "static")
    assert [one.name for one in view.roc.data if one.customdata is not None] == [
        "original, Energy", "original, MCM",
    ]  # fmt: skip
    (row,) = view.differences.rows
    mine, theirs = (run.bench.comparisons["static"].rows[i].metrics for i in (0, 1))
    change = 100 * (theirs.auroc - mine.auroc)
    assert row.cells[1].value in (f"{change:+.2f}".replace("-", "−"), "0")
    view = handlers.compare(name, [])
    assert not view.differences.rows
    assert len([one for one in view.roc.data if one.customdata is not None]) == 1
    with pytest.raises(ValueError, match="not in the table"):
        handlers.compare(name, [7])


def test_the_run_ends_in_a_sentence(done):
    handlers, name, views, _ = done
    first, *others = filled(views, "said")
    assert first.of.endswith("in the mean of 2 sets") and len(first.told) == 1
    assert all(said == first for said in (*others, handlers.found(name).said))
    drawn = [view for view in views if view.table != KEEP]
    assert not any(view.said for view in drawn if waiting(view.table))  # not before all is measured


def test_every_export_holds_the_rows(done):
    handlers, name, _, _ = done
    run = handlers.runs.find(name)
    with open(saved(run, "csv"), newline="") as file:
        assert len(list(csv.DictReader(file))) == len(run.rows)
    with open(saved(run, "json")) as file:
        assert json.load(file)["accuracy"] is not None
    with open(saved(run, "md")) as file:
        assert file.read().startswith("| Recipe |")
    with open(saved(run, "tex")) as file:
        assert r"\toprule" in file.read()
    look = Look(run.bench.detections[0], "static", 0.02)
    for figure in ("scores", "roc", "precision"):
        with open(figure_page(run, look, figure)) as file:
            text = file.read()
        assert "<html>" in text[:40] and "Plotly.newPlot" in text
        assert 'src="http' not in text
        assert "Backbone emoji" in text and "pets 12 images" in text


def test_scores_that_need_more_are_measured_beside_the_others(library, zips):
    asked = controls(
        scores=["mcm", "neglabel", "knn"], id_zip=zips["pets"], ood_zips=[zips["static"]]
    )
    last = filled([*BenchmarkHandlers(library).run(None, *asked)], "table")[-1]
    assert [row.score for row in last.rows] == ["MCM", "NegLabel", "KNN"]
    assert waiting(last) == 0


def test_a_score_that_cannot_be_had_says_why(library, zips):
    asked = controls(
        labels="truck\nlamp", scores=["knn"], id_zip=zips["pets"], ood_zips=[zips["static"]]
    )
    said = filled([*BenchmarkHandlers(library).run(None, *asked)], "notice")[-1]
    assert "none are shipped for these; add a zip" in words(said)
