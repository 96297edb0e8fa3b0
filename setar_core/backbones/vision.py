"""timm classifiers without a text tower: SwinV2 and the plain ViT with a class token.

Their labels are the head's classes by index; a patch's logits are the head's at its position.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers.attention import Attention
from timm.layers.mlp import Mlp
from timm.models.swin_transformer_v2 import SwinTransformerV2
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from ..data.strict import short
from ..labels import LabelSet
from .base import Backbone, BackboneError, Classifier, Preprocess
from .tower import Features, Slot, Tower, attention, heads, taken, through_norm


class VisionBackbone(Backbone):
    """A classifier with its head; logits are the head's own, `scale` is 1."""

    def __init__(
        self,
        name: str,
        model: nn.Module,
        preprocess: Preprocess,
        class_names: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(name, model, preprocess)
        self.class_names = class_names

    def _cut(self, model: nn.Module) -> dict[str, Tower]:
        return {"visual": tower_of(self.name, model)(model)}

    @property
    def head(self) -> nn.Linear:
        tower = self.towers["visual"]
        assert isinstance(tower, (VitTower, SwinTower))
        return tower.head

    @property
    def num_classes(self) -> int:
        return self.head.out_features

    def reading(self, labels: LabelSet) -> Generator[int, None, Classifier]:
        """The head, `(K, D)` with its bias.

        Raises:
            ValueError: the labels are not as many as the head's classes.
        """
        if len(labels) != self.num_classes:
            raise ValueError(
                f"{len(labels)} labels for {self.name}, whose head has {self.num_classes} classes; "
                "give one label a class, in the head's order"
            )
        yield len(labels)
        return Classifier(self.head.weight, self.head.bias)

    def save(self, folder: Path) -> None:
        from timm.models import save_for_hf

        save_for_hf(self.with_weights({}).model, str(folder), safe_serialization=True)


class VitTower(Tower):
    """timm's VisionTransformer; the state is `(B, prefix + P, W)`, the class token first."""

    def __init__(self, model: Any) -> None:
        self.model = model  # a VisionTransformer, whose parts timm gives no types
        self.blocks = model.blocks
        self.depth = len(self.blocks)
        self.head: nn.Linear = model.head

    def start(self, inputs: Tensor) -> Tensor:
        return self.model.norm_pre(self.model._pos_embed(self.model.patch_embed(inputs)))

    def attend(self, i: int, state: Tensor) -> Tensor:
        block = self.blocks[i]
        x = block.norm1(state)
        if i < self.depth - 1:
            return state + block.ls1(block.attn(x))
        attn, first = block.attn, self.model.num_prefix_tokens
        q, k, v = attn.qkv(x).chunk(3, dim=-1)
        split = [heads(part, attn.num_heads) for part in (q[:, :1], k, v)]
        seen = attention(attn.q_norm(split[0]), attn.k_norm(split[1]), split[2])
        rows = torch.cat([seen, v[:, first:]], dim=1)  # a patch that attends to itself sees its v
        kept = torch.cat([state[:, :1], state[:, first:]], dim=1)
        return kept + block.ls1(attn.proj(attn.norm(rows)))

    def feed(self, i: int, state: Tensor) -> Tensor:
        block = self.blocks[i]
        return state + block.ls2(block.mlp(block.norm2(state)))

    def opens(self, i: int) -> bool:
        return type(self.blocks[i].mlp) is Mlp

    def enter(self, i: int, state: Tensor) -> Tensor:
        return self.blocks[i].norm2(state)

    def leave(self, i: int, state: Tensor, hidden: Tensor) -> Tensor:
        block = self.blocks[i]
        return state + block.ls2(_after_up(block.mlp, hidden))

    def finish(self, state: Tensor) -> Features:
        x = self.model.fc_norm(self.model.norm(state))
        return Features(x[:, 0], x[:, 1:], tuple(self.model.patch_embed.grid_size))

    def parts(self, entering: Tensor, state: Tensor) -> Tensor:
        block, first = self.blocks[-1], self.model.num_prefix_tokens
        attn, x = block.attn, block.norm1(entering)
        q, k, v = attn.qkv(x).chunk(3, dim=-1)
        q, k = attn.q_norm(heads(q[:, :1], attn.num_heads)), attn.k_norm(heads(k, attn.num_heads))
        shares = (q @ k.transpose(-2, -1) * attn.scale).softmax(dim=-1)[:, :, 0, first:]
        part = block.ls1(taken(shares, v[:, first:], attn.proj.weight))
        return through_norm(part, self.model.norm, state[:, 0])

    def pool(self, state: Tensor) -> Tensor:
        return self.model.fc_norm(self.model.norm(state[:, 0]))

    def slot(self, i: int | None, weight: str) -> Slot:
        return Slot(self.head, "weight") if i is None else _slot(self.blocks[i], weight)


class SwinTower(Tower):
    """timm's SwinTransformerV2; blocks are `(stage, block)`, the state `(B, h, w, C)`.

    After the last attention there are two states, `(B, 2, h, w, C)`: as the network has it, and
    with every position attending to itself alone.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.ids = [
            (s, b) for s, stage in enumerate(model.layers) for b in range(len(stage.blocks))
        ]
        self.blocks = [model.layers[s].blocks[b] for s, b in self.ids]
        self.depth = len(self.blocks)
        self.head: nn.Linear = model.head.fc

    def block_id(self, i: int) -> tuple[int, int]:
        return self.ids[i]

    def start(self, inputs: Tensor) -> Tensor:
        return self.model.patch_embed(inputs)

    def attend(self, i: int, state: Tensor) -> Tensor:
        block, (stage, number) = self.blocks[i], self.ids[i]
        if number == 0:  # a stage opens by merging patches
            state = self.model.layers[stage].downsample(state)
        seen = state + block.norm1(block._attn(state))
        if i < self.depth - 1:
            return seen
        attn = block.attn
        third = attn.qkv.weight.shape[0] // 3
        alone = attn.proj(F.linear(state, attn.qkv.weight[2 * third :], attn.v_bias))
        return torch.stack([seen, state + block.norm1(alone)], dim=1)

    def feed(self, i: int, state: Tensor) -> Tensor:
        block = self.blocks[i]
        return state + block.norm2(block.mlp(state))

    def opens(self, i: int) -> bool:
        return type(self.blocks[i].mlp) is Mlp

    def enter(self, i: int, state: Tensor) -> Tensor:
        return state

    def leave(self, i: int, state: Tensor, hidden: Tensor) -> Tensor:
        block = self.blocks[i]
        return state + block.norm2(_after_up(block.mlp, hidden))

    def finish(self, state: Tensor) -> Features:
        x = self.model.norm(state)  # (B, 2, h, w, C)
        h, w = x.shape[2:4]
        return Features(x[:, 0].mean(dim=(1, 2)), x[:, 1].flatten(1, 2), (h, w))

    def parts(self, entering: Tensor, state: Tensor) -> Tensor:
        x = self.model.norm(state[:, 0]).flatten(1, 2)
        return x / x.shape[1]

    def slot(self, i: int | None, weight: str) -> Slot:
        return Slot(self.head, "weight") if i is None else _slot(self.blocks[i], weight)


def _after_up(mlp: Any, hidden: Tensor) -> Tensor:
    return mlp.fc2(mlp.norm(mlp.act(hidden)))  # dropout does nothing here


def _slot(block: Any, weight: str) -> Slot:
    """Where timm keeps a weight of a block; q, k and v are thirds of `qkv`."""
    attn, mlp = block.attn, block.mlp
    if weight in ("q", "k", "v"):
        third = attn.qkv.weight.shape[0] // 3
        start = "qkv".index(weight) * third
        return Slot(attn.qkv, "weight", slice(start, start + third))
    return Slot({"o": attn.proj, "up": mlp.fc1, "down": mlp.fc2}[weight], "weight")


def tower_of(name: str, model: Any) -> type[VitTower] | type[SwinTower]:
    """The tower that computes this architecture.

    Raises:
        BackboneError: with the part that differs.
    """
    reason = None
    if type(model) is SwinTransformerV2:
        if model.head.global_pool.pool_type != "avg":
            reason = "its head does not average the positions"
        elif not isinstance(model.head.fc, nn.Linear):
            reason = "it has no classification head"
        else:
            return SwinTower
    elif type(model) is not VisionTransformer:
        reason = f"a {type(model).__name__} is neither a plain ViT, a SwinV2 nor a ResNet"
    elif not isinstance(model.head, nn.Linear):
        reason = "it has no classification head"
    elif model.attn_pool is not None or model.global_pool != "token" or model.cls_token is None:
        reason = f"it is pooled by {short(model.global_pool)}, not at a class token"
    elif not all(type(b) is Block and type(b.attn) is Attention for b in model.blocks):
        reason = "its blocks are not plain attention and MLP"
    elif any(getattr(b.attn, "gate", None) is not None for b in model.blocks):
        reason = "its attention has gates"
    else:
        return VitTower
    raise BackboneError(
        f"{name} is not supported: {reason}. Use a plain ViT such as "
        "timm:deit_tiny_patch16_224.fb_in1k, a SwinV2 such as "
        "timm:swinv2_base_window16_256.ms_in1k, a ResNet such as timm:resnet50.a1_in1k, a CLIP "
        "such as ViT-B-16/openai, or emoji"
    )
