"""A small network with its pictures, for searches."""

import json

import pytest

from setar_core.backbones import load_backbone
from setar_core.data.calibration import CalibrationSet
from setar_core.labels import LabelSet


@pytest.fixture(scope="module")
def world(golden):
    backbone = load_backbone(f"local-dir:{golden / 'clip'}")
    labels = LabelSet(tuple(json.loads((golden / "clip" / "labels.json").read_text())))
    images = golden / "clip" / "images"
    return backbone, CalibrationSet.from_folder(images, labels, backbone.preprocess)
