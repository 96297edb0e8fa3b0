"""The authors' recipe beside ours, and how their search came to it."""

from __future__ import annotations

from html import escape

from demo.page.components.player import replay, steps
from demo.page.components.ratio_map import ratio_map
from demo.published.times import times
from demo.server.library import EMBEDDED, Library
from setar_core.published import SETS, Run, search_times
from setar_core.recipe import Recipe


def ours(library: Library, backbone: str) -> tuple[str, Recipe, bool] | None:
    """A shipped recipe that is not the authors': name, recipe, and whether it is of this backbone.

    A searched one before one made by hand; where there is none, one of the embedded backbone.
    """
    for name in (backbone, EMBEDDED):
        found = [(title, Recipe.load(path)) for title, path in library.recipes(name).items()]
        mine = [(title, recipe) for title, recipe in found if "paper" not in recipe.notes]
        mine.sort(key=lambda entry: "hand-made" in str(entry[1].notes.get("found")))
        if mine:
            return (*mine[0], name == backbone)
    return None


def search_section(library: Library, run: Run) -> str:
    """The search as a player, its recipe as a map that the player fills, ours beside it."""
    trace, recipe = run.trace(), run.recipe
    dropped = sum(ratio > 0 for ratio in recipe.ratios.values())
    settings = run.settings
    return (
        '<section class="search" aria-label="The search and its recipe">'
        f"<h2>How SeTAR chose what to drop in {escape(run.title)} ({SETS[run.id_set]})</h2>"
        "<p>From the top block down, the search tries for each block which share of the smallest "
        "parts of one matrix (W_up) can go, and keeps the share with the least loss so far. Here: "
        f"{len(trace)} candidates, {dropped} of {len(recipe.ratios)} blocks lost something, "
        f"λ = {settings['locoop_lambda']:g}, K = {settings['locoop_top_k']}.</p>"
        f'<div class="stage"><div>{replay(trace)}</div>'
        f'<div class="map"><h3>The authors\' recipe</h3>{ratio_map(recipe, steps(trace))}'
        '<p class="hint">Block by ratio dropped, top block first. SeTAR+FT trains the same '
        f"recipe.</p></div>{_ours(library, run)}</div>{times(run, search_times())}</section>"
    )


def _ours(library: Library, run: Run) -> str:
    own = ours(library, run.backbone)
    if own is None:
        return ""
    name, recipe, same = own
    how = str(recipe.notes.get("found", "searched with this app"))
    told = (
        f"For {escape(run.title)}: {escape(how)}."
        if same
        else f"We have none for {escape(run.title)}. This one is of the embedded network "
        f"“{EMBEDDED}”, which is much smaller, so blocks do not correspond: {escape(how)}."
    )
    return (
        f'<div class="map"><h3>Ours: {escape(name)}</h3>{ratio_map(recipe)}'
        f'<p class="hint">{told} A block that is not listed keeps everything.</p></div>'
    )
