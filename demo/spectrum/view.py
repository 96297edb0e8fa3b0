"""What Spectrum shows: one matrix among all of a backbone, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from demo.page.events import KEEP
from demo.page.words import TOWERS
from demo.spectrum import words as spectrum_words
from demo.spectrum.components.map import Map, spectrum_map
from demo.spectrum.components.story import story
from demo.spectrum.figures import Curve, curve, effect
from demo.spectrum.measure import Errors, Measured, counts
from setar_core.recipe import Recipe, Site

if TYPE_CHECKING:
    from setar_core.backbones import Backbone

NOTHING = "nothing"


class Asked(NamedTuple):
    """What the controls say; `ratios` and `site` of the recipe and the matrix in view."""

    backbone: str
    labels: str
    prompt: str
    ratios: Mapping[str, float]
    site: str | None
    measure: str
    scale: str
    other_backbone: str
    other_site: str | None

    @property
    def texts(self) -> tuple[str, str]:
        """Labels and prompt, on which the text tower is measured."""
        return self.labels, self.prompt

    def recipe(self) -> Recipe:
        """The recipe under construction.

        Raises:
            ValueError: a ratio out of range, or what is no site.
        """
        ratios = {Site.parse(name): ratio for name, ratio in (self.ratios or {}).items() if ratio}
        notes = {"found": "ratios set by hand in the spectrum tab"}
        return Recipe(ratios, self.backbone, notes=notes)


class View(NamedTuple):
    """One value for each output, in the order of the components; KEEP changes nothing."""

    notice: Any = KEEP
    ratios: Any = KEEP
    map: Any = KEEP
    site: Any = KEEP
    ratio: Any = KEEP
    story: Any = KEEP
    curve: Any = KEEP
    effect: Any = KEEP
    recipe: Any = KEEP
    tower: Any = KEEP
    first: Any = KEEP
    last: Any = KEEP


def chosen_site(backbone: Backbone, asked: Asked, sites: list[Site]) -> Site:
    """The matrix in view: the one asked for, else the first that the recipe cuts, else W_up of the
    top block."""
    cut = [str(site) for site in asked.recipe().ratios]
    by_name = {str(site): site for site in sites}
    for name in (asked.site, *cut):
        if name in by_name:
            return by_name[name]
    return next(backbone.sites("up"))


def drawn(measured: Measured, backbone: Backbone, asked: Asked, site: Site) -> View:
    """The map, the curve, and what can be said without running the network."""
    one = measured.profile(backbone, site)
    recipe = asked.recipe()
    ratio = recipe.ratios.get(site, 0.0)
    return View(
        map=mapped(measured, backbone, asked, site),
        ratio=ratio,
        story=story(one, ratio, counting=True),
        curve=curve(
            Curve(one, spectrum_words.name(site)), ratio, asked.scale, _other(measured, asked, site)
        ),
        recipe=spectrum_words.recipe_told(recipe.ratios, counts(backbone, recipe.ratios), {}),
    )


def mapped(measured: Measured, backbone: Backbone, asked: Asked, site: Site) -> Map:
    """The map of what has been read so far."""
    known, sites = measured.known(backbone), measured.sites(backbone)
    return spectrum_map(sites, known, asked.recipe().ratios, site, asked.measure)


def with_effects(
    measured: Measured, backbone: Backbone, asked: Asked, site: Site, errors: Errors
) -> View:
    """The sentence with what the function loses, and the figure of all ratios."""
    one = measured.profile(backbone, site)
    ratio = asked.recipe().ratios.get(site, 0.0)
    on = measured.on(backbone, site.tower, asked.texts)
    energies = [one.energy(r) for r in errors]
    return View(
        story=story(one, ratio, errors[ratio], on),
        effect=effect(list(errors), energies, list(errors.values()), ratio),
    )


def of_recipe(measured: Measured, backbone: Backbone, asked: Asked) -> View:
    """The sentence of the whole recipe, with what both towers lose."""
    recipe = asked.recipe()
    errors = measured.recipe_errors(backbone, recipe, asked.texts)
    told = spectrum_words.recipe_told(recipe.ratios, counts(backbone, recipe.ratios), errors)
    return View(recipe=told)


def site_choices(sites: list[Site]) -> list[tuple[str, str]]:
    return [(spectrum_words.name(site), str(site)) for site in sites]


def tower_choices(backbone: Backbone) -> list[tuple[str, str]]:
    return [(TOWERS[name], name) for name in backbone.towers]


def block_choices(backbone: Backbone, tower: str) -> list[str]:
    """A tower's blocks from the input up, as recipes name them."""
    of = backbone.tower(tower)
    ids = (of.block_id(i) for i in range(of.depth))
    return ["-".join(map(str, i)) if isinstance(i, tuple) else str(i) for i in ids]


def _other(measured: Measured, asked: Asked, site: Site) -> Curve | None:
    """The matrix to lay over, where one was chosen and its backbone is loaded."""
    if asked.other_site in (None, "", NOTHING):
        return None
    name = asked.other_backbone or asked.backbone
    if not measured.library.is_loaded(name):
        return None
    backbone, other = measured.library.backbone(name), Site.parse(asked.other_site)
    where = "" if name == asked.backbone else f"{name}: "
    title = f"{where}{spectrum_words.name(other)}"
    return Curve(measured.profile(backbone, other), title)
