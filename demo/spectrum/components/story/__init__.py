"""What a ratio does to one matrix, and, where it is known, to the function."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from demo.page.components.base import Part
from demo.spectrum.words import ROLES, name, percent

if TYPE_CHECKING:
    from setar_core.spectra.profiles import Profile


class Dropped(NamedTuple):
    """What a ratio drops; `error` is how far `what` moves `on` some inputs, empty where that is not
    measured, and `counting` whether it soon will be."""

    ratio: str
    components: str
    energy: str
    what: str
    error: str
    on: str
    counting: bool


class Told(NamedTuple):
    """A matrix in numbers; `noise_rank` is the effective rank of a random one."""

    name: str
    shape: tuple[str, str]
    role: str
    rank: str
    effective_rank: str
    noise_rank: str
    above_noise: int
    dropped: Dropped | None


class Story(Part):
    """Its value is `Told`."""


def story(
    one: Profile, ratio: float, error: float | None = None, on: str = "", counting: bool = False
) -> Told:
    """A matrix and a ratio."""
    from setar_core.lowrank import effective_rank

    dropped = None
    if one.dropped(ratio):
        what = "the features" if one.site.block is None else "the block's output"
        dropped = Dropped(
            f"{ratio:g}",
            f"{one.dropped(ratio):,}",
            percent(one.energy(ratio)),
            what,
            "" if error is None else percent(error),
            on,
            counting,
        )
    return Told(
        name(one.site),
        (f"{one.shape[0]:,}", f"{one.shape[1]:,}"),
        ROLES[one.site.weight],
        f"{one.rank:,}",
        f"{one.effective_rank:.0f}",
        f"{effective_rank(one.noise_values):.0f}",
        one.above_noise,
        dropped,
    )
