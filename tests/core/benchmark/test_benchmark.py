"""The benchmark: one pass for all, rows against their definition, what is left out, and memory."""

import shutil
import tracemalloc
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from setar_core.backbones import load_backbone
from setar_core.backbones.base import Backbone, Classifier, Features
from setar_core.benchmark.about import About
from setar_core.benchmark.mistakes import (
    between,
    false_positives,
    worst_accepted,
    worst_rejected,
)
from setar_core.benchmark.results import Detection
from setar_core.benchmark.run import Benchmark, benchmark
from setar_core.data.sets import MEAN, ImageSet, open_sets
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.metrics.curves import rates
from setar_core.metrics.separation import separation, threshold_at_recall
from setar_core.recipe import Recipe, Site
from setar_core.scores import ScoreOptions

NAMES = ("mcm", "gl_mcm", "energy")
COLOURS = LabelSet(("red", "green", "blue"))


class Colours(Backbone):
    """Reads the colours of a picture: the cheapest network there is. CLIP's scale is 100."""

    def __init__(self):
        super().__init__("colours", torch.nn.Linear(3, 3, bias=False), self.pixels)
        self.scale = 100.0

    def _cut(self, model):
        return {}

    @staticmethod
    def pixels(image):
        found = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 255
        return torch.from_numpy(found.copy())

    def features(self, images, layers=False, parts=False):
        local = torch.nn.functional.normalize(images.flatten(2).transpose(1, 2), dim=-1)
        return Features(local.mean(dim=1), local, tuple(images.shape[2:]))

    def reading(self, labels):
        yield len(labels)
        return Classifier(torch.eye(3), None)


def picture(path, *colours):
    """A row of pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (len(colours), 1))
    image.putdata(colours)
    image.save(path)
    return path


RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)


@pytest.fixture
def coloured(tmp_path):
    """ID: clear colours, two of them in the wrong folder; OOD: greys, one of them nearly red."""
    for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        for i in range(4):
            picture(tmp_path / "id" / name / f"{i}.png", colour, (*colour[:2], colour[2] // 2 + i))
    picture(tmp_path / "id" / "red" / "odd.png", GREEN, (10, 200, 10))
    picture(tmp_path / "id" / "red" / "pale.png", GREY, (140, 120, 120))
    for i in range(6):
        picture(tmp_path / "grey" / f"{i}.png", GREY, (128 + i, 128, 128))
    picture(tmp_path / "grey" / "reddish.png", (250, 3, 3), RED)
    for i in range(5):
        picture(tmp_path / "mixed" / f"{i}.png", (200, 200, i), GREY)
    return tmp_path


@pytest.fixture
def run(coloured):
    """A finished benchmark of the cheap network and its rows."""
    inside, outside, _ = open_sets(
        coloured / "id", [coloured / "grey", coloured / "mixed"], COLOURS
    )
    bench = Benchmark({"original": Detector(Colours(), COLOURS)}, inside, outside, NAMES)
    rows = [row for step in bench.steps(4) for row in step.rows]
    return bench, rows


@pytest.fixture(scope="module")
def clip(golden):
    """Detectors of the tiny CLIP: original, and two recipes."""
    backbone = load_backbone(f"local-dir:{golden / 'clip'}")
    labels = LabelSet.load(golden / "clip" / "labels.json")
    recipes = {
        "light": Recipe({Site("visual", 1, "up"): 0.2}),
        "heavy": Recipe({Site("visual", 3, "up"): 0.4, Site("text", 2, "up"): 0.3}),
    }
    made = {name: backbone.with_recipe(recipe) for name, recipe in recipes.items()}
    return {name: Detector(b, labels) for name, b in {"original": backbone, **made}.items()}


@pytest.fixture
def folders(golden, tmp_path):
    """The tiny CLIP's own pictures by class, and two OOD sets of five."""
    shutil.copytree(golden / "clip" / "images", tmp_path / "id")
    rng = np.random.default_rng(0)
    for name, high in (("noise", 256), ("dark", 60)):
        for i in range(5):
            path = tmp_path / name / f"{i}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, high, (40, 40, 3), dtype=np.uint8)).save(path)
    return tmp_path


def sets_of(folder, labels, *oods):
    return open_sets(folder / "id", [folder / name for name in oods], labels)[:2]


def test_scores_are_those_that_a_detector_gives(clip, folders):
    inside, outside = sets_of(folders, clip["original"].labels, "noise", "dark")
    bench = Benchmark(clip, inside, outside, NAMES, resamples=0)
    list(bench.steps(7))
    for scored in bench.sets:
        for recipe, detector in clip.items():
            verdicts = [verdict for _, verdict in detector.verdicts(scored.images.paths())]
            for name in NAMES:
                wanted = [verdict.scores[name] for verdict in verdicts]
                found = bench.scores_of(scored, Detection(recipe, name))
                np.testing.assert_allclose(found, wanted, rtol=2e-6)
            top = [verdict.top[0][0] for verdict in verdicts]
            assert [bench.labels[i] for i in bench.nearest(scored, recipe)] == top


def test_rows_are_the_separation_of_those_scores_and_the_mean_follows(clip, folders):
    inside, outside = sets_of(folders, clip["original"].labels, "noise", "dark")
    bench = Benchmark(clip, inside, outside, NAMES, resamples=200)
    rows = [row for step in bench.steps() for row in step.rows]
    assert [row.ood for row in rows] == ["noise"] * 9 + ["dark"] * 9 + [MEAN] * 9
    by = {(row.recipe, row.score, row.ood): row for row in rows}
    for detection in bench.detections:
        points = []
        for ood in bench.oods:
            row = by[(*detection, ood.images.name)]
            wanted = separation(
                bench.scores_of(bench.id, detection), bench.scores_of(ood, detection)
            )
            assert row.metrics == wanted
            assert (row.n_id, row.n_ood) == (40, 5)
            for low, value, high in zip(row.low, row.metrics, row.high, strict=True):
                assert 0 <= low <= value + 1e-12 and value - 1e-12 <= high <= 1
            points.append(wanted)
        row = by[(*detection, MEAN)]
        assert row.metrics == pytest.approx(np.mean(points, axis=0))
        assert row.n_ood == 10
    for ood in ("noise", "dark", MEAN):
        best = max((row for row in rows if row.ood == ood), key=lambda row: row.metrics.auroc)
        assert best.standing.auroc == "best"


def test_every_image_is_decoded_once_for_all_recipes_and_scores(clip, folders, monkeypatch):
    from setar_core.data import images

    read = Counter()

    def counted(path, real=images.read_image):
        read[path] += 1
        return real(path)

    monkeypatch.setattr(images, "read_image", counted)
    inside, outside = sets_of(folders, clip["original"].labels, "noise")
    rows = list(benchmark(clip, inside, outside, NAMES, resamples=0))
    assert len(rows) == 9  # one OOD set has no mean
    assert set(read.values()) == {1}
    assert len(read) == 45


def test_the_batch_size_changes_no_score(clip, folders):
    found = []
    for size in (1, 3, 64):
        inside, outside = sets_of(folders, clip["original"].labels, "noise")
        bench = Benchmark(clip, inside, outside, NAMES, resamples=0)
        steps = list(bench.steps(size))
        assert steps[-1].done == steps[-1].total == 45
        found.append(np.concatenate([scored.values for scored in bench.sets]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
    np.testing.assert_allclose(found[0], found[2], rtol=1e-5)


def test_steps_come_with_every_batch_and_say_how_far_they_are(run, coloured):
    inside, outside, _ = open_sets(coloured / "id", [coloured / "grey"], COLOURS)
    bench = Benchmark({"o": Detector(Colours(), COLOURS)}, inside, outside)
    steps = list(bench.steps(4))
    assert [step.done for step in steps] == [4, 8, 12, 14, 18, 21, 21]
    assert {step.total for step in steps} == {21}
    assert [len(step.rows) for step in steps] == [0, 0, 0, 0, 0, 0, 1]


def test_a_stopped_run_goes_on_where_it_was(coloured):
    inside, outside, _ = open_sets(coloured / "id", [coloured / "grey"], COLOURS)
    bench = Benchmark({"o": Detector(Colours(), COLOURS)}, inside, outside)
    steps = bench.steps(4)
    next(steps), next(steps)
    steps.close()
    later = list(bench.steps(4))
    assert later[0].done == 12
    fresh = Benchmark({"o": Detector(Colours(), COLOURS)}, inside, outside)
    assert later[-1].rows == list(fresh.steps())[-1].rows


def test_broken_images_are_left_out_and_told_in_place(clip, folders):
    (folders / "noise" / "1.png").write_text("no image")
    (folders / "noise" / "9.png").write_bytes(b"")
    (folders / "dark" / "0.png").write_bytes((folders / "dark" / "0.png").read_bytes()[:60])
    for size in (1, 2, 50):
        inside, outside = sets_of(folders, clip["original"].labels, "noise", "dark")
        bench = Benchmark(clip, inside, outside, NAMES, resamples=0)
        steps = list(bench.steps(size))
        assert sum(len(step.left_out) for step in steps) == 3
        noise, dark = bench.oods
        assert set(noise.left_out) == {1, 5}
        assert "1.png" in noise.left_out[1] and "9.png" in noise.left_out[5]
        assert set(dark.left_out) == {0}
        assert steps[-1].rows[0].n_ood == 8
        assert np.isnan(noise.values[1]).all()
        assert noise.places.tolist() == [0, 2, 3, 4]


def test_an_ood_set_that_cannot_be_read_is_left_out_and_no_set_at_all_is_refused(clip, folders):
    for path in (folders / "noise").iterdir():
        path.write_text("no image")
    inside, outside = sets_of(folders, clip["original"].labels, "noise", "dark")
    rows = list(benchmark(clip, inside, outside, resamples=0))
    assert {row.ood for row in rows} == {"dark"}
    with pytest.raises(ValueError, match="none of the 5 images of noise could be read"):
        list(benchmark(clip, inside, outside[:1]))


def test_a_score_that_is_no_number_leaves_the_image_out(coloured):
    class Sick(Colours):
        def features(self, images, layers=False, parts=False):
            found = super().features(images)
            found.whole[found.whole[:, 0] > 0.9] = torch.nan
            return found

    inside, outside, _ = open_sets(coloured / "id", [coloured / "grey"], COLOURS)
    bench = Benchmark({"o": Detector(Sick(), COLOURS)}, inside, outside)
    list(bench.steps())
    assert list(bench.oods[0].left_out.values()) == ["'reddish.png': its scores are no numbers"]


def test_accuracy_needs_class_folders(run, coloured):
    bench, _ = run
    assert bench.accuracy("original") == pytest.approx(13 / 14)  # the odd one is green
    flat = ImageSet.from_folder(coloured / "grey", labels=COLOURS)
    other = Benchmark({"o": Detector(Colours(), COLOURS)}, flat, [bench.oods[1].images])
    list(other.steps())
    assert other.accuracy("o") is None


def test_calibration_images_set_a_threshold_for_each_detector(coloured):
    inside, outside, examples = open_sets(
        coloured / "id", [coloured / "grey"], COLOURS, coloured / "id" / "red"
    )
    detector = Detector(Colours(), COLOURS)
    bench = Benchmark({"o": detector}, inside, outside, NAMES, calibration=examples)
    list(bench.steps())
    for name in NAMES:
        found = bench.threshold(Detection("o", name))
        scores = bench.scores_of(bench.calibration, Detection("o", name))
        assert found.value == threshold_at_recall(scores)
        assert found.context == detector.with_score(name).context
    bench = Benchmark({"o": detector}, inside, outside)
    with pytest.raises(ValueError, match="no calibration images"):
        bench.threshold(Detection("o", "mcm"))


def test_the_worst_mistakes_and_the_labels_that_draw_them(run):
    bench, _ = run
    detection = Detection("original", "mcm")
    grey = bench.oods[0]
    threshold = threshold_at_recall(bench.scores_of(bench.id, detection), 0.9)
    accepted = worst_accepted(bench, grey, detection, threshold)
    assert [one.path.name for one in accepted] == ["reddish.png"]
    assert accepted[0].label == "red"
    assert accepted[0].truth is None
    assert accepted[0].beyond == pytest.approx(accepted[0].score - threshold)
    assert false_positives(bench, grey, detection, threshold)[0][:2] == ("red", 1)
    found = false_positives(bench, grey, detection, -np.inf)
    assert sum(one.accepted for one in found) == len(grey.images)
    assert all(one.accepted == one.nearest for one in found)
    rejected = worst_rejected(bench, detection, threshold)
    assert rejected[0].path.name == "pale.png"
    assert rejected[0].truth == "red"
    share = 1 - len(rejected) / len(bench.id.images)
    assert rates(bench.scores_of(bench.id, detection), [0.0], threshold).recall == pytest.approx(
        share
    )
    assert len(worst_accepted(bench, grey, detection, -np.inf, count=3)) == 3


def test_pictures_whose_scores_lie_in_a_range(run):
    bench, _ = run
    detection, grey = Detection("original", "mcm"), bench.oods[0]
    scores = np.sort(bench.scores_of(bench.id, detection))
    low, high = scores[2], scores[5]
    found = between(bench, bench.id, detection, scores[4], low, high)
    assert [one.score for one in found] == sorted(s for s in scores if low <= s <= high)[::-1]
    assert all(one.known and one.mistake != one.accepted for one in found)
    assert {one.truth for one in found} <= set(COLOURS.names)
    foreign = between(bench, grey, detection, 0.0, -np.inf, np.inf)
    assert len(foreign) == len(grey.places) and all(one.mistake for one in foreign)


def test_what_cannot_be_compared_is_refused(clip, coloured):
    inside, outside, _ = open_sets(coloured / "id", [coloured / "grey"], COLOURS)
    mine = Detector(Colours(), COLOURS)
    warm = mine.with_score("mcm", ScoreOptions(2.0))
    local = mine.with_score("mcm", ScoreOptions(local_weight=2))
    for detectors, oods, scores, reason in (
        ({}, outside, NAMES, "no detector"),
        ({"o": mine}, [], NAMES, "no OOD set"),
        ({"o": mine}, outside, ["best"], "'best' is unknown"),
        ({"o": mine}, outside, ["mcm", "mcm"], "name each once"),
        ({"o": mine}, outside, [], "name each once"),
        ({"o": mine, "x": clip["original"]}, outside, NAMES, "differ in backbone"),
        ({"o": mine, "x": warm}, outside, NAMES, "differ in temperature"),
        ({"o": mine, "x": local}, outside, NAMES, "differ in local weight"),
        ({"o": mine}, [*outside, *outside], NAMES, "share a name"),
    ):
        with pytest.raises(ValueError, match=reason):
            Benchmark(detectors, inside, oods, scores)


@pytest.mark.parametrize("scores", [pytest.param(("mcm",), marks=pytest.mark.long), NAMES])
def test_an_image_costs_a_few_floats_however_many_there_are(coloured, scores):
    """Peak memory at 1,000 and at 20,000 images: the difference is what is kept of each."""
    files = sorted(path.relative_to(coloured).as_posix() for path in coloured.glob("id/*/?.png"))
    peaks = []
    for count in (1_000, 20_000):
        many = [files[i % len(files)] for i in range(count)]
        inside = ImageSet("id", coloured, tuple(many[: count // 2]))
        outside = ImageSet("ood", coloured, tuple(many[count // 2 :]))
        tracemalloc.start()
        bench = Benchmark({"o": Detector(Colours(), COLOURS)}, inside, [outside], scores, None, 0)
        for _ in bench.steps(32):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    each = (peaks[1] - peaks[0]) / 19_000
    assert each < 100 + 30 * len(scores), f"{each:.0f} bytes an image"


def test_a_benchmark_says_what_it_was_made_with(run):
    bench, _ = run
    found = About.of(bench)
    assert found.known == {bench.id.images.name: 14}
    assert found.foreign["grey"] == 7
    assert found.accuracy["original"] == pytest.approx(13 / 14)
    assert found.conclusion and set(bench.comparisons) == {"grey", "mixed", MEAN}
    assert any("3 labels" in line for line in found.lines)
