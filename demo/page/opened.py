"""A detector's file given to the bar: every setting becomes what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import gradio as gr

from demo.page import choices, notices
from demo.page.events import KEEP
from demo.page.words import STAY
from demo.server.jobs import each, told
from demo.server.library import Library
from demo.server.request import NO_RECIPE, More, read_settings
from demo.server.settings import Settings
from setar_core.scores import ScoreOptions

UNSET = 0  # what a page sends for an empty field of whole numbers


def detector_given(library: Library, file: str | None) -> Iterator[list]:
    """Values for the label set, the bar's settings, the label count, the notice and the settled
    backbone; a detector that was taken away leaves the settings as they are."""
    keep: list[Any] = [KEEP] * (1 + len(_said(library, None)) + 3)
    if not file:
        keep[-4], keep[-2] = None, None
        yield keep
        return
    try:
        steps = told("", library.opening(file), STAY)
        detector, settings = yield from each(
            steps, lambda step: [*keep[:-2], notices.busy(*step), KEEP]
        )
        values = _said(library, settings)
        said = read_settings(library, *values)
    except ValueError as error:
        keep[-4], keep[-2] = None, notices.failure(error)
        yield keep
        return
    values[-1] = library.keep_detector(detector, said)
    labels, prompt, recipe = values[1:4]
    values[3] = gr.Dropdown(
        choices.recipe_choices(library, settings.backbone, recipe), value=recipe
    )
    threshold = "" if detector.threshold is not None else " It has no threshold: calibrate one."
    yield [
        choices.set_of(labels),
        *values,
        choices.labels_counted(library, settings.backbone, labels, prompt),
        notices.notice(
            f"The detector is open, and judges as where it was saved.{threshold} Change a setting, "
            "and your settings judge instead.",
            "good",
        ),
        settings.backbone,
    ]


def _said(library: Library, settings: Settings | None) -> list[Any]:
    """The bar's settings, as `read_settings` takes them, that say this."""
    if settings is None:
        return [None] * (7 + len(More._fields))
    options: dict[str, Any] = {
        option.name: UNSET if value is None and option.metadata.get("kind") is int else value
        for option in fields(ScoreOptions)
        for value in [getattr(settings.options, option.name)]
    }
    recipe = NO_RECIPE
    if settings.recipe:
        recipe = library.keep_recipe(settings.recipe, "from a detector")
    temperature, local_weight = options.pop("temperature"), options.pop("local_weight")
    more = More("\n".join(settings.words), None, settings.shaping, **options)
    return [
        settings.backbone,
        "\n".join(settings.labels.names),
        settings.labels.prompt,
        recipe,
        settings.score,
        temperature,
        local_weight,
        *more,
    ]
