"""Compiled loops of the stellarity against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.photometry import hypotheses as h
from ezarchive.photometry import kernels_stellarity as k

FWHM = 4.6
NONE = np.zeros((0, 0), bool)


def sums_of(data, x, y, bad=NONE, fwhm=FWHM):
    x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    sums, dipole = np.full((len(x), k.N_WINDOWS), np.nan), np.full((len(x), 2), np.nan)
    k.window_sums(data, bad, x, y, fwhm, h.window_half(fwhm), sums, dipole)
    return sums, dipole


def brute(data, x, y, fwhm=FWHM):
    half = h.window_half(fwhm)
    column, line = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    cols, rows = np.arange(column - half, column + half + 1), np.arange(line - half, line + half + 1)
    stamp = data[np.ix_(rows, cols)].astype(float)
    u, v = (cols - x)[None, :] / fwhm, (rows - y)[:, None] / fwhm
    windows = h._windows(u, v)
    sigma = k.WIDTHS[k.REFERENCE]
    gauss = np.exp(-0.5 * (u**2 + v**2) / sigma**2) / sigma
    return windows @ stamp.ravel(), np.array([(gauss * u * stamp).sum(), (gauss * v * stamp).sum()])


def star(shape, x, y, flux, fwhm=FWHM, extra=(0.0, 0.0, 0.0)):
    """A star of the model, or a wider source, sampled at the centres of pixels."""
    u, v = (np.arange(shape[1]) - x)[None, :] / fwhm, (np.arange(shape[0]) - y)[:, None] / fwhm
    image = np.zeros(shape)
    for weight, variance in h.STAR.T:
        xx, xy, yy = variance + extra[0], extra[1], variance + extra[2]
        det = xx * yy - xy**2
        image += weight * np.exp(-0.5 * (yy * u**2 - 2 * xy * u * v + xx * v**2) / det) / (2 * np.pi * np.sqrt(det))
    return flux * image / fwhm**2


@pytest.mark.pure
class TestWindowSums:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_inside(self, rng, dtype):
        data = rng.normal(size=(60, 80)).astype(dtype)
        x, y = np.array([30.2, 41.7, 25.5]), np.array([22.0, 30.49, 35.5])
        sums, dipole = sums_of(data, x, y)
        for i in range(3):
            expected = brute(data, x[i], y[i])
            np.testing.assert_allclose(sums[i], expected[0], atol=2e-5)
            np.testing.assert_allclose(dipole[i], expected[1], atol=2e-5)

    def test_off_the_image_and_bad_pixels_are_mirrored(self):
        # A symmetric source does not mind.
        data = star((60, 70), 3.0, 30.0, 1000.0).astype(np.float32)
        whole = sums_of(np.pad(data, 30), 33.0, 60.0)[0]
        data[:, 0] = 0
        cut = sums_of(star((60, 70), 3.0, 30.0, 1000.0).astype(np.float32), 3.0, 30.0)[0]
        bad = np.zeros(data.shape, bool)
        bad[:, 0] = True
        masked = sums_of(data, 3.0, 30.0, bad)[0]
        full = star((100, 100), 50.0, 50.0, 1000.0).astype(np.float32)
        expected = sums_of(full, 50.0, 50.0)[0]
        np.testing.assert_allclose(cut, expected, rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(masked, expected, rtol=1e-5, atol=1e-3)
        assert np.abs(whole - expected).max() > 1.0

    def test_far_off_the_image_is_nothing(self):
        sums, dipole = sums_of(np.ones((40, 40), np.float32), [-200.0, 500.0], [20.0, -300.0])
        assert not sums.any()
        assert not dipole.any()

    def test_star_gives_its_responses(self):
        data = star((80, 80), 40.3, 38.8, 500.0).astype(np.float32)
        np.testing.assert_allclose(sums_of(data, 40.3, 38.8)[0][0] / 500, h._respond(0, 0, 0, 0, 0), atol=2e-3)


@pytest.mark.truth
class TestUntangle:
    def take(self, data, x, y, noise=0.01, sweeps=6):
        sums, dipole = sums_of(data.astype(np.float32), x, y)
        n = len(x)
        taken, shift = np.empty_like(sums), np.empty((n, 2))
        others = np.array([j for i in range(n) for j in range(n) if j != i])
        start = np.arange(n + 1) * (n - 1)
        order, where = np.argsort(-sums[:, k.REFERENCE]), np.stack([x, y]) / FWHM
        k.untangle(where, sums, dipole, np.full(n, noise), order, start, others, h.STAR, h.growth_table(), sweeps, taken, shift)
        return sums, taken, shift

    def test_two_stars(self):
        x, y = np.array([40.0, 47.0]), np.array([40.0, 42.0])
        parts = [star((90, 90), a, b, f) for a, b, f in zip(x, y, (1000.0, 600.0), strict=True)]
        sums, taken, _ = self.take(sum(parts), x, y)
        for i in range(2):
            alone = sums_of(parts[i].astype(np.float32), x[i], y[i])[0][0]
            dirt = np.abs(sums[i] - alone).max()
            assert np.abs(sums[i] - taken[i] - alone).max() < 0.03 * dirt

    def test_star_beside_a_galaxy(self):
        x, y = np.array([40.0, 48.0]), np.array([40.0, 36.0])
        one, other = star((90, 90), 40, 40, 400.0), star((90, 90), 48, 36, 3000.0, extra=(0.5, 0.2, 0.3))
        sums, taken, _ = self.take(one + other, x, y)
        alone = sums_of(one.astype(np.float32), 40, 40)[0][0]
        assert np.abs(sums[0] - taken[0] - alone).max() < 0.15 * np.abs(sums[0] - alone).max()

    def test_steps_lead_to_the_centres(self):
        true_x, true_y = np.array([40.4, 47.0]), np.array([40.0, 42.3])
        data = star((90, 90), true_x[0], true_y[0], 1000.0) + star((90, 90), true_x[1], true_y[1], 700.0)
        x, y = true_x + [-0.5, 0.3], true_y + [0.4, 0.2]
        for _ in range(4):
            _, _, shift = self.take(data, x, y)
            x, y = x + FWHM * shift[:, 0], y + FWHM * shift[:, 1]
        np.testing.assert_allclose(x, true_x, atol=0.03)
        np.testing.assert_allclose(y, true_y, atol=0.03)

    def test_what_lies_in_the_noise_takes_nothing(self):
        data = star((90, 90), 40, 40, 1000.0)
        sums, taken, shift = self.take(data, np.array([40.0, 55.0]), np.array([40.0, 40.0]), noise=50.0)
        assert np.isfinite(sums - taken).all()
        assert np.abs(taken[0]).max() < 1.0
        assert not shift[1].any()


@pytest.mark.pure
class TestLogOdds:
    def test_as_written_down(self, rng):
        n, d, hyp, bins, n_stars, doubt = 6, 4, 5, 2, 2, 0.05
        factor = rng.normal(size=(bins, 2, d, d))
        covariance = factor @ factor.transpose(0, 1, 3, 2) + np.eye(d)
        rows, prior = rng.normal(size=(hyp, d)), np.log(rng.dirichlet(np.ones(hyp)))
        sums, taken = rng.normal(size=(n, d)) * 3 + rows[0] * 5, rng.normal(size=(n, d)) * rng.choice([0, 3], (n, 1))
        which = rng.integers(0, bins, n)
        shares = np.array([0.9, 0.1])
        inverse = np.linalg.inv(covariance)
        projection = inverse @ rows.T
        power = np.einsum("bwdh,hd->bwh", projection, rows)
        log_det = 0.5 * np.linalg.slogdet(covariance)[1] - np.log(shares)
        found = k.log_odds(sums, taken, which, inverse, projection, power, log_det, prior, n_stars, doubt)
        for i in range(n):
            total = np.zeros(hyp)
            for w in range(2):
                matrix = covariance[which[i], w] + doubt * np.outer(taken[i], taken[i])
                weight = np.linalg.inv(matrix)
                for j, row in enumerate(rows):
                    flux = max(row @ weight @ sums[i] / (row @ weight @ row), 0.0)
                    left = sums[i] - flux * row
                    density = np.exp(-0.5 * left @ weight @ left) / np.sqrt(np.linalg.det(matrix))
                    total[j] += shares[w] * np.exp(prior[j]) * density
            assert found[i] == pytest.approx(np.log(total[n_stars:].sum() / total[:n_stars].sum()), rel=1e-6, abs=1e-6)
