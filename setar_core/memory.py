"""How much goes through a network at once, how much memory is free, and sizes as people write them.

More images or logits at once are hardly faster once every core is busy, and take more memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

IMAGES = 32  # of a set that runs through
IMAGES_WATCHED = 16  # where somebody waits for the first of them, or for a sign of life
PATCH_LOGITS = 2**22  # numbers, 16 MB: near a CPU's cache; 21 images of ViT-B/16 under 1,000 labels
PATCH_LOGITS_CUDA = 2**28

MOST = 2**60  # a million TB
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
CGROUP = Path("/sys/fs/cgroup")


def pieces(images: int, patches: int, labels: int, cuda: bool = False) -> Iterator[slice]:
    """Consecutive images, as many at once as the logits of their patches allow, at least one."""
    step = max(1, (PATCH_LOGITS_CUDA if cuda else PATCH_LOGITS) // max(1, patches * labels))
    for first in range(0, images, step):
        yield slice(first, first + step)


def free_memory(device: torch.device) -> int:
    """Bytes free on the device; for a CPU what the system and its container allow."""
    if device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    free = _available()
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
        return free if limit == "max" else max(0, min(free, int(limit) - used))
    except (OSError, ValueError):
        return free


def parse_bytes(text: str) -> int:
    """`4GB`, `512 MB`, `1.5G` or a number of bytes; a GB is 2**30 bytes.

    Raises:
        ValueError: not a size.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?\s*", text, re.IGNORECASE)
    if not found:
        raise ValueError(f"{text[:40]!r} is not a size; write for example 4GB or 512MB")
    count = float(found[1]) * UNITS[found[2].upper()]
    if count >= MOST:
        raise ValueError(f"{text[:40]!r} is more than any machine has; write for example 4GB")
    return int(count)


def written(count: int) -> str:
    """A number of bytes in three digits, as `parse_bytes` reads them: `4.52 MB`."""
    letter, unit = next((n, u) for n, u in reversed(UNITS.items()) if u <= max(count, 1))
    return f"{float(f'{count / unit:.3g}'):g} {letter}B"  # no exponent


def _available() -> int:
    with suppress(OSError):
        page = Path("/proc/meminfo").read_text()
        if found := re.search(r"MemAvailable:\s*(\d+) kB", page):
            return int(found[1]) * 1024
    if "SC_PHYS_PAGES" in os.sysconf_names:  # not Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4 * UNITS["G"]
