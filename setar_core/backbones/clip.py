"""CLIP as open_clip builds it: a ViT pooled at its class token and a causal text tower."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from open_clip.transformer import ResidualAttentionBlock, TextTransformer, VisionTransformer
from torch import Tensor, nn

from ..adapter import Adapter
from ..labels import LabelSet, few, short
from .base import Backbone, BackboneError, Classifier, Preprocess
from .checkpoints import CLIP_CONFIG, CLIP_WEIGHTS, CONCEPTS, WORDS
from .linear.fused import linear, linear_onto, linear_then
from .linear.thin import narrowed
from .text import TextTower, Tokenizer, block_slot, label_rows, pool_type, text_width
from .tower import Features, Slot, Tower, attention, heads, taken, through_norm

TEMPLATE_NUMBERS = 2**24  # 64 MB of rows, for 80 templates and 512 dimensions 400 labels
ROOM = 3  # tokens beside a context: the start, the end, and one of a label at least
AT_ONCE = 1_024  # prompts; all that more of them take is time, not memory


class ClipBackbone(Backbone):
    """A CLIP and its tokenizer; logits are `exp(logit_scale)` times a cosine (arXiv:2103.00020).

    `config` is the page of its open_clip_config.json.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        preprocess: Preprocess,
        tokenizer: Tokenizer,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        check_architecture(name, model)
        self.tokenizer = tokenizer
        self.config = config or {}
        super().__init__(name, model, preprocess)
        self.scale = float(model.logit_scale.exp())

    def _cut(self, model: Any) -> dict[str, Tower]:
        text = getattr(model, "text", model)  # CustomTextCLIP keeps its text tower apart
        return {"visual": ImageTower(model.visual), "text": TextTower(text, self.tokenizer)}

    @torch.inference_mode()
    def reading(self, labels: LabelSet) -> Generator[int, None, Classifier]:
        """Unit text features of every label, `(K, D)`, no bias.

        A trained context stands in place of the labels' prompt.
        """
        if self.adapter and self.adapter.context is not None:
            return Classifier(
                (yield from self._reading_context(labels, self.adapter.context)), None
            )
        rows = yield from self.reading_texts(labels.prompts)
        count = len(labels.templates)
        several = count > 1 and rows.numel() <= TEMPLATE_NUMBERS
        each = rows.unflatten(0, (count, -1)) if several else None
        return Classifier(label_rows(rows, count), None, templates=each)

    @torch.inference_mode()
    def reading_texts(self, texts: Sequence[str]) -> Generator[int, None, Tensor]:
        """Unit features of texts, `(N, D)`; yields how many have been read."""
        return F.normalize((yield from self.reading_outputs(texts)), dim=-1)

    @torch.inference_mode()
    def reading_outputs(self, texts: Sequence[str]) -> Generator[int, None, Tensor]:
        """The same before normalisation, as ensembles that are not open_clip's average them."""
        tower, done = self.towers["text"], 0
        assert isinstance(tower, TextTower)
        rows = torch.empty(len(texts), tower.width, device=self.device)
        for first in range(0, len(texts), AT_ONCE):
            for part in tower.start(texts[first : first + AT_ONCE]).split():
                rows[first + part.order] = tower.outputs(tower.through(part))
                done += len(part.order)
                yield done
        return rows

    def _reading_context(self, labels: LabelSet, context: Tensor) -> Generator[int, None, Tensor]:
        tower, done = self.towers["text"], 0
        assert isinstance(tower, TextTower)
        rows = torch.empty(len(labels), tower.width, device=self.device)
        texts = context_prompts(labels.names, len(context))
        for first in range(0, len(texts), AT_ONCE):
            start = tower.start(texts[first : first + AT_ONCE])
            for part in tower.with_context(start, context.to(self.device)).split():
                rows[first + part.order] = tower.finish(tower.through(part))
                done += len(part.order)
                yield done
        return rows

    def check_context(self, adapter: Adapter) -> None:
        context, tower = adapter.context, self.towers["text"]
        if context is None:
            return
        length, width = tower.text.positional_embedding.shape  # type: ignore[attr-defined]
        if context.shape[1] != width or len(context) > length - ROOM:
            raise ValueError(
                f"the context is {tuple(context.shape)}, and the text tower of {self.name} reads "
                f"at most {length - ROOM} vectors of {width}; use the backbone it was trained on"
            )

    def placed(self, raw: Tensor) -> Tensor:
        return F.normalize(raw, dim=-1)

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file

        if self.adapter and self.adapter.context is not None:
            raise ValueError(
                "a context is read in place of a label's prompt, and no weight holds it; keep the "
                "adapter's file and give it as --adapter"
            )
        state = self.with_weights({}).model.state_dict()
        tensors = {name: t.cpu().contiguous() for name, t in state.items()}
        save_file(tensors, folder / CLIP_WEIGHTS[0])
        page = json.dumps(self.config, indent=1, allow_nan=False)
        (folder / CLIP_CONFIG).write_text(page + "\n", encoding="utf-8")
        for file, lines in (WORDS, sorted(self.vocabulary or ())), (CONCEPTS, self.concepts):
            if lines:
                (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def doubts(self, labels: LabelSet) -> tuple[str, ...]:
        """Labels that its tokenizer cuts, and those that become one text, written differently."""
        tower = self.towers["text"]
        assert isinstance(tower, TextTower)
        names, prompts, found = labels.names, labels.prompts, []
        if self.adapter and self.adapter.context is not None:
            prompts = context_prompts(names, len(self.adapter.context))
        tokens, cut = tower.tokens(prompts)
        if cut:
            found.append(
                f"labels are cut after {tokens.shape[1]} tokens with their prompt: "
                f"{few(list(dict.fromkeys(names[i % len(names)] for i in cut)))}"
            )
        alike: dict[bytes, dict[str, None]] = {}
        every = names * (len(prompts) // len(names))
        for name, row in zip(every, tokens.numpy(), strict=True):
            alike.setdefault(row.tobytes(), {})[name] = None
        if pairs := [" = ".join(map(short, group)) for group in alike.values() if len(group) > 1]:
            found.append(
                f"labels that {self.name} reads as one text share their probability: {few(pairs)}"
            )
        return tuple(found)


def context_prompts(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Labels as CoOp reads them (arXiv:2109.01134): `count` tokens to be replaced, the name with
    spaces for `_`, a full stop."""
    return tuple(f"{'X ' * count}{name.replace('_', ' ')}." for name in names)


class ImageTower(Tower):
    """open_clip's VisionTransformer; the state is `(B, 1 + P, W)`, the class token first."""

    def __init__(self, visual: VisionTransformer) -> None:
        self.visual = visual
        self.blocks = visual.transformer.resblocks
        self.depth = len(self.blocks)

    def start(self, inputs: Tensor) -> Tensor:
        return self.visual._embeds(inputs)

    def attend(self, i: int, state: Tensor) -> Tensor:
        block = self.blocks[i]
        attn, x = block.attn, block.ln_1(state)
        if i < self.depth - 1:
            q, k, v = linear(x, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=-1)
            n = attn.num_heads
            seen = attention(heads(q, n), heads(k, n), heads(v, n))
            out = attn.out_proj
            return linear_onto(state, seen, out.weight, out.bias, block.ls_1)
        left = alone_onto(state, attn, x, block.ls_1)
        left[:, 0] = state[:, 0] + block.ls_1(attn.out_proj(class_attention(attn, x)))
        return left

    def feed(self, i: int, state: Tensor) -> Tensor:
        block = self.blocks[i]
        hidden = linear_then(self.enter(i, state), block.mlp.c_fc, block.mlp.gelu)
        return self._down(i, state, hidden)

    def opens(self, i: int) -> bool:
        return True

    def enter(self, i: int, state: Tensor) -> Tensor:
        return self.blocks[i].ln_2(state)

    def leave(self, i: int, state: Tensor, hidden: Tensor) -> Tensor:
        return self._down(i, state, self.blocks[i].mlp.gelu(hidden))

    def _down(self, i: int, state: Tensor, hidden: Tensor) -> Tensor:
        block = self.blocks[i]
        hidden, down = narrowed(hidden, block.mlp.c_proj)
        return linear_onto(state, hidden, down.weight, down.bias, block.ls_2)

    def finish(self, state: Tensor) -> Features:
        before = self._project(state)
        x = F.normalize(before, dim=-1)
        return Features(x[:, 0], x[:, 1:], tuple(self.visual.grid_size), before[:, 0].clone())

    def parts(self, entering: Tensor, state: Tensor) -> Tensor:
        block, whole = self.blocks[-1], state[:, 0]
        attn, x = block.attn, block.ln_1(entering)
        _, _, weight = attn.in_proj_weight.chunk(3)
        bias = None if attn.in_proj_bias is None else attn.in_proj_bias[2 * attn.embed_dim :]
        shares = class_shares(attn, x)[..., 1:]
        part = block.ls_1(taken(shares, F.linear(x[:, 1:], weight, bias), attn.out_proj.weight))
        part = through_norm(part, self.visual.ln_post, whole)
        part = part if self.visual.proj is None else part @ self.visual.proj
        return part / self._project(whole).norm(dim=-1)[:, None, None]

    def pool(self, state: Tensor) -> Tensor:
        return F.normalize(self._project(state[:, 0]), dim=-1)

    def _project(self, state: Tensor) -> Tensor:
        x = self.visual.ln_post(state)
        return x if self.visual.proj is None else x @ self.visual.proj

    def slot(self, i: int | None, weight: str) -> Slot:
        return Slot(self.visual, "proj") if i is None else block_slot(self.blocks[i], weight)


def alone_onto(state: Tensor, attn: nn.MultiheadAttention, x: Tensor, scale: nn.Module) -> Tensor:
    """The state after attention in which every token sees itself alone, `W_o (W_v x)`.

    Where tokens outnumber rows, the two matrices are multiplied first.
    """
    width, out = attn.embed_dim, attn.out_proj
    weight = attn.in_proj_weight[2 * width :]
    bias = None if attn.in_proj_bias is None else attn.in_proj_bias[2 * width :]
    if x[..., 0].numel() < 2 * width:
        return linear_onto(state, linear(x, weight, bias), out.weight, out.bias, scale)
    bias = out.bias if bias is None else F.linear(bias, out.weight, out.bias)
    return linear_onto(state, x, out.weight @ weight, bias, scale)


def class_attention(attn: nn.MultiheadAttention, x: Tensor) -> Tensor:
    """What the first token alone sees of all, `(B, W)`, without the k and v of any token.

    `q . (W_k x) = (W_k^T q) . x`, and the sum of weighted values is the value of the weighted
    sum. The bias of k adds the same to every score and drops out of the softmax.
    """
    n, width = attn.num_heads, attn.embed_dim
    in_v = attn.in_proj_weight[2 * width :].unflatten(0, (n, -1))
    seen = torch.einsum("bnw,ndw->bnd", class_shares(attn, x) @ x, in_v).flatten(1)
    return seen if attn.in_proj_bias is None else seen + attn.in_proj_bias[2 * width :]


def class_shares(attn: nn.MultiheadAttention, x: Tensor) -> Tensor:
    """How much the first token looks at each of all, `(B, n, L)`, summing to 1; see
    `class_attention`."""
    n, width = attn.num_heads, attn.embed_dim
    in_q, in_k, _ = attn.in_proj_weight.chunk(3)
    bias = None if attn.in_proj_bias is None else attn.in_proj_bias[:width]
    q = F.linear(x[:, 0], in_q, bias).unflatten(-1, (n, -1))  # (B, n, d)
    q = torch.einsum("bnd,ndw->bnw", q, in_k.unflatten(0, (n, -1)))
    return (q @ x.transpose(1, 2) * (width // n) ** -0.5).softmax(dim=-1)


def check_architecture(name: str, model: Any) -> None:
    """Refuse what these towers do not compute.

    Raises:
        BackboneError: with the part that differs.
    """
    visual, text = model.visual, getattr(model, "text", model)
    blocks = [*getattr(getattr(visual, "transformer", None), "resblocks", [])]
    blocks += [*getattr(getattr(text, "transformer", None), "resblocks", [])]
    reason = None
    if type(visual) is not VisionTransformer:
        reason = f"its image tower is a {type(visual).__name__}, not a plain ViT"
    elif visual.attn_pool is not None or visual.pool_type != "tok":
        reason = "its image tower is not pooled at the class token"
    elif not isinstance(text, (TextTransformer, type(model))) or text.attn_mask is None:
        reason = "its text tower is not causal"
    elif getattr(text, "cls_emb", None) is not None or pool_type(text) not in ("argmax", "eos"):
        reason = "its text tower is not pooled at the end-of-text token"
    elif not all(type(block) is ResidualAttentionBlock for block in blocks):
        reason = "its blocks are not plain attention and MLP"
    elif model.logit_bias is not None:
        reason = "it was trained with a sigmoid loss and a bias (SigLIP)"
    elif text_width(text) != visual.output_dim:
        reason = f"its texts have {text_width(text)} dimensions, its images {visual.output_dim}"
    if reason:
        raise BackboneError(
            f"{name} is not supported: {reason}. Use a CLIP such as ViT-B-16/openai or "
            "ViT-B-32/laion2b_s34b_b79k, a timm ViT or SwinV2 (timm:NAME), or emoji"
        )
