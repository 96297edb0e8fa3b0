"""What the page says about itself: what runs, what went wrong with which file, what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import gradio as gr

from demo.ask import TITLES
from demo.rows import number
from demo.sheets import Sheet

if TYPE_CHECKING:
    from setar_core.calibration import Threshold

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


def of_sheet(sheet: Sheet) -> str:
    """What to know of a judged batch: files that could not be read, a threshold that is void."""
    parts = []
    if sheet.void:
        parts.append(
            notice(
                f"Threshold void: you changed the {' and the '.join(sheet.void)}. The scores below "
                "are from before. Press Judge to judge with the new settings.",
                "warn",
            )
        )
    elif sheet.entries and not sheet.thresholds:
        parts.append(
            notice(
                "Scores alone, no threshold yet. Under Threshold, give a few of your own "
                "in-distribution pictures (20 or more) and press Calibrate.",
                "info",
            )
        )
    if sheet.problems:
        count = len(sheet.problems)
        what = "One file was" if count == 1 else f"{count} files were"
        rest = "The others are judged." if sheet.entries else ""
        parts.append(notice(f"{what} left out. {rest}".strip(), "bad", sheet.problems))
    warnings = [t.warning for t in sheet.thresholds.values() if getattr(t, "warning", None)]
    if warnings:
        parts.append(notice("A threshold from few images.", "warn", warnings[:1]))
    return "".join(parts)


def of_thresholds(sheet: Sheet | None) -> str:
    """Each threshold and how it was found, in one line each."""
    if sheet is None or not sheet.thresholds:
        return '<p class="hint">No threshold: nothing is decided yet.</p>'
    lines = "".join(
        f"<li><b>{TITLES[weights]}</b> {_found(threshold)}</li>"
        for weights, threshold in sheet.thresholds.items()
    )
    return f'<ul class="found">{lines}</ul>'


def _found(threshold: Threshold | float) -> str:
    if isinstance(threshold, float):
        return f"{number(threshold)}, set by hand"
    low, high = threshold.interval
    cut = sum(score < threshold.value for score in threshold.scores)
    return (
        f"{number(threshold.value)}: accepts {threshold.reached:.1%} of {threshold.n} calibration "
        f"images, cuts {cut}. For new images of this kind expect {low:.1%} to {high:.1%} "
        "(95 % confidence)."
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
