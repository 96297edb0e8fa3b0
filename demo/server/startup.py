"""What the start can do without, each saving with its figure.

Seconds are of CPU time, of 8.9 in all that importing Gradio, PyTorch, open_clip and timm and laying
out the page take (two cores, median of four).
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from demo.server import heap


def hurry() -> None:
    """Spare the start what it can do without, before Gradio is imported; `finish` ends it."""
    heap.share_arenas()
    gc.disable()  # saves 1.4 s: imports leave next to no garbage
    sys.meta_path.insert(0, WithoutStubs())


class WithoutStubs(MetaPathFinder):
    """Finds the module by which Gradio, whenever it is imported, parses the source of its every
    component to write type stubs for editors. Here it writes none, which saves 1.6 s.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == "gradio.component_meta" else None
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            vars(module)["create_or_modify_pyi"] = lambda component, name, events: None

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def finish(last: Callable[[], None]) -> threading.Thread:
    """Do the last of the start in the background of the page; then collect garbage again."""
    thread = threading.Thread(target=_then_collect, args=(last,), daemon=True)
    thread.start()
    return thread


def _then_collect(last: Callable[[], None]) -> None:
    try:
        last()
    finally:
        gc.collect()
        gc.freeze()  # never look again among what the imports brought
        gc.enable()
