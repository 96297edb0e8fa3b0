"""Pictures of a benchmark on their way to Detect, with what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from demo.benchmark.components.selected import ALL, known_of
from demo.benchmark.files import copies
from demo.benchmark.runs import Look, Run, pictures
from demo.page.events import KEEP, within
from demo.page.session import Line, into_detect
from demo.server.library import Library
from demo.server.limits import MAX_FILES
from demo.server.request import read_settings
from demo.server.settings import ALTERED, ORIGINAL, Settings

RECIPE, SCORE = 3, 4  # among the bar's settings


def handed(library: Library, run: Run, look: Look, place: int, said: Sequence[Any]) -> list:
    """For `tabs`, `to_detect`, and the bar's recipe and score: one of the pictures that are looked
    at, or all, to be judged by the same detector and threshold.

    Where the bar says something else than the benchmark was run with, Detect finds a threshold of
    its own, and the visitor is told.

    Raises:
        ValueError: no such picture, or it is gone.
    """
    found = pictures(run, look)
    chosen = found[:MAX_FILES] if place == ALL else [found[within(place, len(found))]]
    if not chosen:
        raise ValueError("no picture is selected")
    recipe, original = look.detection.recipe, look.detection.recipe == ORIGINAL
    wanted = list(said)
    wanted[SCORE] = look.detection.score
    if not original:
        wanted[RECIPE] = recipe
    line = None
    if changed := _changed(library, run, look, wanted):
        gr.Info(
            f"Since the benchmark was run, other settings were chosen above ({changed}), so these "
            "pictures are judged by a threshold of their own."
        )
    else:
        line = Line(ORIGINAL if original else ALTERED, look.threshold)
    known = tuple(map(known_of, chosen))
    return [
        *into_detect(*copies(chosen), known=known, line=line),
        KEEP if original else recipe,
        look.detection.score,
    ]


def _changed(library: Library, run: Run, look: Look, wanted: Sequence[Any]) -> str:
    """What the bar says otherwise than the benchmark's settings, in words; "" for nothing."""
    try:
        now = read_settings(library, *wanted)
    except ValueError as error:
        return str(error)
    before: Settings = replace(run.request.settings, score=look.detection.score)
    change = run.request.recipes[look.detection.recipe] or now.recipe
    return ", ".join(now.changed(replace(before, recipe=change)))
