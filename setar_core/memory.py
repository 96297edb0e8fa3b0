"""How much goes through a network at once, how much memory is free, and what if it is too little.

More images or logits at once are hardly faster once every core is busy, and take more memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Result = TypeVar("Result")

IMAGES = 32  # of a set that runs through
IMAGES_WATCHED = 16  # where somebody waits for the first of them, or for a sign of life
PATCH_LOGITS = 2**22  # numbers, 16 MB: near a CPU's cache; 21 images of ViT-B/16 under 1,000 labels
PATCH_LOGITS_CUDA = 2**28

MOST = 2**60  # a million TB
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
CGROUP = Path("/sys/fs/cgroup")


class OutOfMemory(ValueError):
    """A device is full; with how much is free, and what to do."""


def images_at_once(patches: int, labels: int, cuda: bool = False) -> int:
    """How many images the logits of their patches allow, at least one."""
    return max(1, (PATCH_LOGITS_CUDA if cuda else PATCH_LOGITS) // max(1, patches * labels))


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


def room(device: torch.device) -> str:
    """`0.4 GB of 8 GB are free on cuda:0` in a sentence, where the device can say so."""
    import torch

    if device.type != "cuda":
        return f"{device} is full"
    free, whole = torch.cuda.mem_get_info(device)
    return f"{written(free)} of {written(whole)} are free on {device}, whoever has the rest"


def is_out_of_memory(error: BaseException) -> bool:
    """Told by name and words, because a plain RuntimeError is all that torch raises on a CPU."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or "allocate memory" in str(error) or "not enough memory" in str(error)


@contextmanager
def plain_if_full(what: str) -> Iterator[None]:
    """In it, memory that runs out while something is done is an OutOfMemory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).split(". ")[0].split("\n")[0][:160] or "no more can be had"
        raise OutOfMemory(
            f"memory ran out ({what}: {reason}); use fewer labels or pictures, a smaller backbone, "
            "or try again when less runs beside it"
        ) from None


def smaller_if_full(
    work: Callable[[slice], Result], total: int, step: int, device: torch.device
) -> Iterator[tuple[slice, Result]]:
    """`work` of consecutive images, `step` at a time; half as many whenever memory runs out.

    Raises:
        OutOfMemory: not even one fits.
    """
    first = 0
    while first < total:
        piece = slice(first, min(first + step, total))
        try:
            found = work(piece)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if step == 1:
                raise OutOfMemory(
                    f"out of memory: not even one image fits, and {room(device)}; use fewer "
                    "labels, a smaller backbone, or end what else runs there"
                ) from None
            step = min(step, total) // 2 or 1
            continue
        yield piece, found
        first = piece.stop


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
