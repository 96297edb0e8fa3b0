"""What singular values would be by chance alone: the law of Marchenko and Pastur (1967).

A matrix of random numbers has singular values too. They fill a band whose ends depend only on its
shape and on the size of its numbers; a singular value clearly above the band is hardly chance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

GRID = 4_000  # angles at which the law is summed; its quantiles are then good to 1e-3


class Band(NamedTuple):
    """Between which singular values a large random matrix has all of its own."""

    low: float
    high: float


def noise_band(shape: tuple[int, int], rms: float) -> Band:
    """The Marchenko-Pastur edges `rms * (sqrt(long side) -+ sqrt(short side))`.

    The entries of the random matrix are independent, with mean square `rms ** 2`. A finite matrix
    oversteps an edge by a share that shrinks with the short side to the power of -2/3.
    """
    long, short = np.sqrt(max(shape)), np.sqrt(min(shape))
    return Band(float(rms * (long - short)), float(rms * (long + short)))


def noise_values(shape: tuple[int, int], rms: float) -> np.ndarray:
    """The singular values `(r,)` that a random matrix has on the whole, descending.

    The i-th is the quantile (i + 1/2) / r of the Marchenko-Pastur law; r = min(shape).
    """
    rank, share = min(shape), min(shape) / max(shape)
    step = np.pi / GRID
    angles = (np.arange(GRID) + 0.5) * step
    y = 1 + share + 2 * np.sqrt(share) * np.cos(angles)  # s^2 / (rms^2 * long side), descending
    above = np.cumsum(2 * np.sin(angles) ** 2 / (np.pi * y)) * step  # share of values above y
    wanted = (np.arange(rank) + 0.5) / rank
    return rms * np.sqrt(max(shape) * np.interp(wanted, above / above[-1], y))
