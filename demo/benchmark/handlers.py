"""What Benchmark does when it is asked: plain functions of plain values, free of layout.

Every handler returns or yields a `View`; a ValueError of the core becomes a notice on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from demo.benchmark import words
from demo.benchmark.components.table import table
from demo.benchmark.runs import BenchmarkRequest, Look, Run, Runs
from demo.benchmark.sets import Opened, SetsAsked, opened
from demo.benchmark.view import KEEP, View, shown
from demo.page import notices
from demo.page.events import FORGOTTEN
from demo.server.errand import Errand, Tell
from demo.server.jobs import Progress
from demo.server.library import Library
from demo.server.request import NO_RECIPE, Settings, read_settings
from setar_core.memory import IMAGES_WATCHED
from setar_core.recipe import ORIGINAL, Recipe


class Controls(NamedTuple):
    """What the page's controls say; the first seven are Detect's and the bar's."""

    backbone: str
    labels: str
    prompt: str
    recipe_file: str | None
    temperature: float
    local_weight: float
    recipes: Sequence[str]
    scores: Sequence[str]
    inside: str
    id_zip: str | None
    outside: Sequence[str]
    ood_zips: Sequence[str] | None


class BenchmarkHandlers:
    """Holds the shelves and the visitors' runs."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.runs = Runs()

    def run(self, name: str | None, *controls: Any) -> Iterator[View]:
        """Score what is asked, or go on where the same was stopped."""
        try:
            yield from self._run(name, *controls)
        except ValueError as error:
            yield View(notice=notices.notice(str(error), "bad"))

    def stopped(self, name: str | None) -> View:
        """What is kept after a stop."""
        return View(notice=words.stopped(self.runs.find(name)))

    def found(self, stored: object) -> View:
        """The run that this browser made last, when its page opens again."""
        run = self.runs.again(stored)
        if run is None:
            gone = View(notice=notices.notice(words.GONE), stored=FORGOTTEN)
            return gone if stored else View()
        page = View(table=table(run, None))
        if run.ready:
            page = shown(run, run.look or self._default(run, run.bench.detections[0], run.ready[0]))
        return page._replace(
            name=stored, notice=words.found_again(run), results=gr.update(visible=True)
        )

    def look(self, name: str | None, detector: int, ood: str) -> View:
        """Another detector or OOD set, at the threshold of its FPR95 in the table."""
        run = self.runs.find(name)
        if run is None or not run.ready:
            return View(notice=notices.notice(words.GONE, "warn"))
        ood = ood if ood in run.ready else run.ready[0]
        run.look = self._default(run, run.bench.detections[int(detector)], ood)
        return shown(run, run.look)

    def clicked(self, name: str | None, index: int) -> View:
        """A cell of the table."""
        run = self.runs.find(name)
        if run is None:
            return View(notice=notices.notice(words.GONE, "warn"))
        detector, column = divmod(int(index), len(run.bench.oods))
        if not 0 <= detector < len(run.bench.detections):
            return View()
        return self.look(name, detector, run.bench.oods[column].images.name)

    def threshold_moved(
        self, name: str | None, detector: int, ood: str, threshold: float | None
    ) -> View:
        """A threshold dragged or typed; asks no network."""
        run = self.runs.find(name)
        if run is None or ood not in run.ready or threshold is None:
            return View()
        detection = run.bench.detections[int(detector)]
        run.look = Look(detection, ood, float(threshold))
        return shown(run, run.look, moved=True)._replace(threshold=float(threshold))

    def _run(self, name: str | None, *controls: Any) -> Iterator[View]:
        request = self._read(Controls(*controls))
        run = self.runs.find(name)
        if run is None or run.request != request:
            yield View(notice=notices.busy("Getting ready"))
            run = yield from self._made(request)
        name = name or self.runs.new_name()
        run = replace(run, rows=[], look=None, done=False)  # another page may look at the other
        self.runs.put(name, run)
        yield View(name=name, stored=name, table=table(run, None), results=gr.update(visible=True))
        for page in self._steps(run):
            if run.ready and run.look is None:
                run.look = self._default(run, run.bench.detections[0], run.ready[0])
                page = shown(run, run.look)._replace(notice=page.notice)
            elif page.table is not KEEP:
                rates = shown(run, run.look, moved=True).rates  # of one set more
                page = page._replace(table=table(run, run.look), ood=_sets(run), rates=rates)
            yield page
        run.done = True
        yield View(notice=words.done(run), table=table(run, run.look))

    def _steps(self, run: Run) -> Iterator[View]:
        """Signs of life; the table comes with every new row."""
        steps, begun = run.bench.steps(IMAGES_WATCHED), time.monotonic()
        before, total = words.seen(run)
        while True:
            with self.library.turns.turn(f"benchmark of {total:,} images"):
                step = next(steps, None)
            if step is None:
                return
            run.rows += step.rows
            left = ""
            if step.done > before and step.done < total:
                seconds = (time.monotonic() - begun) * (total - step.done) / (step.done - before)
                left = f", about {words.duration(seconds)} left"
            verb = "Scoring" if step.places or step.left_out else "Comparing on"
            name = step.set_scores.images.name
            sentence = f"{verb} {name}: {step.done:,} of {total:,} images{left}"
            yield View(
                notice=notices.busy(sentence, step.done / total),
                table=None if step.rows else KEEP,
            )

    def _made(self, request: BenchmarkRequest) -> Iterator[View]:
        """A fresh run; returns it."""
        from setar_core.benchmark.run import Benchmark

        for sentence in self.library.waiting(request.backbone):
            yield View(notice=notices.busy(f"Loading {request.backbone}: {sentence}"))
        found = None
        for step in opened(self.library, request.sets, request.labels):
            if isinstance(step, Progress):
                yield View(notice=notices.busy(*step))
            else:
                found = step
        detectors = {}
        for recipe in request.recipes:
            errand = Errand(partial(self._detector, request, recipe))
            for sentence in errand.sentences():
                yield View(notice=notices.busy(f"Weights {recipe}: {sentence}"))
            detectors[recipe] = errand.result()
        bench = Benchmark(detectors, found.inside, found.outside, request.scores)
        return Run(request, bench, Opened(*found))

    def _detector(self, request: BenchmarkRequest, recipe: str, tell: Tell) -> Any:
        with self.library.turns.turn(f"reading {len(request.labels):,} labels"):
            made = self.library.detector(
                request.backbone, request.recipes[recipe], request.labels, tell
            )
        return made.with_score(request.scores[0], request.options)

    def _read(self, said: Controls) -> BenchmarkRequest:
        """Raises ValueError for what cannot be measured."""
        if not said.recipes or not said.scores:
            raise ValueError("no detector is chosen; tick at least one of the weights and a score")
        by_recipe: dict[str, Settings] = {}
        for recipe in said.recipes:
            title = NO_RECIPE if recipe == ORIGINAL else recipe
            by_recipe[recipe] = read_settings(
                self.library, said.backbone, said.labels, said.prompt, title, said.recipe_file,
                said.scores[0], said.temperature, said.local_weight,
            )  # fmt: skip
        first = next(iter(by_recipe.values()))
        recipes: dict[str, Recipe | None] = {
            name: settings.recipe for name, settings in by_recipe.items()
        }
        sets = SetsAsked(
            said.inside, said.id_zip, tuple(said.outside or ()), tuple(said.ood_zips or ())
        )
        return BenchmarkRequest(
            first.backbone, first.labels, recipes, tuple(said.scores), first.options, sets
        )

    @staticmethod
    def _default(run: Run, detection: Any, ood: str) -> Look:
        from setar_core.metrics.curves import threshold_of_fpr95

        threshold = threshold_of_fpr95(*run.scores(Look(detection, ood, 0.0)))
        return Look(detection, ood, threshold)


def _sets(run: Run) -> Any:
    return gr.update(choices=run.ready, value=run.look.ood)
