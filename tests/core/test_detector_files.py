"""A detector's file: what is opened decides, bit for bit, as what was saved, and what is none, was
changed, or is of other weights is refused."""

import json
import shutil
import zipfile

import pytest
import torch

from setar_core.adapter import Adapter
from setar_core.backbones import BackboneError
from setar_core.backbones.examples import read_examples, with_examples
from setar_core.data.negatives import Negatives
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe, Site
from setar_core.scores import SCORES, ScoreOptions
from setar_core.scores.mining import negative_classifier
from setar_core.scores.shaping import Shaping

LEARN = [name for name, score in SCORES.items() if score.learns]


def plain(clip, labels, paths):
    return Detector(clip, labels, "gl_mcm", ScoreOptions(2.0, 0.5)).calibrate(paths, 0.9)


def with_recipe(clip, labels, paths):
    recipe = Recipe({Site("visual", 1, "up"): 0.3, Site("text", 0, "up"): 0.2})
    return Detector(clip.with_recipe(recipe), labels, threshold=0.25)


def with_adapter(clip, labels, paths):
    site = Site("visual", 1, "up")
    out, width = clip.weight(site).shape
    chance = torch.Generator().manual_seed(0)
    tensors = {
        f"{site}/A": torch.randn(3, width, generator=chance),
        f"{site}/B": torch.randn(out, 3, generator=chance),
    }
    recipe = Recipe({Site("text", 0, "up"): 0.2})
    adapter = Adapter("lora", tensors, clip.name, clip.fingerprint, recipe, 0.25)
    return Detector(clip.with_adapter(adapter), labels, "energy").calibrate(paths)


def with_negatives(clip, labels, paths):
    words = Negatives.loads("\n".join(f"thing {i}" for i in range(40)))
    mined = negative_classifier(clip, labels, words)
    options = ScoreOptions(negative_temperature=0.05, groups=2)
    return Detector(clip, labels, "neglabel", options, negatives={"neglabel": mined}).calibrate(
        paths
    )


def with_templates(clip, labels, paths):
    several = LabelSet(labels.names, "a photo of a {}\na drawing of a {}")
    return Detector(clip, several)


def with_examples_and_fit(clip, labels, paths):
    classes = [index // 2 for index in range(len(paths))]
    examples = read_examples(clip, paths[:9], classes[:9])
    mixed = with_examples(clip.classifier(labels), examples, 0.4)
    return Detector(clip, labels, "knn", ScoreOptions(neighbors=3), classifier=mixed).fit(
        paths, LEARN, classes
    )


def shaped(clip, labels, paths):
    return Detector(clip, labels, "msp", shaping=Shaping.parse("react:p90")).fit(paths)


MADE = [
    plain,
    with_recipe,
    with_adapter,
    with_negatives,
    with_templates,
    with_examples_and_fit,
    shaped,
]


def page_of(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(params=MADE, ids=lambda make: make.__name__)
def detector(request, clip, labels, paths):
    return request.param(clip, labels, paths)


@pytest.mark.parametrize("ending", ["json", "zip"])
def test_what_is_opened_decides_as_what_was_saved(detector, clip, paths, tmp_path, ending):
    detector.save(tmp_path / f"mine.{ending}")
    found = Detector.load(tmp_path / f"mine.{ending}", clip.original)
    assert found.context == detector.context and found.threshold == detector.threshold
    assert found.labels == detector.labels and found.options == detector.options
    for path in paths[:3]:
        ours, theirs = found.verdict(path), detector.verdict(path)
        assert ours.page() == theirs.page() and ours.scores == theirs.scores
        assert ours.spread == theirs.spread and ours.nearest == theirs.nearest


def test_a_second_saving_of_what_was_opened_has_the_same_arrays(detector, clip, tmp_path):
    detector.save(tmp_path / "one.json")
    Detector.load(tmp_path / "one.json", clip.original).save(tmp_path / "two.json")
    one, two = (page_of(tmp_path / f"{n}.json") for n in ("one", "two"))
    for told in (one, two):
        told.pop("date")
        told["arrays"] = {name: part["sha256"] for name, part in told["arrays"].items()}
    assert one == two


def test_a_zip_is_the_same_files(clip, labels, paths, tmp_path):
    detector = with_adapter(clip, labels, paths)
    detector.save(tmp_path / "mine.json")
    detector.save(tmp_path / "mine.zip")
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        assert sorted(archive.namelist()) == sorted(
            path.name for path in tmp_path.iterdir() if path.suffix != ".zip"
        )


def test_the_backbone_is_loaded_by_its_name_or_from_where_it_lies_now(
    clip, golden, labels, paths, tmp_path
):
    plain(clip, labels, paths).save(tmp_path / "mine.json")
    assert Detector.load(tmp_path / "mine.json").backbone.name == clip.name
    shutil.copytree(golden / "clip", tmp_path / "elsewhere")
    moved = Detector.load(tmp_path / "mine.json", f"local-dir:{tmp_path / 'elsewhere'}")
    assert moved.threshold.value == plain(clip, labels, paths).threshold.value
    page = page_of(tmp_path / "mine.json")
    page["backbone"]["name"] = "local-dir:/gone"
    (tmp_path / "mine.json").write_text(json.dumps(page))
    with pytest.raises(BackboneError, match="gone"):
        Detector.load(tmp_path / "mine.json")


def test_another_model_under_the_same_name_is_refused(clip, labels, paths, tmp_path):
    plain(clip, labels, paths).save(tmp_path / "mine.json")
    other = clip.with_weights({Site("visual", 1, "up"): clip.weight(Site("visual", 1, "up")) * 2})
    other._original = other
    with pytest.raises(ValueError, match=f"with the weights '{clip.fingerprint}'"):
        Detector.load(tmp_path / "mine.json", other)


def test_what_was_there_is_replaced_whole_and_its_arrays_are_gone(clip, labels, paths, tmp_path):
    with_adapter(clip, labels, paths).save(tmp_path / "mine.json")
    before = {path.name for path in tmp_path.iterdir()}
    (tmp_path / "mine.other.safetensors").write_bytes(b"not ours")
    plain(clip, labels, paths).save(tmp_path / "mine.json")
    after = {path.name for path in tmp_path.iterdir()}
    assert len(before) == 3 and len(after - {"mine.other.safetensors"}) == 2
    assert Detector.load(tmp_path / "mine.json", clip).backbone.adapter is None


def test_a_full_disk_leaves_the_old_one(clip, labels, paths, tmp_path, monkeypatch):
    plain(clip, labels, paths).save(tmp_path / "mine.json")
    before = Detector.load(tmp_path / "mine.json", clip).threshold

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("setar_core.detector.files.write_whole", full)
    with pytest.raises(OSError, match="No space"):
        with_recipe(clip, labels, paths).save(tmp_path / "mine.json")
    assert Detector.load(tmp_path / "mine.json", clip).threshold == before


CHANGES = {
    "no detector": (lambda p: p.clear(), "it is no detector's"),
    "another version": (lambda p: p.update(setar_detector=2), "it is of no version 1"),
    "a boolean version": (lambda p: p.update(setar_detector=True), "its setar_detector is True"),
    "an entry is missing": (lambda p: p.pop("labels"), "'labels' is missing"),
    "an entry too many": (lambda p: p.update(secret=1), "'secret' is missing or unknown"),
    "labels that are none": (lambda p: p.update(labels=[1, 2]), "not all are text"),
    "other labels": (lambda p: p["labels"].reverse(), "labels were changed"),
    "another prompt": (lambda p: p.update(prompt="a {}"), "labels were changed"),
    "another score": (lambda p: p.update(score="mcm"), "were changed"),
    "no score": (lambda p: p.update(score="best"), "'best' is unknown"),
    "other options": (lambda p: p["options"].update(temperature=3.0), "temperature were changed"),
    "an odd option": (lambda p: p["options"].update(temperature="hot"), "temperature is 'hot'"),
    "an unknown option": (lambda p: p["options"].update(beam=1), "option 'beam' is unknown"),
    "another recipe": (
        lambda p: p.update(recipe={"ratios": {"visual.1.up": 0.5}}),
        "recipe were changed",
    ),
    "a context that nobody can see": (
        lambda p: p["context"].update({"sc\x7fore": "mcm"}),
        r"its 'sc\\x7fore' were changed",
    ),
    "an odd shaping": (lambda p: p.update(shaping="relu"), "'relu' is none"),
    "negatives of no way": (
        lambda p: p.update(negatives={"far": {"words": ["a"], "fingerprint": "b"}}),
        "negatives of 'far'",
    ),
    "negatives without rows": (
        lambda p: p.update(negatives={"csp": {"words": ["a"], "fingerprint": "b"}}),
        "its heads are",
    ),
    "another threshold": (lambda p: p["threshold"].update(value=0.5), "its threshold is 0.5"),
    "no calibration": (lambda p: p["threshold"].pop("scores"), "no scores of calibration images"),
    "an odd recall": (lambda p: p["threshold"].update(recall=2), "recall is 2"),
    "no arrays": (lambda p: p["arrays"].clear(), "its arrays are"),
    "another sum": (lambda p: p["arrays"]["heads"].update(sha256="0" * 64), "is not the file"),
    "a file elsewhere": (
        lambda p: p["arrays"]["heads"].update(file="../heads.safetensors"),
        "arrays lie beside it",
    ),
    "a file of Windows": (
        lambda p: p["arrays"]["heads"].update(file="..\\heads.safetensors"),
        "arrays lie beside it",
    ),
    "a file that is gone": (
        lambda p: p["arrays"]["heads"].update(file="other.safetensors"),
        "other.safetensors is not beside it",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_refused_with_its_name(name, clip, labels, paths, tmp_path):
    change, reason = CHANGES[name]
    plain(clip, labels, paths).save(tmp_path / "mine.json")
    page = page_of(tmp_path / "mine.json")
    change(page)
    (tmp_path / "mine.json").write_text(json.dumps(page))
    with pytest.raises(ValueError, match="detector mine.json: .*" + reason.replace(".", r"\.")):
        Detector.load(tmp_path / "mine.json", clip)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"setar_detector": NaN}', "\udce9", "[" * 10**5])
def test_what_is_no_json_is_refused(text, clip, tmp_path):
    (tmp_path / "mine.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=r"detector mine.json: "):
        Detector.load(tmp_path / "mine.json", clip)


def test_an_array_that_was_changed_is_refused(clip, labels, paths, tmp_path):
    plain(clip, labels, paths).save(tmp_path / "mine.json")
    (heads,) = tmp_path.glob("mine.heads-*.safetensors")
    data = bytearray(heads.read_bytes())
    data[-1] ^= 1
    heads.write_bytes(data)
    with pytest.raises(ValueError, match="is not the file that it was saved with"):
        Detector.load(tmp_path / "mine.json", clip)


def test_odd_zips_are_refused(clip, labels, paths, tmp_path):
    plain(clip, labels, paths).save(tmp_path / "mine.zip")
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}

    def zipped(files):
        path = tmp_path / "odd.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path

    odd = {
        "one detector's .json": {n: data for n, data in files.items() if n != "mine.json"},
        "in a folder": {f"../{name}": data for name, data in files.items()},
        "is not beside it": {"mine.json": files["mine.json"]},
        "and its arrays": files | {f"{n}.txt": b"" for n in range(9)},
    }
    for reason, some in odd.items():
        with pytest.raises(ValueError, match=reason):
            Detector.load(zipped(some), clip)
    whole = (tmp_path / "mine.zip").read_bytes()
    (tmp_path / "mine.zip").write_bytes(whole[:40] + b"\xff" * 40 + whole[80:])
    with pytest.raises(ValueError, match=r"detector mine.zip: "):
        Detector.load(tmp_path / "mine.zip", clip)


def test_a_file_has_an_ending_that_says_what_it_is(clip, labels, tmp_path):
    with pytest.raises(ValueError, match=r"ends in .json or .zip"):
        Detector(clip, labels).save(tmp_path / "mine.txt")
    with pytest.raises(ValueError, match="no detector"):
        Detector.load(tmp_path / "none.json", clip)
