"""`export`: what is written opens in open_clip and timm, and is the network that was exported."""

import json

import open_clip
import pytest
import timm
import torch

from setar_core import LabelSet, Recipe, load_backbone
from setar_core.__main__ import main
from setar_core.adapter import Adapter
from setar_core.data.images import find_images, read_image
from setar_core.paths import BACKBONES


@pytest.fixture(params=["clip", "vit", "swin"])
def changed(request, golden, tmp_path):
    """A backbone's name, the file of a recipe, and the backbone with it."""
    prefix = "" if request.param == "clip" else "timm:"
    name = f"{prefix}local-dir:{golden / request.param}"
    original = load_backbone(name)
    sites = [*original.sites("up")][:2] + [*original.sites("q")][:1]
    recipe = Recipe(dict.fromkeys(sites, 0.4), backbone=name)
    recipe.save(tmp_path / "r.json")
    return name, tmp_path / "r.json", original.with_recipe(recipe)


@pytest.fixture
def pixels(golden):
    def of(backbone):
        pictures = [read_image(path) for path in find_images([golden / "clip" / "images"])[:3]]
        return torch.stack([backbone.preprocess(picture) for picture in pictures])

    return of


def test_an_exported_network_is_the_one_with_the_recipe(changed, pixels, tmp_path, capsys):
    name, recipe, backbone = changed
    out = tmp_path / "merged"
    assert main(["export", "--backbone", name, "--recipe", str(recipe), "--out", str(out)]) == 0
    again = load_backbone(capsys.readouterr().out.strip())
    assert again.fingerprint != backbone.fingerprint and again.recipe is None
    for mine, theirs in zip(
        backbone.features(pixels(backbone))[:2], again.features(pixels(again))[:2], strict=True
    ):
        assert torch.equal(mine, theirs)
    assert "the SeTAR recipe" in (out / "README.md").read_text()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@torch.inference_mode()
def test_the_libraries_open_it_alone(changed, pixels, tmp_path):
    name, recipe, backbone = changed
    out = tmp_path / "merged"
    main(["export", "--backbone", name, "--recipe", str(recipe), "--out", str(out)])
    x = pixels(backbone)
    if backbone.has_text:
        model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{out}")
        theirs = model.eval().encode_image(x, normalize=True)
        assert str(preprocess) == str(backbone.preprocess)
        tokens = open_clip.get_tokenizer(f"local-dir:{out}")(["a photo of a dog"])
        mine = backbone.classifier(LabelSet(("dog", "cat"))).weight[:1]
        assert torch.allclose(model.encode_text(tokens, normalize=True), mine, atol=1e-5)
    else:
        model = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
        theirs = model.forward_head(model.forward_features(x), pre_logits=True)
    assert torch.allclose(backbone.features(x).whole, theirs, atol=1e-5)


def test_an_adapter_is_merged(golden, pixels, tmp_path, capsys):
    name = f"local-dir:{golden / 'clip'}"
    original = load_backbone(name)
    site = next(original.sites("up"))
    out, width = original.weight(site).shape
    tensors = {f"{site}/A": torch.randn(2, width), f"{site}/B": torch.randn(out, 2)}
    adapter = Adapter("lora", tensors, name, original.fingerprint, scale=0.1)
    adapter.save(tmp_path / "a.safetensors")
    ask = ["export", "--backbone", name, "--adapter", str(tmp_path / "a.safetensors")]
    assert main([*ask, "--out", str(tmp_path / "merged")]) == 0
    again = load_backbone(capsys.readouterr().out.strip())
    x = pixels(original)
    assert torch.equal(again.features(x).whole, original.with_adapter(adapter).features(x).whole)
    assert not torch.equal(again.features(x).whole, original.features(x).whole)


def test_a_context_is_in_no_weight(golden, tmp_path, capsys):
    name = f"local-dir:{golden / 'clip'}"
    original = load_backbone(name)
    width = original.towers["text"].text.positional_embedding.shape[1]
    context = {"context": torch.zeros(4, width)}
    Adapter("context", context, name, original.fingerprint).save(tmp_path / "c.safetensors")
    ask = ["export", "--backbone", name, "--adapter", str(tmp_path / "c.safetensors")]
    assert main([*ask, "--out", str(tmp_path / "merged")]) == 2
    assert "no weight holds it" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"c.safetensors"}


@pytest.mark.parametrize(
    ("out", "told"),
    [("r.json", "is there already"), ("no/such", "does not exist"), ("new", "nothing to merge")],
)
def test_what_cannot_be_exported_is_refused_before_loading(out, told, tmp_path, capsys):
    (tmp_path / "r.json").write_text("{}")
    more = [] if out == "new" else ["--recipe", "emoji-searched"]
    ask = ["export", "--backbone", "nothing", *more, "--out", str(tmp_path / out)]
    assert main(ask) == 2
    assert told in capsys.readouterr().err


def test_the_embedded_backbone_keeps_its_words(tmp_path, capsys):
    out = tmp_path / "mine"
    assert (
        main(["export", "--backbone", "emoji", "--recipe", "emoji-searched", "--out", str(out)])
        == 0
    )
    again, emoji = load_backbone(f"local-dir:{out}"), load_backbone("emoji")
    assert (again.vocabulary, again.concepts) == (emoji.vocabulary, emoji.concepts)
    page = json.loads((out / "open_clip_config.json").read_text())
    assert page == json.loads((BACKBONES / "emoji" / "open_clip_config.json").read_text())
