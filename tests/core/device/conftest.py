"""A card, and small networks with what they are asked."""

from collections.abc import Iterator

import pytest
import torch

from setar_core.backbones import load_backbone
from setar_core.data.calibration import CalibrationSet
from setar_core.labels import LabelSet
from tests.core.device.card import Card, StandIn

GIB = 2**30
NAMES = {"clip": "local-dir:", "swin": "timm:local-dir:"}


@pytest.fixture
def card(monkeypatch) -> Iterator[Card | StandIn]:
    """The card of this machine, where there is none a stand-in."""
    if torch.cuda.is_available():
        yield Card()
        return
    if not hasattr(torch._C, "_ensureCUDADeviceGuardSet"):
        pytest.skip(f"torch {torch.__version__} cannot stand in for a card; it needs a later one")
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (2 * GIB, 8 * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Stand-in 8 GB")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    monkeypatch.setattr("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
    torch._C._ensureCUDADeviceGuardSet()
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def worlds(golden, card):
    """Each family's backbone on the card, with its calibration pictures and labels."""
    found = {}
    for family, prefix in NAMES.items():
        backbone = load_backbone(f"{prefix}{golden / family}", card.name)
        labels = LabelSet.load(golden / family / "labels.json")
        images = golden / family / "images"
        found[family] = backbone, CalibrationSet.from_folder(images, labels, backbone.preprocess)
    return found
