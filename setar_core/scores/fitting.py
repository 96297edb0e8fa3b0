"""What a score learned, as bytes that can be told apart and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def fingerprint_of(learned: Mapping[str, Tensor]) -> str:
    """Sixteen characters that change with any of the tensors."""
    text = hashlib.sha256()
    for name, tensor in sorted(learned.items()):
        text.update(f"{name} {tuple(tensor.shape)}".encode())
        text.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return text.hexdigest()[:16]
