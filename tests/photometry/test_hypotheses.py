"""Sums in Gaussian windows against sums over pixels."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.photometry import hypotheses as h
from ezarchive.photometry import kernels_stellarity as k

STEP = 0.02
AXIS = np.arange(-6, 6 + STEP / 2, STEP)
X, Y = AXIS[None, :], AXIS[:, None]


def integrals(profile: np.ndarray) -> np.ndarray:
    """The sums of a profile, by brute force."""
    return h._windows(X, Y) @ profile.ravel() * STEP**2


def gaussian(x, y, xx, xy, yy) -> np.ndarray:
    det = xx * yy - xy**2
    u, v = X - x, Y - y
    return np.exp(-0.5 * (yy * u**2 - 2 * xy * u * v + xx * v**2) / det) / (2 * np.pi * np.sqrt(det))


@pytest.mark.truth
class TestResponses:
    @pytest.mark.parametrize("place", [(0.0, 0.0), (0.4, -0.3), (1.5, 1.0)])
    @pytest.mark.parametrize("extra", [(0.0, 0.0, 0.0), (0.5, 0.2, 0.3)])
    def test_of_a_sum_of_gaussians(self, place, extra):
        xx, xy, yy = extra
        star = sum(w * gaussian(*place, v + xx, xy, v + yy) for w, v in h.STAR.T)
        out = np.empty(k.N_WINDOWS + 2)
        k.respond(*place, *extra, h.STAR, out)
        np.testing.assert_allclose(out[: k.N_WINDOWS], integrals(star), rtol=1e-5, atol=1e-7)
        sigma = k.WIDTHS[k.REFERENCE]
        window = np.exp(-0.5 * (X**2 + Y**2) / sigma**2) / sigma
        dipole = [(window * axis * star).sum() * STEP**2 for axis in (X, Y)]
        np.testing.assert_allclose(out[k.N_WINDOWS :], dipole, atol=1e-7)

    def test_star_is_a_moffat_profile(self):
        alpha = 1 / (2 * np.sqrt(2 ** (1 / 3.5) - 1))
        moffat = 2.5 / (np.pi * alpha**2) * (1 + (X**2 + Y**2) / alpha**2) ** -3.5
        row = integrals(moffat)
        np.testing.assert_allclose(h.star_row(), row / row[k.REFERENCE], atol=3e-3)

    def test_disc_is_exponential(self):
        radius = np.hypot(X, Y)
        disc = 1.67835**2 / (2 * np.pi) * np.exp(-1.67835 * radius)
        made = sum(w * gaussian(0, 0, v, 0, v) for w, v in zip(h._DISC_WEIGHT, h._DISC_VARIANCE, strict=True))
        # Half of the light lies within unit radius, and the curve of growth is that of the disc.
        for r in (0.3, 1.0, 2.0, 3.0):
            assert made[radius < r].sum() * STEP**2 == pytest.approx(disc[radius < r].sum() * STEP**2, abs=0.003)

    def test_derivative_to_the_width(self):
        np.testing.assert_allclose(h.star_row(1.02) - h.star_row(), 0.02 * h.width_row(), rtol=0.05, atol=1e-4)

    def test_growth_table_inverts_the_responses(self):
        table = h.growth_table()
        assert (np.diff(table[:, :2], axis=0) > 0).all()
        np.testing.assert_allclose(table[0, 1], h.star_row()[k.WIDEST])
        row = h._respond(0, 0, 0.35, 0, 0.25)
        slope = np.interp(0.3, table[:, 0], table[:, 3])
        assert row[k.N_ROUND] / row[k.REFERENCE] == pytest.approx(0.05 * slope, rel=0.1)

    def test_noise_of_the_sums(self, rng):
        fwhm, half = 4.3, h.window_half(4.3)
        data = rng.normal(size=(600, 600)).astype(np.float32)
        x, y = (np.ravel(v) + rng.uniform(-0.5, 0.5, 400) for v in np.meshgrid(np.arange(20) * 29 + 20.0, np.arange(20) * 29 + 20.0))
        sums, dipole = np.empty((400, k.N_WINDOWS)), np.empty((400, 2))
        k.window_sums(data, np.zeros((0, 0), bool), x, y, fwhm, half, sums, dipole)
        expected = h.overlap(fwhm)
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        assert np.abs(sums.T @ sums / 400 - expected).max() < 0.2 * scale.max()
        np.testing.assert_allclose(np.diag(sums.T @ sums / 400), np.diag(expected), rtol=0.3)


@pytest.mark.pure
class TestHypotheses:
    def test_stars_come_first(self):
        plain, clipped = h.hypotheses(), h.hypotheses(clipped=True)
        np.testing.assert_array_equal(plain.rows[0], 0)
        assert len(clipped.rows) - len(plain.rows) == clipped.n_stars - plain.n_stars == len(h._CLIPPED)
        for one in (plain, clipped):
            assert one.rows.shape == (len(one.log_prior), k.N_WINDOWS)
            np.testing.assert_allclose(one.rows[:, k.REFERENCE], 0, atol=1e-12)

    def test_priors(self):
        what = h.hypotheses()
        prior = np.exp(what.log_prior)
        assert prior[0] == pytest.approx(0.5)
        assert prior[1 : what.n_stars].sum() == pytest.approx(0.02)
        assert prior[what.n_stars : -2].sum() == pytest.approx(0.5)
        assert prior[-2:].sum() == pytest.approx(0.02)

    def test_galaxies_are_wider_and_spikes_narrower(self):
        what = h.hypotheses()
        assert (what.rows[what.n_stars : -2, k.WIDEST] > 0).all()
        assert (what.rows[-2:, k.WIDEST] < 0).all()

    def test_disturbance_is_a_covariance(self):
        matrix = h.disturbance()
        np.testing.assert_allclose(matrix, matrix.T)
        assert np.linalg.eigvalsh(matrix).min() > -1e-12
        assert matrix[k.REFERENCE, k.REFERENCE] == pytest.approx(0, abs=1e-20)


@pytest.mark.truth
class TestSampling:
    def test_only_sharp_stars_feel_their_place_in_the_pixel(self):
        scatter = [np.sqrt(h.sampling(fwhm)[0, 0]) for fwhm in (1.6, 2.1, 2.5, 3.0, 5.0)]
        assert (np.diff(scatter) < 0).all()
        assert scatter[1] == pytest.approx(0.017, rel=0.2)
        assert scatter[-1] < 1e-5

    def test_against_stars_in_pixels(self, rng):
        sums, dipole = np.empty((1, k.N_WINDOWS)), np.empty((1, 2))
        rows = []
        for _ in range(300):
            x, y = rng.uniform(19.5, 20.5, 2)
            u, v = (np.arange(41) - x)[None, :] / 2.1, (np.arange(41) - y)[:, None] / 2.1
            data = h._star_pixels(u, v).reshape(41, 41).astype(np.float32)
            k.window_sums(data, np.zeros((0, 0), bool), np.array([x]), np.array([y]), 2.1, h.window_half(2.1), sums, dipole)
            rows.append(sums[0] / sums[0, k.REFERENCE])
        np.testing.assert_allclose(np.std(rows, axis=0), np.sqrt(np.diag(h.sampling(2.1))), rtol=0.15, atol=2e-4)
