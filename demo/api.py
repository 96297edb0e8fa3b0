"""The endpoint `/verdict`: what Detect does, for programs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from demo.detect.batch import Batch
from demo.detect.exports import as_dict
from demo.detect.judging import Chunk, calibrated, check_batch, detectors, judged, scores
from demo.server.jobs import Progress
from demo.server.library import EMBEDDED, Library, label_set, label_sets, shipped_calibration
from demo.server.request import NO_RECIPE, ORIGINAL, RECALL, checked_settings
from setar_core.labels import PROMPT
from setar_core.recipe import Recipe

ABOUT = (
    "Judge pictures. images: files. labels: a shipped set's name, or one label a line. prompt: a "
    "sentence with {}. backbone: emoji, MODEL/TAG or timm:NAME. recipe: none, a shipped recipe's "
    "name, or its JSON. score: mcm, gl_mcm, l_mcm, energy, max_logit, msp, entropy, variance. "
    "temperature, local_weight: numbers, 1 as published. threshold: a number for both weights; "
    "left out, both are calibrated on shipped pictures that keep 95 %, where there are any for "
    "these labels; else the verdicts stay open. Gives settings, thresholds, images, problems and "
    "unknown_words: those of labels and prompt that the embedded model never saw."
)


def verdict(
    library: Library,
    images: list[str] | None,
    labels: str,
    prompt: str,
    backbone: str,
    recipe: str,
    score: str,
    temperature: float,
    local_weight: float,
    threshold: str,
) -> dict[str, Any]:
    """The verdicts as plain JSON values.

    Raises:
        ValueError: no image, or anything that the core refuses.
    """
    paths = [Path(image) for image in images or ()]
    if not paths:
        raise ValueError("no image is here; send at least one file")
    check_batch(paths)
    line = _line(threshold)
    shipped_set = (labels or "").strip()
    names = "\n".join(label_set(shipped_set).names) if shipped_set in label_sets() else labels
    given = _recipe(library, backbone, recipe)
    settings = checked_settings(backbone, names, prompt, given, score, temperature, local_weight)
    made = _last(detectors(library, settings))
    batch = Batch(settings)
    for step in judged(library, made, paths):
        if isinstance(step, Chunk):
            batch = replace(
                batch,
                images=batch.images + step.images,
                problems=batch.problems + step.problems,
            )
    unknown = made[ORIGINAL].backbone.unknown_words(" ".join(settings.labels.prompts))
    shipped = shipped_calibration(backbone, settings.labels) if line is None else []
    if line is not None:
        batch = batch.with_thresholds(dict.fromkeys(settings.weights, line))
    elif shipped:
        found, _ = _last(scores(library, made, shipped))
        batch = batch.calibrated(calibrated(made, found, RECALL))
    return {**as_dict(batch), "unknown_words": list(unknown)}


def build_api(library: Library) -> None:
    """The endpoint's components are never shown; their values are its defaults."""
    with gr.Row(visible=False):
        inputs = [
            gr.File(file_count="multiple", label="images"),
            gr.Textbox("animals", label="labels"),
            gr.Textbox(PROMPT, label="prompt"),
            gr.Textbox(EMBEDDED, label="backbone"),
            gr.Textbox(NO_RECIPE, label="recipe"),
            gr.Textbox("mcm", label="score"),
            gr.Number(1.0, label="temperature"),
            gr.Number(1.0, label="local_weight"),
            gr.Textbox("", label="threshold"),
        ]
        answer = gr.JSON(label="verdicts")
        gr.Button("verdict").click(
            _endpoint(library),
            inputs,
            answer,
            api_name="verdict",
            api_description=ABOUT,
            concurrency_limit=16,  # they take turns; some wait long for their model
        )


def _endpoint(library: Library) -> Callable[..., dict[str, Any]]:
    def answer(
        images: list[str] | None,
        labels: str,
        prompt: str,
        backbone: str,
        recipe: str,
        score: str,
        temperature: float,
        local_weight: float,
        threshold: str,
    ) -> dict[str, Any]:
        try:
            return verdict(
                library, images, labels, prompt, backbone, recipe, score, temperature,
                local_weight, threshold,
            )  # fmt: skip
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    return answer


def _recipe(library: Library, backbone: str, recipe: str | None) -> Recipe | None:
    recipe = (recipe or NO_RECIPE).strip()
    if recipe == NO_RECIPE:
        return None
    if recipe.startswith(("{", "[")):
        return Recipe.loads(recipe)
    shipped = library.recipes(backbone)
    if recipe not in shipped:
        raise ValueError(
            f"no recipe {recipe[:80]!r} for {backbone}; use one of "
            f"{', '.join((NO_RECIPE, *shipped))}, or a recipe's JSON"
        )
    return Recipe.load(shipped[recipe])


def _line(threshold: str | None) -> float | None:
    text = (threshold or "").strip()
    if not text:
        return None
    try:
        line = float(text)
    except ValueError:
        raise ValueError(f"threshold is {text[:40]!r}; give a number, or leave it out") from None
    if not math.isfinite(line):
        raise ValueError(f"threshold is {line}; give a finite number, or leave it out")
    return line


def _last(steps: Any) -> Any:
    made = None
    for step in steps:
        if not isinstance(step, Progress):
            made = step
    return made
