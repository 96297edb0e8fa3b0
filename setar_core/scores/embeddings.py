"""Unit text features of many words: read a piece at a time, and kept on disk for the next labels.

They are kept in float32. In float16 a cosine would be off by 1e-5, as much as words that follow
each other differ in their distance, and what is mined again would come in another order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor

from ..backbones.base import FEW, Backbone
from ..backbones.clip import ClipBackbone
from ..backbones.text import TextTower, pool_type
from ..labels import sentence
from .kept import keep, kept

PIECE = 8_192  # words; 16 MB of features with 512 dimensions
PROBES = 16  # prompts whose tokens tell a tokenizer

# Of backbones, none of which changes: what takes a second to read of its weights.
_towers: WeakKeyDictionary[Backbone, list[str]] = WeakKeyDictionary()
_weights: WeakKeyDictionary[Backbone, str] = WeakKeyDictionary()


class TextFeatures:
    """Features of words in templates, `(N, D)` of unit length, by one backbone as it is.

    Of several templates the outputs are averaged before they are brought to unit length, as CSP
    does (arXiv:2410.08611).

    Raises:
        ValueError: a backbone without a text tower.
    """

    def __init__(self, backbone: Backbone) -> None:
        if not isinstance(backbone, ClipBackbone):
            raise ValueError(
                f"{backbone.name} has no text tower to read negative labels with; use a CLIP such "
                "as ViT-B-16/openai, or emoji"
            )
        self.backbone = backbone
        tower = backbone.towers["text"]
        assert isinstance(tower, TextTower)
        self.tower = tower

    def reading(
        self, words: Sequence[str], templates: Sequence[str]
    ) -> Generator[int, None, Tensor]:
        """Features on the CPU; yields how many prompts have been read."""
        rows = torch.empty(len(words), self.tower.width)
        each = len(templates)
        lasting = _is_worth(words, templates)
        for piece in _pieces(len(words)):
            some = words[piece]
            key = self._key(some, templates) if lasting else None
            found = kept(key, (len(some), self.tower.width)) if key else None
            if found is None:
                total: Tensor | None = None
                for i, template in enumerate(templates):
                    steps = self.backbone.reading_outputs([sentence(template, w) for w in some])
                    outputs = yield from counted(piece.start * each + i * len(some), steps)
                    total = outputs if total is None else total + outputs
                assert total is not None
                found = F.normalize(total / each, dim=-1).cpu()
                if key:
                    keep(key, found)
            rows[piece] = found
            yield piece.stop * each
        return rows

    def keep(self, words: Sequence[str], templates: Sequence[str], rows: Tensor) -> None:
        """Keep features that are known as those of these words."""
        if _is_worth(words, templates):
            for piece in _pieces(len(words)):
                keep(self._key(words[piece], templates), rows[piece])

    @property
    def weights(self) -> str:
        """The backbone's fingerprint."""
        if self.backbone not in _weights:
            _weights[self.backbone] = self.backbone.fingerprint
        return _weights[self.backbone]

    def _key(self, words: Sequence[str], templates: Sequence[str]) -> str:
        """SHA-256 of all that their features depend on."""
        probes = [sentence(templates[0], word) for word in words[:PROBES]]
        tokens = self.backbone.tokenizer(probes).tolist()
        text = json.dumps([self._tower, tokens, list(templates), list(words)], allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def _tower(self) -> list[str]:
        """The text tower with its recipe: its weights, how it computes, and where."""
        if self.backbone not in _towers:
            _towers[self.backbone] = self._digest()
        return _towers[self.backbone]

    def _digest(self) -> list[str]:
        text, weights = self.tower.text, hashlib.sha256()
        for name, tensor in sorted(text.state_dict().items()):
            if not name.startswith("visual."):
                weights.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
                plain = tensor.cpu().contiguous().flatten().view(torch.uint8)
                weights.update(memoryview(plain.numpy()))
        block = self.tower.blocks[0]
        parts = (len(self.tower.blocks), block, block.attn.num_heads, text.ln_final)
        computed = f"{parts} {pool_type(text)} {torch.get_default_dtype()}"
        return [weights.hexdigest(), computed, self.backbone.device.type]


def _is_worth(words: Sequence[str], templates: Sequence[str]) -> bool:
    """Whether they take longer to read than to keep."""
    return len(words) * len(templates) >= FEW


def _pieces(count: int) -> Iterator[slice]:
    for first in range(0, count, PIECE):
        yield slice(first, min(first + PIECE, count))


def counted(first: int, steps: Generator[int, None, Tensor]) -> Generator[int, None, Tensor]:
    """The steps, counted on from `first`."""
    while True:
        try:
            done = next(steps)
        except StopIteration as end:
            return end.value
        yield first + done
