"""The authors' table as HTML: methods by OOD set, change against the original weights, a picker."""

from __future__ import annotations

import math
from collections.abc import Sequence

from demo.published.words import MEASURES, METHODS, better, percent, picked, signed, unlike
from setar_core.metrics.bins import Binned
from setar_core.metrics.separation import Metrics
from setar_core.published import MEAN, SETS, VANILLA, Line, best

ACCURACY = "imagenet1k"


def columns(lines: Sequence[Line]) -> tuple[str, ...]:
    """The columns of the table: the mean, which is seen first on a phone, then the OOD sets."""
    return (MEAN, *(name for name in lines[0].metrics if name != MEAN))


def table(lines: Sequence[Line], measure: str, method: str, ood_set: str) -> str:
    """`data-index` of a cell is row * columns + column; the mean has no picture behind it."""
    field, meaning = MEASURES[measure]
    names = columns(lines)
    heads = "".join(f'<th scope="col">{SETS[name]}\u00a0{measure[-1]}</th>' for name in names)
    rows = "".join(
        _row(lines, place, field, names, (method, ood_set)) for place in range(len(lines))
    )
    said = unlike([line.run for line in lines])
    warning = f'<p class="warnline">! {said}</p>' if said else ""
    return (
        f'<p class="hint"><b>{measure}</b>: {meaning}. Click a number to see the scores '
        'behind it.</p><div class="scroll"><table class="runs" aria-label="Published results">'
        f'<thead><tr><th scope="col">Method</th>{heads}'
        f'<th scope="col">ImageNet accuracy ↑</th></tr></thead><tbody>{rows}</tbody></table></div>'
        '<p class="hint">Bold: best of its column. ✓ better and ✕ worse than the original weights, '
        "in percent of their value.</p>"
        f"{warning}"
    )


def bins_table(shown: Sequence[tuple[Line, Binned]], ood_set: str) -> str:
    """Printed metrics beside those recomputed from the bins, and how far the bins may err."""
    rows = "".join(
        f'<tr><th scope="row">{METHODS[line.run.method][0]}</th>'
        + "".join(
            f"<td>{percent(printed)}</td><td>{percent(value)} <small>± {bound(error)}</small></td>"
            for printed, value, error in zip(
                line.metrics[ood_set], binned.metrics, binned.error, strict=True
            )
        )
        + "</tr>"
        for line, binned in shown
    )
    heads = "".join(f'<th scope="colgroup" colspan="2">{name}</th>' for name in MEASURES)
    pair = '<th scope="col">printed</th><th scope="col">from the bins</th>' * len(Metrics._fields)
    return (
        f'<p class="hint">{SETS[ood_set]}: as printed, and recomputed from the histograms above, '
        "in percent. ± is the most that the bins can be off, whatever the order inside them.</p>"
        '<div class="scroll"><table class="runs bins" aria-label="Printed against recomputed">'
        f'<thead><tr><th rowspan="2">Method</th>{heads}'
        f"</tr><tr>{pair}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def bound(error: float) -> str:
    """An error bound to two digits, never rounded down."""
    return f"{math.ceil(error * 1e4) / 100:.2f}"


def _row(
    lines: Sequence[Line], place: int, field: str, names: Sequence[str], chosen: tuple[str, str]
) -> str:
    line = lines[place]
    title, what = METHODS[line.run.method]
    cells = "".join(_cell(lines, place, field, name, at, chosen) for at, name in enumerate(names))
    accuracy = line.run.accuracy[ACCURACY]
    most = max(other.run.accuracy[ACCURACY] for other in lines)
    value = _bold(percent(accuracy), accuracy == most)
    return (
        f'<tr><th scope="row">{title}<small>{what}</small></th>{cells}'
        f'<td class="accuracy">{value}</td></tr>'
    )


def _cell(
    lines: Sequence[Line],
    place: int,
    field: str,
    name: str,
    at: int,
    chosen: tuple[str, str],
) -> str:
    line = lines[place]
    value = picked(line.metrics[name], field)
    text = _bold(percent(value), value == picked(best(lines, name), field))
    text += _change(lines, line, field, name)
    if name == MEAN:
        return f'<td class="mean">{text}</td>'
    current = line.run.method in (chosen[0], VANILLA) and name == chosen[1]
    words = f"{METHODS[line.run.method][0]} on {SETS[name]}: {percent(value)}, show the scores"
    return (
        f'<td><button type="button" data-index="{place * len(lines[0].metrics) + at}" '
        f'aria-label="{words}" aria-pressed="{"true" if current else "false"}">{text}</button></td>'
    )


def _change(lines: Sequence[Line], line: Line, field: str, name: str) -> str:
    if line.change is None:
        return "<small>&nbsp;</small>"
    vanilla = next(other for other in lines if other.run.method == VANILLA)
    right = better(picked(line.metrics[name], field), picked(vanilla.metrics[name], field), field)
    sign, kind = {True: ("✓", "good"), False: ("✕", "worse"), None: ("=", "same")}[right]
    digits = 1 if field == "fpr95" else 2
    return (
        f'<small class="{kind}">{sign} {signed(picked(line.change[name], field), digits)}</small>'
    )


def _bold(text: str, really: bool) -> str:
    return f"<b>{text}</b>" if really else f"<span>{text}</span>"
