"""What the start does without, and that it ends."""

import ctypes
import gc
import subprocess
import sys
from pathlib import Path

import pytest

from demo.server import startup
from demo.server.device import heap

ROOT = Path(__file__).resolve().parents[3]
# Ten threads that take memory at once, then glibc's own list of its pools.
POOLS = """
import ctypes, sys, threading
from demo.server.device import heap
if {shared}: heap.share_arenas()
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

# How many files of type stubs importing Gradio opens; then whether a button still knows its events.
STUBS = """
import sys
from demo.server import startup
if {hurried}: startup.hurry()
opened = []
sys.addaudithook(lambda event, args: event == "open" and opened.append(str(args[0])))
import gradio
assert callable(gradio.Button.click)
print(sum(path.endswith(".pyi") for path in opened))
"""

# How much of PyTorch's compiler is there once open_clip is; then whether it can be had.
COMPILER = """
import gc, sys
from demo.server import startup
if {hurried}: startup.hurry()
import open_clip
print(sum(name.startswith("torch._dynamo") for name in sys.modules))
{then}
import torch
print(torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)).item())
import torch._dynamo.utils
assert torch._dynamo.utils.counters is not None
assert torch.compiler.disable(len)([1]) == 1
import torchvision
"""


def printed(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def pools(shared: bool) -> int:
    return printed(POOLS.format(shared=shared)).count("<heap nr=")


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_info"),
    reason="pools of memory are glibc's; other systems have none to share",
)
def test_threads_share_their_pools_of_memory():
    assert pools(shared=True) <= heap.ARENAS < pools(shared=False)


def test_a_system_without_pools_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    heap.share_arenas()
    heap.trim()


def test_gradio_writes_no_stubs_when_the_app_starts():
    assert int(printed(STUBS.format(hurried=True))) == 0
    # Where this fails, Gradio has left it off by itself, and `WithoutStubs` can go.
    assert int(printed(STUBS.format(hurried=False))) > 0


@pytest.mark.parametrize(
    "then", ["startup.finish(gc.collect).join()", "", "import torch._dynamo.eval_frame"]
)
def test_the_compiler_is_imported_by_who_asks_for_it(then):
    """At the end of the start, before it, or by a part of it."""
    names, two = printed(COMPILER.format(hurried=True, then=then)).split()
    assert (int(names), float(two)) == (2, 2.0)


def test_the_compiler_is_still_imported_for_nothing():
    # Where this fails, timm and torchvision have left it off, and `WithoutCompiler` can go.
    assert int(printed(COMPILER.format(hurried=False, then="")).split()[0]) > 50


def test_the_savings_come_before_gradio():
    assert printed("import app, sys; print('gradio' in sys.modules)") == "False\n"


def broken():
    raise RuntimeError("no such backbone")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("last", [lambda: None, broken])
def test_garbage_is_collected_again_after_the_start(monkeypatch, last):
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    try:
        startup.hurry()
        assert not gc.isenabled()
        startup.finish(last).join()
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
