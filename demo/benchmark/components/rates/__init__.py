"""What a threshold keeps and lets through, in a sentence that follows the dragged line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from demo.benchmark.runs import Look, Run
from demo.page.components.base import Part
from demo.page.words import number
from setar_core.metrics.curves import rates

if TYPE_CHECKING:
    from setar_core.metrics.curves import Curve
    from setar_core.metrics.curves import Rates as Shares


class Told(NamedTuple):
    """The sentence's words, and the curve that tells it of any threshold.

    `others` are the other OOD sets with the shares of them that are let through.
    """

    threshold: str
    kept: str
    passed: str
    inside: str
    outside: str
    others: Sequence[tuple[str, str]]
    thresholds: Sequence[float]
    recall: Sequence[float]
    fpr: Sequence[float]


class Rates(Part):
    """Its value is `Told`; `moved` is the threshold while it is dragged in the histogram. Letting
    it go is a `select` with it as `index`."""

    state = ("moved",)


def told(run: Run, look: Look, now: Shares, found: Curve) -> Told:
    """The sentence of one cell at one threshold."""
    others = []
    for name in run.ready:
        if name != look.ood:
            ids, oods = run.scores(Look(look.detection, name, look.threshold))
            others.append((name, f"{rates(ids, oods, look.threshold).fpr:.1%}"))
    return Told(
        number(look.threshold),
        f"{now.recall:.1%}",
        f"{now.fpr:.1%}",
        run.bench.id.images.name,
        look.ood,
        others,
        [float(t) for t in found.thresholds],
        [round(float(r), 5) for r in found.recall],
        [round(float(f), 5) for f in found.fpr],
    )
