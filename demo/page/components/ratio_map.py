"""A recipe as a map: a column a tower (a stage for SwinV2), top block first, ratio by colour."""

from __future__ import annotations

from collections.abc import Mapping

from setar_core.recipe import Recipe, Site

TOWERS = {"visual": "Image tower", "text": "Text tower"}
FULL = 0.4  # the ratio that is drawn in full colour, the greatest that the authors try


def ratio_map(recipe: Recipe, steps: Mapping[Site, int] | None = None) -> str:
    """The map; with `steps` each cell carries when the search came to it, for a replay."""
    columns: dict[str, list[str]] = {}
    for site, ratio in sorted(recipe.ratios.items(), key=_from_the_top):
        step = ""
        if steps is not None:
            step = f' data-step="{steps[site]}" data-ratio="{ratio:g}" data-shade="{shade(ratio)}"'
        columns.setdefault(_column(site), []).append(
            f'<tr><th scope="row">{_name(site)}</th>'
            f'<td{step} style="--r:{shade(ratio)}">{ratio:g}</td></tr>'
        )
    towers = "".join(
        f'<table class="tower"><caption>{title}</caption><tbody>{"".join(rows)}</tbody></table>'
        for title, rows in columns.items()
    )
    return f'<div class="towers">{towers}</div>'


def shade(ratio: float) -> float:
    """How much of the colour a ratio gets, in [0, 1]."""
    return round(min(1.0, ratio / FULL), 3)


def _from_the_top(entry: tuple[Site, float]) -> tuple:
    site = entry[0]
    block = site.block if isinstance(site.block, tuple) else (site.block or 0,)
    return (list(TOWERS).index(site.tower), site.block is not None, [-number for number in block])


def _column(site: Site) -> str:
    if isinstance(site.block, tuple):
        return f"Stage {site.block[0]}"
    return TOWERS[site.tower]


def _name(site: Site) -> str:
    if site.block is None:
        return "projection"
    block = site.block[1] if isinstance(site.block, tuple) else site.block
    return f"{block}" if site.weight == "up" else f"{block} {site.weight}"
