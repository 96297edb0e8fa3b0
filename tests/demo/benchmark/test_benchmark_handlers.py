"""The Benchmark tab's handlers, called as the plain functions they are."""

import csv
import io
import json
import re
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from demo.benchmark.components.table import BenchmarkTable, Table, table
from demo.benchmark.files import figure_page, picture, saved
from demo.benchmark.handlers import AT_ONCE, ORIGINAL, BenchmarkHandlers
from demo.benchmark.layout import recipe_chosen, recipe_names, weights_offered
from demo.benchmark.runs import Look
from demo.benchmark.sets import ZIP, SetsAsked, folders, id_choices, ood_choices, opened
from demo.benchmark.view import KEEP, View, mistakes
from demo.page.events import FORGOTTEN
from demo.server.jobs import ORPHANED, STOPPED, Job, result_of
from demo.server.library import EMBEDDED, Library, label_set
from demo.server.request import NO_RECIPE
from setar_core.benchmark.results import Detection
from setar_core.labels import PROMPT
from setar_core.paths import ASSETS
from setar_core.recipe import Recipe, Site
from tests.demo.clock import Clock
from tests.demo.told import is_bad, words

ANIMALS = "\n".join(label_set("animals").names)
SLOW = 120  # seconds; machines that run tests are busy
HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def library():
    return Library()


def controls(**changes):
    """What the page says, in the order of `Controls`."""
    said = {
        "backbone": EMBEDDED,
        "labels": ANIMALS,
        "prompt": PROMPT,
        "recipe": NO_RECIPE,
        "score": "mcm",
        "temperature": 1.0,
        "local_weight": 1.0,
        "recipes": [ORIGINAL],
        "scores": ["mcm", "energy"],
        "inside": ZIP,
        "id_zip": None,
        "outside": [],
        "ood_zips": [],
    }
    return list((said | changes).values())


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    """A few shipped pictures packed as a visitor would: animals in class folders, and noise."""
    folder = tmp_path_factory.mktemp("zips")
    found = {}
    for name, files in (
        ("pets", [*ASSETS.glob("benchmark/id/fox/*"), *ASSETS.glob("benchmark/id/owl/*")]),
        ("static", [*ASSETS.glob("benchmark/noise/*")][:12]),
        ("cloth", [*ASSETS.glob("benchmark/textures/*")][:9]),
    ):
        found[name] = str(folder / f"{name}.zip")
        with zipfile.ZipFile(found[name], "w") as archive:
            for file in files:
                place = f"{file.parent.name}/{file.name}" if name == "pets" else file.name
                archive.write(file, place)
    return found


class Held:
    """Lets benchmarks do a batch after another when the test says so."""

    def __init__(self, run):
        self._run, self._asked, self._allowed = run, 0, 0
        self._changed = threading.Condition()

    def __call__(self, what, fn, *args):
        if what.startswith("benchmark"):
            with self._changed:
                self._asked += 1
                mine = self._asked
                self._changed.notify_all()
                assert self._changed.wait_for(lambda: mine <= self._allowed, SLOW)
        return self._run(what, fn, *args)

    def let_go(self, batches):
        """Until the run stands before the next."""
        with self._changed:
            self._allowed += batches
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._asked > self._allowed, SLOW)

    def set(self):
        with self._changed:
            self._allowed = 10**6
            self._changed.notify_all()


@pytest.fixture
def held(library, monkeypatch):
    held = Held(library.turns.run)
    monkeypatch.setattr(library.turns, "run", held)
    yield held
    held.set()


def begun(handlers, asked):
    """A run that stands before its first batch, as views; and its name."""
    views = handlers.run(None, *asked)
    return views, next(views).name


@pytest.fixture(scope="module")
def done(library, zips):
    """A finished run, its name, and every view of it on the way."""
    handlers = BenchmarkHandlers(library)
    asked = controls(id_zip=zips["pets"], ood_zips=[zips["static"], zips["cloth"]])
    views = list(handlers.run(None, *asked))
    name = next(view.name for view in views if isinstance(view.name, str))
    return handlers, name, views, asked


def filled(views, field):
    return [value for v in views if (value := getattr(v, field)) and value != KEEP]


def waiting(shown):
    """How many cells of a table are not scored yet."""
    return sum(cell is None for row in shown.rows for cell in row.cells)


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


def test_the_same_run_is_not_scored_again(done):
    handlers, name, _, asked = done
    again = list(handlers.run(name, *asked))
    assert again[0].name == name and "Done." in words(filled(again, "notice")[-1])
    assert not any("Scoring" in words(one) for one in filled(again, "notice"))


def test_a_stopped_run_goes_on(done, library, held):
    handlers, name, _, asked = done
    fresh = BenchmarkHandlers(library)
    steps, found = begun(fresh, asked)
    held.let_go(2)  # a batch of pets, one of static
    stopping = fresh.stop(found)
    assert stopping.stop.value == "Stopping …" and not stopping.stop.interactive
    held.set()
    views = list(steps)
    assert "Press Run to go on" in words(filled(views, "notice")[-1])
    assert views[-1].start.visible and not views[-1].stop.visible
    run = fresh.runs.find(found)
    assert run.bench.id.seen.sum() > 0 and not run.bench.oods[-1].seen.any()
    assert fresh.stop(found) == fresh.stop("unknown") == View()
    rest = list(fresh.run(found, *asked))
    assert "Done." in words(filled(rest, "notice")[-1])
    assert fresh.runs.find(found) is run and run.rows == handlers.runs.find(name).rows


def test_a_run_that_is_stopped_early_leaves_the_one_before(library, zips):
    handlers, free = BenchmarkHandlers(library), threading.Event()
    first = list(handlers.run(None, *controls(id_zip=zips["pets"], ood_zips=[zips["static"]])))
    before = first[0].name

    def busy():
        yield free.wait(SLOW)

    others = [handlers.runs.start(Job("another", busy)) for _ in range(AT_ONCE)]
    views = handlers.run(before, *controls(id_zip=zips["pets"], ood_zips=[zips["cloth"]]))
    name = next(views).name
    assert name != before and "In the queue" in words(next(views).notice)
    assert handlers.clicked(name, 0) == View()
    handlers.stop(name)
    rest = list(views)
    assert "the table is that of the run before" in words(filled(rest, "notice")[-1])
    assert rest[-1].name == rest[-1].stored == before
    assert waiting(table(handlers.runs.find(before), None)) == 0
    free.set()
    for job in others:
        job.wait()


def test_the_mean_is_seen_first_and_exported_last(done):
    handlers, name, _, _ = done
    run = handlers.runs.find(name)
    found = table(run, None)
    assert found.heads == ["mean", "static", "cloth"]
    assert [[cell.index for cell in row.cells] for row in found.rows] == [
        [None, 0, 1], [None, 2, 3],
    ]  # fmt: skip
    assert [row.ood for row in run.rows[::2]] == ["static", "cloth", "mean"]
    with open(saved(run, "csv"), newline="") as file:
        assert [row["ood"] for row in csv.DictReader(file)][-1] == "mean"


def test_a_page_that_is_loaded_anew_shows_the_last_run(done):
    handlers, name, views, _ = done
    assert [view.stored for view in views if isinstance(view.stored, str)] == [name]
    page = handlers.found(name)
    assert page.name == name and page.results["visible"] and page.behind["visible"]
    assert "Your last benchmark: emoji with 40 labels" in words(page.notice)
    assert "static" in page.table.heads and not waiting(page.table)
    assert list(handlers.watch(name)) == list(handlers.watch("unknown")) == []
    assert handlers.found("unknown").stored == FORGOTTEN
    assert "no longer kept" in words(handlers.found("unknown").notice)
    for nothing in (None, "", FORGOTTEN):
        assert handlers.found(nothing) == View()
    assert handlers.found(["x"]).stored == FORGOTTEN


def test_a_run_goes_on_when_its_page_is_loaded_anew(library, zips, held):
    handlers = BenchmarkHandlers(library)
    asked = controls(id_zip=zips["pets"], ood_zips=[zips["static"]])
    steps, name = begun(handlers, asked)
    held.let_go(1)
    steps.close()  # the first page is gone
    page = handlers.found(name)
    assert waiting(page.table) == 2 and page.behind == KEEP
    assert "still running: emoji with 40 labels" in words(page.notice)
    again = handlers.watch(name)
    assert next(again).stop.visible
    held.set()
    assert "Done." in words(filled(list(again), "notice")[-1])
    assert "still running" not in words(handlers.found(name).notice)


def test_a_page_that_is_loaded_anew_shows_a_stopped_run(library, zips, held):
    handlers = BenchmarkHandlers(library)
    asked = controls(id_zip=zips["pets"], ood_zips=[zips["static"]])
    steps, name = begun(handlers, asked)
    held.let_go(1)
    handlers.stop(name)
    held.set()
    list(steps)
    page = handlers.found(name)
    assert waiting(page.table) == 2 and page.behind == KEEP
    assert "not finished: emoji with 40 labels" in words(page.notice)
    views = list(handlers.run(name, *asked))
    assert "Done." in words(filled(views, "notice")[-1])
    assert "not finished" not in words(handlers.found(name).notice)


def test_a_run_that_no_page_looks_at_ends(library, zips, held):
    handlers = BenchmarkHandlers(library)
    handlers.runs.clock = clock = Clock()
    steps, name = begun(handlers, controls(id_zip=zips["pets"], ood_zips=[zips["static"]]))
    steps.close()
    run = handlers.runs.find(name)
    clock.now += ORPHANED - 1
    assert run.wanted()
    clock.now += 2
    held.set()
    run.wait()
    assert run.state == STOPPED and run.orphaned


def test_two_pages_that_run_the_same_look_at_one_run(library, zips, held):
    handlers = BenchmarkHandlers(library)
    asked = controls(id_zip=zips["pets"], ood_zips=[zips["static"], zips["cloth"]])
    one, name = begun(handlers, asked)
    two = handlers.run(name, *asked)
    assert next(two).name == name
    held.set()
    tables = [filled(list(steps), "table")[-1] for steps in (one, two)]
    assert tables[0] == tables[1] and not waiting(tables[0])
    assert len(handlers.runs.find(name).rows) == 2 * 3


def test_what_was_unpacked_goes_with_the_run(library, zips):
    handlers = BenchmarkHandlers(library)
    asked = controls(id_zip=zips["pets"], ood_zips=[zips["static"]])
    views = list(handlers.run(None, *asked))
    run = handlers.runs.find(views[0].name)
    image = run.bench.id.images.path(0)
    assert run.folder in image.parents and image.is_file()
    handlers.runs._kept.drop(run.name)
    assert not image.exists() and not list(handlers.runs._kept.items())


def test_downloads_lie_among_the_uploads_and_go_with_them(done):
    handlers, name, _, _ = done
    run = handlers.runs.find(name)
    look = Look(run.bench.detections[0], "static", 0.02)
    for path in (saved(run, "csv"), figure_page(run, look, "roc")):
        assert Path(get_upload_folder()) in Path(path).parents


def test_other_settings_start_afresh(done, zips):
    handlers = done[0]
    other = list(handlers.run(None, *controls(scores=["max_logit"], id_zip=zips["pets"],
                                              ood_zips=[zips["static"]])))  # fmt: skip
    assert other[0].name != done[1] and "Done." in words(filled(other, "notice")[-1])
    assert filled(other, "table")[-1].heads == ["static"]  # one OOD set has no mean


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
        assert view.roc.data[1].x[0] == (oods >= threshold).mean()
    assert handlers.threshold_moved(name, 0, "static", None) == View()
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
    found = mistakes(run, look)
    assert all(one.accepted for one in found) and len(found) == 12
    view = handlers.threshold_moved(name, 0, "static", -1.0)
    assert len(view.worst.accepted) == 12 and not view.worst.refused
    assert view.labels.bars[0].share == 100
    view = handlers.threshold_moved(name, 0, "static", 9.0)
    assert not view.labels.bars and not view.worst.accepted
    assert len(view.worst.refused) == min(12, len(run.bench.id.places))


def test_a_mistake_is_handed_to_detect_byte_for_byte(done):
    handlers, name, _, _ = done
    run = handlers.runs.find(name)
    look = Look(Detection(ORIGINAL, "mcm"), "static", -1.0)
    copy, path = Path(picture(run, look, 0)), mistakes(run, look)[0].path
    assert copy.name == path.name and copy.read_bytes() == path.read_bytes()
    assert Path(get_upload_folder()) in copy.parents  # and goes with the uploads
    with pytest.raises(ValueError, match="no longer"):
        picture(run, look, 99)


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
        assert text.startswith("<!doctype html>") and "Plotly.newPlot" in text
        assert 'src="http' not in text


def test_names_of_zips_are_escaped_and_told_apart(library, tmp_path, done):
    handlers, name, _, _ = done
    run = handlers.runs.find(name)
    images = run.bench.oods[0].images
    object.__setattr__(images, "name", HOSTILE)
    try:
        assert HOSTILE not in str(BenchmarkTable().postprocess(table(run, None)))
    finally:
        object.__setattr__(images, "name", "static")
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    paths = []
    for place in ("a", "b", "c"):
        path = tmp_path / place / "set.zip"
        path.parent.mkdir()
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("1.png", buffer.getvalue())
        paths.append(str(path))
    asked = SetsAsked(ZIP, paths[0], (), tuple(paths[1:]))
    inside, outside = result_of(opened(library, asked, label_set("animals"), tmp_path))
    assert [inside.name, *(s.name for s in outside)] == ["set", "set 2", "set 3"]


WRONG = {
    "no weights": ({"recipes": []}, "no detector is chosen"),
    "no score": ({"scores": []}, "no detector is chosen"),
    "no ID zip": ({"outside": ["shipped:noise"]}, "none is here"),
    "no OOD set": ({"inside": "shipped:id"}, "no OOD set is chosen"),
    "a path": ({"inside": "data:../../etc", "outside": ["shipped:noise"]}, "no set"),
    "a hidden set": ({"inside": "shipped:calibration", "outside": ["shipped:noise"]}, "no set"),
    "one label": ({"labels": "fox"}, "only label"),
    "a foreign recipe": ({"recipes": ["vit-b-16-voc"]}, "was not made for emoji"),
    "no temperature": ({"temperature": 0}, "temperature is 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_measured_is_told(case, library):
    changes, reason = WRONG[case]
    views = list(BenchmarkHandlers(library).run(None, *controls(**changes)))
    assert reason.lower() in words(views[-1].notice).lower()
    assert is_bad(views[-1].notice)


def test_a_hostile_zip_is_told_and_writes_nothing(library, tmp_path, zips):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil.png", b"x")
    views = list(
        BenchmarkHandlers(library).run(None, *controls(id_zip=zips["pets"], ood_zips=[str(path)]))
    )
    assert "leads out of its folder" in words(views[-1].notice)


def test_a_broken_image_is_left_out_and_told(library, tmp_path, zips):
    path = tmp_path / "mixed.zip"
    with zipfile.ZipFile(zips["static"]) as old, zipfile.ZipFile(path, "w") as archive:
        for name in old.namelist()[:3]:
            archive.writestr(name, old.read(name))
        archive.writestr("broken.png", b"no image")
    views = list(
        BenchmarkHandlers(library).run(None, *controls(id_zip=zips["pets"], ood_zips=[str(path)]))
    )
    said = words(filled(views, "notice")[-1])
    assert "One image was left out" in said and "broken.png" in said


def test_folders_are_offered_only_when_the_operator_named_one(tmp_path, zips):
    for name in ("SUN", ".hidden"):
        (tmp_path / name / "images").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name / "images" / "1.png")
    assert folders(Library()) == []
    offering = Library(data=tmp_path)
    assert folders(offering) == ["SUN"]
    assert ("SUN (folder)", "data:SUN") in id_choices(offering)
    assert ("SUN (folder)", "data:SUN") in ood_choices(offering)
    asked = SetsAsked("shipped:id", None, ("data:SUN",), ())
    inside, outside = result_of(opened(offering, asked, label_set("animals"), tmp_path))
    assert inside.name == "animals"  # as it is chosen
    assert outside[0].files == ("images/1.png",)
    assert set(inside.classes) == set(range(40))


def test_a_folder_is_no_id_and_ood_set_at_once(tmp_path):
    for name in ("SUN", "Empty"):
        (tmp_path / "shelf" / name).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "shelf" / "SUN" / "1.png")
    (tmp_path / "shelf" / "Again").symlink_to(tmp_path / "shelf" / "SUN")
    offering = Library(data=tmp_path / "shelf")
    for inside, outside, said in (
        ("data:SUN", ("data:SUN",), "SUN (ID) and SUN (OOD) share images"),
        ("data:SUN", ("data:Again",), "SUN (ID) and Again (OOD) share images"),
        ("shipped:id", ("data:SUN", "data:Again"), "given twice"),
        ("shipped:id", ("data:Empty",), "Empty: "),
    ):
        with pytest.raises(ValueError) as caught:
            asked = SetsAsked(inside, None, outside, ())
            list(opened(offering, asked, label_set("animals"), tmp_path))
        assert said in str(caught.value) and str(tmp_path) not in str(caught.value)


def test_a_recipe_made_here_is_measured_too(library, zips):
    recipe = Recipe({Site.parse("visual.5.up"): 0.3}, EMBEDDED)
    title = library.keep_recipe(recipe, "searched")
    other = library.keep_recipe(Recipe({Site.parse("visual.5.up"): 0.3}, "another"), "other")
    shipped = recipe_names(library, EMBEDDED)
    offered = recipe_chosen(library, EMBEDDED, title, [ORIGINAL, shipped[1]])
    assert offered["choices"] == [*shipped, title]
    assert offered["value"] == [ORIGINAL, title]
    mine = library.keep_recipe(Recipe({Site.parse("visual.4.up"): 0.1}), "uploaded")
    later = recipe_chosen(library, EMBEDDED, mine, offered["value"])
    assert later["choices"] == [*shipped, title, mine]
    assert later["value"] == [ORIGINAL, mine]
    assert recipe_chosen(library, EMBEDDED, NO_RECIPE, [title])["value"] == [ORIGINAL]
    assert other not in recipe_chosen(library, EMBEDDED, other, [])["choices"]
    away = weights_offered(library, "ViT-B-16/openai", title, offered["value"])
    assert title not in away["choices"] and len(away["value"]) == 2
    asked = controls(
        recipes=offered["value"], scores=["mcm"], id_zip=zips["pets"], ood_zips=[zips["static"]]
    )
    views = list(BenchmarkHandlers(library).run(None, *asked))
    assert title in {row.recipe for row in filled(views, "table")[-1].rows}
    assert "Done." in words(filled(views, "notice")[-1])


def test_the_weights_to_choose_from_follow_the_backbone(library):
    names = recipe_names(library, EMBEDDED)
    assert names[0] == ORIGINAL and len(names) > 1
    other = recipe_names(library, "ViT-B-16/openai")
    assert other[0] == ORIGINAL and not set(other[1:]) & set(names)
