"""Where the patch map of the embedded backbone is strong, there the object lies."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from assets.build import benchmark
from setar_core.backbones import load_backbone
from setar_core.data.images import read_image
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.paths import BENCHMARK

COUNT = 100
FRESH = 21  # a draw that is not shipped and was looked at by nobody


def shipped():
    boxes = json.loads((BENCHMARK / "boxes.json").read_text("utf-8"))
    for path in sorted((BENCHMARK / "id").rglob("*.webp"))[:COUNT]:
        yield read_image(path), boxes[path.relative_to(BENCHMARK).as_posix()][0]


def fresh():
    for scene in benchmark.scenes_of("id", COUNT, FRESH):
        pixels = scene.picture.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
        yield Image.fromarray(pixels.numpy()), scene.boxes[0]


def inside(support, box):
    """Which centres of the top tenth of the patches lie in the main object's box, grown by one."""
    h, w = support.shape
    _, left, top, right, bottom = box
    strongest = np.argsort(support, axis=None)[-math.ceil(support.size / 10) :]
    y, x = np.divmod(strongest, w)
    across = (left - 1 / w <= (x + 0.5) / w) & ((x + 0.5) / w <= right + 1 / w)
    return across & (top - 1 / h <= (y + 0.5) / h) & ((y + 0.5) / h <= bottom + 1 / h)


@pytest.mark.parametrize("scenes", [shipped, fresh])
def test_the_strongest_patches_lie_on_the_object(scenes):
    detector = Detector(load_backbone("emoji"), LabelSet.load("animals"))
    found = [(detector.verdict(picture), box) for picture, box in scenes()]
    assert len(found) == COUNT
    for support, least in (
        ([verdict.support for verdict, _ in found], 0.9),
        ([np.roll(verdict.support, 4, (0, 1)) for verdict, _ in found], None),  # anywhere else
    ):
        hits = np.concatenate([inside(s, box) for s, (_, box) in zip(support, found, strict=True)])
        assert hits.mean() >= least if least else hits.mean() < 0.8
