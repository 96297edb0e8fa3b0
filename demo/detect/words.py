"""What Detect says of a judged batch and of its thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.detect.batch import Batch
from demo.page.notices import Notice, notice
from demo.page.words import number
from demo.server.request import TITLES

if TYPE_CHECKING:
    from setar_core.threshold import Threshold


def of_batch(batch: Batch) -> list[Notice]:
    """What to know of a judged batch: files that could not be read, a threshold that is stale."""
    parts = []
    if batch.stale:
        parts.append(
            notice(
                f"Threshold void: you changed the {' and the '.join(batch.stale)}. The scores "
                "below are from before. Press Judge to judge with the new settings.",
                "warn",
            )
        )
    elif batch.images and not batch.thresholds:
        parts.append(
            notice(
                "Scores alone, no threshold yet. Under Threshold, give a few of your own "
                "in-distribution pictures (20 or more) and press Calibrate.",
                "info",
            )
        )
    if batch.problems:
        count = len(batch.problems)
        what = "One file was" if count == 1 else f"{count} files were"
        rest = "The others are judged." if batch.images else ""
        parts.append(notice(f"{what} left out. {rest}".strip(), "bad", batch.problems))
    warnings = [t.warning for t in batch.thresholds.values() if getattr(t, "warning", None)]
    if warnings:
        parts.append(notice("A threshold from few images.", "warn", warnings[:1]))
    return parts


def of_thresholds(batch: Batch | None) -> str:
    """Each threshold and how it was found, in one line each."""
    if batch is None or not batch.thresholds:
        return '<p class="hint">No threshold: nothing is decided yet.</p>'
    lines = "".join(
        f"<li><b>{TITLES[weights]}</b> {_found(threshold)}</li>"
        for weights, threshold in batch.thresholds.items()
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
