"""Reads spectra and measures effects for Spectrum, a turn at a time, and keeps what it found."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from demo.server.jobs import Progress, Steps
from demo.server.library import Library
from demo.server.limits import KEPT_PROBES
from demo.server.shipped import EMBEDDED, examples, label_set, shipped_calibration
from demo.server.store import Store
from setar_core.data.images import read_image
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe, Site, dropped

if TYPE_CHECKING:
    from setar_core.backbones import Backbone
    from setar_core.spectra.effect import Probe
    from setar_core.spectra.profiles import Profile

GRID = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FEW = 8  # pictures for a large network, a second or two a look
PER_LABEL = 5  # shipped calibration pictures a label: one of each is taken
PROMPTS = 40
READ_SECONDS = 0.4  # of a turn, and between two looks at a map that fills

Errors = dict[float, float]
Texts = tuple[str, str]  # labels, one a line, and their prompt


class Measured:
    """What is known of every loaded backbone's matrices."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._probes: Store[tuple[Probe, dict[Site, Errors]]] = Store(KEPT_PROBES)

    def sites(self, backbone: Backbone) -> list[Site]:
        from setar_core.spectra.profiles import all_sites

        return list(all_sites(backbone))

    def known(self, backbone: Backbone) -> dict[Site, Profile]:
        """The profiles that have been read."""
        from setar_core.spectra.profiles import is_known, profile

        found = self.sites(backbone)
        return {site: profile(backbone, site) for site in found if is_known(backbone, site)}

    def profile(self, backbone: Backbone, site: Site) -> Profile:
        from setar_core.spectra.profiles import is_known, profile

        if is_known(backbone, site):
            return profile(backbone, site)
        what = f"reading a matrix of {backbone.name}"
        return self.library.turns.run(what, profile, backbone, site)

    def reading(self, backbone: Backbone, first: Site) -> Steps[None]:
        """Read all profiles, `first` before the others."""
        from setar_core.spectra.profiles import is_known, profile

        sites = sorted(self.sites(backbone), key=lambda site: site != first)
        left = [site for site in sites if not is_known(backbone, site)]

        def read() -> None:
            until = time.monotonic() + READ_SECONDS
            while left and time.monotonic() < until:
                profile(backbone, left.pop(0))

        while left:
            self.library.turns.run(f"reading the matrices of {backbone.name}", read)
            done = len(sites) - len(left)
            yield Progress(f"Reading matrix {done} of {len(sites)}", done / len(sites))

    def errors(self, backbone: Backbone, site: Site, ratio: float, texts: Texts) -> Errors:
        """Change of the block's output by ratio, on a grid and at `ratio`."""

        def measure() -> Errors:
            probe, kept = self._probe(backbone, site.tower, texts)
            mine = kept.setdefault(site, {})
            wanted = [r for r in (*GRID, ratio) if r not in mine]
            mine |= dict(zip(wanted, probe.errors(site, wanted), strict=True)) if wanted else {}
            return dict(sorted(mine.items()))

        return self.library.turns.run(f"measuring {site} of {backbone.name}", measure)

    def recipe_errors(self, backbone: Backbone, recipe: Recipe, texts: Texts) -> dict[str, float]:
        """Change of each touched tower's features under the recipe."""
        touched = {site.tower for site, ratio in recipe.ratios.items() if ratio > 0}

        def measure(tower: str) -> float:
            return self._probe(backbone, tower, texts)[0].recipe_error(recipe)

        what = f"measuring a recipe on {backbone.name}"
        towers = [tower for tower in backbone.towers if tower in touched]
        return {tower: self.library.turns.run(what, measure, tower) for tower in towers}

    def on(self, backbone: Backbone, tower: str, texts: Texts) -> str:
        """What the errors are measured on, in words."""
        found = self._probes.find(_key(backbone, tower, texts))
        count = found[0].count if found else 0
        return f"measured on {count} {'pictures' if tower == 'visual' else 'labels'}"

    def _probe(self, backbone: Backbone, tower: str, texts: Texts) -> tuple[Probe, dict]:
        from setar_core.spectra.effect import Probe

        key = _key(backbone, tower, texts)
        found = self._probes.find(key)
        if found is None:
            found = (Probe(backbone, tower, _inputs(backbone, tower, texts)), {})
            self._probes.put(key, found)
        return found


def counts(backbone: Backbone, ratios: Mapping[Site, float]) -> dict[Site, int]:
    """Components that each site of a recipe loses."""
    return {s: dropped(min(backbone.weight(s).shape), ratio) for s, ratio in ratios.items()}


def _key(backbone: Backbone, tower: str, texts: Texts) -> tuple:
    return (backbone, tower, texts if tower == "text" else "")


def _inputs(backbone: Backbone, tower: str, texts: Texts):
    """Shipped calibration pictures, one a label, or the first prompts of the labels."""
    import torch

    if tower == "text":
        return LabelSet.parse(*texts).prompts[:PROMPTS]
    paths = shipped_calibration(EMBEDDED, label_set("animals"))[::PER_LABEL]
    if backbone.name != EMBEDDED or not paths:
        paths = examples()[:FEW]
    return torch.stack([backbone.preprocess(read_image(path)) for path in paths])
