"""A published search as a film: loss by candidate, best so far, the ratio map filling from the top.

Everything is in the page at once; `replay.js` moves it, so that nothing is loaded or mounted anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from demo.page.components.ratio_map import TOWERS, shade
from setar_core.recipe import Site
from setar_core.search.trial import Trial

SCRIPT = (Path(__file__).resolve().parent / "player.js").read_text(encoding="utf-8")
WIDE, HIGH = 1000, 300  # of the drawing, which is stretched to the page


def replay(trace: Sequence[Trial]) -> str:
    """The player, at the end of the search; `replay.js` reads `data-trace`."""
    low, high = _range([candidate.loss for candidate in trace])
    at = [(WIDE * (i + 0.5) / len(trace), _height(c.loss, low, high)) for i, c in enumerate(trace)]
    better = [place for place, c in zip(at, trace, strict=True) if c.improved]
    others = [place for place, c in zip(at, trace, strict=True) if not c.improved]
    drawing = (
        f'<svg viewBox="0 0 {WIDE} {HIGH}" preserveAspectRatio="none" aria-hidden="true">'
        f'{_borders(trace)}<path class="tried" d="{_dots(others)}"/>'
        f'<path class="line" d="{_steps(trace, low, high)}"/>'
        f'<path class="improved" d="{_dots(better)}"/></svg>'
    )
    last = len(trace) - 1
    return (
        f'<div class="player" data-trace="{escape(_numbers(trace, low, high))}">'
        f'<div class="loss"><div class="ticks">{_ticks(low, high)}</div>{_parts(trace)}'
        f'<div class="ghost">{drawing}</div><div class="film">{drawing}</div><i class="cursor"></i>'
        '</div><p class="under">candidates, in the order of the search</p>'
        '<div class="keys"><button type="button" class="play">▶ Play</button>'
        f'<input type="range" min="0" max="{last}" value="{last}" step="1" '
        'aria-label="Candidate of the search">'
        '<label>Speed <select aria-label="Speed"><option value="1">1×</option>'
        '<option value="4" selected>4×</option><option value="16">16×</option></select></label>'
        '</div><p class="now" aria-live="off"></p>'
        '<p class="legend"><span><i class="mark blue"></i> the best so far improved</span>'
        '<span><i class="mark grey"></i> tried, not better</span>'
        '<span><i class="mark line"></i> best so far</span></p>'
        "</div>"
    )


def steps(trace: Sequence[Trial]) -> dict[Site, int]:
    """When the search came to each site."""
    return {candidate.site: candidate.step for candidate in trace}


def _numbers(trace: Sequence[Trial], low: float, high: float) -> str:
    """What the script shows of each candidate."""
    rows = [
        [
            c.step,
            c.ratio,
            f"{place(c.site)}, ratio {c.ratio:g}",
            _plain(c.loss, 4),
            _plain(c.best.losses.locoop_loss, 4),
            _plain(c.measures.losses.loss_id, 4),
            _plain(c.measures.losses.loss_ood, 3),
            f"{c.measures.losses.accuracy:.1f} %",
            f"{c.measures.losses.ood_patch_percent:.1f} %",
            round(100 * _height(c.loss, low, high) / HIGH, 2),
            int(c.improved),
            shade(c.ratio),
        ]
        for c in trace
    ]
    return json.dumps(rows, separators=(",", ":"))


def place(site: Site) -> str:
    """A site in words."""
    tower = TOWERS[site.tower].lower()
    if isinstance(site.block, tuple):
        return f"{tower}, stage {site.block[0]}, block {site.block[1]}"
    return f"{tower}, block {site.block}"


def _range(losses: Sequence[float]) -> tuple[float, float]:
    low, high = min(losses), max(losses)
    margin = (high - low) * 0.06 or 1.0
    return low - margin, high + margin


def _height(loss: float, low: float, high: float) -> float:
    return round(HIGH * (high - loss) / (high - low), 1)


def _dots(places: Sequence[tuple[float, float]]) -> str:
    """Lines of no length with round ends: dots, however the drawing is stretched."""
    return "".join(f"M{x:.1f} {y}h0" for x, y in places)


def _steps(trace: Sequence[Trial], low: float, high: float) -> str:
    wide = WIDE / len(trace)
    parts = [f"M0 {_height(trace[0].best.losses.locoop_loss, low, high)}"]
    for i, candidate in enumerate(trace):
        if candidate.improved:
            parts.append(f"H{wide * (i + 0.5):.1f}V{_height(candidate.loss, low, high)}")
    return "".join([*parts, f"H{WIDE}"])


def _groups(trace: Sequence[Trial]) -> list[tuple[str, int]]:
    """The towers, or SwinV2's stages, and the candidate at which each begins."""
    starts: dict[str, int] = {}
    for i, c in enumerate(trace):
        pair = isinstance(c.site.block, tuple)
        starts.setdefault(f"Stage {c.site.block[0]}" if pair else TOWERS[c.site.tower], i)
    return list(starts.items())


def _borders(trace: Sequence[Trial]) -> str:
    lines = [f"M{WIDE * start / len(trace):.1f} 0V{HIGH}" for _, start in _groups(trace)[1:]]
    return f'<path class="border" d="{"".join(lines)}"/>'


def _parts(trace: Sequence[Trial]) -> str:
    """Names over the drawing; of a part too narrow for its name only the number."""
    groups = _groups(trace)
    ends = [start for _, start in groups[1:]] + [len(trace)]
    return "".join(
        f'<span class="part" style="left:{100 * start / len(trace):.2f}%">'
        f"{name if end - start > len(trace) / 6 else name.split()[-1]}</span>"
        for (name, start), end in zip(groups, ends, strict=True)
    )


def _ticks(low: float, high: float) -> str:
    rough = (high - low) / 6
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    digits = max(0, -math.floor(math.log10(step)))
    first = math.ceil(low / step)
    values = [step * k for k in range(first, math.floor(high / step) + 1)]
    return "".join(
        f'<span style="top:{100 * (high - value) / (high - low):.2f}%">'
        f"{_plain(value, digits)}</span>"
        for value in values
    )


def _plain(value: float, digits: int) -> str:
    """A number with a minus that is one."""
    return f"{value:.{digits}f}".replace("-", "−")
