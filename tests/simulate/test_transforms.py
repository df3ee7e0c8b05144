"""Elementary transforms: against numerical integrals and sampled profiles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import j0

from ezarchive.simulate import transforms


def profile(r, fwhm, beta):
    width = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    return (beta - 1) / (np.pi * width**2) * (1 + (r / width) ** 2) ** -beta


@pytest.mark.oracle
@pytest.mark.parametrize(("fwhm", "beta"), [(0.7, 2.5), (0.085, 1.6), (1.2, 5.0), (0.4, 30.0)])
def test_moffat_is_the_hankel_transform_of_the_profile(fwhm, beta):
    for k in np.array([0.05, 0.3, 1.0]) / fwhm:
        edges = np.linspace(0, 100 * fwhm, 401)
        parts = [quad(lambda r: 2 * np.pi * r * profile(r, fwhm, beta) * j0(2 * np.pi * k * r), *edges[i : i + 2])[0] for i in range(400)]
        outside = (1 + (edges[-1] / (fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1))) ** 2) ** (1 - beta)
        assert transforms.moffat(np.array([k]), fwhm, beta)[0] == pytest.approx(sum(parts), abs=max(1e-8, 2 * outside))


@pytest.mark.pure
def test_moffat_of_large_beta_is_a_gaussian():
    k = np.linspace(0, 2, 50)
    np.testing.assert_allclose(transforms.moffat(k, 0.8, 100.0), transforms.moffat(k, 0.8, np.inf), atol=5e-3)
    np.testing.assert_allclose(transforms.moffat(k, 0.8, np.inf), np.exp(-2 * (np.pi * k * 0.8 / np.sqrt(8 * np.log(2))) ** 2), rtol=1e-12)


@pytest.mark.pure
@pytest.mark.parametrize("beta", [1.1, 1.6, 2.5, 5.0, np.inf])
def test_moffat_begins_at_one_and_falls(beta):
    made = transforms.moffat(np.linspace(0, 3, 200), 0.7, beta)
    assert made[0] == 1
    assert (np.diff(made) < 0).all()


@pytest.mark.pure
def test_blackman_ends_at_one():
    made = transforms.blackman(np.array([0.0, 0.5, 1.0, 1.0001, 3.0]))
    np.testing.assert_allclose(made, [1, 0.34, 0, 0, 0], atol=1e-12)


@pytest.mark.pure
def test_stretched_keeps_the_area_and_turns():
    fx, fy = np.array([0.3, 0.0]), np.array([0.0, 0.3])
    np.testing.assert_allclose(transforms.stretched(fx, fy, 1.0, 77.0), [0.3, 0.3])
    np.testing.assert_allclose(transforms.stretched(fx, fy, 0.25, 0.0), [0.6, 0.15])
    np.testing.assert_allclose(transforms.stretched(fx, fy, 0.25, 90.0), [0.15, 0.6])


@pytest.mark.truth
def test_a_point_is_its_profile():
    wcs = transforms.tangent_wcs((101, 121), 0.1, 30.0, (10.0, 5.0))
    point = transforms.Sources(*(np.array([v]) for v in (0.2, -0.3, 500.0, 0.0, 1.0, 0.0)))
    grid = transforms.Grid((101, 121), 0.1, 1)
    made = grid.image(grid.sky(point, wcs) * grid.profile(0.8, 4.0))
    (px,), (py,) = transforms.pixels(wcs, point)
    y, x = np.indices(made.shape)
    np.testing.assert_allclose(made, 500 * 0.01 * profile(np.hypot(x - px, y - py) * 0.1, 0.8, 4.0), atol=2e-5)
    ra, dec = wcs.all_pix2world(px, py, 0)
    assert (ra - 10.0) * np.cos(np.radians(5.0)) * 3600 == pytest.approx(0.2, abs=1e-6)
    assert (dec - 5.0) * 3600 == pytest.approx(-0.3, abs=1e-6)


@pytest.mark.truth
@pytest.mark.parametrize("shape", [(64, 80), (65, 81), (64, 81)])
def test_filtered_noise_has_its_sigma(shape):
    grid, rng = transforms.Grid(shape, 0.2, 1), np.random.default_rng(4)
    made = np.array([grid.filtered_noise(rng, grid.window(), 0.3) for _ in range(40)])
    assert made.shape[1:] == shape
    assert made.std() == pytest.approx(0.3, rel=0.02)
    neighbours = (made[:, :, 1:] * made[:, :, :-1]).mean() / 0.09
    assert 0.5 < neighbours < 0.9
