"""Files for a visitor to take away."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.utils import get_upload_folder

from demo.page.events import QUIET
from demo.page.notices import toasting_errors


def new_file(name: str) -> Path:
    """Where a download of that name may be written: among the uploads, and deleted with them."""
    uploads = Path(get_upload_folder())
    uploads.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="download-", dir=uploads)) / name


def download(
    event: Callable[..., Any],
    write: Callable[..., str],
    inputs: Component | Sequence[Component],
    **options: Any,
) -> None:
    """Let the browser take the file that `write` makes when the event happens; its ValueErrors
    are messages in the corner of the page."""
    # A button that gives the file it has just got wants a second click: a hidden one gets it.
    file = gr.DownloadButton(visible="hidden")
    file.elem_id = f"download-{file._id}"
    made = event(toasting_errors(write), inputs, file, **QUIET | options)
    made.success(None, None, None, js=f"() => document.querySelector('#{file.elem_id}').click()")
