"""timm's ResNets, the networks that ReAct and ASH were made for: features after a ReLU, averaged.

They have no blocks of attention and MLP, so nothing here knows recipes; what a place of the last
map adds to a label is exact (arXiv:1512.04150), but no patch is seen without its neighbours.
"""

from __future__ import annotations

from typing import Any

from timm.models.resnet import ResNet
from torch import Tensor, nn

from .base import BackboneError
from .tower import Features, Tower
from .vision import VisionBackbone, tower_of


class ResNetBackbone(VisionBackbone):
    """A ResNet, ResNeXt, SE-ResNet or another of timm's class ResNet, with its head."""

    has_patches = False
    model: Any  # a ResNet, whose parts timm gives no types

    def _cut(self, model: nn.Module) -> dict[str, Tower]:
        return {}

    @property
    def head(self) -> nn.Linear:
        head: nn.Linear = self.model.fc
        return head

    def run(self, pixels: Tensor, layers: bool = False, parts: bool = False) -> Features:
        """As of any backbone; `local` are the places of the last map, whose mean is `whole`.

        Raises:
            ValueError: `layers`, which only blocks have.
        """
        if layers:
            self.check_blocks()
        places = self.model.forward_features(pixels)  # (B, D, h, w)
        whole, (h, w) = self.model.global_pool(places), places.shape[-2:]
        local = places.flatten(2).transpose(1, 2)  # (B, P, D)
        return Features(whole, local, (h, w), parts=local / (h * w) if parts else None)


def classifier_of(name: str, model: Any) -> type[VisionBackbone]:
    """The backbone that computes this architecture of timm's.

    Raises:
        BackboneError: with the part that differs.
    """
    if type(model) is not ResNet:
        tower_of(name, model)
        return VisionBackbone
    if not isinstance(model.fc, nn.Linear):
        reason = "it has no classification head"
    elif model.global_pool.pool_type != "avg":
        reason = (
            f"the places of its map are pooled by {model.global_pool.pool_type!r}, not averaged"
        )
    else:
        return ResNetBackbone
    raise BackboneError(f"{name} is not supported: {reason}. Use timm:resnet50.a1_in1k or a ViT")
