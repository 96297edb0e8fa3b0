"""What Spectrum says in words: names of matrices, what a ratio drops, what noise means."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from demo.page.components.ratio_map import TOWERS
from setar_core.recipe import Site

if TYPE_CHECKING:
    from setar_core.spectra.profiles import Profile

LEAD = (
    "Every weight matrix is a sum of simple parts, its <b>singular components</b>: each looks for "
    "one pattern in what comes in, multiplies it by its strength, the <b>singular value</b>, and "
    "adds one pattern to what goes out; so the weakest do little, and SeTAR drops them."
)
ROLES = {
    "q": "what a place asks of others (query)",
    "k": "what a place answers to (key)",
    "v": "what a place passes on (value)",
    "o": "how attention is mixed back in (output)",
    "up": "first matrix of the MLP, the one SeTAR edits (W_up)",
    "down": "second matrix of the MLP",
    "proj": "the last matrix of the tower",
}
MEASURES = {
    "tail": "energy in the weakest fifth",
    "rank": "effective rank",
    "ratio": "ratios of the recipe",
}
MEANINGS = {
    "tail": "Share of the energy, in %, that the weakest 20 % of the components hold. "
    "Strong colour: dropping them takes much away.",
    "rank": "How many equally strong components would spread the energy as widely, in % of all. "
    "Strong colour: spread over many; pale: a few dominate.",
    "ratio": "Share of the components, in %, that your recipe below drops.",
}
TAIL = 0.2


def name(site: Site) -> str:
    """A site in words."""
    tower = TOWERS[site.tower]
    if site.block is None:
        return f"{tower}, projection"
    if isinstance(site.block, tuple):
        return f"{tower}, stage {site.block[0]}, block {site.block[1]}, {site.weight}"
    return f"{tower}, block {site.block}, {site.weight}"


def percent(share: float) -> str:
    """Two digits that count: `1.9 %`, `0.032 %`."""
    value = 100 * share
    if value >= 10 or value == 0:
        return f"{value:.0f} %"
    return f"{value:.2g} %"


def story(
    one: Profile, ratio: float, error: float | None = None, on: str = "", counting: bool = False
) -> str:
    """What the ratio does to the matrix, and, where it is known, to the function."""
    head = (
        f"<p class='name'><b>{name(one.site)}</b> <span>{one.shape[0]:,} × {one.shape[1]:,}, "
        f"{ROLES[one.site.weight]}</span></p>"
    )
    if not one.dropped(ratio):
        told = f"Keeps all {one.rank:,} components. Move the ratio to see what would be dropped."
        return f"{head}<p class='told'>{told}</p>{_facts(one)}"
    what = "the features" if one.site.block is None else "the block's output"
    told = (
        f"A ratio of {ratio:g} <b>drops {one.dropped(ratio):,} of {one.rank:,} components, "
        f"{percent(one.energy(ratio))} of the energy</b>"
    )
    if error is not None:
        told += f", and <b>changes {what} by {percent(error)}</b> <span>({escape(on)})</span>"
    elif counting:
        told += f" <span>… measuring what that does to {what}</span>"
    return f"{head}<p class='told'>{told}.</p>{_facts(one)}"


def _facts(one: Profile) -> str:
    from setar_core.lowrank import effective_rank

    above = one.above_noise
    components = "component stands" if above == 1 else "components stand"
    return (
        f"<p class='facts'>Effective rank <b>{one.effective_rank:.0f}</b> of {one.rank:,} "
        f"(a random matrix: {effective_rank(one.noise_values):.0f}). "
        f"<b>{above:,}</b> {components} above the noise edge: a matrix of the same shape and size "
        "of numbers, but drawn at random, has almost none there (Marchenko and Pastur, 1967).</p>"
    )


def recipe_told(ratios: Mapping[Site, float], counts: Mapping[Site, int], errors: dict) -> str:
    """The whole recipe in a sentence; `errors` by tower, once they are measured."""
    cut = [site for site, ratio in ratios.items() if ratio > 0]
    if not cut:
        return (
            "<p class='told'>Nothing is dropped yet. Move a slider beside the map, or set several "
            "blocks at once.</p>"
        )
    dropped = sum(counts[site] for site in cut)
    matrices = "1 matrix" if len(cut) == 1 else f"{len(cut)} matrices"
    told = f"Drops {dropped:,} components in {matrices}"
    what = {"visual": "what is read from a picture", "text": "what is read from a label"}
    parts = [f"{what[tower]} by <b>{percent(error)}</b>" for tower, error in errors.items()]
    if parts:
        told += f", which changes {' and '.join(parts)}"
    return f"<p class='told'>{told}.</p>"
