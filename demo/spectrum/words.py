"""What Spectrum says in words: names of matrices, what a ratio drops, what noise means."""

from __future__ import annotations

from collections.abc import Mapping

from demo.page.words import place
from setar_core.recipe import Site

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
    where = place(site)
    weight = "" if site.block is None else f", {site.weight}"
    return f"{where[0].upper()}{where[1:]}{weight}"


def percent(share: float) -> str:
    """Two digits that count: `1.9 %`, `0.032 %`."""
    value = 100 * share
    if value >= 10 or value == 0:
        return f"{value:.0f} %"
    return f"{value:.2g} %"


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
