"""What the start can do without, each saving with its figure.

Seconds are of CPU time, of 8.9 in all that importing Gradio, PyTorch, open_clip and timm and laying
out the page take (two cores, median of four).
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from demo.server.device import heap


def hurry() -> None:
    """Spare the start what it can do without, before Gradio is imported; `finish` ends it."""
    heap.share_arenas()
    gc.disable()  # saves 1.4 s: imports leave next to no garbage
    sys.meta_path.insert(0, WithoutStubs())
    sys.meta_path.insert(0, WithoutCompiler())


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


class WithoutCompiler(MetaPathFinder, Loader):
    """Stands in for PyTorch's compiler, which timm and torchvision import for a decorator and a
    question that only matter to compiled networks; there are none here, which saves 1.2 s. Whoever
    asks for more, or after the start, gets the compiler.
    """

    NAMES = ("torch._dynamo", "torch._dynamo.utils")

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in self.NAMES:
            return ModuleSpec(name, self, is_package=name == self.NAMES[0])
        if not name.startswith(f"{self.NAMES[0]}."):
            return None
        self.end()
        import_module(self.NAMES[0])
        return find_spec(name)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["end"] = self.end
        vars(module)["disable"] = _undecorated
        vars(module)["is_compile_supported"] = _is_compile_supported

    def end(self) -> None:
        """From now on the compiler is imported by whoever asks for it."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in self.NAMES:
            if isinstance(sys.modules.get(name), _StandIn):
                del sys.modules[name]
        if isinstance(vars(sys.modules.get("torch", sys)).get("_dynamo"), _StandIn):
            del sys.modules["torch"]._dynamo


class _StandIn(ModuleType):
    end: Callable[[], None]

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        self.end()
        return getattr(import_module(self.__name__), name)


def _undecorated(function: Any = None, *_: Any, **__: Any) -> Any:
    """`torch.compiler.disable` of what is never compiled."""
    return (lambda later: later) if function is None else function


def _is_compile_supported(device: Any) -> Any:
    return import_module("torch._dynamo.utils").is_compile_supported(device)


def finish(last: Callable[[], None]) -> threading.Thread:
    """Do the last of the start in the background of the page; then collect garbage again."""
    thread = threading.Thread(target=_then_collect, args=(last,), daemon=True)
    thread.start()
    return thread


def _then_collect(last: Callable[[], None]) -> None:
    try:
        last()
    finally:
        for finder in [f for f in sys.meta_path if isinstance(f, WithoutCompiler)]:
            finder.end()
        gc.collect()
        gc.freeze()  # never look again among what the imports brought
        gc.enable()
