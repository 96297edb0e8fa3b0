"""Principal and minor parts: together the matrix, apart orthogonal, counted by rounding."""

import pytest
import torch

from setar_core.lowrank import low_rank, spectrum
from setar_core.recipe import dropped

MATRIX = torch.randn(30, 20, generator=torch.Generator().manual_seed(0))
PARTS = spectrum(MATRIX)


def close_values(out, inside, smallest=1e-3, rank=None):
    """A matrix whose singular values fall evenly to `smallest`, then to zero after `rank`."""
    gen = torch.Generator().manual_seed(out + inside)
    r = min(out, inside)
    u = torch.linalg.qr(torch.randn(out, r, generator=gen, dtype=torch.float64)).Q
    v = torch.linalg.qr(torch.randn(inside, r, generator=gen, dtype=torch.float64)).Q
    s = torch.linspace(1, smallest, r, dtype=torch.float64)
    s[rank if rank is not None else r :] = 0
    return ((u * s) @ v.T).float(), s


@pytest.mark.parametrize("shape", [(96, 24), (24, 96), (40, 40), (1, 9), (9, 1)])
@pytest.mark.parametrize("rank", [None, 3, 0])
def test_a_spectrum_is_a_decomposition_whatever_the_matrix(shape, rank):
    matrix, values = close_values(*shape, rank=rank)
    u, s, vh = spectrum(matrix)
    one = torch.eye(min(shape))
    torch.testing.assert_close((u * s) @ vh, matrix, atol=1e-6, rtol=0)
    torch.testing.assert_close(u.T @ u, one, atol=2e-6, rtol=0)
    torch.testing.assert_close(vh @ vh.T, one, atol=2e-6, rtol=0)
    torch.testing.assert_close(s, values.float(), atol=1e-6, rtol=0)
    assert (s[:-1] >= s[1:]).all()


@pytest.mark.parametrize("smallest", [0.5, 2e-3, 5e-4, 1e-6])
def test_left_vectors_are_orthogonal_however_small_their_value(smallest):
    matrix, _ = close_values(300, 64, smallest)
    u, s, vh = spectrum(matrix.double())
    torch.testing.assert_close(u.T @ u, torch.eye(64).double(), atol=1e-8, rtol=0)
    torch.testing.assert_close(s, torch.linalg.svdvals(matrix.double()), atol=1e-12, rtol=1e-7)
    torch.testing.assert_close((u * s) @ vh, matrix.double(), atol=1e-12, rtol=0)


def test_a_cut_between_close_values_is_as_exact_as_single_precision_can_tell():
    matrix, _ = close_values(512, 128)
    u, s, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    for ratio in (0.1, 0.3, 0.5):
        kept = 128 - dropped(128, ratio)
        exact = (u[:, :kept] * s[:kept]) @ vh[:kept]
        ours = (low_rank(matrix, spectrum(matrix), ratio, "minor") - exact).norm()
        single = torch.linalg.svd(matrix, full_matrices=False)
        theirs = ((single.U[:, :kept] * single.S[:kept]) @ single.Vh[:kept] - exact).norm()
        assert ours < 5e-7 * exact.norm()
        assert ours < theirs


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.05, 0.3, 0.52, 0.95])
def test_principal_and_minor_are_the_matrix_and_share_nothing(ratio):
    principal, minor = PARTS.principal(ratio), PARTS.minor(ratio)
    torch.testing.assert_close(principal + minor, MATRIX, atol=1e-5, rtol=0)
    assert (principal * minor).sum().abs() < 1e-4
    energy = minor.double().square().sum() / MATRIX.double().square().sum()
    assert PARTS.energy(ratio) == pytest.approx(float(energy), abs=1e-6)


def test_the_count_is_rounded():
    assert [dropped(20, ratio) for ratio in (0.0, 0.02, 0.03, 0.4)] == [0, 0, 1, 8]
    assert PARTS.kept(0.4) + PARTS.dropped(0.4) == PARTS.rank == 20


def test_minor_leaves_the_nearest_matrix_of_its_rank():
    smaller = low_rank(MATRIX, PARTS, 0.5, "minor")
    assert torch.linalg.matrix_rank(smaller) == 10
    for prune in ("principal", "random"):
        other = low_rank(MATRIX, PARTS, 0.5, prune)
        assert torch.linalg.matrix_rank(other) == 10
        assert (other - MATRIX).norm() > (smaller - MATRIX).norm()


def test_random_follows_its_seed():
    first, again, other = (low_rank(MATRIX, PARTS, 0.5, "random", seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_dropping_nothing_gives_the_matrix_itself_and_everything_is_refused():
    assert low_rank(MATRIX, PARTS, 0.01, "minor") is MATRIX
    with pytest.raises(ValueError, match=r"all 20 components.*at most 0\.95"):
        low_rank(MATRIX, PARTS, 0.99, "minor")
