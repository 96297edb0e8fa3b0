"""The map of all matrices: a table a tower, top block first, a column a weight; a cell is a button.

Beside each block stands the slider of the chosen weight. `spectrum.js` tells clicks and moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from demo.page.components.ratio_map import TOWERS
from demo.spectrum.words import MEANINGS, TAIL, name
from setar_core.recipe import Site

if TYPE_CHECKING:
    from setar_core.spectra.profiles import Profile

SCRIPT = (Path(__file__).resolve().parent / "map.js").read_text(encoding="utf-8")
COLUMNS = ("q", "k", "v", "o", "up", "down")
LARGEST, STEP = 0.9, 0.05  # of a slider


def spectrum_map(
    sites: Sequence[Site],
    known: Mapping[Site, Profile],
    ratios: Mapping[Site, float],
    picked: Site,
    measure: str,
) -> str:
    """The map; a matrix that is not read yet is an empty cell."""
    values = {site: _value(one, ratios.get(site, 0.0), measure) for site, one in known.items()}
    low, high = min(values.values(), default=0.0), max(values.values(), default=1.0)
    weight = "up" if picked.weight == "proj" else picked.weight
    tables = []
    for tower in dict.fromkeys(site.tower for site in sites):
        blocks = list(dict.fromkeys(site.block for site in sites if site.tower == tower))
        rows = []
        for block in blocks:
            weights = ("proj",) if block is None else COLUMNS
            here = [Site(tower, block, w) for w in weights]
            cells = "".join(_cell(s, values, (low, high), ratios, s == picked) for s in here)
            slider = here[0] if block is None else Site(tower, block, weight)
            rows.append(
                f"<tr><th scope='row'>{_row_name(block)}</th>{cells}"
                f"{_slider(slider, ratios.get(slider, 0.0))}</tr>"
            )
        head = "".join(f"<th scope='col'>{column}</th>" for column in COLUMNS)
        tables.append(
            f"<table><caption>{TOWERS[tower]}, top block first</caption><thead><tr>"
            f"<th scope='col'>block</th>{head}<th scope='col' class='wide'>drop of <b>{weight}</b>"
            f"</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
        )
    scale = (
        f"<p class='hint'><span class='ramp'>{_number(low)} <i></i> {_number(high)}</span> "
        f"{MEANINGS[measure]} <span class='ramp'><i class='bar'></i></span> share dropped by your "
        "recipe.</p>"
    )
    return f"<div class='map'>{''.join(tables)}{scale}</div>"


def _value(one: Profile, ratio: float, measure: str) -> float:
    """What a cell shows, in percent."""
    if measure == "tail":
        return 100 * one.energy(TAIL)
    if measure == "rank":
        return 100 * one.effective_rank / one.rank
    return 100 * ratio


def _cell(
    site: Site,
    values: Mapping[Site, float],
    span: tuple[float, float],
    ratios: Mapping[Site, float],
    picked: bool,
) -> str:
    wide = " colspan='6'" if site.block is None else ""
    if site not in values:
        return f"<td{wide}><button type='button' disabled aria-label='not read yet'>·</button></td>"
    value, (low, high) = values[site], span
    shade = (value - low) / (high - low) if high > low else 0.0
    ratio = ratios.get(site, 0.0)
    said = f"{name(site)}: {_number(value)} %" + (f", drops {ratio:g}" if ratio else "")
    return (
        f"<td{wide}><button type='button' data-site='{site}' data-key='cell {site}' "
        f"aria-pressed='{str(picked).lower()}' aria-label='{said}' title='{said}' "
        f"style='--shade:{shade:.3f};--cut:{100 * ratio:.0f}%'>{_number(value)}</button></td>"
    )


def _slider(site: Site, ratio: float) -> str:
    return (
        f"<td class='wide'><label><input type='range' min='0' max='{LARGEST}' step='{STEP}' "
        f"value='{ratio:g}' data-site='{site}' data-key='slider {site}' "
        f"aria-label='Ratio to drop: {name(site)}'><output>{ratio:g}</output></label></td>"
    )


def _row_name(block: int | tuple[int, int] | None) -> str:
    if block is None:
        return "proj"
    return "-".join(map(str, block)) if isinstance(block, tuple) else str(block)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.1f}"
