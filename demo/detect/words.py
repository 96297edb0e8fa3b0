"""What Detect says of a judged batch."""

from __future__ import annotations

from demo.detect.batch import Batch
from demo.detect.teaching import advice
from demo.page.notices import Notice, notice
from demo.page.words import left_out

PHOTOGRAPHS = (
    "These look like photographs. This model has seen drawn emoji scenes alone: what it says of "
    "photographs means nothing"
)


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
    if batch.photographs:
        parts.append(notice(f"{PHOTOGRAPHS}. Choose a model that knows them.", "warn"))
    if batch.teachers and not batch.stale and (said := advice(batch)):
        parts.append(notice(said, "warn"))
    if batch.problems:
        rest = " The others are judged." if batch.images else ""
        parts.append(notice(f"{left_out(len(batch.problems))}.{rest}", "bad", batch.problems))
    if batch.warnings:
        parts.append(notice("A threshold from few images.", "warn", batch.warnings))
    return parts
