"""What the page says about itself: what runs, what went wrong with which file, what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import gradio as gr

if TYPE_CHECKING:
    pass

SHOWN_PROBLEMS = 12


def notice(text: str, kind: str = "info", items: Sequence[str] = ()) -> str:
    """A sentence in a box, and a list under it; `kind` is info, busy, good, warn or bad."""
    sign = {"info": "i", "busy": "…", "good": "✓", "warn": "!", "bad": "✕"}[kind]
    listed = "".join(f"<li>{escape(item)}</li>" for item in items[:SHOWN_PROBLEMS])
    if len(items) > SHOWN_PROBLEMS:
        listed += f"<li>and {len(items) - SHOWN_PROBLEMS} more</li>"
    listed = f"<ul>{listed}</ul>" if listed else ""
    return (
        f'<div class="notice {kind}"><span class="sign" aria-hidden="true">{sign}</span>'
        f"<div><p>{escape(_begun(text))}</p>{listed}</div></div>"
    )


def toast(error: Exception) -> gr.Error:
    """A refusal in the corner of the page; raise it."""
    return gr.Error(_begun(str(error)), print_exception=False)


def _begun(text: str) -> str:
    """With a capital, unless it begins with a name such as `timm:x` or a file's."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text


def busy(sentence: str, done: float | None = None) -> str:
    """What is going on, with a bar; an unknown share moves to and fro."""
    value = "" if done is None else f' value="{done:.3f}"'
    return (
        f'<div class="notice busy"><span class="sign" aria-hidden="true">…</span><div>'
        f"<p>{escape(_begun(sentence))}</p>"
        f'<progress aria-label="Progress"{value}></progress></div></div>'
    )


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
