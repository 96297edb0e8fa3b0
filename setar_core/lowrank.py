"""One matrix and its singular components, principal and minor (arXiv:2406.12629)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .recipe import dropped

STEP = 192  # columns of a Gram matrix at once
WELL = 1e-3  # smallest by largest singular value from which on squares lose next to nothing


class Spectrum(NamedTuple):
    """The singular value decomposition of one matrix: `u (out, r)`, `s (r,)` descending,
    `vh (r, in)`, r = min(out, in)."""

    u: Tensor
    s: Tensor
    vh: Tensor

    @property
    def rank(self) -> int:
        return len(self.s)

    def dropped(self, ratio: float) -> int:
        return dropped(self.rank, ratio)

    def kept(self, ratio: float) -> int:
        return self.rank - self.dropped(ratio)

    def principal(self, ratio: float) -> Tensor:
        """What stays when the smallest components go, `(out, in)`; with `minor`, the matrix."""
        return self.product(slice(None, self.kept(ratio)))

    def minor(self, ratio: float) -> Tensor:
        """What the ratio drops, `(out, in)`; zero when it rounds to no component."""
        return self.product(slice(self.kept(ratio), None))

    def product(self, components: slice | Tensor) -> Tensor:
        """The sum of the chosen components, `(out, in)`."""
        return (self.u[:, components] * self.s[components]) @ self.vh[components]

    def energy(self, ratio: float) -> float:
        """Share of the matrix's squared singular values that the ratio drops, in [0, 1]."""
        squares = self.s.double().square()
        total = float(squares.sum())
        return float(squares[self.kept(ratio) :].sum()) / total if total else 0.0


def singular_values(weight: Tensor) -> np.ndarray:
    """The singular values `(r,)` of one `(out, in)` matrix alone, float64, descending.

    They are the roots of the eigenvalues of the smaller Gram matrix, in double precision on the
    CPU: several times faster than a decomposition, and exact to 1e-7 for every value above 1e-4 of
    the largest. Values below 1e-7 of the largest are rounding.
    """
    matrix = weight.detach().cpu().double()
    matrix = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    rank = matrix.shape[1]
    gram = matrix.new_zeros(rank, rank)
    for first in range(0, rank, STEP):  # only what is on and below the diagonal is read
        part = matrix[:, first : first + STEP]
        gram[first:, first : first + STEP] = matrix[:, first:].T @ part
    squares = torch.linalg.eigvalsh(gram).numpy()[::-1]
    return np.sqrt(squares.clip(min=0))


def energy_shares(values: np.ndarray) -> np.ndarray:
    """Share of each component in the sum of squares, `(r,)`; zeros for a matrix of zeros."""
    squares = np.square(values, dtype=np.float64)
    return squares / (squares.sum() or 1.0)


def tail_energy(values: np.ndarray, ratio: float) -> float:
    """Share of the energy in the components that the ratio drops, in [0, 1]; values descending."""
    return float(energy_shares(values)[len(values) - dropped(len(values), ratio) :].sum())


def effective_rank(values: np.ndarray) -> float:
    """As how many equally strong components the matrix is spread over, in [1, r]; 0 for zeros.

    `exp` of the Shannon entropy of the energy shares s^2 / sum(s^2). Roy and Vetterli (EUSIPCO
    2007) define it on s / sum(s); the shares of s^2 are those of Alter et al. (PNAS 97:10101).
    """
    shares = energy_shares(values)
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def spectrum(weight: Tensor) -> Spectrum:
    """Decompose one `(out, in)` matrix; in its own precision but at least float32.

    A cut between two close singular values mixes their vectors, in single precision enough to be
    seen in the logits. So the right vectors are those of the smaller Gram matrix in double
    precision, and what the matrix makes of them gives the values and the left ones, at once where
    no value is tiny, else by QR: a tenth of the error of a single-precision decomposition.
    """
    exact = weight.detach().to(torch.promote_types(weight.dtype, torch.float32))
    matrix = (exact.cpu() if exact.device.type == "mps" else exact).double()  # MPS has no double
    tall = matrix.shape[0] >= matrix.shape[1]
    matrix = matrix if tall else matrix.T
    right = torch.linalg.eigh(matrix.T @ matrix).eigenvectors.flip(1)
    left = matrix @ right
    values = left.norm(dim=0)
    if values.min() >= WELL * values.max() > 0:
        left = left / values
    else:  # small columns are not orthogonal, or nothing is left to divide by
        left, triangle = torch.linalg.qr(left)  # diagonal up to rounding, some values < 0
        left = torch.where(triangle.diagonal() < 0, -left, left)
        values = triangle.diagonal().abs()
    values, order = values.sort(descending=True, stable=True)
    left, right = left[:, order], right[:, order]
    u, v = (left, right) if tall else (right, left)
    return Spectrum(*(part.to(exact).contiguous() for part in (u, values, v.T)))


def low_rank(weight: Tensor, parts: Spectrum, ratio: float, prune: str, seed: int = 0) -> Tensor:
    """`weight (out, in)` without the components that `ratio` and `prune` name, in its own dtype.

    A ratio that rounds to no component gives `weight` itself.

    Raises:
        ValueError: the ratio drops every component.
    """
    count = parts.dropped(ratio)
    if count == 0:
        return weight
    if count == parts.rank:
        raise ValueError(
            f"ratio {ratio} drops all {count} components of a {tuple(weight.shape)} matrix; "
            f"use at most {(parts.rank - 1) / parts.rank:.4g}"
        )
    if prune == "minor":
        return parts.product(slice(None, parts.rank - count)).to(weight.dtype)
    if prune == "principal":
        return parts.product(slice(count, None)).to(weight.dtype)
    order = torch.randperm(parts.rank, generator=torch.Generator().manual_seed(seed))
    keep = order[count:].sort().values.to(weight.device, non_blocking=True)
    return parts.product(keep).to(weight.dtype)
