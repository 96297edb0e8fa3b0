"""The door: reads the command line, builds SeTAR Explorer and serves it."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from demo.server import startup
from demo.server.device.card import lent
from setar_core.commands.console import Parser, check_signal, ended

if TYPE_CHECKING:
    from gradio import Blocks

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="app.py", description="SeTAR Explorer, in the browser")
    parser.add_argument(
        "--host", default=None, help="address to listen on (127.0.0.1, on a Space all of them)"
    )
    parser.add_argument("--port", type=port, default=None, help="default: the first free from 7860")
    parser.add_argument(
        "--backbone",
        action="append",
        default=[],
        metavar="NAME",
        help="emoji, MODEL/TAG, timm:NAME, hf-hub:ORG/NAME, local-dir:PATH or timm:local-dir:PATH; "
        "may be given several times, the page opens with the first; by default ViT-B-16/openai on "
        "a Space or where its weights lie in the hub's cache, else emoji",
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="D",
        help="cpu, cuda, cuda:1 or mps; may be given several times, then visitors choose",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=folder,
        help="visitors may benchmark on the folders of images in it (datasets.md)",
    )
    parser.add_argument("--share", action="store_true", help="a public link through gradio.live")
    parser.add_argument(
        "--public",
        action=argparse.BooleanOptionalAction,
        default="SPACE_ID" in os.environ,
        help="limit what a visitor may ask for (demo/server/limits.py; on where this is a Space)",
    )
    parser.add_argument("--root-path", default=None, help="where a proxy serves the page")
    parser.add_argument(
        "--mcp",
        action=argparse.BooleanOptionalAction,
        default=find_spec("mcp") is not None,
        help="offer the endpoints as tools to agents (on where the mcp package is installed)",
    )
    asked = parser.parse_args(given)
    if asked.mcp and find_spec("mcp") is None:
        parser.error('--mcp needs the mcp package; install it (pip install "gradio[mcp]")')
    return asked


def folder(path: str) -> str:
    """A folder that is there, for argparse."""
    if not os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"{path}: no such folder; check its spelling")
    return path


def port(text: str) -> int:
    """A number that a port can have, for argparse."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no port; give a number up to 65535")
    return int(text)


def check_address(host: str | None, port: int | None) -> None:
    """Find out now what Gradio would, once it is imported, and would not give the reason of.

    Raises:
        ValueError: the machine has no such address, or its port is in use.
    """
    host = host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    try:
        found = socket.getaddrinfo(host.strip("[]"), port or 0, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except (OSError, UnicodeError) as error:
        at = f", port {port}" if port else ""
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"{host}{at} cannot be listened on ({reason}); give another --port or --host"
        ) from None


def start(asked: argparse.Namespace) -> Blocks:
    """The page, served at its `local_url`; its first backbone loads in the background."""
    card = lent()  # before Gradio and PyTorch are imported

    from demo.build import STYLES, build, prepare
    from demo.detect.handlers import DetectHandlers
    from demo.page.theme import head, theme
    from demo.server.library import Library, best_backbone
    from demo.server.limits import MAX_UPLOAD

    backbones = asked.backbone or [best_backbone()]
    library = Library(backbones, asked.device, asked.data, asked.public, card)
    handlers = DetectHandlers(library)
    demo = build(library, handlers)
    demo.launch(
        server_name=asked.host,
        server_port=asked.port,
        share=asked.share,
        root_path=asked.root_path,
        theme=theme(),
        css_paths=STYLES,
        head=head(),
        max_file_size=MAX_UPLOAD,
        footer_links=["api"],
        ssr_mode=False,
        enable_monitoring=False,
        run_history=False,
        mcp_server=asked.mcp,
        prevent_thread_lock=True,
    )
    startup.finish(partial(prepare, library, handlers))
    return demo


def serve() -> int:
    """Serve the page until a signal comes."""
    asked = arguments()
    check_address(asked.host, asked.port)
    startup.hurry()
    demo = start(asked)
    try:
        while demo.is_running:
            check_signal()
            time.sleep(0.5)
    finally:
        demo.close(verbose=False)
    return 0


if __name__ == "__main__":
    sys.exit(ended(serve))
