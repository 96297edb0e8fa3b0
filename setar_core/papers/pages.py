"""A report as Markdown, LaTeX and one HTML page with figures; all of it from the report alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ..benchmark.tables import latex_text, markdown_text
from ..published import MEAN, SETS
from ..scores import SCORES
from .report import METRICS, Cell, Line, Part, Report

TITLE = "The tables of SeTAR (arXiv:2406.12629), measured again"
LEGEND = (
    "In percent. FPR95: how many foreign pictures pass where 95 % of the known ones do, lower is "
    "better; AUROC and accuracy: higher is better. ± is the standard deviation over seeds; "
)
THEIRS = (
    "in brackets the difference from the authors' number, bold where it lies outside the 95 % "
    "bootstrap interval of ours."
)
OTHERS = (
    "in brackets the authors' own number, of photographs and the real network: it is there to "
    "compare the rows of a table, not the numbers."
)
WIDE, LEFT, STEP = 760, 300, 24  # of a figure, in pixels
STYLE = """
:root { color-scheme: light dark; --line: #8884; --ours: #2a6f97; --theirs: #c8553d; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2), .lacks { text-align: left; }
td:first-child, td:nth-child(2) { white-space: nowrap; }
td small { display: block; opacity: .75; } td .out { font-weight: 700; }
svg { max-width: 100%; height: auto; } svg text { font-size: 12px; fill: currentColor; }
.ours { fill: var(--ours); stroke: var(--ours); }
.theirs { fill: none; stroke: var(--theirs); stroke-width: 2; }
details { margin: .6rem 0; } pre { overflow-x: auto; font-size: 12px; } .doubts { color: #b3541e; }
"""


def as_markdown(report: Report) -> str:
    """A table after another, with what is missing above them."""
    lines = [f"# {TITLE}", "", *_told(report), ""]
    for part in report.parts:
        lines += [f"## {markdown_text(part.title)}", ""]
        heads = [f"{markdown_text(column)} {metric}".strip() for column, metric in _heads(part)]
        lines += [f"| Row | Score | {' | '.join(heads)} |", "|---|---|" + "---:|" * len(heads)]
        for title, score, cells, line in lines_of(part):
            told = [markdown_text(text) for text in (title, score)]
            if line.lacks:
                row = [*told, f"*{markdown_text(line.lacks)}*", *[""] * (len(heads) - 1)]
            else:
                row = [*told, *(_bold(cell, "**{}**", report) for cell in cells)]
            lines.append(f"| {' | '.join(row[: 2 + max(1, len(heads))])} |")
        lines.append("")
    return "\n".join(lines)


def as_latex(report: Report) -> str:
    """The same for a paper; needs the package `booktabs`."""
    lines = [f"% {latex_text(line)}" for line in (TITLE, *_told(report))]
    for part in report.parts:
        heads = [f"{latex_text(column)} {metric}".strip() for column, metric in _heads(part)]
        lines += ["", rf"\begin{{tabular}}{{ll{'r' * max(1, len(heads))}}}", r"\toprule"]
        lines.append(rf"{latex_text(part.title)} & Score & {' & '.join(heads)} \\")
        lines.append(r"\midrule")
        for title, score, cells, line in lines_of(part):
            told = [latex_text(text) for text in (title, score)]
            if line.lacks:
                many = max(1, len(heads))
                reason = rf"\multicolumn{{{many}}}{{l}}{{{latex_text(line.lacks)}}}"
                lines.append(rf"{' & '.join((*told, reason))} \\")
                continue
            found = [_bold(cell, r"\textbf{{{}}}", report, latex=True) for cell in cells]
            lines.append(rf"{' & '.join((*told, *found))} \\")
        lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def as_html(report: Report) -> str:
    """One page that needs no other file and asks nothing of a network."""
    body = [f"<h1>{escape(TITLE)}</h1>"]
    body += [f"<p>{escape(line)}</p>" for line in report.notes]
    body.append(f"<p>{escape(_legend(report))}</p>")
    if report.doubts:
        told = "".join(f"<li>{escape(doubt)}</li>" for doubt in report.doubts)
        body.append(f'<ul class="doubts">{told}</ul>')
    for part in report.parts:
        body.append(f"<h2>{escape(part.title)}</h2>")
        body.append(figure(part, report.comparable))
        body.append(f'<div class="scroll">{_table(part, report)}</div>')
        commands = dict.fromkeys(command for line in part.lines for command in line.commands)
        if commands:
            shown = escape("\n".join(commands))
            summary = "<summary>The commands of these rows</summary>"
            body.append(f"<details>{summary}<pre>{shown}</pre></details>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(TITLE)}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def figure(part: Part, comparable: bool) -> str:
    """Mean FPR95 of each row as a dot with its interval, and the authors' as a ring, as SVG; empty
    where a table has no mean."""
    rows = []
    for title, score, cells, line in lines_of(part):
        column = MEAN if MEAN in part.columns else next(iter(part.columns), "")
        cell = next((c for c in cells if c and (c.column, c.metric) == (column, "fpr95")), None)
        if not line.lacks and cell:
            rows.append((f"{title}, {score}", cell))
    if not rows:
        return ""
    ends = [x for _, c in rows for x in (c.value, c.low, c.high) if x is not None]
    if comparable:
        ends += [c.published for _, c in rows if c.published is not None]
    low, high = max(0.0, min(ends) - 1), min(100.0, max(ends) + 1)

    def x(value: float) -> float:
        return LEFT + (WIDE - LEFT - 20) * (value - low) / ((high - low) or 1)

    drawn = []
    for i, (name, cell) in enumerate(rows):
        y = 14 + STEP * i
        drawn.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        if cell.low is not None and cell.high is not None:
            span = f"M{x(cell.low):.1f} {y}H{x(cell.high):.1f}"
            drawn.append(f'<path class="ours" d="{span}" stroke-width="2"/>')
        drawn.append(
            f'<circle class="ours" cx="{x(cell.value):.1f}" cy="{y}" r="4">'
            f"<title>{cell.value:.2f} %</title></circle>"
        )
        if comparable and cell.published is not None:
            drawn.append(
                f'<circle class="theirs" cx="{x(cell.published):.1f}" cy="{y}" r="6">'
                f"<title>the authors' {cell.published:.2f} %</title></circle>"
            )
    bottom = 14 + STEP * len(rows)
    for value, anchor in ((low, "start"), (high, "end")):
        drawn.append(
            f'<text x="{x(value):.1f}" y="{bottom + 8}" text-anchor="{anchor}">{value:.1f} %</text>'
        )
    told = "Mean FPR95 of each row, less is better"
    return (
        f'<svg viewBox="0 0 {WIDE} {bottom + 16}" width="{WIDE}" role="img" aria-label="{told}">'
        f"{''.join(drawn)}</svg>"
    )


def number(cell: Cell) -> str:
    """`40.24 ± 0.31`."""
    spread = "" if cell.spread is None else f" ± {cell.spread:.2f}"
    return f"{cell.value:.2f}{spread}"


def beside(cell: Cell, comparable: bool) -> str:
    """The difference from the authors' number, or that number where the pictures are others."""
    if cell.published is None or cell.difference is None:
        return ""
    if not comparable:
        return f"{cell.published:.2f}"
    return f"{cell.difference:+.2f}".replace("-", "−")


def lines_of(part: Part) -> Iterator[tuple[str, str, list[Cell | None], Line]]:
    """Title, score, a cell a head; with the network and ID set where a table has several."""
    all_of = {(line.network, line.known) for line in part.lines}
    measured = {(line.network, line.known) for line in part.lines if line.cells}
    for line in part.lines:
        several = len(measured if line.cells else all_of) > 1
        title = f"{line.title}, {SETS[line.known]}" if several else line.title
        by = {(cell.column, cell.metric): cell for cell in line.cells}
        cells = [by.get((column, metric)) for column in part.columns for metric in metrics_of(part)]
        score = SCORES[line.score].title if line.score else "Accuracy"
        score = "" if line.lacks and not line.commands else score  # of all scores
        yield title, score, cells, line


def _heads(part: Part) -> list[tuple[str, str]]:
    return [
        (title, METRICS.get(metric, "accuracy"))
        for title in part.columns.values()
        for metric in metrics_of(part)
    ]


def metrics_of(part: Part) -> Sequence[str]:
    return tuple(METRICS) if any(line.score for line in part.lines) else ("accuracy",)


def _bold(cell: Cell | None, bold: str, report: Report, latex: bool = False) -> str:
    if cell is None:
        return ""
    told = beside(cell, report.comparable)
    told = bold.format(told) if cell.within is False else told
    text = f"{number(cell)} ({told})" if told else number(cell)
    return text.replace("±", r"$\pm$").replace("−", "$-$") if latex else text


def _table(part: Part, report: Report) -> str:
    heads = "".join(f"<th>{escape(column)}<br>{metric}</th>" for column, metric in _heads(part))
    rows = []
    for title, score, cells, line in lines_of(part):
        names = f"<td>{escape(title)}</td><td>{escape(score)}</td>"
        if line.lacks:
            many = max(1, len(_heads(part)))
            rows.append(
                f'<tr>{names}<td class="lacks" colspan="{many}">{escape(line.lacks)}</td></tr>'
            )
            continue
        found = []
        for cell in cells:
            told = beside(cell, report.comparable) if cell else ""
            mark = ' class="out"' if cell and cell.within is False else ""
            small = f"<small{mark}>({escape(told)})</small>" if told else ""
            found.append(f"<td>{number(cell) if cell else ''}{small}</td>")
        rows.append(f"<tr>{names}{''.join(found)}</tr>")
    return (
        f"<table><thead><tr><th>Row</th><th>Score</th>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _legend(report: Report) -> str:
    return LEGEND + (THEIRS if report.comparable else OTHERS)


def _told(report: Report) -> list[str]:
    return [*report.notes, _legend(report), *report.doubts]
