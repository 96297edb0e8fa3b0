"""The singular values of every matrix of a backbone: what a map of its spectra is made of."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from ..backbones.base import Backbone
from ..backbones.tower import BLOCK_WEIGHTS
from ..lowrank import effective_rank, energy_shares, singular_values, tail_energy
from ..recipe import Site, dropped
from .noise import Band, noise_band, noise_values


class Profile(NamedTuple):
    """One matrix by its singular values: `shape` (out, in), `values (r,)` descending, float64."""

    site: Site
    shape: tuple[int, int]
    values: np.ndarray

    @property
    def rank(self) -> int:
        return len(self.values)

    def dropped(self, ratio: float) -> int:
        return dropped(self.rank, ratio)

    def kept(self, ratio: float) -> int:
        return self.rank - self.dropped(ratio)

    def energy(self, ratio: float) -> float:
        """Share of the energy that the ratio drops, in [0, 1]."""
        return tail_energy(self.values, ratio)

    @property
    def cumulative(self) -> np.ndarray:
        """Share of the energy in the first 1, 2, ..., r components, `(r,)`."""
        return np.cumsum(energy_shares(self.values))

    @property
    def effective_rank(self) -> float:
        return effective_rank(self.values)

    @property
    def rms(self) -> float:
        """Root mean square of the matrix's entries."""
        return float(np.sqrt(np.square(self.values).sum() / np.prod(self.shape)))

    @property
    def noise(self) -> Band:
        """Where a random matrix of the same shape and mean square has its singular values."""
        return noise_band(self.shape, self.rms)

    @property
    def noise_values(self) -> np.ndarray:
        return noise_values(self.shape, self.rms)

    @property
    def above_noise(self) -> int:
        """How many singular values lie above `noise`, where a random matrix has almost none."""
        return int((self.values > self.noise.high).sum())


_KEPT: WeakKeyDictionary[Backbone, dict[Site, Profile]] = WeakKeyDictionary()


def all_sites(backbone: Backbone) -> Iterator[Site]:
    """Every matrix that a recipe may name: tower after tower, the projection, then the top block
    down, its weights in the order q, k, v, o, up, down.

    Raises:
        ValueError: this backbone has no blocks.
    """
    backbone.check_blocks()
    for name, tower in backbone.towers.items():
        known = tower.sites()
        for i in (None, *reversed(range(tower.depth))):
            weights = ("proj",) if i is None else BLOCK_WEIGHTS
            block = None if i is None else tower.block_id(i)
            yield from (Site(name, block, weight) for weight in weights if (block, weight) in known)


def profile(backbone: Backbone, site: Site) -> Profile:
    """The site's matrix, as this backbone has it; made once and kept as long as the backbone.

    Raises:
        ValueError: the backbone has no such site.
    """
    kept = _KEPT.setdefault(backbone, {})
    if site not in kept:
        matrix = backbone.weight(site)
        rows, columns = matrix.shape
        kept[site] = Profile(site, (rows, columns), singular_values(matrix))
    return kept[site]


def is_known(backbone: Backbone, site: Site) -> bool:
    """Whether `profile` answers at once."""
    return site in _KEPT.get(backbone, {})


def profiles(backbone: Backbone, sites: Iterable[Site] | None = None) -> Iterator[Profile]:
    """The profiles of these sites, of all by default, one by one as they are made."""
    return (profile(backbone, site) for site in (all_sites(backbone) if sites is None else sites))


def as_csv(found: Iterable[Profile], backbone: str) -> str:
    """One line a singular value: backbone, site, out, in, component (from 1), value, cumulative
    energy."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("backbone", "site", "out", "in", "component", "singular_value", "cumulative_energy")
    )
    for one in found:
        for i, (value, share) in enumerate(zip(one.values, one.cumulative, strict=True), start=1):
            row = (backbone, one.site, *one.shape, i, f"{value:.9g}", f"{share:.9g}")
            writer.writerow(row)
    return out.getvalue()
