"""What the right side of Benchmark shows: a run as values of components, field by field."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from demo.benchmark import figures
from demo.benchmark.components.brush import brush
from demo.benchmark.components.differences import compared
from demo.benchmark.components.figure_keys import Keys
from demo.benchmark.components.labels import taken
from demo.benchmark.components.rates import told
from demo.benchmark.components.selected import shown as gallery
from demo.benchmark.components.table import detector_name, options, table
from demo.benchmark.runs import Look, Run, pictures, selected
from demo.page.events import KEEP
from setar_core.metrics.curves import curve, histogram, rates
from setar_core.scores import SCORES

if TYPE_CHECKING:
    from setar_core.benchmark.about import About

FIGURES = {"scores": "Scores", "roc": "ROC", "precision": "Precision and recall"}


class View(NamedTuple):
    """One value for each output of Benchmark, in order; KEEP changes nothing."""

    name: Any = KEEP
    stored: Any = KEEP
    start: Any = KEEP
    stop: Any = KEEP
    notice: Any = KEEP
    results: Any = KEEP
    said: Any = KEEP
    table: Any = KEEP
    behind: Any = KEEP
    detector: Any = KEEP
    beside: Any = KEEP
    ood: Any = KEEP
    threshold: Any = KEEP
    rates: Any = KEEP
    scores: Any = KEEP
    brush: Any = KEEP
    roc: Any = KEEP
    precision: Any = KEEP
    keys: Any = KEEP
    differences: Any = KEEP
    labels: Any = KEEP
    selected: Any = KEEP


def shown(run: Run, look: Look, moved: bool = False) -> View:
    """Everything behind one cell; `moved`: only the threshold is another."""
    from setar_core.benchmark.about import About
    from setar_core.benchmark.mistakes import false_positives

    bench, (ids, oods) = run.bench, run.scores(look)
    ood, title = run.ood(look.ood), SCORES[look.detection.score].title
    now, found = rates(ids, oods, look.threshold), curve(ids, oods)
    lines = [figures.Line(detector_name(look.detection), found)]
    for one in look.beside:
        lines.append(
            figures.Line(detector_name(one), curve(*run.scores(replace(look, detection=one))))
        )
    names = (bench.id.images.name, look.ood)
    mine = selected(run, look)
    view = View(
        rates=told(run, look, now, found),
        scores=figures.histograms(histogram(ids, oods), names, title, look.threshold, look.brushed),
        brush=brush(run, look, mine),
        roc=figures.roc(lines, now, look.brushed),
        precision=figures.precision_recall(lines, look.threshold, look.brushed),
        keys=Keys(FIGURES, caption(About.of(bench), look)),
        differences=compared(run, look, mine),
        labels=taken(
            false_positives(bench, ood, look.detection, look.threshold),
            look.ood,
            bench.nearest(ood, look.detection.recipe)[mine[1]] if look.brushed else None,
            bench.labels,
        ),
        selected=gallery(pictures(run, look), look.brushed is not None),
    )
    if moved:
        return view
    detections = bench.detections
    return view._replace(
        table=table(run, look),
        behind=gr.update(visible=True),
        detector=gr.update(choices=options(detections), value=detections.index(look.detection)),
        beside=gr.update(
            choices=[
                (name, i) for name, i in options(detections) if detections[i] != look.detection
            ],
            value=[detections.index(one) for one in look.beside],
            visible=len(detections) > 1,
        ),
        ood=gr.update(choices=run.ready, value=look.ood),
        threshold=look.threshold,
    )


def caption(about: About, look: Look) -> str:
    """What a figure was measured with."""
    drawn = ", ".join(map(detector_name, (look.detection, *look.beside)))
    return " ".join([f"{drawn} on {look.ood}.", *about.lines])
