"""The small CLIP: open_clip's own modules, a training pass over them, and the shipped folder.

The training pass reads open_clip's parameters and gives open_clip's features; it only leaves out
what training can do without: the padding of captions, the embeddings of words that never occur,
half of the patches for most of the steps, and the fused attention whose backward is slow on a CPU.
"""

import json
from pathlib import Path
from typing import NamedTuple

import open_clip
import torch
from open_clip.transformer import ResidualAttentionBlock
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

IMAGE_SIDE = 64
CONFIG = {
    "model_cfg": {
        "embed_dim": 128,
        "vision_cfg": {
            "image_size": IMAGE_SIDE,
            "layers": 6,
            "width": 128,
            "head_width": 64,
            "patch_size": 8,
        },
        "text_cfg": {
            "context_length": 32,
            "vocab_size": 49408,
            "width": 64,
            "heads": 2,
            "layers": 3,
        },
    },
    "preprocess_cfg": {
        "mean": [0.48145466, 0.4578275, 0.40821073],
        "std": [0.26862954, 0.26130258, 0.27577711],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    },
}


class ImageFeatures(NamedTuple):
    """Unit vectors: whole (B, D) from the class token, local (B, P, D) from the patches."""

    whole: Tensor
    local: Tensor


class EmojiClip(nn.Module):
    """open_clip's CLIP with a table of only the words that occur, and a fast training pass."""

    def __init__(self, token_ids: Tensor):
        """token_ids: every token id that training texts contain, 0 (padding) among them."""
        super().__init__()
        self.clip = open_clip.CLIP(**CONFIG["model_cfg"])
        table = self.clip.token_embedding.weight
        table.requires_grad_(False)
        self.token_ids = token_ids
        rows = torch.zeros(len(table), dtype=torch.long)
        rows[token_ids] = torch.arange(len(token_ids))
        self.register_buffer("rows", rows, persistent=False)
        self.words = nn.Parameter(table[token_ids].clone())
        self.presence_scale = nn.Parameter(torch.tensor(16.0))
        self.presence_bias = nn.Parameter(torch.tensor(0.5))

    def image_features(self, images: Tensor, keep: Tensor | None = None) -> ImageFeatures:
        """images: normalised (B, 3, 64, 64); keep: (B, k) patches to look at, None for all."""
        tower = self.clip.visual
        x = tower.conv1(images).flatten(2).mT  # (B, P, width)
        x = x + tower.positional_embedding[1:].to(x.dtype)
        if keep is not None:
            x = x.gather(1, keep[..., None].expand(-1, -1, x.shape[-1]))
        first = (tower.class_embedding + tower.positional_embedding[0]).to(x.dtype)
        x = tower.ln_pre(torch.cat((first.expand(len(x), 1, -1), x), 1))
        *lower, top = tower.transformer.resblocks
        for block in lower:
            x = _block(block, x)
        whole = _block(top, x, queries=1)[:, 0]
        local = _alone(top, x[:, 1:])
        return ImageFeatures(
            *(F.normalize((tower.ln_post(v) @ tower.proj).float(), dim=-1) for v in (whole, local))
        )

    def text_features(self, tokens: Tensor) -> Tensor:
        """Unit vectors (B, D) of token ids (B, L); the padding behind the longest is left out."""
        clip = self.clip
        end = tokens.argmax(1)
        tokens = tokens[:, : int(end.max()) + 1]
        length = tokens.shape[1]
        x = self.words[self.rows[tokens]] + clip.positional_embedding[:length]
        for block in clip.transformer.resblocks:
            x = _block(block, x, mask=clip.attn_mask[:length, :length])
        x = clip.ln_final(x)[torch.arange(len(x), device=x.device), end]
        return F.normalize((x @ clip.text_projection).float(), dim=-1)

    def open_clip_state(self) -> dict[str, Tensor]:
        """The parameters as open_clip names them, the trained words put back into their table."""
        state = {name: value.detach().clone() for name, value in self.clip.state_dict().items()}
        state["token_embedding.weight"][self.token_ids] = self.words.detach()
        return state


def save_backbone(state: dict[str, Tensor], folder: Path) -> None:
    """Writes the open_clip `local-dir` form: the config, and the weights in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(CONFIG, indent=1) + "\n", "utf-8")
    half = {
        name: value.half().contiguous().cpu()
        for name, value in state.items()
        if name != "attn_mask"
    }
    weights = folder / "open_clip_model.safetensors"
    save_file(half, str(weights))
    weights.chmod(0o644)


def normalised(pictures: Tensor) -> Tensor:
    """Pictures in [0, 1] (B, 3, H, W) as the towers want them."""
    mean, std = (
        pictures.new_tensor(CONFIG["preprocess_cfg"][key]).view(1, 3, 1, 1)
        for key in ("mean", "std")
    )
    return (pictures - mean) / std


def _block(
    block: ResidualAttentionBlock, x: Tensor, mask: Tensor | None = None, queries: int | None = None
) -> Tensor:
    """One block over (B, N, width), or only the first `queries` tokens of its result."""
    attention = block.attn
    heads, width = attention.num_heads, x.shape[-1]
    y = block.ln_1(x)
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    q = F.linear(y[:, :queries], weight[:width], bias[:width]) * (width // heads) ** -0.5
    k, v = F.linear(y, weight[width:], bias[width:]).chunk(2, -1)
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
    scores = q @ k.mT  # (B, heads, queries, N)
    if mask is not None:
        scores = scores + mask.to(scores.dtype)
    mixed = (scores.softmax(-1).to(v.dtype) @ v).transpose(1, 2).flatten(2)
    x = x[:, :queries] + attention.out_proj(mixed)
    return x + block.mlp(block.ln_2(x))


def _alone(block: ResidualAttentionBlock, x: Tensor) -> Tensor:
    """The block with every token attending only to itself (arXiv:2304.04521), (B, P, width)."""
    attention, width = block.attn, x.shape[-1]
    value = F.linear(
        block.ln_1(x), attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
    )
    x = x + attention.out_proj(value)
    return x + block.mlp(block.ln_2(x))
