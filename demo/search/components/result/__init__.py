"""What a search found, or an uploaded recipe: numbers before and after, and maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from demo.page.components.base import Part
from demo.page.components.loss_chart import plain
from demo.page.components.player import shown
from demo.page.components.ratio_map import RatioMap, Ratios, ratios
from setar_core.recipe import Recipe, Site, dropped
from setar_core.search.plan import OBJECTIVES
from setar_core.search.trial import Trial


class Found(NamedTuple):
    """What there is to say of a recipe.

    Attributes:
        measured: what was measured, of the original weights and with the recipe.
        cut: sites that lose something, their ratios, and how many parts of how many.
        others: recipes to compare with, by title.
        own: the map of an uploaded one.
    """

    title: str
    sentence: str
    measured: Sequence[tuple[str, ...]] = ()
    cut: Sequence[tuple[str, str, str]] = ()
    others: Sequence[tuple[str, Ratios]] = ()
    own: Ratios | None = None


class Result(Part):
    """Its value is `Found`."""

    inside = (RatioMap,)


def found(
    trials: Sequence[Trial],
    objective: str,
    ranks: Mapping[Site, int],
    others: Mapping[str, Recipe],
) -> Found:
    """The recipe of a search that is over; `ranks` of the matrices, where they are known."""
    recipe, before, after = trials[-1].recipe, trials[0].measures, trials[-1].best
    lost = {site: ratio for site, ratio in recipe.ratios.items() if ratio > 0}
    losses = (before.losses, after.losses)
    return Found(
        "What the search found" if lost else "The search kept the original weights",
        f"{len(lost)} of {len(recipe.ratios)} searched matrices lose something. These numbers are "
        "from the calibration pictures themselves; whether other pictures are judged better, only "
        "a benchmark tells.",
        [
            (OBJECTIVES[objective].name, shown(before, objective), shown(after, objective)),
            ("accuracy on these pictures", *(f"{one.accuracy:.1f} %" for one in losses)),
            ("ID loss", *(plain(one.loss_id, 4) for one in losses)),
            ("OOD loss", *(plain(one.loss_ood, 4) for one in losses)),
            ("OOD patches", *(f"{one.ood_patch_percent:.1f} %" for one in losses)),
        ],
        [(str(site), f"{ratio:g}", _parts(ranks.get(site), ratio)) for site, ratio in lost.items()],
        [(title, ratios(other.ratios)) for title, other in others.items()],
    )


def uploaded(recipe: Recipe) -> Found:
    """An uploaded recipe, as a map and in a sentence."""
    lost = sum(ratio > 0 for ratio in recipe.ratios.values())
    made = recipe.backbone or "any backbone with these matrices"
    return Found(
        "An uploaded recipe",
        f"For {made}: {lost} of {len(recipe.ratios)} matrices lose something.",
        own=ratios(recipe.ratios),
    )


def _parts(rank: int | None, ratio: float) -> str:
    return "" if rank is None else f"{dropped(rank, ratio)} of {rank}"
