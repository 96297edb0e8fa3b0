"""What may be measured in Benchmark: sets, zips, folders, weights."""

import io
import zipfile

import pytest
import torch
from PIL import Image

from demo.benchmark.components.table import BenchmarkTable, table
from demo.benchmark.handlers import ORIGINAL, BenchmarkHandlers
from demo.benchmark.layout import recipe_chosen, recipe_names, weights_offered
from demo.benchmark.sets import ZIP, SetsAsked, folders, id_choices, ood_choices, opened
from demo.server.jobs import result_of
from demo.server.library import Library
from demo.server.request import NO_RECIPE
from demo.server.shipped import EMBEDDED, label_set
from setar_core.adapter import Adapter
from setar_core.recipe import Recipe, Site
from tests.demo.benchmark.asking import HOSTILE, controls, filled
from tests.demo.told import is_bad, words


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


def test_an_adapter_is_measured_beside_the_recipe_below_it(library):
    backbone, shipped = library.backbone(EMBEDDED), recipe_names(library, EMBEDDED)
    site = next(backbone.sites("up"))
    out, width = backbone.weight(site).shape
    tensors = {f"{site}/A": torch.ones(1, width), f"{site}/B": torch.ones(out, 1)}
    below = {}
    for kind, recipe in {"with": Recipe.load(shipped[1]), "without": None}.items():
        adapter = Adapter("lora", tensors, EMBEDDED, backbone.fingerprint, recipe)
        below[kind] = library.keep_recipe(adapter, kind)
    offered = recipe_chosen(library, EMBEDDED, below["with"], [])
    assert offered["value"] == [ORIGINAL, shipped[1], below["with"]]
    offered = recipe_chosen(library, EMBEDDED, below["without"], [])
    assert offered["value"] == [ORIGINAL, below["without"]]


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
