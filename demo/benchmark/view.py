"""What the right side of Benchmark shows: a run turned into HTML and figures, field by field."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from demo.benchmark import figures
from demo.benchmark.runs import Look, Run
from demo.benchmark.table import options, table
from demo.page.events import KEEP
from demo.page.pictures import thumbnail
from demo.page.words import number
from setar_core.data.images import ImageError, read_image
from setar_core.scores import SCORES

if TYPE_CHECKING:
    from setar_core.benchmark.mistakes import FalsePositives, Mistake
    from setar_core.metrics.curves import Curve, Rates

WORST = 12  # pictures a side
LABELS = 10  # that draw the most false positives


class View(NamedTuple):
    """One value for each output of Benchmark, in order; KEEP changes nothing."""

    name: Any = KEEP
    stored: Any = KEEP
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
    from setar_core.metrics.curves import curve, histogram, rates

    bench, (ids, oods) = run.bench, run.scores(look)
    ood, title = run.ood(look.ood), SCORES[look.detection.score].title
    now, found = rates(ids, oods, look.threshold), curve(ids, oods)
    names = (bench.id.images.name, look.ood)
    drawn = figures.histograms(histogram(ids, oods), names, title, look.threshold)
    view = View(
        rates=_rates(run, look, now, found),
        roc=figures.roc(found, now),
        precision=figures.precision_recall(found, look.threshold),
        labels=_labels(false_positives(bench, ood, look.detection, look.threshold), look),
        worst=_worst(mistakes(run, look)),
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


def _rates(run: Run, look: Look, now: Rates, found: Curve) -> str:
    """A sentence that the page's script changes while the line is dragged."""
    from setar_core.metrics.curves import rates

    others = []
    for name in run.ready:
        if name != look.ood:
            ids, oods = run.scores(Look(look.detection, name, look.threshold))
            share = rates(ids, oods, look.threshold).fpr
            others.append(f"{escape(name)} <b>{share:.1%}</b>")
    more = f'<span class="others"> Of the other sets: {", ".join(others)}.</span>' if others else ""
    points = {
        "t": [float(t) for t in found.thresholds],
        "r": [round(float(r), 5) for r in found.recall],
        "f": [round(float(f), 5) for f in found.fpr],
    }
    return (
        f'<p class="rates" data-curve="{escape(json.dumps(points))}">Accepting scores from '
        f'<b class="at">{number(look.threshold)}</b> on keeps <b class="kept">{now.recall:.1%}</b> '
        f'of {escape(run.bench.id.images.name)} (known) and lets <b class="let">{now.fpr:.1%}</b> '
        f"of {escape(look.ood)} (foreign) through.{more}</p>"
    )


def _labels(found: Sequence[FalsePositives], look: Look) -> str:
    """The labels that foreign images were taken for, as bars."""
    head = f"<h3>What {escape(look.ood)} is taken for</h3>"
    if not found:
        return f'{head}<p class="hint">At this threshold none of it is accepted.</p>'
    most = found[0].accepted
    bars = "".join(
        f'<li><span class="bar-label">{escape(one.label)}</span><span class="bar-number">'
        f'{one.accepted} of {one.nearest}</span><span class="bar ood"><span '
        f'style="width:{100 * one.accepted / most:.1f}%"></span></span></li>'
        for one in found[:LABELS]
    )
    rest = sum(one.accepted for one in found[LABELS:])
    more = f'<p class="hint">and {rest} more under {len(found) - LABELS} labels</p>' if rest else ""
    return (
        f'{head}<p class="hint">False positives by label: how many were accepted, of those whose '
        f'nearest label it is.</p><div class="bars"><ol>{bars}</ol></div>{more}'
    )


def _worst(found: Sequence[Mistake]) -> str:
    """Two strips of pictures; `data-index` in the order of `mistakes`."""
    parts = []
    for accepted, head, none in (
        (True, "Foreign, but accepted", "No foreign picture is accepted."),
        (False, "Known, but refused", "No known picture is refused."),
    ):
        mine = [(i, one) for i, one in enumerate(found) if one.accepted == accepted]
        strip = "".join(_picture(i, one) for i, one in mine)
        body = f'<div class="gallery">{strip}</div>' if mine else f'<p class="hint">{none}</p>'
        parts.append(f"<h3>{head}</h3>{body}")
    hint = '<p class="hint">The worst mistakes first. Click one to open it in Detect.</p>'
    return hint + "".join(parts)


def _picture(index: int, one: Mistake) -> str:
    try:
        source = thumbnail(read_image(one.path))
    except ImageError:  # gone since
        source = ""
    said = f"taken for {one.label}" if one.accepted else f"resembles {one.label} most"
    truth = f", is {one.truth}" if one.truth and one.truth != one.label else ""
    words = f"{one.path.name}: {said}{truth}, score {number(one.score)}"
    return (
        f'<button type="button" data-index="{index}" title="{escape(words)}" '
        f'aria-label="Open in Detect: {escape(words)}"><img src="{source}" alt="">'
        f"<span>{escape(one.label)}</span><small>{number(one.score)}</small></button>"
    )
