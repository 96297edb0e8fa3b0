"""The map of all matrices: a table a tower, top block first, a column a weight.

A cell is a button that chooses its matrix; beside each block stands a slider for the chosen weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from demo.page.components.base import Part
from demo.page.words import TOWERS
from demo.spectrum.words import MEANINGS, TAIL, name
from setar_core.recipe import Site

if TYPE_CHECKING:
    from setar_core.spectra.profiles import Profile

COLUMNS = ("q", "k", "v", "o", "up", "down")
LARGEST, STEP = 0.9, 0.05  # of a slider


class Cell(NamedTuple):
    """A matrix: its number, the strength of its colour in [0, 1], the share cut in percent."""

    site: str
    number: str
    shade: float
    cut: int
    told: str
    chosen: bool


class Slider(NamedTuple):
    """The ratio of one matrix."""

    site: str
    ratio: float
    told: str


class Row(NamedTuple):
    """A block; its cells are None where they are not read yet."""

    name: str
    cells: Sequence[Cell | None]
    slider: Slider


class Tower(NamedTuple):
    """Every block of a tower."""

    title: str
    rows: Sequence[Row]


class Map(NamedTuple):
    """All towers, the weight of the sliders, and the scale of the colours."""

    towers: Sequence[Tower] = ()
    columns: Sequence[str] = COLUMNS
    weight: str = ""
    low: str = ""
    high: str = ""
    meaning: str = ""
    largest: float = LARGEST
    step: float = STEP


class SpectrumMap(Part):
    """Its value is a `Map`. A cell that is clicked is a `select` with its `site`, a slider that is
    let go a `release` with `site` and `ratio`."""


def spectrum_map(
    sites: Sequence[Site],
    known: Mapping[Site, Profile],
    ratios: Mapping[Site, float],
    picked: Site,
    measure: str,
) -> Map:
    """The map of what has been read."""
    values = {site: _value(one, ratios.get(site, 0.0), measure) for site, one in known.items()}
    low, high = min(values.values(), default=0.0), max(values.values(), default=1.0)
    weight = "up" if picked.weight == "proj" else picked.weight
    towers = []
    for tower in dict.fromkeys(site.tower for site in sites):
        rows = []
        for block in dict.fromkeys(site.block for site in sites if site.tower == tower):
            here = [Site(tower, block, w) for w in (("proj",) if block is None else COLUMNS)]
            cells = [
                _cell(site, values[site], (low, high), ratios.get(site, 0.0), site == picked)
                if site in values
                else None
                for site in here
            ]
            slides = here[0] if block is None else Site(tower, block, weight)
            slider = Slider(str(slides), ratios.get(slides, 0.0), f"Ratio to drop: {name(slides)}")
            rows.append(Row(_row_name(block), cells, slider))
        towers.append(Tower(TOWERS[tower], rows))
    return Map(
        towers, weight=weight, low=_number(low), high=_number(high), meaning=MEANINGS[measure]
    )


def _value(one: Profile, ratio: float, measure: str) -> float:
    """What a cell shows, in percent."""
    if measure == "tail":
        return 100 * one.energy(TAIL)
    if measure == "rank":
        return 100 * one.effective_rank / one.rank
    return 100 * ratio


def _cell(site: Site, value: float, span: tuple[float, float], ratio: float, chosen: bool) -> Cell:
    low, high = span
    shade = (value - low) / (high - low) if high > low else 0.0
    told = f"{name(site)}: {_number(value)} %" + (f", drops {ratio:g}" if ratio else "")
    return Cell(str(site), _number(value), round(shade, 3), round(100 * ratio), told, chosen)


def _row_name(block: int | tuple[int, int] | None) -> str:
    if block is None:
        return "proj"
    return "-".join(map(str, block)) if isinstance(block, tuple) else str(block)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.1f}"
