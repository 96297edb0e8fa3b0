"""Mutated checkpoints, most of them where the header lies."""

import json
import shutil

import torch

from setar_core.adapter import Adapter
from setar_core.backbones import load_backbone
from setar_core.backbones.checkpoints import (
    LAYERS,
    check_safetensors,
    read_config,
    read_layers,
    shape_in,
)
from setar_core.backbones.linear.thin import make_thin
from setar_core.data.images import find_images
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe, Site
from tests.fuzz.mutate import hunt


def test_mutated_weights_are_loaded_or_refused(golden, tmp_path, fuzz_seconds):
    folder = shutil.copytree(golden / "clip", tmp_path / "clip")
    (weights,) = folder.glob("*.safetensors")
    whole = weights.read_bytes()
    tensor = next(name for name in json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
                  if name != "__metadata__")  # fmt: skip

    def read(data):
        weights.write_bytes(data)
        check_safetensors(weights)
        shape_in(weights, tensor)
        load_backbone(f"local-dir:{folder}")

    taken, refused = hunt(read, [whole], fuzz_seconds)
    assert taken and refused


def test_a_mutated_configuration_is_read_or_refused(golden, tmp_path, fuzz_seconds):
    """Without a network of its sizes, which may be any."""
    path = tmp_path / "config.json"

    def read(data):
        path.write_bytes(data)
        read_config(path, {"model_cfg": dict})

    seeds = [(golden / "clip" / "open_clip_config.json").read_bytes(), b"NaN", b"1" * 5000]
    taken, refused = hunt(read, seeds, fuzz_seconds)
    assert taken and refused


def test_mutated_ranks_of_layers_are_taken_or_refused(tmp_path, fuzz_seconds):
    path, name = tmp_path / LAYERS, "mlp.fc1"

    def read(data):
        path.write_bytes(data)
        model = torch.nn.ModuleDict({"mlp": torch.nn.ModuleDict({"fc1": torch.nn.Linear(8, 32)})})
        make_thin(model, read_layers(tmp_path))

    seeds = [json.dumps({"layers": {name: rank}}).encode() for rank in (1, 5, 7)]
    taken, refused = hunt(read, seeds, fuzz_seconds)
    assert taken and refused


def test_a_mutated_fit_is_read_or_refused(golden, tmp_path, fuzz_seconds):
    backbone = load_backbone(f"local-dir:{golden / 'clip'}")
    detector = Detector(backbone, LabelSet.load(golden / "clip" / "labels.json"))
    images = find_images([golden / "clip" / "images"])[:12]
    path = tmp_path / "fit.safetensors"
    detector.fit(images, ["fdbd", "mahalanobis", "layers_mcm"], [0, 1] * 6).save_fit(path)

    def read(data):
        path.write_bytes(data)
        detector.with_fit(path)

    taken, refused = hunt(read, [path.read_bytes()], fuzz_seconds)
    assert taken and refused


def test_a_mutated_adapter_is_read_or_refused(golden, tmp_path, fuzz_seconds):
    backbone = load_backbone(f"local-dir:{golden / 'clip'}")
    out, width = backbone.weight(Site("visual", 0, "up")).shape
    tensors = {"visual.0.up/A": torch.ones(2, width), "visual.0.up/B": torch.ones(out, 2)}
    recipe = Recipe({Site("visual", 1, "up"): 0.1})
    adapter = Adapter("lora", tensors, backbone.name, backbone.fingerprint, recipe)
    path = tmp_path / "a.safetensors"

    def read(data):
        path.write_bytes(data)
        backbone.with_adapter(Adapter.load(path))

    taken, refused = hunt(read, [adapter.dumps()], fuzz_seconds)
    assert taken and refused
