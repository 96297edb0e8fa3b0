"""A detector's file given to the bar: every setting becomes what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
HELD = More._fields.index("detector")  # of those fields the bar has inputs
COUNT = 7 + HELD  # of the bar's settings without the detector


def detector_given(library: Library, file: str | None) -> Iterator[list]:
    """What `told_by` makes of the file; one that was taken away leaves the settings as they are."""
    if not file:
        yield told_by(detector=None, notice=None)
        return
    try:
        steps = told("", library.opening(file), STAY)
        detector, settings = yield from each(
            steps, lambda step: told_by(notice=notices.busy(*step))
        )
        values = _values(library, settings)
        said = read_settings(library, *values)
    except ValueError as error:
        yield told_by(detector=None, notice=notices.failure(error))
        return
    labels, prompt, recipe = values[1:4]
    values[3] = gr.Dropdown(
        choices.recipe_choices(library, settings.backbone, recipe), value=recipe
    )
    threshold = "" if detector.threshold is not None else " It has no threshold: calibrate one."
    yield told_by(
        values,
        library.keep_detector(detector, said),
        notices.notice(
            f"The detector is open, and judges as where it was saved.{threshold} Change a setting, "
            "and your settings judge instead.",
            "good",
        ),
        choices.set_of(labels),
        choices.labels_counted(library, settings.backbone, labels, prompt),
        settings.backbone,
    )


def told_by(
    values: Sequence[Any] = (KEEP,) * COUNT,
    detector: Any = KEEP,
    notice: Any = KEEP,
    label_set: Any = KEEP,
    label_count: Any = KEEP,
    settled: Any = KEEP,
) -> list:
    """Values for the label set, the bar's settings, the detector's being the last of them, the
    label count, the settled backbone and the notice below the file."""
    return [label_set, *values, detector, label_count, settled, notice]


def _values(library: Library, settings: Settings) -> list[Any]:
    """The bar's settings, as `read_settings` takes them, that say this; without the detector."""
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
        *more[:HELD],
    ]
