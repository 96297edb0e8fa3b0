"""What all endpoints share: who calls how often, values of the right type, files that are sent."""

from __future__ import annotations

import base64
import binascii
import inspect
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import gradio as gr
from gradio import FileData

from demo.detect.judging import check_batch
from demo.page.uploads import uploaded
from demo.server.limits import CALLS
from demo.server.visitors import visitor
from setar_core.data.strict import short

LARGEST = 2**53  # numbers are below
KINDS: dict[Any, tuple[type | tuple[type, ...], str]] = {
    str: (str, "text"),
    float: ((int, float), "a number"),
    list: (list, "a list of files"),
    FileData: (dict, "an uploaded file"),
}


class Calls:
    """How many calls each visitor has running: no more than his share of all."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Raises ValueError where the visitor has enough of them."""
        owner = visitor()
        with self._lock:
            if self._running[owner] >= CALLS.each:
                raise ValueError(
                    f"{CALLS.each} calls of yours are running already; wait until one has ended"
                )
            self._running[owner] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= Counter([owner])  # keeps no zeros


def endpoint(function: Callable[..., Any], calls: Calls | None = None) -> Callable[..., Any]:
    """The function as `gr.api` takes it, which checks no types: each refusal is a sentence."""
    signature = inspect.signature(function, eval_str=True)

    @wraps(function)
    def answer(*given: Any) -> Any:
        try:
            for parameter, value in zip(signature.parameters.values(), given, strict=True):
                _check_type(parameter, value)
            with calls.one() if calls else nullcontext():
                return function(*given)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    answer.__signature__ = signature  # type: ignore[attr-defined]  # `inspect` reads it
    return answer


@contextmanager
def image_files(images: list[Any] | None) -> Iterator[list[Path]]:
    """The paths of uploads, and of what was sent as text, which is deleted afterwards.

    Raises:
        ValueError: no image, too many or too large ones, or one that was not uploaded.
    """
    if not images:
        raise ValueError("no image is here; send at least one file")
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            _path(image, Path(folder, f"image-{place}"))
            for place, image in enumerate(images, start=1)
        ]
        check_batch(paths)
        yield paths


def _path(image: Any, new: Path) -> Path:
    file = image.get("path") if isinstance(image, dict) else image
    if not isinstance(file, str):
        raise ValueError(f"{short(image)} is no file; send the path that its upload answered")
    if not file.startswith("data:"):
        return uploaded(file)
    head, _, content = file.partition(",")
    try:
        new.write_bytes(base64.b64decode(content, validate=True))
    except binascii.Error:
        raise ValueError(
            f"{head[:80]!r}: its content is not base64; send data:image/png;base64,..."
        ) from None
    return new


def _check_type(parameter: inspect.Parameter, value: Any) -> None:
    """None stands for what was left empty, and is the function's to judge."""
    hint = parameter.annotation
    hints = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kinds = [KINDS[get_origin(each) or each] for each in hints]
    fits = any(isinstance(value, types) for types, _ in kinds) and not isinstance(value, bool)
    if isinstance(value, (int, float)) and not abs(value) < LARGEST:  # nor is NaN
        fits = False
    if value is not None and not fits:
        named = " or ".join(name for _, name in kinds)
        raise ValueError(f"{parameter.name} is {short(value)}; give {named}")
