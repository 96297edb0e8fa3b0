"""Tensors on disk, by what they were made of: a cache that may be lost and is never trusted.

Two processes may use it at once: a file is written under another name and then renamed. What is
not whole is made again; what does not fit is not kept.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..paths import cache

LIMIT = 2 * 2**30  # bytes of all files; WordNet takes 250 MB under a ViT-B/16
HEADER = 4_096  # bytes, more than a file has beside its numbers


def kept(key: str, shape: tuple[int, int]) -> Tensor | None:
    """The tensor of that key, float32 on the CPU; None where it is not there, or not whole."""
    try:
        path = _path(key)
        if path.stat().st_size > 4 * shape[0] * shape[1] + HEADER:
            return None
        with safe_open(path, framework="pt") as file:
            told, rows = (file.metadata() or {}).get("crc32"), file.get_tensor("rows")
    except (OSError, RuntimeError, SafetensorError):
        return None
    if rows.shape != shape or rows.dtype != torch.float32 or told != _sum(rows):
        return None
    with suppress(OSError):
        os.utime(path)  # the last that was used is the last to go
    return rows


def keep(key: str, rows: Tensor) -> None:
    """Write a float32 tensor `(N, D)`; where the disk is full or closed, nothing is kept."""
    rows = rows.detach().to("cpu", torch.float32).contiguous()
    with suppress(OSError, RuntimeError):  # the latter where there is no home
        path = _path(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, part = tempfile.mkstemp(suffix=".part", dir=path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(save({"rows": rows}, {"crc32": _sum(rows)}))
            os.replace(part, path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        _shrink(path.parent, LIMIT)


def _shrink(folder: Path, limit: int) -> None:
    """Remove what was used longest ago until at most `limit` bytes are left."""
    found = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process removes too
            about = path.stat()
            found.append((about.st_mtime, about.st_size, path))
    left = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if left <= limit:
            return
        path.unlink(missing_ok=True)
        left -= size


def _path(key: str) -> Path:
    return cache() / "texts" / f"{key}.safetensors"


def _sum(rows: Tensor) -> str:
    return str(zlib.crc32(rows.numpy().data))
