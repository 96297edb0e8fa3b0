"""Pictures that come to Detect from elsewhere: another tab, or the page before it was reloaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from demo.detect.batch import Batch
from demo.detect.handlers import DetectHandlers
from demo.detect.view import Page, shown
from demo.page.events import KEEP
from demo.page.session import Handover


def handed(
    handlers: DetectHandlers,
    over: Handover | None,
    files: Sequence[str] | None,
    name: str | None,
    by: str,
    *values: Any,
) -> Iterator[Page]:
    """What another tab gave is judged, with what it knows of the pictures and by its threshold;
    where it gave none, what is shown is judged again."""
    if over is None or not over.pictures:
        yield from handlers.judge_again(files, name, by, *values)
        return
    for page in handlers.judge(files, name, by, *values):
        name = name if page.batch is KEEP else page.batch
        yield page
    now = handlers.batches.find(name)
    if now is not None and over.known and len(over.known) == len(files or ()):
        known = dict(zip(map(Path, files or ()), over.known, strict=True))
        now = replace(now, known=known)
        if over.line and over.line.weights in now.settings.weights:
            weights, threshold = over.line
            now = now.with_thresholds({**now.thresholds, weights: threshold})
        handlers.batches.put(name, now)
        yield shown(now, by, None)


def own_pictures(handlers: DetectHandlers, name: str | None) -> list[str]:
    """The files of a batch that are not examples and still here."""
    now: Batch | None = handlers.batches.find(name)
    paths = [image.path for image in now.images] if now else []
    here = handlers.library.pictures
    return [str(path) for path in paths if path not in here and path.is_file()]
