"""Low-rank matrices in two: the same features with fewer parameters, here and without us."""

import json
import re
import subprocess
import sys

import open_clip
import pytest
import torch
from torch import nn

from setar_core.__main__ import main
from setar_core.adapter import Adapter
from setar_core.backbones import BackboneError, load_backbone
from setar_core.backbones.linear.thin import Thin, thin_layers
from setar_core.data.images import find_images, read_image
from setar_core.interop import factorised
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe, Site

RATIO = 0.6  # saves in matrices of any shape
WITHOUT_US = "import sys\nsys.modules['setar_core'] = None\n"
NETWORKS = ("clip", "vit", "swin")
THIN = {"clip": ("up", "down"), "vit": ("o", "up", "down"), "swin": ("o", "up", "down")}


def name_of(golden, network):
    return f"{'' if network == 'clip' else 'timm:'}local-dir:{golden / network}"


def recipe_of(backbone, prune="minor"):
    """One that drops much of every kind of matrix in the lowest and the topmost block."""
    weights = ("q", "k", "v", "o", "up", "down")
    sites = [
        site
        for w in weights
        for site in [*backbone.sites(w)][:: backbone.towers["visual"].depth - 1]
    ]
    return Recipe(dict.fromkeys([*sites, Site("visual", None, "proj")], RATIO), prune=prune)


def pixels_of(golden, backbone):
    paths = find_images([golden / "clip" / "images"])[:3]
    return torch.stack([backbone.preprocess(read_image(path)) for path in paths])


def close(mine, theirs):
    return float((mine - theirs).abs().max()) <= 1e-5 * float(theirs.abs().max())


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request, golden, tmp_path_factory):
    """The network with the recipe, the folder, and what was measured."""
    backbone = load_backbone(name_of(golden, request.param))
    backbone = backbone.with_recipe(recipe_of(backbone))
    folder = tmp_path_factory.mktemp("factorised")
    return backbone, folder, factorised.export_factorised(backbone, folder)


def loaded(folder, backbone):
    return load_backbone(f"{'' if backbone.has_text else 'timm:'}local-dir:{folder}")


def test_it_is_the_merged_network_in_fewer_parameters(exported, golden):
    backbone, folder, found = exported
    again = loaded(folder, backbone)
    pixels = pixels_of(golden, backbone)
    for mine, theirs in zip(again.features(pixels)[:2], backbone.features(pixels)[:2], strict=True):
        assert close(mine, theirs)
    saved = 0
    for site in found.thin:
        parts = backbone.spectrum(site)
        out, width = backbone.weight(site).shape
        saved += out * width - parts.kept(RATIO) * (out + width)
    assert saved > 0 and found.parameters[0] - found.parameters[1] == saved
    assert sum(p.numel() for p in again.model.parameters()) == found.parameters[1]
    if backbone.has_text:
        labels = LabelSet(("dog", "a red bicycle"))
        assert close(again.classifier(labels).weight, backbone.classifier(labels).weight)


def test_what_is_read_as_a_whole_stays_so_and_is_said(exported):
    backbone, folder, found = exported
    kinds = THIN["clip" if backbone.has_text else "vit"]
    assert {site.weight for site in found.thin} == {*kinds}
    assert {*found.thin} | {*found.whole} == {*backbone.recipe.ratios}
    page = json.loads((folder / "factorised.json").read_text(encoding="utf-8"))
    assert len(page["layers"]) == len(found.thin)
    assert page["kept_whole"] == {str(site): reason for site, reason in found.whole.items()}
    told = f"kept whole: {len(found.whole)} of {len(backbone.recipe.ratios)} ("
    assert told in str(found) and told in (folder / "README.md").read_text(encoding="utf-8")


def test_it_is_altered_as_the_merged_one_is(exported, golden):
    backbone, folder, _ = exported
    again, pixels = loaded(folder, backbone), pixels_of(golden, backbone)
    assert thin_layers(again.model)
    site = next(again.sites("up"))
    mine = again.with_recipe(Recipe({site: 0.9}))
    theirs = backbone.with_weights({site: mine.weight(site)})
    assert close(mine.features(pixels).whole, theirs.features(pixels).whole)
    assert not thin_layers(mine.model) and thin_layers(again.model)


def test_merged_again_its_library_opens_it_alone(exported, golden, tmp_path):
    backbone, folder, _ = exported
    loaded(folder, backbone).save(tmp_path)
    again = loaded(tmp_path, backbone)
    assert not thin_layers(again.model)
    pixels = pixels_of(golden, backbone)
    assert close(again.features(pixels).whole, backbone.features(pixels).whole)


LONG = [pytest.param(network, marks=pytest.mark.long) for network in NETWORKS[1:]]


@pytest.mark.parametrize("network", ["clip", *LONG])
def test_the_readme_runs_without_us(network, golden, tmp_path):
    backbone = load_backbone(name_of(golden, network))
    backbone = backbone.with_recipe(recipe_of(backbone))
    factorised.export_factorised(backbone, tmp_path)
    path = find_images([golden / "clip" / "images"])[0]
    read_image(path).save(tmp_path / "photo.png")
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1].replace("photo.jpg", "photo.png")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_US + code],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = [float(x) for x in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", done.stdout)]
    pixels = backbone.preprocess(read_image(path))[None]
    features = backbone.features(pixels).whole
    if not backbone.has_text:
        features = backbone.head(features)
    assert told == pytest.approx(features[0, :3].tolist(), abs=2e-4)


@torch.inference_mode()
def test_its_loader_reads_texts_and_pictures(golden, tmp_path):
    backbone = load_backbone(name_of(golden, "clip"))
    backbone = backbone.with_recipe(recipe_of(backbone))
    factorised.export_factorised(backbone, tmp_path)
    space = {"__file__": str(tmp_path / "factorised.py"), "__name__": "factorised"}
    exec((tmp_path / "factorised.py").read_text(encoding="utf-8"), space)
    model, preprocess, tokenizer = space["load"](tmp_path)
    assert str(preprocess) == str(backbone.preprocess)
    pixels = pixels_of(golden, backbone)
    assert close(model.encode_image(pixels, normalize=True), backbone.features(pixels).whole)
    mine = model.encode_text(tokenizer(["a photo of a dog."]), normalize=True)
    theirs = backbone.classifier(LabelSet(("dog", "cat"), "a photo of a {}.")).weight[:1]
    assert close(mine, theirs)
    with pytest.raises(RuntimeError, match="Missing key"):  # by open_clip alone, and not in silence
        open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")


@pytest.mark.parametrize("prune", ["principal", "random"])
def test_other_components_may_be_dropped(golden, prune, tmp_path):
    backbone = load_backbone(name_of(golden, "clip"))
    backbone = backbone.with_recipe(recipe_of(backbone, prune))
    assert factorised.export_factorised(backbone, tmp_path).difference <= 1e-5


def test_the_embedded_recipe_says_what_it_gains(tmp_path, capsys):
    ask = ["export", "--backbone", "emoji", "--recipe", "emoji-searched", "--to", "factorised"]
    assert main([*ask, "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    assert "kept whole: 4 of 9 (visual.5.up: rank 122 of 512 x 128 saves nothing; " in told.err
    again, emoji = load_backbone(told.out.strip()), load_backbone("emoji")
    assert (again.vocabulary, again.concepts) == (emoji.vocabulary, emoji.concepts)


def test_what_gains_nothing_is_refused(tmp_path, capsys):
    Recipe({Site("visual", 5, "up"): 0.05, Site("visual", 4, "v"): 0.9}).save(tmp_path / "r.json")
    ask = ["export", "--backbone", "emoji", "--recipe", str(tmp_path / "r.json")]
    assert main([*ask, "--to", "factorised", "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "nothing would be gained, kept whole: 2 of 2 (visual.5.up: rank 122" in told
    assert "visual.4.v: its matrix is read as a whole" in told
    assert {path.name for path in tmp_path.iterdir()} == {"r.json"}


def test_an_adapter_is_refused(golden, tmp_path):
    backbone = load_backbone(name_of(golden, "clip"))
    site = next(backbone.sites("up"))
    out, width = backbone.weight(site).shape
    tensors = {f"{site}/A": torch.zeros(2, width), f"{site}/B": torch.zeros(out, 2)}
    adapter = Adapter("lora", tensors, backbone.name, backbone.fingerprint)
    for other in (backbone, backbone.with_adapter(adapter)):
        with pytest.raises(ValueError, match="and no adapter"):
            factorised.export_factorised(other, tmp_path)


def test_what_differs_is_not_given(golden, tmp_path, monkeypatch):
    monkeypatch.setattr(factorised, "TOLERANCE", -1.0)
    backbone = load_backbone(name_of(golden, "clip"))
    with pytest.raises(ValueError, match="would differ by"):
        factorised.export_factorised(backbone.with_recipe(recipe_of(backbone)), tmp_path)
    assert not [*tmp_path.iterdir()]


UP = "visual.transformer.resblocks.0.mlp.c_fc"
ODD = {
    "is no layer that can be two": {"visual.transformer.resblocks.0.attn.out_proj": 2},
    "'nothing' is no layer": {"nothing": 2},
    "rank True saves nothing": {UP: True},
    "rank 0 saves nothing": {UP: 0},
    "rank 1000000000 saves nothing": {UP: 10**9},
    "size mismatch": {UP: 1},
}


@pytest.mark.parametrize("exported", ["clip"], indirect=True)
@pytest.mark.parametrize("reason", ODD)
def test_an_odd_page_is_refused(reason, exported, tmp_path):
    backbone, folder, _ = exported
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "factorised.json"
    page = json.loads(path.read_text(encoding="utf-8"))
    page["layers"] |= ODD[reason]
    path.write_text(json.dumps(page), encoding="utf-8")
    with pytest.raises(BackboneError, match=reason):
        loaded(tmp_path, backbone)


def test_two_layers_are_the_one_of_their_product():
    chance = torch.Generator().manual_seed(0)
    thin = Thin(nn.Linear(6, 5), 2)
    x = torch.randn(3, 6, generator=chance)
    one = thin.whole()
    assert torch.allclose(thin(x), one(x), atol=1e-6) and one.bias is thin.bias
    assert one.weight.shape == (5, 6) and torch.linalg.matrix_rank(one.weight) == 2
