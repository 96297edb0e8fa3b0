"""How the authors' search came to its recipe, with ours beside it."""

from __future__ import annotations

from typing import NamedTuple

from demo.page.components.player import Film, Player, film
from demo.page.components.ratio_map import RatioMap, Ratios, ratios
from demo.published.components.times import Times, TimesTold, times
from demo.server.library import Library
from demo.server.shipped import EMBEDDED
from setar_core.published import SETS, Run, search_times
from setar_core.recipe import Recipe


class Ours(NamedTuple):
    """A recipe of ours to compare with, how it was found, and of which backbone it is."""

    name: str
    ratios: Ratios
    how: str
    same: bool
    backbone: str = EMBEDDED


class Search(NamedTuple):
    """A published search as a film, and in numbers."""

    film: Film
    network: str
    id_set: str
    cut: int
    sites: int
    lambda_ood: str
    top_k: int
    ours: Ours | None
    times: TimesTold


class PublishedSearch(Player):
    """Its value is a `Search`."""

    inside = (Player, RatioMap, Times)


def search(library: Library, run: Run) -> Search:
    """The search of a published run."""
    recipe, settings = run.recipe, run.settings
    assert recipe is not None, "what is searched for is a recipe"
    return Search(
        film(run.slug, run.trace(), tuple(recipe.ratios)),
        run.title,
        SETS[run.id_set],
        sum(ratio > 0 for ratio in recipe.ratios.values()),
        len(recipe.ratios),
        f"{settings['locoop_lambda']:g}",
        settings["locoop_top_k"],
        ours(library, run.backbone),
        times(run, search_times()),
    )


def ours(library: Library, backbone: str) -> Ours | None:
    """A shipped recipe that is not the authors'; a searched one before one made by hand, and where
    there is none of this backbone, one of the embedded backbone."""
    for name in (backbone, EMBEDDED):
        found = [(title, Recipe.load(path)) for title, path in library.recipes(name).items()]
        mine = [(title, recipe) for title, recipe in found if "paper" not in recipe.notes]
        mine.sort(key=lambda entry: "hand-made" in str(entry[1].notes.get("found")))
        if mine:
            title, recipe = mine[0]
            how = str(recipe.notes.get("found", "searched with this app"))
            return Ours(title, ratios(recipe.ratios), how, name == backbone)
    return None
