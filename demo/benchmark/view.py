"""What the right side of Benchmark shows: a run as values of components, field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from demo.benchmark import figures
from demo.benchmark.components.labels import taken
from demo.benchmark.components.mistakes import shown as pictures
from demo.benchmark.components.rates import told
from demo.benchmark.components.table import options, table
from demo.benchmark.runs import Look, Run
from demo.page.events import KEEP
from setar_core.metrics.curves import curve, histogram, rates
from setar_core.scores import SCORES

if TYPE_CHECKING:
    from setar_core.benchmark.mistakes import Mistake

WORST = 12  # pictures a side


class View(NamedTuple):
    """One value for each output of Benchmark, in order; KEEP changes nothing."""

    name: Any = KEEP
    stored: Any = KEEP
    start: Any = KEEP
    stop: Any = KEEP
    notice: Any = KEEP
    results: Any = KEEP
    table: Any = KEEP
    behind: Any = KEEP
    detector: Any = KEEP
    ood: Any = KEEP
    threshold: Any = KEEP
    rates: Any = KEEP
    scores: Any = KEEP
    roc: Any = KEEP
    precision: Any = KEEP
    labels: Any = KEEP
    worst: Any = KEEP


def shown(run: Run, look: Look, moved: bool = False) -> View:
    """Everything behind one cell; `moved`: only the threshold is another."""
    from setar_core.benchmark.mistakes import false_positives

    bench, (ids, oods) = run.bench, run.scores(look)
    ood, title = run.ood(look.ood), SCORES[look.detection.score].title
    now, found = rates(ids, oods, look.threshold), curve(ids, oods)
    names = (bench.id.images.name, look.ood)
    drawn = figures.histograms(histogram(ids, oods), names, title, look.threshold)
    view = View(
        rates=told(run, look, now, found),
        roc=figures.roc(found, now),
        precision=figures.precision_recall(found, look.threshold),
        labels=taken(false_positives(bench, ood, look.detection, look.threshold), look.ood),
        worst=pictures(mistakes(run, look)),
        scores=drawn,
    )
    if moved:
        return view
    detections = bench.detections
    return view._replace(
        table=table(run, look),
        behind=gr.update(visible=True),
        detector=gr.update(choices=options(detections), value=detections.index(look.detection)),
        ood=gr.update(choices=run.ready, value=look.ood),
        threshold=look.threshold,
    )


def mistakes(run: Run, look: Look) -> list[Mistake]:
    """Foreign images that were accepted, then known ones that were not, the worst first."""
    from setar_core.benchmark.mistakes import worst_accepted, worst_rejected

    ood = run.ood(look.ood)
    return [
        *worst_accepted(run.bench, ood, look.detection, look.threshold, WORST),
        *worst_rejected(run.bench, look.detection, look.threshold, WORST),
    ]
