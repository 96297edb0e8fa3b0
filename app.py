"""The door: reads the command line, starts SeTAR Explorer and loads its first backbone."""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradio import Blocks

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

M_ARENA_MAX, ARENAS = -8, 2  # of glibc's mallopt
MAX_UPLOAD = "600mb"  # zips of images; a single image's limit is our reader's


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="app.py", description="SeTAR Explorer, in the browser")
    parser.add_argument(
        "--host", default=None, help="address to listen on (127.0.0.1, on a Space all of them)"
    )
    parser.add_argument("--port", type=int, default=None, help="default: the first free from 7860")
    parser.add_argument(
        "--backbone",
        action="append",
        default=[],
        metavar="NAME",
        help="emoji, MODEL/TAG, timm:NAME, hf-hub:ORG/NAME, local-dir:PATH or timm:local-dir:PATH; "
        "may be given several times, the page opens with the first",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or mps")
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=folder,
        help="visitors may benchmark on the folders of images in it (datasets.md)",
    )
    parser.add_argument("--share", action="store_true", help="a public link through gradio.live")
    parser.add_argument("--root-path", default=None, help="where a proxy serves the page")
    return parser.parse_args(given)


def folder(path: str) -> str:
    """A folder that is there, for argparse."""
    if not os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"{path}: no such folder; check its spelling")
    return path


def share_arenas() -> None:
    """Let all threads take memory from few pools.

    glibc gives each thread one of its own, and what a visitor's thread gave back would stay in it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt:
        mallopt(M_ARENA_MAX, ARENAS)


class WithoutStubs(MetaPathFinder):
    """Finds the module by which Gradio, whenever it is imported, parses the source of its every
    component to write type stubs for editors: half of its import time. Here it writes none.
    """

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        if name != "gradio.component_meta":
            return None
        spec = PathFinder.find_spec(name, path, target)
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            module.create_or_modify_pyi = lambda component, name, events: None

        spec.loader.exec_module = exec_module
        return spec


def hurry() -> None:
    """Spare the start what it can do without; `unhurry` ends it.

    Imports leave next to no garbage, and looking for it again and again takes a quarter of them.
    """
    gc.disable()
    sys.meta_path.insert(0, WithoutStubs())


def unhurry() -> None:
    """Collect garbage from now on, but never among what the imports brought."""
    gc.collect()
    gc.freeze()
    gc.enable()


def start(asked: argparse.Namespace) -> Blocks:
    """The page, served at its `local_url`; its first backbone loads in the background."""
    from demo import build, prepare
    from demo.detect.handlers import DetectHandlers
    from demo.page.theme import CSS, head, theme
    from demo.server.library import Library

    library = Library(asked.backbone, asked.device, asked.data)
    handlers = DetectHandlers(library)
    demo = build(library, handlers)
    demo.launch(
        server_name=asked.host,
        server_port=asked.port,
        share=asked.share,
        root_path=asked.root_path,
        theme=theme(),
        css_paths=CSS,
        head=head(),
        max_file_size=MAX_UPLOAD,
        footer_links=["api"],
        ssr_mode=False,
        enable_monitoring=False,
        run_history=False,
        prevent_thread_lock=True,
    )
    judging = partial(prepare, library, handlers)
    threading.Thread(target=first_verdicts, args=(judging,), daemon=True).start()
    return demo


def first_verdicts(judge: Callable[[], None]) -> None:
    """The last of the start, in the background of the page."""
    try:
        judge()
    finally:
        unhurry()


def main() -> None:
    share_arenas()
    hurry()
    start(arguments()).block_thread()


if __name__ == "__main__":
    main()
