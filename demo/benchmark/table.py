"""The benchmark's table as HTML: a row a detector, a button a detector and OOD set."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import product

from demo.benchmark.runs import Look, Run
from setar_core.benchmark.results import Detection, Row
from setar_core.benchmark.tables import TITLES, arrows, by_detection
from setar_core.data.sets import MEAN
from setar_core.scores import SCORES

EXPLAINED = (
    "In percent, with 95 % bootstrap intervals below. ↓ lower is better, ↑ higher is better. Bold: "
    "best of its column; ≈: the difference from the best may be chance. Click a cell to see the "
    "scores behind it."
)
SIDEWAYS = '<b class="sideways" hidden>The table scrolls sideways. </b>'


def table(run: Run, look: Look | None) -> str:
    """`data-index` of a cell is row * OOD sets + column; the mean has no scores of its own."""
    sets = [ood.images.name for ood in run.bench.oods]
    heads = [MEAN, *sets] if len(sets) > 1 else sets  # the mean is seen first on a phone
    found = by_detection(run.rows)
    several = len(run.bench.detections) > 1
    places = product(range(len(run.bench.detections)), sets)
    index = {place: number for number, place in enumerate(places)}
    lines = "".join(
        f'<tr><th scope="row">{title(detection)}</th>'
        + "".join(
            _cell(detection, ood, found.get(detection, {}).get(ood), index.get((i, ood)), look)
            for ood in heads
        )
        + _accuracy(run, detection)
        + "</tr>"
        for i, detection in enumerate(run.bench.detections)
    )
    metrics = "".join(f"<span>{arrow}</span>" for arrow in arrows())
    columns = "".join(
        f'<th scope="col">{escape(name)}<span class="trio">{metrics}</span></th>' for name in heads
    )
    accuracy = "<th>ID accuracy\u00a0↑</th>" if _known(run) else ""
    said = (
        EXPLAINED
        if several
        else EXPLAINED.replace(
            "Bold: best of its column; ≈: the difference from the best may be chance. ", ""
        )
    )
    return (
        '<div class="scroll"><table class="runs" aria-label="Benchmark results">'
        f'<thead><tr><th scope="col">Weights, score</th>{columns}{accuracy}</tr></thead>'
        f'<tbody>{lines}</tbody></table></div><p class="hint">{SIDEWAYS}{said}</p>'
    )


def score_title(detection: Detection) -> str:
    return SCORES[detection.score].title


def title(detection: Detection) -> str:
    """Recipe and score, as the table's first column has them."""
    return f"{escape(detection.recipe)}<small>{score_title(detection)}</small>"


def _cell(
    detection: Detection, ood: str, row: Row | None, index: int | None, look: Look | None
) -> str:
    if row is None:
        return '<td class="waiting"><span aria-label="not scored yet">…</span></td>'
    parts = [_number(row, i) for i in range(len(TITLES))]
    trio = f'<span class="trio">{"".join(parts)}</span>'
    if ood == MEAN:
        return f'<td class="mean">{trio}</td>'
    pressed = look is not None and (look.detection, look.ood) == (detection, ood)
    said = ", ".join(f"{t} {100 * v:.1f} %" for t, v in zip(TITLES, row.metrics, strict=True))
    words = f"{detection.recipe}, {score_title(detection)} on {ood}: {said}"
    return (
        f'<td><button type="button" data-index="{index}" aria-label="{escape(words)}" '
        f'aria-pressed="{"true" if pressed else "false"}">{trio}</button></td>'
    )


def _number(row: Row, i: int) -> str:
    value, rank = f"{100 * row.metrics[i]:.2f}", row.standing[i]
    text = {"best": f"<b>{value}</b>", "level": f"<i>≈\u2009</i>{value}"}.get(rank, value)
    ends = f"{100 * row.low[i]:.0f}–{100 * row.high[i]:.0f}" if row.low else ""
    return f"<span>{text}<small>{ends}</small></span>"


def _known(run: Run) -> bool:
    return run.bench.id.complete and run.bench.id.images.classes is not None


def _accuracy(run: Run, detection: Detection) -> str:
    if not _known(run):
        return ""
    share = run.bench.accuracy(detection.recipe)
    return f'<td class="mean">{"" if share is None else f"{100 * share:.2f}"}</td>'


def options(detections: Sequence[Detection]) -> list[tuple[str, int]]:
    """Detectors for a dropdown, by place."""
    names = [f"{one.recipe}, {score_title(one)}" for one in detections]
    return [(name, i) for i, name in enumerate(names)]
