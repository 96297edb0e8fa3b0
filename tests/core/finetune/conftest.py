"""The golden runs: their networks, pictures and labels, each opened once."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from setar_core.backbones import load_backbone
from setar_core.data.images import find_images
from setar_core.finetune.pictures import TrainingSet
from setar_core.labels import LabelSet
from tests.threads import threads

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@cache
def network(family):
    return load_backbone(("timm:" if family == "swin" else "") + f"local-dir:{GOLDEN / family}")


@cache
def labels_of(family):
    return LabelSet.load(GOLDEN / family / "labels.json")


@cache
def pictures(family, classes=None):
    paths = find_images([GOLDEN / family / "images"])
    return TrainingSet(tuple(paths), classes or tuple(range(len(paths))))


@cache
def pixels(family):
    """Of the ID images, then of the OOD pictures."""
    from setar_core.data.images import read_image

    paths = [*find_images([GOLDEN / family / "images"]), *find_images([GOLDEN / "ood" / "images"])]
    return torch.stack([network(family).preprocess(read_image(path)) for path in paths])


def pages(path):
    return json.loads((GOLDEN / path).with_suffix(".json").read_text())


def numbers(path):
    return np.load((GOLDEN / path).with_suffix(".npz"))


@pytest.fixture(scope="module", autouse=True)
def few_threads():
    """Small matrices are quicker in one."""
    with threads(1):
        yield
