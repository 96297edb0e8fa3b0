"""Ratios as a map: a column a tower (a stage for SwinV2), top block first, ratio by colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from demo.page.components.base import Part
from demo.page.words import TOWERS
from setar_core.recipe import Recipe, Site
from setar_core.search.trial import Trial

Change = tuple[int, float | None, bool]  # from which candidate on, the ratio, whether it is tried


class Cell(NamedTuple):
    """One site and its ratio, None where that is to come; `changes` are for a replay."""

    name: str
    ratio: float | None
    changes: Sequence[Change] = ()


class Column(NamedTuple):
    """A tower or a stage, its top block first."""

    title: str
    cells: Sequence[Cell]


class Ratios(NamedTuple):
    """The whole map; `at` is after how many candidates of a replay, None for what came of it."""

    columns: Sequence[Column]
    at: int | None = None


class RatioMap(Part):
    """Its value is `Ratios`."""


def ratios(
    of: Mapping[Site, float | None], changes: Mapping[Site, Sequence[Change]] | None = None
) -> Ratios:
    """The map of a recipe's ratios."""
    columns: dict[str, list[Cell]] = {}
    for site, ratio in sorted(of.items(), key=_from_the_top):
        cell = Cell(_name(site), ratio, (changes or {}).get(site, ()))
        columns.setdefault(column(site), []).append(cell)
    return Ratios([Column(title, cells) for title, cells in columns.items()])


def replayed(sites: Sequence[Site], trials: Sequence[Trial], finished: bool) -> Ratios:
    """The map of a search, and how it came to be."""
    changes: dict[Site, list[Change]] = {site: [] for site in sites}
    for trial in trials:
        for site, before in changes.items():
            tried = site == trial.site
            now = (trial.ratio if tried else trial.recipe.ratios.get(site), tried)
            if now != (before[-1][1:] if before else (None, False)):
                before.append((trial.index, *now))
    recipe = trials[-1].recipe if trials else Recipe({})
    drawn = ratios({site: recipe.ratios.get(site) for site in sites}, changes)
    return drawn if finished else drawn._replace(at=len(trials))


def column(site: Site) -> str:
    """The title of the column that a site belongs to."""
    if isinstance(site.block, tuple):
        return f"Stage {site.block[0]}"
    return TOWERS[site.tower]


def _from_the_top(entry: tuple[Site, float | None]) -> tuple:
    site = entry[0]
    block = site.block if isinstance(site.block, tuple) else (site.block or 0,)
    return (list(TOWERS).index(site.tower), site.block is not None, [-number for number in block])


def _name(site: Site) -> str:
    if site.block is None:
        return "projection"
    block = site.block[1] if isinstance(site.block, tuple) else site.block
    return f"{block}" if site.weight == "up" else f"{block} {site.weight}"
