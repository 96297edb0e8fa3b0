"""The map of both towers while it fills, and the OOD patches marked on an example picture."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from demo.page.components.ratio_map import TOWERS, shade
from setar_core.recipe import Site

if TYPE_CHECKING:
    from demo.search.work import Example
    from setar_core.search.trial import Trial

HATCH = (
    '<defs><pattern id="hatch" width="0.34" height="0.34" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="0.34" height="0.34" fill="#e07b1a" opacity="0.5"/>'
    '<rect width="0.12" height="0.34" fill="#e07b1a"/></pattern></defs>'
)


def live_map(sites: Sequence[Site], trial: Trial | None, over: bool = False) -> str:
    """Both towers, top block on top: settled ratios, the one being tried, and what is to come."""
    if not sites:
        return empty("Ratio of each block", "It fills from the top block down.")
    columns: dict[str, list[tuple[tuple, str]]] = {}
    for site in sites:
        column, name, rank = place(site)
        columns.setdefault(column, []).append((rank, _cell(site, name, trial, over)))
    towers = "".join(
        f'<table class="tower"><caption>{title}</caption><tbody>'
        f"{''.join(cell for _, cell in sorted(cells, reverse=True))}</tbody></table>"
        for title, cells in columns.items()
    )
    return (
        '<figure class="chart map"><figcaption><b>Ratio of each block</b> <span>share of the '
        f'smallest parts that is dropped</span></figcaption><div class="towers">{towers}</div>'
        "</figure>"
    )


def patches(trial: Trial | None, examples: Sequence[Example], picked: int) -> str:
    """The patches of one example that this candidate takes as OOD, marked on it."""
    if not 0 <= picked < len(examples):
        return empty(
            "Patches taken as OOD", "An example picture with its OOD patches will come here."
        )
    example = examples[picked]
    table = None if trial is None else trial.measures.ood
    told, cells, size = "not measured yet", "", (1, 1)
    if table is not None and example.place < len(table):
        ood = table[example.place]  # (h, w)
        size = tuple(ood.shape)
        told = f"{int(ood.sum())} of {ood.numel()} patches"
        cells = "".join(
            f'<rect x="{x}" y="{y}" width="1" height="1"/>' for y, x in ood.nonzero().tolist()
        )
    h, w = size
    return (
        f'<figure class="chart patches"><figcaption><b>Patches taken as OOD</b> <output>{told}'
        f"</output><span>“{escape(example.label)}” is not among the K labels nearest to these"
        '</span></figcaption><div class="frame">'
        f'<svg viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" '
        f'aria-label="{told} are OOD">{HATCH}{cells}</svg></div></figure>'
    )


def unpictured() -> str:
    """In place of the patches, where only a trace is looked at."""
    return empty("Patches taken as OOD", "A trace holds no pictures, so none can be shown.")


def place(site: Site) -> tuple[str, str, tuple]:
    """The column, the row's name, and what rows are sorted by."""
    if site.block is None:
        return TOWERS[site.tower], "proj", (1, 0)
    if isinstance(site.block, tuple):
        return f"Stage {site.block[0]}", str(site.block[1]), (0, site.block[1])
    return TOWERS[site.tower], str(site.block), (0, site.block)


def empty(title: str, told: str) -> str:
    """What a drawing will show, before there is anything to show."""
    return (
        f'<figure class="chart empty-chart"><figcaption><b>{title}</b></figcaption>'
        f'<p class="hint">{told}</p></figure>'
    )


def _cell(site: Site, name: str, trial: Trial | None, over: bool) -> str:
    text, colour, kind = "·", 0.0, ""
    if trial is not None:
        ratio = trial.recipe.ratios.get(site)
        if site == trial.site and not over:
            text, colour, kind = f"{trial.ratio:g}", shade(trial.ratio), ' class="trying"'
        elif ratio is not None:
            text, colour = f"{ratio:g}", shade(ratio)
    return f'<tr><th scope="row">{name}</th><td{kind} style="--r:{colour}">{text}</td></tr>'
