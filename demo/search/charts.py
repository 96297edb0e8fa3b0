"""What a search looks like so far: small drawings, made anew for each look and free of scripts.

An SVG is stretched to its place, so lines of no length with round ends are its dots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from demo.search.map import empty, place

if TYPE_CHECKING:
    from setar_core.search.trial import Trial

WIDE, HIGH = 1000, 300
OBJECTIVES = {
    "locoop_loss": "loss",
    "loss_id": "ID loss",
    "loss_ood": "OOD loss",
    "auroc": "AUROC in percent",
    "aupr": "AUPR in percent",
    "fpr": "FPR95 in percent",
}
MORE_IS_BETTER = ("auroc", "aupr")
TERMS = (
    ("ID term", "loss_id", "How badly the labels are named; less is better", "{:.4f}"),
    ("OOD term", "loss_ood", "How sure patches without the object are; less is better", "{:.4f}"),
    ("Accuracy", "accuracy", "Pictures whose best label is right", "{:.1f} %"),
    ("OOD patches", "ood_patch_percent", "Patches taken to show none of the label", "{:.1f} %"),
)


class Scale(NamedTuple):
    """From values to heights in the drawing."""

    low: float
    high: float

    def y(self, value: float) -> float:
        return round(HIGH * (self.high - value) / (self.high - self.low), 1)


def objective_chart(trials: Sequence[Trial], total: int, objective: str) -> str:
    """Each candidate a dot, and the best so far as a step line."""
    name = OBJECTIVES[objective]
    way = "more" if objective in MORE_IS_BETTER else "less"
    title = f"{name[0].upper()}{name[1:]} of each candidate"
    if not trials:
        return empty(title, "One dot for each candidate will come here.")
    best = [trial.best.objective(objective) for trial in trials]
    values = [trial.objective for trial in trials]
    scale = _scale([value for value in (*values, *best) if not math.isnan(value)])
    xs = [WIDE * (i + 0.5) / total for i in range(len(trials))]
    dots: dict[bool, list[str]] = {True: [], False: []}
    for x, trial in zip(xs, trials, strict=True):
        if not math.isnan(trial.objective):
            dots[trial.improved].append(f"M{x:.1f} {scale.y(trial.objective)}h0")
    line = _steps(best, total, scale)
    last = trials[-1]
    now = (
        f'<i class="now" style="left:{xs[-1] / WIDE:.2%};top:{_share(scale, last.objective)}"></i>'
    )
    return (
        f'<figure class="chart big" role="img" aria-label="{escape(_told(trials, objective))}">'
        f"<figcaption><b>{title}</b> <span>{way} is better</span>"
        f"{_legend()}</figcaption>"
        f'<div class="plot">{_ticks(scale)}{_towers(trials, total)}'
        f'<svg viewBox="0 0 {WIDE} {HIGH}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="tried" d="{"".join(dots[False])}"/><path class="line" d="{line}"/>'
        f'<path class="improved" d="{"".join(dots[True])}"/></svg>{now}</div>'
        f'<p class="under">{len(trials)} of {total} candidates, in the order of the search</p>'
        "</figure>"
    )


def term_charts(trials: Sequence[Trial], total: int) -> str:
    """The parts of the loss, the accuracy and the share of OOD patches: four small drawings."""
    panels = []
    for title, field, told, digits in TERMS:
        values = [getattr(trial.measures.losses, field) for trial in trials]
        body, number = "", "–"
        if values:
            scale = _scale(values)
            dots = "".join(
                f"M{WIDE * (i + 0.5) / total:.1f} {scale.y(value)}h0"
                for i, value in enumerate(values)
            )
            kept = [getattr(trial.best.losses, field) for trial in trials]
            body = (
                f'<svg viewBox="0 0 {WIDE} {HIGH}" preserveAspectRatio="none" aria-hidden="true">'
                f'<path class="tried" d="{dots}"/>'
                f'<path class="line" d="{_steps(kept, total, scale)}"/></svg>'
            )
            number = digits.format(kept[-1])
        colour = " ood" if "OOD" in title else ""
        panels.append(
            f'<figure class="chart small{colour}"><figcaption><b>{title}</b> '
            f"<output>{number}</output><span>{told}</span></figcaption>"
            f'<div class="plot">{body}</div></figure>'
        )
    return f'<div class="terms">{"".join(panels)}</div>'


def _scale(values: Sequence[float]) -> Scale:
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = (high - low) * 0.08 or max(abs(high), 1.0) * 0.01
    return Scale(low - margin, high + margin)


def _share(scale: Scale, value: float) -> str:
    return "50%" if math.isnan(value) else f"{scale.y(value) / HIGH:.2%}"


def _steps(best: Sequence[float], total: int, scale: Scale) -> str:
    """The best so far; nothing where it could not be measured."""
    parts, before = [], None
    for i, value in enumerate(best):
        if math.isnan(value):
            continue
        if before is None:
            parts.append(f"M{WIDE * i / total:.1f} {scale.y(value)}")
        elif value != before:
            parts.append(f"H{WIDE * (i + 0.5) / total:.1f}V{scale.y(value)}")
        before = value
    return "".join([*parts, f"H{WIDE * len(best) / total:.1f}"]) if parts else ""


def _ticks(scale: Scale) -> str:
    rough = (scale.high - scale.low) / 4
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    digits = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(scale.low / step), math.floor(scale.high / step)
    spans = "".join(
        f'<span style="top:{scale.y(step * k) / HIGH:.2%}">{step * k:.{digits}f}</span>'
        for k in range(first, last + 1)
    )
    return f'<div class="ticks" aria-hidden="true">{spans}</div>'


def _towers(trials: Sequence[Trial], total: int) -> str:
    """Where each tower, or SwinV2's stage, begins."""
    starts: dict[str, int] = {}
    for i, trial in enumerate(trials):
        starts.setdefault(place(trial.site)[0], i)
    if len(starts) > 6 or list(starts.values()) != sorted(starts.values()):
        return ""
    return "".join(
        f'<span class="part" style="left:{i / total:.2%}">{name}</span>'
        for name, i in starts.items()
    )


def _told(trials: Sequence[Trial], objective: str) -> str:
    first, last = trials[0], trials[-1]
    return (
        f"{OBJECTIVES[objective]}: {first.measures.objective(objective):.4f} with the original "
        f"weights, best so far {last.best.objective(objective):.4f} after {len(trials)} candidates"
    )


def _legend() -> str:
    return (
        '<span class="keys"><i class="dot better"></i>improved <i class="dot"></i>not better '
        '<i class="rule"></i>best so far</span>'
    )
