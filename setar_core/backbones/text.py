"""The causal text tower of a CLIP, run once for what prompts share and never on padding.

Under a causal mask a token sees only what stands before it. So the states of a common prefix
("a photo of a") are the same for every label, and what follows the end-of-text token is unseen.
Both facts are exact; labels are grouped by the length of what remains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor, nn

from .tower import Slot, Tower, attention, heads

Tokenizer = Callable[..., Tensor]  # prompts, and L where it is another, to token ids `(C, L)`
GROUP_TOKENS = 16_384  # a group's states stay under some hundred MB in the widest MLP


class TextState(NamedTuple):
    """`prefix (1, Lp, W)` shared by all prompts; `groups`, each `(b, l, W)`, of what follows it;
    `rows`, the prompts' indices group by group."""

    prefix: Tensor
    groups: tuple[Tensor, ...]
    rows: tuple[Tensor, ...]

    @property
    def order(self) -> Tensor:
        return torch.cat(self.rows)

    def split(self) -> Iterator[TextState]:
        """One state a group: the peak of memory when they are run in turn."""
        for group, rows in zip(self.groups, self.rows, strict=True):
            yield TextState(self.prefix, (group,), (rows,))

    def joined(self) -> Iterator[TextState]:
        """The groups in as few states as hold `GROUP_TOKENS` tokens each."""
        groups: list[Tensor] = []
        rows: list[Tensor] = []
        tokens = 0
        for group, row in zip(self.groups, self.rows, strict=True):
            count = group.shape[0] * group.shape[1]
            if groups and tokens + count > GROUP_TOKENS:
                yield TextState(self.prefix, tuple(groups), tuple(rows))
                groups, rows, tokens = [], [], 0
            groups.append(group)
            rows.append(row)
            tokens += count
        yield TextState(self.prefix, tuple(groups), tuple(rows))


def pieces(state: TextState, most: int) -> Iterator[TextState]:
    """The state in parts of one group and at most so many tokens, at least one prompt."""
    for group, rows in zip(state.groups, state.rows, strict=True):
        count = max(1, most // group.shape[1])
        for some, row in zip(group.split(count), rows.split(count), strict=True):
            yield TextState(state.prefix, (some,), (row,))


class TextTower(Tower):
    """A text tower over prompts; `finish` gives unit features `(b, D)` in the state's order."""

    def __init__(self, text: Any, tokenizer: Tokenizer) -> None:
        self.text = text  # open_clip's own, which has no types
        self.tokenizer = tokenizer
        self.blocks = text.transformer.resblocks
        self.depth = len(self.blocks)

    @property
    def width(self) -> int:
        """D, the length of a text feature."""
        return text_width(self.text)

    def tokens(self, inputs: Sequence[str]) -> tuple[Tensor, list[int]]:
        """Token ids `(C, L)` as the tower reads them, and which inputs were cut to fit."""
        length = self.text.positional_embedding.shape[0]
        longer = self.tokenizer(list(inputs), length + 1)  # one more, which only long ones fill
        cut, tokens = longer[:, length].nonzero().flatten(), longer[:, :length].clone()
        tokens[cut, -1] = longer[cut, length]
        return tokens, cut.tolist()

    def start(self, inputs: Sequence[str]) -> TextState:
        tokens = self.tokenizer(list(inputs))  # (C, L), on the CPU, where they are sorted
        ends = self._ends(tokens)
        same = (tokens == tokens[:1]).all(dim=0).long().cumprod(dim=0)
        shared = min(int(same.sum()), int(ends.min()))  # at least one token of each remains
        prefix = self._embed(tokens[:1, :shared], 0)
        groups, rows = [], []
        for end in ends.unique().tolist():
            mine = (ends == end).nonzero().flatten()
            for part in mine.split(max(1, GROUP_TOKENS // (end + 1 - shared))):
                groups.append(self._embed(tokens[part, shared : end + 1], shared))
                rows.append(part.to(prefix.device))
        return TextState(prefix, tuple(groups), tuple(rows))

    def with_context(self, state: TextState, context: Tensor) -> TextState:
        """A state of `start` whose tokens after the first are replaced by `context (n, W)`."""
        n = len(context)
        read = (context + self.text.positional_embedding[1 : 1 + n])[None]
        prefix = torch.cat([state.prefix[:, :1], read, state.prefix[:, 1 + n :]], dim=1)
        return TextState(prefix, state.groups, state.rows)

    def embedded(self, words: Sequence[str]) -> Tensor:
        """The embeddings of words that are one token each, `(n, W)`.

        Raises:
            ValueError: a word of several tokens; says which.
        """
        tokens = self.tokenizer(list(words))
        ends = self._ends(tokens)
        for word, end in zip(words, ends.tolist(), strict=True):
            if end != 2:
                raise ValueError(
                    f"{word!r} is {end - 1} tokens, and each word of a context is one; use another"
                )
        rows: Tensor = self.text.token_embedding(tokens[:, 1].to(self.device))
        return rows.clone()

    @property
    def device(self) -> torch.device:
        device: torch.device = self.text.positional_embedding.device
        return device

    def attend(self, i: int, state: TextState) -> TextState:
        block, last = self.blocks[i], i == self.depth - 1
        n = block.attn.num_heads
        x = block.ln_1(state.prefix)
        q, k, v = project(block.attn, x, x)
        first_k, first_v = heads(k, n), heads(v, n)  # (1, n, Lp, d)
        seen = attention(heads(q, n), first_k, first_v, causal=True)
        prefix = state.prefix + block.ls_1(block.attn.out_proj(seen))
        groups = []
        for group in state.groups:
            x = block.ln_1(group)
            if last:  # only the end-of-text token is read
                group = group[:, -1:]
            q, k, v = project(block.attn, x[:, -group.shape[1] :], x)
            k = torch.cat([first_k.expand(len(x), -1, -1, -1), heads(k, n)], dim=2)
            v = torch.cat([first_v.expand(len(x), -1, -1, -1), heads(v, n)], dim=2)
            seen = attention(heads(q, n), k, v, causal=True)
            groups.append(group + block.ls_1(block.attn.out_proj(seen)))
        return TextState(prefix, tuple(groups), state.rows)

    def feed(self, i: int, state: TextState) -> TextState:
        block = self.blocks[i]
        prefix, *groups = (
            x + block.ls_2(block.mlp(block.ln_2(x))) for x in (state.prefix, *state.groups)
        )
        return TextState(prefix, tuple(groups), state.rows)

    def finish(self, state: TextState) -> Tensor:
        return F.normalize(self.outputs(state), dim=-1)

    def outputs(self, state: TextState) -> Tensor:
        """Features before normalisation, `(b, D)`."""
        x = self.text.ln_final(torch.cat([group[:, -1] for group in state.groups]))
        matrix = self.text.text_projection
        if matrix is not None:
            x = matrix(x) if isinstance(matrix, nn.Linear) else x @ matrix
        return x

    def slot(self, i: int | None, weight: str) -> Slot:
        if i is not None:
            return block_slot(self.blocks[i], weight)
        if isinstance(self.text.text_projection, nn.Linear):
            return Slot(self.text.text_projection, "weight")
        return Slot(self.text, "text_projection")

    def _ends(self, tokens: Tensor) -> Tensor:
        """Where each prompt's end-of-text token stands, `(C,)`."""
        if pool_type(self.text) == "argmax":
            return tokens.argmax(dim=-1)
        eos = getattr(self.text, "text_eos_id", None)  # CLIP's; TextTransformer has an eos_id
        eos = self.text.eos_id if eos is None else eos
        return tokens.eq(eos).int().argmax(dim=-1)

    def _embed(self, tokens: Tensor, first: int) -> Tensor:
        places = self.text.positional_embedding[first : first + tokens.shape[1]]
        return self.text.token_embedding(tokens.to(places.device)) + places


def label_rows(rows: Tensor, templates: int) -> Tensor:
    """One unit vector a label, `(K, D)`: of those of its templates, `(T * K, D)`, the mean."""
    if templates == 1:
        return rows
    return F.normalize(rows.unflatten(0, (templates, -1)).mean(dim=0), dim=-1)


def text_width(text: Any) -> int:
    """The length of open_clip's text features."""
    matrix = text.text_projection
    if matrix is None:
        return text.ln_final.normalized_shape[0]
    return matrix.out_features if isinstance(matrix, nn.Linear) else matrix.shape[1]


def pool_type(text: Any) -> str:
    """How open_clip pools a text tower; CLIP and TextTransformer name it differently."""
    return getattr(text, "text_pool_type", None) or text.pool_type


def project(attn: nn.MultiheadAttention, queries: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    """q of `queries`, k and v of `x`, each `(B, L, W)`, by the rows of the fused matrix."""
    width, bias = attn.embed_dim, attn.in_proj_bias
    q_bias, kv_bias = (None, None) if bias is None else (bias[:width], bias[width:])
    q = F.linear(queries, attn.in_proj_weight[:width], q_bias)
    return q, *F.linear(x, attn.in_proj_weight[width:], kv_bias).chunk(2, dim=-1)


def block_slot(block: ResidualAttentionBlock, weight: str) -> Slot:
    """Where open_clip keeps a weight of a block; q, k and v are thirds of `in_proj_weight`."""
    attn, mlp = block.attn, block.mlp
    if weight in ("q", "k", "v"):
        width, third = attn.embed_dim, "qkv".index(weight)
        return Slot(attn, "in_proj_weight", slice(third * width, (third + 1) * width))
    return Slot({"o": attn.out_proj, "up": mlp.c_fc, "down": mlp.c_proj}[weight], "weight")
