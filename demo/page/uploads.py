"""What visitors send: who it is from, and what of it is taken.

No file outside Gradio's upload folder is opened, and none is fetched. Gradio checks a file that
carries its `meta`, and downloads one whose path is an address. Whatever else a program sends
reaches an endpoint of `gr.api` as it came.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import gradio as gr
from gradio.utils import get_upload_folder

from demo.page import notices
from demo.page.components.notices import Notices
from demo.page.events import QUIET
from demo.server.visitors import Asker, address, asker
from setar_core.data.archives import inspect_all
from setar_core.data.strict import is_text, short

CHOICES = (gr.Dropdown, gr.Radio)  # Gradio looks at no choice where others may be written
# What components raise at values that no page sends; Gradio does not check them.
FORGED = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)
LONGEST = 400  # characters of a refusal
ADDRESS = "/gradio_api/file="  # where Gradio serves an upload: its path follows


def uploaded(file: str) -> Path:
    """The path of an upload, given as such or as the address at which Gradio serves it.

    Raises:
        ValueError: it leads out of the upload folder, links followed.
    """
    _, address, path = file.partition(ADDRESS)
    try:
        found = Path(unquote(path) if address else file).resolve()
        inside = found.is_relative_to(Path(get_upload_folder()).resolve())
    except (OSError, RuntimeError, ValueError):  # a name too long, a circle of links, a NUL
        inside = False
    if not inside:
        raise ValueError(
            f"{file[:80]!r} was not uploaded here; upload the file first (gradio_client does, by "
            "handle_file), or send its content as data:image/png;base64,..."
        )
    return found


def refused(zips: str | Sequence[str] | None, files: int, size: int) -> notices.Notice | None:
    """Why zips that have just come cannot be taken, where together they may hold so many `files`
    and so many bytes; None where they can."""
    try:
        inspect_all([zips] if isinstance(zips, str) else zips or [], files, size)
    except ValueError as error:
        return notices.failure(error)
    return None


def zip_file(files: int, size: int, **options: Any) -> gr.File:
    """A box for a zip, or several, that says below itself why what has come is `refused`."""
    box = gr.File(file_types=[".zip"], **options)
    said = Notices(elem_id=f"{box.elem_id}-notice")
    box.change(partial(refused, files=files, size=size), box, said, **QUIET)
    return box


class Page(gr.Blocks):
    """A page that refuses what it cannot take with a sentence, and no traceback in the log."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *more: Any, **named: Any):
        """Gradio's own, which would download files from addresses."""
        try:
            _check(inputs)
            for i, (block, value) in enumerate(zip(block_fn.inputs, inputs, strict=False)):
                if isinstance(block, CHOICES):
                    _check_choice(value, block.choices or ())
                elif isinstance(block, gr.Textbox) and value is None:  # a page sends "" for it
                    inputs[i] = ""
            return await super().preprocess_data(block_fn, inputs, *more, **named)
        except gr.Error as error:  # Gradio's, of what a component does not offer
            raise gr.Error(str(error.message)[:LONGEST], print_exception=False) from None
        except FORGED as error:
            said = str(error) if type(error) is ValueError else "this is not what the page sends"
            raise gr.Error(said[:LONGEST], print_exception=False) from None

    async def call_function(
        self,
        block_fn: Any,
        processed_input: list[Any],
        iterator: Any = None,
        requests: Any = None,
        event_id: str | None = None,
        *more: Any,
        **named: Any,
    ) -> Any:
        """Gradio's own, told who asks; a ValueError is the sentence with which it is refused."""
        request = requests[0] if isinstance(requests, list) else requests
        asker.set(Asker(_address(request), event_id or secrets.token_hex(8)))
        try:
            return await super().call_function(
                block_fn, processed_input, iterator, requests, event_id, *more, **named
            )
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None


def _address(request: gr.Request | None) -> str:
    """Where a request comes from; nowhere in a test."""
    if request is None or not getattr(request, "client", None):
        return ""
    forwarded = request.headers.get("x-forwarded-for", "").split(",")
    return address(request.client.host, forwarded, proxied="SPACE_ID" in os.environ)


def _check(sent: Any) -> None:
    """Every file in it by its local path.

    Raises:
        ValueError: a file that was not uploaded, or is none; text that cannot be sent back.
    """
    if isinstance(sent, str) and not is_text(sent):
        raise ValueError(f"{short(sent)} is no Unicode text; write it again")
    if isinstance(sent, dict) and "meta" in sent and isinstance(sent.get("path"), str):
        if not isinstance(sent["meta"], dict):
            raise ValueError("the meta of a file is no object; send what the upload answered")
        sent["path"] = str(uploaded(sent["path"]))
    elif isinstance(sent, (dict, list)):
        for part in sent.values() if isinstance(sent, dict) else sent:
            _check(part)


def _check_choice(value: Any, choices: Sequence[tuple[Any, ...]]) -> None:
    """Raises ValueError for what is no text, nor a number where some choices are, nor a list."""
    text = choices and all(isinstance(known, str) for *_, known in choices)
    for one in value if isinstance(value, list) else [value]:
        if one is not None and not isinstance(one, str if text else (str, int, float)):
            raise ValueError(f"{short(one)} is no choice; choose from the list")
