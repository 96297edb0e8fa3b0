"""Singular values alone, the noise of random matrices, effects on the function: their laws."""

import csv
import io

import numpy as np
import pytest
import torch

from setar_core.backbones import load_backbone
from setar_core.lowrank import effective_rank, energy_shares, singular_values, spectrum, tail_energy
from setar_core.recipe import Recipe, Site
from setar_core.spectra.effect import Probe, difference
from setar_core.spectra.noise import noise_band, noise_values
from setar_core.spectra.profiles import all_sites, as_csv, is_known, profile, profiles

GENERATOR = torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("emoji")


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


PROMPTS = ("a photo of a dog", "a photo of a cat", "a photo of a traffic light")


# Singular values alone


def conditioned(rows, columns, least):
    """A matrix whose singular values fall from 1 to `least`, evenly on a logarithmic scale."""
    r = min(rows, columns)
    u = torch.linalg.qr(torch.randn(rows, r, generator=GENERATOR, dtype=torch.float64)).Q
    v = torch.linalg.qr(torch.randn(columns, r, generator=GENERATOR, dtype=torch.float64)).Q
    return (u * torch.logspace(0, np.log10(least), r, dtype=torch.float64)) @ v.T


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (30, 20), (20, 30), (64, 64), (256, 64)])
@pytest.mark.parametrize("least", [0.5, 1e-4, 1e-6])
def test_values_alone_are_those_of_a_decomposition(shape, least):
    matrix = conditioned(*shape, least).float()
    expected = torch.linalg.svdvals(matrix.double()).numpy()
    values = singular_values(matrix)
    assert values.dtype == np.float64
    assert (np.diff(values) <= 0).all()
    large = expected > 1e-4 * expected[0]
    np.testing.assert_allclose(values[large], expected[large], rtol=1e-5)
    np.testing.assert_allclose(values, expected, atol=1e-7 * expected[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_values_of_other_precisions_are_of_the_numbers_as_stored(dtype):
    matrix = torch.randn(12, 7, generator=GENERATOR).to(dtype)
    expected = torch.linalg.svdvals(matrix.double()).numpy()
    np.testing.assert_allclose(singular_values(matrix), expected, rtol=1e-7)


def test_a_matrix_of_zeros_has_no_energy():
    values = singular_values(torch.zeros(5, 3))
    assert values.tolist() == [0, 0, 0]
    assert energy_shares(values).tolist() == [0, 0, 0]
    assert tail_energy(values, 0.5) == effective_rank(values) == 0


def test_energy_is_the_sum_of_the_squared_entries():
    matrix = torch.randn(9, 14, generator=GENERATOR)
    values = singular_values(matrix)
    assert np.square(values).sum() == pytest.approx(float(matrix.double().square().sum()))
    assert energy_shares(values).sum() == pytest.approx(1)
    for ratio in (0.0, 0.05, 0.3, 0.95):
        assert tail_energy(values, ratio) == pytest.approx(spectrum(matrix).energy(ratio), abs=1e-6)


def test_the_effective_rank_counts_equal_components():
    assert effective_rank(singular_values(torch.eye(8))) == pytest.approx(8)
    assert effective_rank(np.array([1.0, 1.0, 0.0, 0.0])) == pytest.approx(2)
    assert effective_rank(np.array([5.0])) == pytest.approx(1)
    mixed = singular_values(torch.randn(20, 10, generator=GENERATOR))
    assert 1 < effective_rank(mixed) < 10
    assert effective_rank(3 * mixed) == pytest.approx(effective_rank(mixed))


# Noise


@pytest.mark.parametrize("shape", [(800, 200), (200, 800), (300, 300)])
def test_a_random_matrix_stays_in_the_band(shape):
    matrix = 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(3))
    values = singular_values(matrix)
    low, high = noise_band(shape, 0.3)
    slack = 3 * 0.3 * min(shape) ** (-2 / 3) * max(shape) ** 0.5
    assert low - slack < values[-1] and values[0] < high + slack
    assert values[0] > high - slack
    on_the_whole = noise_values(shape, 0.3)
    assert np.abs(values - on_the_whole).max() < 0.03 * high
    assert np.square(on_the_whole).sum() == pytest.approx(0.09 * 800 * 200, rel=0.5)


def test_the_law_keeps_the_energy_and_the_edges():
    for shape in ((512, 128), (128, 128), (7, 300)):
        values = noise_values(shape, 2.0)
        low, high = noise_band(shape, 2.0)
        assert (np.diff(values) < 0).all()
        assert low <= values[-1] and values[0] <= high
        assert np.square(values).sum() == pytest.approx(4 * shape[0] * shape[1], rel=5e-3)


def test_structure_stands_above_the_noise(backbone):
    site = Site("visual", 0, "up")
    found = profile(backbone, site)
    assert found.rms == pytest.approx(float(backbone.weight(site).square().mean().sqrt()), rel=1e-6)
    random = torch.randn(*found.shape, generator=GENERATOR)
    spike = random + 40 * torch.ones(found.shape) / np.sqrt(np.prod(found.shape))
    assert (
        singular_values(spike)[0] > noise_band(found.shape, float(spike.square().mean()) ** 0.5)[1]
    )


# A whole backbone


def test_all_matrices_have_their_profile(backbone):
    sites = list(all_sites(backbone))
    assert len(set(sites)) == len(sites) == (6 + 3) * 6 + 2
    assert sites[0] == Site("visual", None, "proj")
    assert sites[1] == Site("visual", 5, "q")
    for one in profiles(backbone):
        assert one.shape == tuple(backbone.weight(one.site).shape)
        assert one.rank == min(one.shape) == one.kept(0.3) + one.dropped(0.3)
        assert 0 <= one.above_noise <= one.rank
        assert one.cumulative[-1] == pytest.approx(1)


def test_q_k_and_v_are_apart(backbone):
    block = backbone.tower("visual").blocks[2].attn.in_proj_weight
    for weight, part in zip("qkv", block.chunk(3), strict=True):
        values = profile(backbone, Site("visual", 2, weight)).values
        expected = torch.linalg.svdvals(part.double()).numpy()
        np.testing.assert_allclose(values, expected, atol=1e-6 * expected[0])


def test_a_profile_is_made_once_and_follows_its_backbone(backbone):
    site = Site("text", 1, "up")
    assert profile(backbone, site) is profile(backbone, site)
    assert is_known(backbone, site)
    altered = backbone.with_recipe(Recipe({site: 0.5}))
    assert not is_known(altered, site)
    values = profile(altered, site).values
    kept = profile(backbone, site).kept(0.5)
    np.testing.assert_allclose(values[:kept], profile(backbone, site).values[:kept], rtol=1e-4)
    assert values[kept] < 1e-4 * values[0]


def test_the_csv_has_every_value(backbone):
    some = list(profiles(backbone, [Site("visual", 5, "up"), Site("text", None, "proj")]))
    rows = list(csv.DictReader(io.StringIO(as_csv(some, "emoji"))))
    assert len(rows) == sum(one.rank for one in some)
    assert rows[0]["site"] == "visual.5.up" and rows[0]["component"] == "1"
    assert float(rows[0]["singular_value"]) == pytest.approx(some[0].values[0], rel=1e-8)
    assert float(rows[-1]["cumulative_energy"]) == pytest.approx(1)


# What a ratio does to the function


def test_the_error_of_a_block_is_what_two_runs_say(backbone, images):
    site, tower = Site("visual", 3, "up"), backbone.tower("visual")
    other = backbone.with_recipe(Recipe({site: 0.3})).tower("visual")
    with torch.inference_mode():
        state = tower.start(images)
        for i in range(3):
            state = tower.feed(i, tower.attend(i, state))
        before, after = (t.feed(3, t.attend(3, state)) for t in (tower, other))
    expected = float((after - before).norm() / before.norm())
    assert Probe(backbone, "visual", images).errors(site, [0.3]) == pytest.approx([expected])


@pytest.mark.parametrize("weight", ["q", "k", "v", "o", "up", "down"])
@pytest.mark.parametrize("tower", ["visual", "text"])
def test_the_error_is_nothing_at_nothing_and_grows(backbone, images, tower, weight):
    probe = Probe(backbone, tower, images if tower == "visual" else PROMPTS)
    depth = backbone.tower(tower).depth
    for block in (0, depth - 1):
        none, some, most = probe.errors(Site(tower, block, weight), [0.0, 0.2, 0.9])
        assert none == 0
        assert 0 < some < most


@pytest.mark.parametrize("tower", ["visual", "text"])
def test_a_projection_changes_the_features(backbone, images, tower):
    probe = Probe(backbone, tower, images if tower == "visual" else PROMPTS)
    site = Site(tower, None, "proj")
    none, some = probe.errors(site, [0.0, 0.4])
    assert none == 0 < some
    assert probe.recipe_error(Recipe({site: 0.4})) == pytest.approx(some, rel=1e-4)
    assert probe.recipe_error(Recipe({})) == 0


def test_a_recipe_is_measured_as_the_network_has_it(backbone, images):
    recipe = Recipe({Site("visual", 1, "up"): 0.3, Site("visual", 4, "o"): 0.2})
    before, after = (b.features(images).whole for b in (backbone, backbone.with_recipe(recipe)))
    expected = float((after - before).norm() / before.norm())
    found = Probe(backbone, "visual", images).recipe_error(recipe)
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_probe_changes_nothing_and_refuses_other_towers(backbone, images):
    site = Site("visual", 2, "down")
    before = backbone.weight(site).clone()
    probe = Probe(backbone, "visual", images)
    assert probe.errors(site, [0.5]) == probe.errors(site, [0.5])
    assert torch.equal(backbone.weight(site), before)
    with pytest.raises(ValueError, match="not in the visual tower"):
        probe.errors(Site("text", 0, "up"), [0.1])
    with pytest.raises(ValueError, match="all 128 components"):
        probe.errors(site, [0.999])


def test_the_difference_of_states():
    state = torch.tensor([[3.0, 4.0]])
    assert difference(state, state) == 0
    assert difference(state + torch.tensor([[0.0, 1.0]]), state) == pytest.approx(0.2)
    assert difference((state, [2 * state]), (state, [state])) == pytest.approx(0.5**0.5)
    zeros = torch.zeros(2)
    assert difference(zeros, zeros) == 0
