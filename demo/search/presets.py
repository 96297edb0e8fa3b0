"""The authors' settings by network and labels, and what they become for other labels."""

from __future__ import annotations

from typing import NamedTuple

from demo.server.models import model_of
from setar_core.labels import usual_top_k

OWN = "settings of your own"


class Preset(NamedTuple):
    """What a preset fills in; `top_k` None is a share of the labels."""

    title: str
    lambda_ood: float
    top_k: int | None
    told: str


PUBLISHED = {
    ("ViT-B-16/openai", "imagenet1k"): Preset(
        "ImageNet, CLIP ViT-B/16", 0.1, 300, "as the authors searched ViT-B/16 on ImageNet"
    ),
    ("ViT-L-14/openai", "imagenet1k"): Preset(
        "ImageNet, CLIP ViT-L/14", 0.5, 300, "as the authors searched ViT-L/14 on ImageNet"
    ),
    ("timm:swinv2_base_window16_256.ms_in1k", "imagenet1k"): Preset(
        "ImageNet, SwinV2-B", 0.01, 700, "as the authors searched SwinV2-B on ImageNet"
    ),
    ("ViT-B-16/openai", "voc20"): Preset(
        "VOC, CLIP ViT-B/16", 0.05, 4, "as the authors searched ViT-B/16 on Pascal VOC"
    ),
    ("ViT-L-14/openai", "voc20"): Preset(
        "VOC, CLIP ViT-L/14", 0.3, 6, "as the authors searched ViT-L/14 on Pascal VOC"
    ),
}
OTHER = Preset(
    "any labels",
    0.1,
    None,
    "λ as for ImageNet; K about 0.3 of the labels, as the authors' K is of theirs",
)
PRESETS = {preset.title: preset for preset in (OTHER, *PUBLISHED.values())}


def fitting(backbone: str, labels: str) -> Preset:
    """The authors' preset of this backbone and label set; of ViT-B/16 where the set is theirs
    and the backbone is not; else what suits any labels."""
    first = PUBLISHED.get((model_of(backbone), labels))
    return first or PUBLISHED.get(("ViT-B-16/openai", labels)) or OTHER


def proposed(preset: Preset, count: int | None) -> int | None:
    """K for so many labels; None while their number is not known."""
    if preset.top_k is not None or count is None:
        return preset.top_k
    return usual_top_k(count)
