"""Published: the authors' own numbers on real CLIP and SwinV2, explored without a weight."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from demo.page.components.notices import Notices
from demo.page.downloads import download
from demo.page.events import FAST, KEEP, sent
from demo.page.notices import notice
from demo.page.session import Bar
from demo.published.components.bins import Bins, bound, compared
from demo.published.components.measured import MeasuredTable, measured, tables, written
from demo.published.components.search import PublishedSearch, search
from demo.published.components.table import PublishedTable, columns, table
from demo.published.figures import Panel, score_panels
from demo.published.words import (
    MEASURED,
    MEASURES,
    METHODS,
    SCORES,
    SOURCE,
    contradictions,
    percent,
    sentence,
)
from demo.server.library import Library
from setar_core import published
from setar_core.published import MEAN, SETS, VANILLA, Line

NETWORKS = [(title, name) for name, title in published.BACKBONES.values()]


class Choice(NamedTuple):
    """What the visitor looks at; `settled` makes it one that was published."""

    backbone: str = NETWORKS[0][1]
    id_set: str = "imagenet1k"
    score: str = "mcm"
    measure: str = next(iter(MEASURES))
    method: str = "SeTAR"
    ood_set: str = ""

    def lines(self) -> tuple[Line, ...]:
        return published.table(self.backbone, self.id_set, self.score)


class View(NamedTuple):
    """One value for each output, in the order of the components; KEEP changes nothing."""

    id_set: Any = KEEP
    score: Any = KEEP
    method: Any = KEEP
    ood_set: Any = KEEP
    sentence: Any = KEEP
    table: Any = KEEP
    picture: Any = KEEP
    bins: Any = KEEP
    notes: Any = KEEP
    search: Any = KEEP
    trace: Any = KEEP


def settled(choice: Choice) -> Choice:
    """The nearest choice that was published.

    Raises:
        ValueError: a network that is none of theirs, or a measure that is none.
    """
    if choice.backbone not in [name for _, name in NETWORKS]:
        raise ValueError(f"nothing was published for {choice.backbone!r}; choose one of the list")
    if choice.measure not in MEASURES:
        raise ValueError(f"{choice.measure!r} is no measure; use {', '.join(MEASURES)}")
    id_set = _one(choice.id_set, published.id_sets_of(choice.backbone))
    now = choice._replace(id_set=id_set)
    now = now._replace(score=_one(choice.score, [name for _, name in _scores(now)]))
    methods = [line.run.method for line in now.lines() if line.run.method != VANILLA]
    sets = [name for name in columns(now.lines()) if name != MEAN]
    method = choice.method if choice.method in methods else methods[-1]
    return now._replace(method=method, ood_set=_one(choice.ood_set, sets))


def chosen(library: Library, *values: Any) -> View:
    """Another network or ID set: everything follows."""
    choice = settled(Choice(*values))
    run = next(r for r in published.published_runs() if r.searched and _same(r, choice))
    return looked(*choice)._replace(
        id_set=gr.update(choices=_id_sets(choice), value=choice.id_set),
        score=gr.update(choices=_scores(choice), value=choice.score),
        notes=notice(
            "Where the published material contradicts itself:",
            "warn",
            contradictions(choice.backbone, choice.id_set),
        ),
        search=search(library, run),
        trace=str(run.trace_file),
    )


def looked(*values: Any) -> View:
    """Another score, measure or cell: the sentence, the table and the picture follow."""
    choice = settled(Choice(*values))
    lines = choice.lines()
    shown = [line for line in lines if line.run.method in (VANILLA, choice.method)]
    pages = [(line, line.run.histograms(choice.score)) for line in shown]
    binned = [(line, page.separation(choice.ood_set)) for line, page in pages]
    foreign = SETS[choice.ood_set]
    panels = [
        Panel(
            f"<b>{METHODS[line.run.method][0]}</b>: {percent(rates.metrics.fpr95)} ± "
            f"{bound(rates.error.fpr95)} % slips through",
            page,
            choice.ood_set,
        )
        for (line, page), (_, rates) in zip(pages, binned, strict=True)
    ]
    return View(
        method=choice.method,
        ood_set=choice.ood_set,
        sentence=f'<p class="lead">{sentence(lines, choice.method, choice.score)}</p>',
        table=table(lines, choice.measure, choice.method, choice.ood_set),
        picture=score_panels(panels, SETS[choice.id_set], foreign, SCORES[choice.score]),
        bins=compared(binned, choice.ood_set),
    )


def clicked(index: int, *values: Any) -> View:
    """A cell of the table: its method and OOD set; the original's row changes only the set."""
    choice = settled(Choice(*values))
    names = columns(choice.lines())
    row, column = divmod(index, len(names))
    if not 0 <= row < len(choice.lines()) or names[column] == MEAN:
        return View()
    method = choice.lines()[row].run.method
    method = choice.method if method == VANILLA else method
    return looked(*choice._replace(method=method, ood_set=names[column]))


def build_published(demo: gr.Blocks, library: Library, bar: Bar) -> None:
    """Lay the tab out; everything of the first view is there before anyone asks."""
    first = settled(Choice())
    view = chosen(library, *first)
    with gr.Column(elem_id="published"):
        lead = gr.HTML(view.sentence, elem_id="published-sentence")
        with gr.Row(elem_id="published-choice"):
            network = gr.Radio(NETWORKS, value=first.backbone, label="Network", scale=4)
            id_set = gr.Radio(
                _id_sets(first), value=first.id_set, label="Known pictures (ID)", scale=3
            )
            score = gr.Radio(_scores(first), value=first.score, label="Score", scale=3)
            measure = gr.Radio(
                list(MEASURES), value=first.measure, label="Shown in the table", scale=3
            )
        with gr.Row(equal_height=False, elem_id="published-results"):
            with gr.Column(scale=7, min_width=300):
                runs = PublishedTable(view.table, elem_id="published-table")
            with gr.Column(scale=5, min_width=300):
                picture = gr.Plot(view.picture, show_label=False, elem_id="published-picture")
        with gr.Accordion("How exact is this picture? Printed against recomputed", open=False):
            bins = Bins(view.bins, elem_id="published-bins")
        found = PublishedSearch(view.search, elem_id="published-search")
        trace = gr.DownloadButton(
            "Download this search as a trace",
            value=view.trace,
            size="sm",
            elem_id="published-trace",
        )
        notes = Notices(view.notes, elem_id="published-notes")
        gr.HTML(f'<p class="hint">{SOURCE}</p>')
        _lay_measured()
    method, ood_set = gr.State(first.method), gr.State(first.ood_set)

    asked = [network, id_set, score, measure, method, ood_set]
    shown = View(
        id_set, score, method, ood_set, lead, runs, picture, bins, notes, found, trace
    )  # fmt: skip
    for part in (network, id_set):
        part.input(partial(chosen, library), asked, list(shown), **FAST)
    for part in (score, measure):
        part.input(looked, asked, list(shown), **FAST)

    def pick(event: gr.EventData, *values: Any) -> View:
        return clicked(sent(event, "index", int), *values)

    runs.select(pick, asked, list(shown), **FAST)


def _lay_measured() -> None:
    """The paper's tables again, by `setar papers` in the embedded world."""
    gr.HTML(MEASURED, elem_id="measured-lead")
    first = tables()[0][1]
    which = gr.Dropdown(tables(), value=first, label="Table", elem_id="measured-which")
    found = MeasuredTable(measured(first), elem_id="measured")
    report = gr.Button("Download the whole report", size="sm", elem_id="measured-report")
    which.input(measured, which, found, **FAST)
    download(report.click, written, [])


def _same(run: published.Run, choice: Choice) -> bool:
    return (run.backbone, run.id_set) == (choice.backbone, choice.id_set)


def _id_sets(choice: Choice) -> list[tuple[str, str]]:
    return [(SETS[name], name) for name in published.id_sets_of(choice.backbone)]


def _scores(choice: Choice) -> list[tuple[str, str]]:
    here = published.scores_of(choice.backbone, choice.id_set)
    return [(title, name) for name, title in SCORES.items() if name in here]


def _one(wanted: str, possible: Any) -> str:
    return wanted if wanted in possible else next(iter(possible))
