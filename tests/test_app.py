"""The door: what the program sets up before the page opens."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

import app

ROOT = Path(__file__).resolve().parent.parent
# Ten threads that take memory at once, then glibc's own list of its pools.
POOLS = """
import ctypes, sys, threading
import app
if {shared}: app.share_arenas()
libc, together = ctypes.CDLL(None), threading.Barrier(10)
libc.malloc.restype = ctypes.c_void_p
def take():
    together.wait()
    libc.malloc(ctypes.c_size_t(1000))
    together.wait()
threads = [threading.Thread(target=take) for _ in range(10)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


def pools(shared: bool) -> int:
    command = [sys.executable, "-c", POOLS.format(shared=shared)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout.count("<heap nr=")


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_info"),
    reason="pools of memory are glibc's; other systems have none to share",
)
def test_threads_share_their_pools_of_memory():
    assert pools(shared=True) <= app.ARENAS < pools(shared=False)


def test_a_system_without_pools_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    app.share_arenas()
