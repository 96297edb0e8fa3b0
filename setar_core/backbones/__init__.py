"""`load_backbone(name)`: a name to a network that reads images and labels."""

from __future__ import annotations

import torch

from ..labels import LabelSet
from .base import Backbone, BackboneError, Classifier, Logits
from .device import check_device, place
from .loading import BLACK, FAMILIES, WHITE, Family, clip_tag, emoji, unknown
from .progress import Progress
from .tower import Features, Tower

__all__ = [
    "Backbone",
    "BackboneError",
    "Classifier",
    "Features",
    "Logits",
    "Tower",
    "is_private",
    "load_backbone",
]

SCALES = (1e-6, 1e6)  # between cosines and logits; CLIP's training keeps it below 100


def load_backbone(
    name: str,
    device: str = "cpu",
    progress: Progress | None = None,
    limit: int | None = None,
) -> Backbone:
    """The backbone of that name, in float32 on `device`.

    Args:
        name: `emoji`; `MODEL/TAG` as open_clip lists them (`ViT-B-16/openai`); `hf-hub:ORG/NAME`
            or `local-dir:PATH` in open_clip's form; `timm:NAME`, `timm:hf-hub:ORG/NAME` or
            `timm:local-dir:PATH` for a SwinV2, plain ViT or ResNet classifier.
        device: `cpu`, `cuda`, `cuda:1`, `mps`.
        progress: receives a sentence before each step that may take long.
        limit: bytes of the largest file that may be fetched from the hub; None for any.

    Raises:
        BackboneError: unknown name (near matches are listed), unsupported architecture, a
            checkpoint that is not safetensors, no such device, the hub cannot be reached, or a
            file above the limit.
        OutOfMemory: it does not fit on the device.
    """
    check_device(device)
    if name == "emoji":
        family: Family = emoji
    else:
        prefixes = sorted((p for p in FAMILIES if name.startswith(p)), key=len)
        family = FAMILIES[prefixes[-1]] if prefixes else clip_tag
    if family is clip_tag and "/" not in name:
        raise unknown(name)
    backbone = family(name, progress, limit)
    _check_numbers(backbone)
    place(backbone.model, name, device)
    return backbone


def is_private(name: str) -> bool:
    """Names a folder or any hub repository: for the operator's command line, never a visitor."""
    return "local-dir:" in name or "hf-hub:" in name


def _check_numbers(backbone: Backbone) -> None:
    """Raises BackboneError, with the tensor's name, for what leaves the range of float32."""
    largest, where = 0.0, ""
    for part, weight in backbone.model.named_parameters():
        if not torch.isfinite(weight).all():
            raise BackboneError(
                f"{backbone.name}: its weights hold NaN or infinite values (in {part}); they may "
                "have been saved in too low a precision, so convert them again"
            )
        if weight.numel() and (size := float(weight.abs().max())) > largest:
            largest, where = size, part
    low, high = SCALES
    if not low <= backbone.scale <= high:
        value = float(backbone.model.get_parameter("logit_scale"))
        raise BackboneError(
            f"{backbone.name}: its logit_scale is {value:g}, the logarithm of a factor outside "
            f"{low:g} to {high:g}; save the logarithm of the factor, about 4.6 for CLIP"
        )
    pictures = torch.stack([backbone.preprocess(picture) for picture in (BLACK, WHITE)])
    outputs = list(backbone.features(pictures)[:2])
    if backbone.has_text:
        outputs.append(backbone.classifier(LabelSet(("black", "white"))).weight)
    if not all(bool(torch.isfinite(output).all()) for output in outputs):
        raise BackboneError(
            f"{backbone.name}: what it computes leaves the range of float32; its largest weight, "
            f"{largest:.3g}, is in {where}, so look there and convert the weights again"
        )
