"""What Spectrum does when it is asked: plain functions of plain values, free of layout.

Every handler yields a `View`; a ValueError of the core becomes a notice on it. Ratios travel as
`{"visual.5.up": 0.15}`: those of the recipe under construction.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from demo.page import notices
from demo.page.choices import recipe_choices
from demo.page.downloads import new_file
from demo.page.session import into_detect
from demo.server.jobs import Job, Jobs, each
from demo.server.library import Library
from demo.server.limits import READINGS
from demo.server.request import NO_RECIPE, recipe_of
from demo.server.store import Store
from demo.spectrum.measure import Measured
from demo.spectrum.view import (
    NOTHING,
    Asked,
    View,
    block_choices,
    chosen_site,
    drawn,
    mapped,
    of_recipe,
    site_choices,
    tower_choices,
    with_effects,
)
from setar_core.recipe import Recipe, Site

if TYPE_CHECKING:
    from setar_core.backbones import Backbone

OWN = "set by hand"
reporting_errors = notices.reporting_errors(lambda notice: View(notice=notice))


class SpectrumHandlers:
    """Holds the shelves and what was measured."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.measured = Measured(library)
        self.jobs: Jobs[Job[None]] = Jobs(**READINGS._asdict())
        self._lock = threading.Lock()
        self._readings = Store[Job[None]](READINGS.at_once)  # by backbone

    @reporting_errors
    def opened(self, recipe: str, *controls: Any) -> Iterator[View]:
        """Another backbone, or the first look: read its matrices, start from the bar's recipe."""
        asked = Asked(*controls)
        yield View(notice=notices.busy(f"Getting {asked.backbone} ready"))
        backbone = yield from each(
            self.library.loading(asked.backbone), lambda step: View(notice=notices.busy(*step))
        )
        asked = asked._replace(ratios=self._start(asked.backbone, recipe))
        sites = self.measured.sites(backbone)
        site = chosen_site(backbone, asked, sites)
        job = self._reading(backbone, site)
        for progress in job.watching():
            told = notices.busy(*progress)
            yield View(notice=told, map=mapped(self.measured, backbone, asked, site))
        self._readings.drop(backbone)
        job.outcome()
        towers, blocks = tower_choices(backbone), block_choices(backbone, site.tower)
        yield drawn(self.measured, backbone, asked, site)._replace(
            notice="",
            ratios=asked.ratios,
            site=gr.Dropdown(site_choices(sites), value=str(site)),
            tower=gr.Dropdown(towers, value=site.tower),
            first=gr.Dropdown(blocks, value=blocks[0]),
            last=gr.Dropdown(blocks, value=blocks[-1]),
        )
        yield from self._effects(backbone, asked, site)

    @reporting_errors
    def looked(self, *controls: Any) -> Iterator[View]:
        """Another matrix, scale, measure or comparison."""
        asked = Asked(*controls)
        backbone = self._loaded(asked)
        site = chosen_site(backbone, asked, self.measured.sites(backbone))
        yield drawn(self.measured, backbone, asked, site)._replace(site=str(site), notice="")
        errors = self._errors(backbone, asked, site)
        yield with_effects(self.measured, backbone, asked, site, errors)

    @reporting_errors
    def ratio_set(self, site: str | None, ratio: float, *controls: Any) -> Iterator[View]:
        """A slider was let go: the ratio of one matrix."""
        asked = Asked(*controls)
        yield from self._changed(asked, {str(site or asked.site): ratio})

    @reporting_errors
    def range_set(
        self, tower: str, first: str, last: str, ratio: float, *controls: Any
    ) -> Iterator[View]:
        """One ratio for all blocks from one to another, for the weight in view."""
        asked = Asked(*controls)
        blocks = block_choices(self._loaded(asked), tower)
        if first not in blocks or last not in blocks:
            raise ValueError(f"blocks {first} to {last} are not in this tower; choose them again")
        low, high = sorted((blocks.index(first), blocks.index(last)))
        weight = asked.site.rpartition(".")[2] if asked.site else "up"
        weight = "up" if weight == "proj" else weight
        names = [f"{tower}.{block}.{weight}" for block in blocks[low : high + 1]]
        yield from self._changed(asked, dict.fromkeys(names, ratio))

    @reporting_errors
    def cleared(self, *controls: Any) -> Iterator[View]:
        """Every ratio back to 0."""
        yield from self._changed(Asked(*controls)._replace(ratios={}), {})

    def other_chosen(self, backbone: str, other: str) -> Iterator[tuple[Any, Any]]:
        """The matrices of the backbone to compare with: a dropdown and a notice."""
        try:
            loaded = yield from each(
                self.library.loading(other or backbone),
                lambda step: (gr.skip(), notices.busy(*step)),
            )
            sites = self.measured.sites(loaded)
        except ValueError as error:
            yield gr.skip(), notices.failure(error)
            return
        yield gr.Dropdown([NOTHING, *site_choices(sites)], value=NOTHING), ""

    def blocks(self, backbone: str, tower: str) -> tuple[Any, Any]:
        """The blocks to choose from, first and last, in another tower."""
        found = block_choices(self.library.backbone(backbone), tower)
        return gr.Dropdown(found, value=found[0]), gr.Dropdown(found, value=found[-1])

    def used(self, *controls: Any) -> tuple:
        """The recipe as the bar's choice, no notice, and the way into Detect; or a notice that
        there is none."""
        asked = Asked(*controls)
        try:
            recipe = asked.recipe()
            if not recipe:
                notice = notices.notice(
                    "The recipe drops nothing yet; set a ratio above 0 first.", "warn"
                )
                return gr.skip(), notice, gr.skip(), gr.skip()
            self._loaded(asked).with_recipe(recipe)  # refused here, not in Detect
        except ValueError as error:
            return gr.skip(), notices.failure(error), gr.skip(), gr.skip()
        title = self.library.keep_recipe(recipe, OWN)
        choices = recipe_choices(self.library, asked.backbone, title)
        return gr.Dropdown(choices, value=title), "", *into_detect()

    def recipe_file(self, *controls: Any) -> str:
        """The path of a new JSON file."""
        path = new_file("recipe.json")
        Asked(*controls).recipe().save(path)
        return str(path)

    def values_file(self, every: bool, *controls: Any) -> str:
        """The path of a new CSV file: the matrix in view, or all that have been read."""
        from setar_core.spectra.profiles import as_csv

        asked = Asked(*controls)
        backbone = self._loaded(asked)
        known = self.measured.known(backbone)
        site = chosen_site(backbone, asked, self.measured.sites(backbone))
        found = known.values() if every else [self.measured.profile(backbone, site)]
        name = "spectra.csv" if every else f"spectrum-{site}.csv"
        path = new_file(name)
        path.write_text(as_csv(found, asked.backbone), encoding="utf-8")
        return str(path)

    def _changed(self, asked: Asked, ratios: dict[str, float]) -> Iterator[View]:
        """Other ratios at some sites; the last of them comes into view where it is alone."""
        backbone = self._loaded(asked)
        for name in ratios:
            backbone.slot(Site.parse(str(name)))
        asked = asked._replace(
            ratios={**asked.ratios, **ratios},
            site=next(iter(ratios)) if len(ratios) == 1 else asked.site,
        )
        asked = asked._replace(ratios={str(s): r for s, r in asked.recipe().ratios.items()})
        site = chosen_site(backbone, asked, self.measured.sites(backbone))
        yield drawn(self.measured, backbone, asked, site)._replace(
            ratios=asked.ratios, site=str(site), notice=""
        )
        yield from self._effects(backbone, asked, site)

    def _effects(self, backbone: Backbone, asked: Asked, site: Site) -> Iterator[View]:
        errors = self._errors(backbone, asked, site)
        yield with_effects(self.measured, backbone, asked, site, errors)
        yield of_recipe(self.measured, backbone, asked)

    def _reading(self, backbone: Backbone, first: Site) -> Job[None]:
        """All matrices of a backbone, read once for all who wait for them."""
        with self._lock:
            job = self._readings.find(backbone)
            if job is None or not job.usable:
                work = partial(self.measured.reading, backbone, first)
                job = self.jobs.start(Job(f"reading the matrices of {backbone.name}", work))
                self._readings.put(backbone, job)
        return job

    def _errors(self, backbone: Backbone, asked: Asked, site: Site) -> dict[float, float]:
        ratio = asked.recipe().ratios.get(site, 0.0)
        return self.measured.errors(backbone, site, ratio, asked.texts)

    def _loaded(self, asked: Asked) -> Backbone:
        return self.library.backbone(asked.backbone)

    def _start(self, backbone: str, title: str | None) -> dict[str, float]:
        """The ratios of the bar's recipe, where it is shipped or made here; else none."""
        if title in (None, "", NO_RECIPE):
            return {}
        shipped = self.library.recipes(backbone)
        recipe = recipe_of(self.library.made_recipe(title))
        if recipe is None and title in shipped:
            recipe = Recipe.load(shipped[title])
        ratios = recipe.ratios if recipe and recipe.prune == "minor" else {}
        return {str(site): ratio for site, ratio in ratios.items() if ratio}
