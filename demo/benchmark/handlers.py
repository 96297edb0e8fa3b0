"""What Benchmark does when it is asked: plain functions of plain values, free of layout.

Every handler returns or yields a `View`; a ValueError of the core becomes a notice on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from demo.benchmark import words
from demo.benchmark.components.table import table
from demo.benchmark.runs import BenchmarkRequest, Brushed, Look, Run, detection, usual_beside
from demo.benchmark.sets import SetsAsked, opened
from demo.benchmark.view import KEEP, View, shown
from demo.page import notices
from demo.page.events import FORGOTTEN
from demo.page.words import duration
from demo.server.jobs import FINISHED, STOPPED, Jobs, Progress, Steps, told
from demo.server.library import Library
from demo.server.limits import BENCHMARKS
from demo.server.request import NO_RECIPE, More, read_settings
from demo.server.settings import Settings
from demo.server.supplies import equipped
from setar_core.memory import IMAGES_WATCHED
from setar_core.metrics.curves import threshold_of_fpr95
from setar_core.recipe import ORIGINAL

if TYPE_CHECKING:
    from setar_core.benchmark.results import Detection

FULL = "{count} benchmarks are waiting already; try again in a few minutes"
WAITING = "In the queue: other benchmarks are before yours. It starts by itself"


class Controls(NamedTuple):
    """What the bar and the tab's own controls say, in their order."""

    backbone: str
    labels: str
    prompt: str
    recipe: str
    score: str
    temperature: float
    local_weight: float
    words: str | None
    learn_from: str | None
    shaping: str | None
    negative_temperature: float | None
    groups: float | None
    neighbors: float | None
    shrinkage: float | None
    examples: str | None
    share: float | None
    detector: str | None
    recipes: Sequence[str]
    scores: Sequence[str]
    inside: str
    id_zip: str | None
    outside: Sequence[str]
    ood_zips: Sequence[str] | None


class BenchmarkHandlers:
    """Holds the shelves and the visitors' runs; a browser keeps the name of its last."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.runs: Jobs[Run] = Jobs(**BENCHMARKS._asdict(), full=FULL, waiting=WAITING)

    def run(self, name: str | None, *controls: Any) -> Iterator[View]:
        """Score what is asked, or go on where the same was stopped."""
        before = self.runs.find(name)
        try:
            request = self._read(Controls(*controls))
            if before is not None and before.request == request:
                run = before
            else:
                run = Run(request, self._steps)
            if not run.active:
                self.runs.start(run)
        except ValueError as error:
            yield View(notice=notices.failure(error))
            return
        yield View(name=run.name, stored=run.name)
        yield from self._watched(run)
        if run.made is None and before and before is not run:  # its table is still shown
            stopped = notices.notice(words.NOT_BEGUN, "warn") if run.state == STOPPED else KEEP
            yield View(name=before.name, stored=before.name, notice=stopped)

    def watch(self, name: str | None) -> Iterator[View]:
        """What goes on, on a page that was loaded anew."""
        yield View()  # outputs of a generator that yields nothing are emptied
        run = self.runs.find(name)
        if run is not None and run.active:
            yield from self._watched(run)

    def stop(self, name: str | None) -> View:
        """End it after the batch that runs; its scores are kept."""
        run = self.runs.find(name)
        if run is None or not run.active:
            return View()
        self.runs.stop(run)
        return View(stop=gr.Button("Stopping …", interactive=False))

    def found(self, stored: object) -> View:
        """The run that this browser made last, when its page opens again."""
        run = self.runs.find(stored)
        if run is None:
            gone = View(notice=notices.notice(words.GONE), stored=FORGOTTEN)
            return gone if stored else View()
        if run.made is None:
            return View(name=stored)
        return self._drawn(run, anew=True)._replace(name=stored, notice=words.found_again(run))

    def look(self, name: str | None, detector: int, ood: str) -> View:
        """Another detector or OOD set, at the threshold of its FPR95 in the table."""
        run = self.runs.find(name)
        if run is None or not run.ready:
            return View(notice=notices.notice(words.GONE, "warn"))
        ood = ood if ood in run.ready else run.ready[0]
        chosen, before = detection(run, detector), run.look
        alike = before is not None and before.detection == chosen
        run.look = self._default(run, chosen, ood, before.beside if alike and before else None)
        return shown(run, run.look)

    def compare(self, name: str | None, beside: Sequence[int]) -> View:
        """Other detectors on the plots; threshold and selection stay."""
        run = self.runs.find(name)
        if run is None or run.look is None:
            return View(notice=notices.notice(words.GONE, "warn"))
        others = [detection(run, place) for place in beside]
        chosen = tuple(one for one in others if one != run.look.detection)
        run.look = replace(run.look, beside=chosen)
        return shown(run, run.look, moved=True)

    def brush(self, name: str | None, brushed: Brushed | None) -> View:
        """Pictures by their scores, in every view; None for the mistakes."""
        run = self.runs.find(name)
        if run is None or run.look is None:
            return View(notice=notices.notice(words.GONE, "warn"))
        run.look = replace(run.look, brushed=brushed)
        return shown(run, run.look, moved=True)

    def clicked(self, name: str | None, index: int) -> View:
        """A cell of the table."""
        run = self.runs.find(name)
        if run is None or run.made is None:
            return View() if run else View(notice=notices.notice(words.GONE, "warn"))
        detector, column = divmod(int(index), len(run.bench.oods))
        if not 0 <= detector < len(run.bench.detections):
            return View()
        return self.look(name, detector, run.bench.oods[column].images.name)

    def threshold_moved(
        self, name: str | None, detector: int, ood: str, threshold: float | None
    ) -> View:
        """A threshold dragged or typed; asks no network."""
        run = self.runs.find(name)
        if run is None or ood not in run.ready or run.look is None:
            return View()
        if threshold is None:  # the box was emptied: it says again where the line is
            return View(threshold=run.look.threshold)
        look = replace(run.look, detection=detection(run, detector), ood=ood)
        run.look = replace(look, threshold=float(threshold))
        return shown(run, run.look, moved=True)._replace(threshold=float(threshold))

    def _watched(self, run: Run) -> Iterator[View]:
        """Signs of life, with the table whenever there are new rows, and what came of it."""
        yield View(notice=notices.busy(*run.progress), **_keys(run))
        drawn = None
        for progress in run.watching():
            page, now = View(), run.made and len(run.events)
            if now != drawn:
                page = self._drawn(run, anew=not drawn)
                drawn = now
            yield page._replace(notice=notices.busy(*progress))
        page = View() if run.made is None else self._drawn(run, anew=not drawn)
        yield page._replace(notice=words.over(run), **_keys(run))

    def _drawn(self, run: Run, anew: bool) -> View:
        """The table and, with its first rows, the first cell of it; or with what came since."""
        if not run.ready:
            return View(table=table(run, None), results=gr.update(visible=True), said="")
        if run.look is None:
            run.look = self._default(run, run.bench.detections[0], run.ready[0])
        if anew:
            now = shown(run, run.look)
            return now._replace(results=gr.update(visible=True), said=self._said(run))
        rates = shown(run, run.look, moved=True).rates  # of one set more
        sets = gr.update(choices=run.ready, value=run.look.ood)
        return View(table=table(run, run.look), ood=sets, rates=rates, said=self._said(run))

    def _steps(self, run: Run) -> Steps[None]:
        """Signs of life, and the rows of a set as an event."""
        run.look = None
        if run.made is None:
            run.made = yield from self._made(run)
        steps, begun = run.bench.steps(IMAGES_WATCHED), time.monotonic()
        before, total = words.seen(run)
        while True:
            step = self.library.turns.run(f"benchmark of {total:,} images", next, steps, None)
            if step is None:
                return
            if step.rows:
                yield step.rows
            left = ""
            if step.done > before and step.done < total:
                seconds = (time.monotonic() - begun) * (total - step.done) / (step.done - before)
                left = f", about {duration(seconds)} left"
            verb = "Scoring" if step.places or step.left_out else "Comparing on"
            name = step.set_scores.images.name
            sentence = f"{verb} {name}: {step.done:,} of {total:,} images{left}"
            yield Progress(sentence, step.done / total)

    def _made(self, run: Run) -> Steps[Any]:
        """The sets and the detectors."""
        from setar_core.benchmark.run import Benchmark

        request = run.request
        settings = request.settings
        yield from self.library.loading(settings.backbone)
        inside, outside = yield from opened(self.library, request.sets, settings.labels, run.folder)
        detectors = {}
        for name, recipe in request.recipes.items():
            steps = equipped(self.library, settings, recipe, request.scores, every=True)
            detectors[name] = yield from told(f"Weights {name}: ", steps)
        return Benchmark(detectors, inside, outside, request.scores)

    def _read(self, said: Controls) -> BenchmarkRequest:
        """Raises ValueError for what cannot be measured."""
        if not said.recipes or not said.scores:
            raise ValueError("no detector is chosen; tick at least one of the weights and a score")
        by_recipe: dict[str, Settings] = {}
        for recipe in said.recipes:
            title = NO_RECIPE if recipe == ORIGINAL else recipe
            by_recipe[recipe] = read_settings(
                self.library, said.backbone, said.labels, said.prompt, title, said.scores[0],
                said.temperature, said.local_weight, *said[7 : 7 + More._fields.index("strength")],
            )  # fmt: skip
        first = next(iter(by_recipe.values()))
        recipes = {name: settings.recipe for name, settings in by_recipe.items()}
        sets = SetsAsked(
            said.inside, said.id_zip, tuple(said.outside or ()), tuple(said.ood_zips or ())
        )
        return BenchmarkRequest(replace(first, recipe=None), recipes, tuple(said.scores), sets)

    @staticmethod
    def _said(run: Run) -> Any:
        """What it comes to, once all of it is measured."""
        from setar_core.benchmark.differences import conclusion

        return conclusion(run.bench.comparisons) or "" if run.state == FINISHED else ""

    @staticmethod
    def _default(
        run: Run, chosen: Detection, ood: str, beside: tuple[Detection, ...] | None = None
    ) -> Look:
        threshold = threshold_of_fpr95(*run.scores(Look(chosen, ood, 0.0)))
        return Look(chosen, ood, threshold, usual_beside(run, chosen) if beside is None else beside)


def _keys(run: Run) -> dict[str, gr.Button]:
    """Of Run and Stop, one is there."""
    stop = gr.Button("Stop", visible=run.active, interactive=not run.stopping)
    return {"start": gr.Button(visible=not run.active), "stop": stop}
