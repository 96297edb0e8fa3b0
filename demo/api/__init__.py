"""The endpoints for programs, which are the tools for agents too (MCP).

A function's name, signature and docstring are its documentation, so they are written for those who
call. Every ValueError becomes the sentence with which the call is refused.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradio import FileData
from gradio.events import api

from demo.api.calls import Calls, endpoint, image_files
from demo.detect.batch import Batch
from demo.detect.exports import as_dict
from demo.detect.judging import (
    Chunk,
    Detectors,
    calibrated,
    detectors,
    judged,
    scores,
    with_own,
)
from demo.detect.words import PHOTOGRAPHS
from demo.page.uploads import uploaded
from demo.server.jobs import result_of
from demo.server.library import Library
from demo.server.limits import CALLS
from demo.server.request import NO_RECIPE, RECALL, More, checked_settings
from demo.server.settings import Settings
from demo.server.shipped import EMBEDDED, label_set, label_sets
from demo.server.supplies import negatives_of, threshold_pictures
from demo.spectrum.measure import GRID, Measured
from setar_core.data.strict import short
from setar_core.labels import PROMPT
from setar_core.recipe import Recipe, Site
from setar_core.scores import MINED

ASKED = ("backbone", "labels", "prompt", "recipe", "score", "temperature", "local_weight")


class Endpoints:
    """What the app answers to programs; a new endpoint is a method, and a name in `build_api`."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.measured = Measured(library)

    def verdict(
        self,
        images: list[FileData],
        labels: str = "animals",
        prompt: str = PROMPT,
        backbone: str = EMBEDDED,
        recipe: str = NO_RECIPE,
        score: str = "mcm",
        temperature: float = 1.0,
        local_weight: float = 1.0,
        threshold: float | str = "",
        negative_words: str = "",
        shaping: str = "",
        detector: FileData | str = "",
    ) -> dict[str, Any]:
        """Judge pictures: does the model know them by one of the labels (in-distribution) or not?

        Args:
            images: uploaded files, their addresses here, or data:image/png;base64,...; no others
            labels: the name of a shipped set (see label_sets), or one label a line
            prompt: a sentence with {} where the label goes
            backbone: emoji, MODEL/TAG of open_clip (ViT-B-16/openai) or timm:NAME
            recipe: none, the name of a shipped one (see recipes), or the JSON of one
            score: mcm, gl_mcm, l_mcm, energy, max_logit, msp, entropy, variance or gen; neglabel or
                csp, for which negatives are mined; knn, nnguide, fdbd, mahalanobis,
                relative_mahalanobis or layers_mcm, which learn from shipped pictures of the labels
            temperature: of the score; 1 as published
            local_weight: of the patches in gl_mcm; 1 as published
            threshold: a number; left out, one that keeps 95 % of shipped pictures of the labels
            negative_words: of your own, one a line, for neglabel and csp; left out, they are mined
            shaping: react:p90, react:1.0, ash-p:90, ash-b:90 or ash-s:95, for scores of logits
            detector: an uploaded zip or JSON of a saved one, in place of all but images and
                threshold

        Returns:
            settings and thresholds (none where no pictures of the labels are shipped)
            images with verdict, best labels and scores by the original weights and by the recipe's
            problems: files that are no pictures
            unknown_words of labels and prompt, which the embedded model never saw
            warnings, where there are any: labels that are or become one, or are cut;
                a threshold from few pictures; pictures that look like photographs, of which the
                embedded model knows nothing
        """
        asked = (backbone, labels, prompt, recipe, score, temperature, local_weight)
        more = More(words=negative_words, shaping=shaping)
        with image_files(images) as paths:
            line = _line(threshold)
            settings = (
                self._opened(detector, *asked, more) if detector else self._settings(*asked, more)
            )
            batch, made = self._judged(settings, paths)
        some = next(iter(made.values()))
        unknown = some.backbone.unknown_words(" ".join(settings.labels.prompts))
        shipped = [] if settings.opened or line is not None else threshold_pictures(settings)
        if settings.opened:
            batch = with_own(batch, made)
        if line is not None:
            batch = batch.with_thresholds(dict.fromkeys(settings.weights, line))
        elif shipped:
            found, _ = result_of(scores(self.library, made, shipped))
            batch = calibrated(batch, made, found, RECALL)
        return {**as_dict(batch), "unknown_words": list(unknown), **self._warnings(settings, batch)}

    def scores(
        self,
        images: list[FileData],
        labels: str = "animals",
        prompt: str = PROMPT,
        backbone: str = EMBEDDED,
        recipe: str = NO_RECIPE,
        temperature: float = 1.0,
        local_weight: float = 1.0,
    ) -> dict[str, Any]:
        """Every score of each picture; higher is more in-distribution.

        Args:
            images: uploaded files, their addresses here, or data:image/png;base64,...; no others
            labels: the name of a shipped set (see label_sets), or one label a line
            prompt: a sentence with {} where the label goes
            backbone: emoji, MODEL/TAG of open_clip (ViT-B-16/openai) or timm:NAME
            recipe: none, the name of a shipped one (see recipes), or the JSON of one
            temperature: of the scores; 1 as published
            local_weight: of the patches in gl_mcm; 1 as published

        Returns:
            images with their scores by the original weights and by the recipe's
            problems: files that are no pictures
            warnings, where there are any: labels that are or become one, or are cut
        """
        with image_files(images) as paths:
            settings = self._settings(
                backbone, labels, prompt, recipe, "mcm", temperature, local_weight
            )
            batch, _ = self._judged(settings, paths)
        return {
            "images": [
                {
                    "image": image.name,
                    **{weights: dict(v.scores) for weights, v in image.verdicts.items()},
                }
                for image in batch.images
            ],
            "problems": list(batch.problems),
            **self._warnings(settings, batch),
        }

    def spectrum(self, backbone: str = EMBEDDED, matrix: str = "") -> dict[str, Any]:
        """How the energy of weight matrices is spread over their singular values.

        Args:
            backbone: emoji, MODEL/TAG of open_clip (ViT-B-16/openai) or timm:NAME
            matrix: such as visual.5.up; left out, all of them, without their singular values

        Returns:
            matrices by name: shape (out, in), rank and effective_rank
            energy: by ratio of components dropped, the share of the energy that goes with them
            singular_values of the named matrix, largest first
        """
        loaded = result_of(self.library.loading(backbone))
        sites = [Site.parse(matrix)] if matrix else self.measured.sites(loaded)
        if not matrix:
            result_of(self.measured.reading(loaded, sites[0]))
        found = {str(site): self.measured.profile(loaded, site) for site in sites}
        return {
            "backbone": backbone,
            "matrices": {
                name: {
                    "shape": list(profile.shape),
                    "rank": profile.rank,
                    "effective_rank": profile.effective_rank,
                    "energy": {str(ratio): profile.energy(ratio) for ratio in GRID},
                    **({"singular_values": profile.values.tolist()} if matrix else {}),
                }
                for name, profile in found.items()
            },
        }

    def recipes(self, backbone: str = EMBEDDED) -> dict[str, Any]:
        """The shipped recipes for a backbone: which matrices lose which share of their components.

        Args:
            backbone: emoji, MODEL/TAG of open_clip (ViT-B-16/openai) or timm:NAME

        Returns:
            each recipe by name, as JSON that verdict and scores take
        """
        shipped = self.library.recipes(backbone)
        return {name: json.loads(Recipe.load(path).dumps()) for name, path in shipped.items()}

    def negatives(
        self,
        labels: str = "animals",
        backbone: str = EMBEDDED,
        method: str = "neglabel",
    ) -> dict[str, Any]:
        """The words that pictures must not resemble: those farthest from the labels.

        Args:
            labels: the name of a shipped set (see label_sets), or one label a line
            backbone: emoji, or MODEL/TAG of open_clip (ViT-B-16/openai)
            method: neglabel or csp

        Returns:
            what setar negatives writes: how they were mined, and the negatives in their order,
            each with word, kind and distance
        """
        if method not in MINED:
            raise ValueError(f"method is {short(method)}; use {' or '.join(sorted(MINED))}")
        settings = self._settings(backbone, labels, PROMPT, NO_RECIPE, method, 1.0, 1.0)
        mined = result_of(negatives_of(self.library, backbone, settings.labels, method))
        return json.loads(mined.dumps())

    def label_sets(self) -> dict[str, int]:
        """The shipped label sets.

        Returns:
            how many labels each has, by name
        """
        return label_sets()

    def _settings(
        self, backbone: str, labels: str | None, prompt: str, recipe: str | None, *options: Any
    ) -> Settings:
        shipped_set = (labels or "").strip()
        names = "\n".join(label_set(shipped_set).names) if shipped_set in label_sets() else labels
        return checked_settings(backbone, names, prompt, self._recipe(backbone, recipe), *options)

    def _opened(self, file: Any, *asked: Any) -> Settings:
        """Those of a saved detector; raises ValueError where others were given beside it."""
        takes = inspect.signature(Endpoints.verdict).parameters
        given = [
            name for name, value in zip(ASKED, asked, strict=False) if value != takes[name].default
        ]
        if given or asked[-1] != More(words="", shaping=""):
            what = ", ".join(given) or "negative_words or shaping"
            raise ValueError(f"a detector brings its own settings; leave out {what}")
        path = file.get("path") if isinstance(file, dict) else file
        if not isinstance(path, str):
            raise ValueError(f"{short(file)} is no file; send the path that its upload answered")
        made, settings = result_of(self.library.opening(uploaded(path)))
        return replace(settings, opened=self.library.keep_detector(made, settings))

    def _judged(self, settings: Settings, paths: Sequence[Path]) -> tuple[Batch, Detectors]:
        """Without thresholds."""
        made = result_of(detectors(self.library, settings))
        batch = Batch(settings)
        for step in judged(self.library, made, paths):
            if isinstance(step, Chunk):
                batch = replace(
                    batch,
                    images=batch.images + step.images,
                    problems=batch.problems + step.problems,
                )
        return batch, made

    def _warnings(self, settings: Settings, batch: Batch) -> dict[str, list[str]]:
        """Nothing where no label is doubtful, no threshold, and no picture."""
        doubts = self.library.doubts(settings.backbone, settings.labels)
        warnings = [*doubts, *batch.warnings, *([PHOTOGRAPHS] if batch.photographs else [])]
        return {"warnings": warnings} if warnings else {}

    def _recipe(self, backbone: str, recipe: str | None) -> Recipe | None:
        recipe = (recipe or NO_RECIPE).strip()
        if recipe == NO_RECIPE:
            return None
        if recipe.startswith(("{", "[")):
            return Recipe.loads(recipe)
        shipped = self.library.recipes(backbone)
        if recipe not in shipped:
            raise ValueError(
                f"no recipe {recipe[:80]!r} for {backbone}; use one of "
                f"{', '.join((NO_RECIPE, *shipped))}, or a recipe's JSON"
            )
        return Recipe.load(shipped[recipe])


def build_api(library: Library) -> None:
    """What asks a network shares one limit: calls take turns, and some wait long for a model."""
    on, calls = Endpoints(library), Calls()
    for function in (on.verdict, on.scores, on.spectrum, on.negatives):
        shared = {"concurrency_limit": CALLS.at_once, "concurrency_id": "api"}
        api(endpoint(function, calls), **shared)
    for listing in (on.recipes, on.label_sets):
        api(endpoint(listing))


def _line(threshold: float | str | None) -> float | None:
    text = "" if threshold is None else str(threshold).strip()
    if not text:
        return None
    try:
        line = float(text)
    except ValueError:
        raise ValueError(f"threshold is {text[:40]!r}; give a number, or leave it out") from None
    if not math.isfinite(line):
        raise ValueError(f"threshold is {line}; give a finite number, or leave it out")
    return line
