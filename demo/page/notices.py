"""What the page says about itself: what runs, what went wrong with which file, what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import gradio as gr

SHOWN_PROBLEMS = 12


class Notice(NamedTuple):
    """A sentence in a box, with a list under it, or with a bar of the share that is done.

    `kind` is info, busy, good, warn, bad or empty. One that is busy has a bar, which moves to and
    fro where the share is not known; one that is empty keeps the place of something to come, and
    its items go on in the sentence.
    """

    kind: str
    sentence: str
    items: Sequence[str]
    done: float | None = None


def notice(sentence: str, kind: str = "info", items: Sequence[str] = ()) -> Notice:
    """A sentence and the first of many `items`."""
    more = len(items) - SHOWN_PROBLEMS
    rest = [f"and {more} more"] if more > 0 else []
    return Notice(kind, _begun(sentence), [*items[:SHOWN_PROBLEMS], *rest])


def busy(sentence: str, done: float | None = None) -> Notice:
    """What is going on."""
    return Notice("busy", _begun(sentence), [], None if done is None else round(done, 3))


def empty(sentence: str, more: str) -> Notice:
    """That nothing is here yet, and what to do about it."""
    return Notice("empty", sentence, [more])


def toast(error: Exception) -> gr.Error:
    """A refusal in the corner of the page; raise it."""
    return gr.Error(_begun(str(error)), print_exception=False)


def _begun(text: str) -> str:
    """With a capital, unless it begins with a name such as `timm:x` or a file's."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text


def of_labels(names: Sequence[str], duplicates: Sequence[str], unknown: Sequence[str]) -> str:
    """How many labels there are, which are there twice, and words that the model never saw."""
    few = ", ".join(escape(name) for name in names[:8])
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    text = f'<p class="labels"><b>{len(names):,} labels:</b> {few}{more}</p>'
    if duplicates:
        twice = ", ".join(f"“{escape(name)}”" for name in duplicates[:6])
        rest = f" and {len(duplicates) - 6} more" if len(duplicates) > 6 else ""
        text += (
            f'<p class="warnline">! Named more than once: {twice}{rest}. Such labels share their '
            "probability, which lowers the score.</p>"
        )
    if unknown:
        words = ", ".join(f"“{escape(word)}”" for word in unknown[:8])
        rest = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        text += (
            f'<p class="warnline">! Words this model has never seen: {words}{rest}. It knows only '
            "the words of its emoji world; what it says of these labels means little.</p>"
        )
    return text


def of_status(loaded: Sequence[str], running: Sequence[str], device: str) -> str:
    """The line under the bar."""
    ready = ", ".join(map(escape, loaded)) or "nothing yet"
    work = ", ".join(map(escape, running)) or "idle"
    state = "on" if running else "off"
    return (
        f'<p class="status"><span><b>Loaded</b> {ready}</span>'
        f"<span><b>Device</b> {escape(device)}</span>"
        f'<span><i class="lamp {state}"></i><b>Running</b> {work}</span></p>'
    )
