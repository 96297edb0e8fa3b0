"""What a test must know of a process that it started."""

import signal
from pathlib import Path

import pytest


def heeds(pid: int) -> bool:
    """Whether a process has a handler for SIGTERM by now; skips where /proc does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("needs /proc")
    caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
