"""Adapter files: what is saved is read again, and what is no adapter is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from setar_core.adapter import KEY, Adapter
from setar_core.backbones import load_backbone
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe, Site

SITE = "visual.1.up"


@pytest.fixture
def adapter(clip):
    out, width = clip.weight(Site.parse(SITE)).shape
    chance = torch.Generator().manual_seed(0)
    tensors = {
        f"{SITE}/A": torch.randn(3, width, generator=chance),
        f"{SITE}/B": torch.randn(out, 3, generator=chance),
    }
    recipe = Recipe({Site("text", 0, "up"): 0.2})
    return Adapter(
        "lora", tensors, clip.name, clip.fingerprint, recipe, 0.25, {"rank": 3}, (1.5, 1.25), 7,
        ("zebra", "otter"),
    )  # fmt: skip


def changed(path, adapter, page=(), tensors=None):
    """A file that says otherwise."""
    adapter.save(path)
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        told = json.loads(file.metadata()[KEY])
    told |= dict(page)
    save_file(tensors or load_file(path), path, {KEY: json.dumps(told)})
    return path


def test_a_file_is_read_as_it_was_written(adapter, tmp_path):
    adapter.save(tmp_path / "a.safetensors")
    found = Adapter.load(tmp_path / "a.safetensors")
    assert found.fingerprint == adapter.fingerprint and found.dumps() == adapter.dumps()
    assert (found.recipe, found.losses, found.steps, found.labels) == (
        adapter.recipe, (1.5, 1.25), 7, ("zebra", "otter"),
    )  # fmt: skip


def test_the_network_is_the_recipe_and_the_term(clip, adapter):
    other = clip.with_adapter(adapter)
    site = Site.parse(SITE)
    term = 0.25 * adapter.tensors[f"{SITE}/B"] @ adapter.tensors[f"{SITE}/A"]
    assert torch.equal(other.weight(site), clip.weight(site) + term)
    reduced = clip.with_recipe(adapter.recipe)
    text = Site("text", 0, "up")
    assert torch.equal(other.weight(text), reduced.weight(text))
    mine = {p.data_ptr() for p in clip.model.parameters()}
    fresh = [n for n, p in other.model.named_parameters() if p.data_ptr() not in mine]
    assert len(fresh) == 2
    assert clip.adapter is None and clip.recipe is None


def test_a_threshold_is_of_the_adapter_it_was_found_with(clip, adapter):
    labels = LabelSet(("zebra", "otter"))
    contexts = [
        Detector(b, labels, threshold=0.0).context
        for b in (clip, clip.with_recipe(adapter.recipe), clip.with_adapter(adapter))
    ]
    assert len({context.recipe for context in contexts}) == 3


def test_another_networks_adapter_is_refused(clip, adapter, golden):
    swin = load_backbone(f"timm:local-dir:{golden / 'swin'}")
    with pytest.raises(ValueError, match="was trained on"):
        swin.with_adapter(adapter)


@pytest.mark.parametrize(
    "page",
    [
        {"version": 2}, {"moves": "all"}, {"weights": "x"}, {"scale": -1}, {"scale": True},
        {"scale": 1e300}, {"losses": ["a"]}, {"steps": -1}, {"labels": ["\\ud800", 3]},
        {"recipe": {"ratios": 3}}, {"recipe": []}, {"plan": 1}, {"more": 1},
        {"backbone": "b" * 9999},
    ],
)  # fmt: skip
def test_a_page_that_is_odd_is_refused(adapter, tmp_path, page):
    path = changed(tmp_path / "a.safetensors", adapter, page)
    with pytest.raises(ValueError, match=r"adapter a\.safetensors"):
        Adapter.load(path)


def test_tensors_that_are_odd_are_refused(clip, adapter, tmp_path):
    a, b = adapter.tensors[f"{SITE}/A"], adapter.tensors[f"{SITE}/B"]
    path = tmp_path / "a.safetensors"
    for tensors in (
        {f"{SITE}/A": a},
        {f"{SITE}/A": a, f"{SITE}/B": b[:, :2].contiguous()},
        {f"{SITE}/A": a.half(), f"{SITE}/B": b.half()},
        {f"{SITE}/A": a * float("nan"), f"{SITE}/B": b},
        {f"{SITE}/A": a, f"{SITE}/C": b},
        {"../x.up/A": a, "../x.up/B": b},
        {f"{SITE}/A": a[0].clone(), f"{SITE}/B": b},
        {f"{SITE}/A": a[:0].clone(), f"{SITE}/B": b[:, :0].clone()},
    ):
        with pytest.raises(ValueError, match=r"adapter a\.safetensors"):
            Adapter.load(changed(path, adapter, tensors=tensors))
    narrow = {f"{SITE}/A": a[:, 1:].contiguous(), f"{SITE}/B": b}
    with pytest.raises(ValueError, match="the network's"):
        clip.with_adapter(Adapter.load(changed(path, adapter, tensors=narrow)))


@pytest.mark.parametrize("data", [b"", b"\x80\x04K\x01.", b"PK\x03\x04" + b"0" * 64, b"\xff" * 99])
def test_what_is_no_safetensors_file_is_refused(tmp_path, data):
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="not a safetensors file"):
        Adapter.load(path)


def test_a_checkpoint_is_no_adapter(golden):
    with pytest.raises(ValueError, match="fine-tuning wrote"):
        Adapter.load(golden / "clip" / "open_clip_model.safetensors")
