"""Gaussians fitted to many sources, beside scipy's fit of one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from ezarchive.photometry.gaussfit import FWHM_PER_SIGMA, gaussian_fwhm


def gauss(shape, x, y, peak, sx, sy, theta=0.0):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    cos, sin = np.cos(theta), np.sin(theta)
    u, v = (xx - x) * cos + (yy - y) * sin, -(xx - x) * sin + (yy - y) * cos
    return peak * np.exp(-0.5 * ((u / sx) ** 2 + (v / sy) ** 2))


@pytest.fixture
def none():
    return np.zeros((60, 70), np.int32)


@pytest.mark.truth
class TestExact:
    @pytest.mark.parametrize(("sx", "sy", "theta"), [(2.0, 2.0, 0.0), (3.0, 1.5, 0.7), (1.0, 4.0, 2.5)])
    def test_a_gaussian(self, none, sx, sy, theta):
        data = gauss(none.shape, 30.3, 25.8, 50.0, sx, sy, theta)
        width = gaussian_fwhm(data, np.array([30.0]), np.array([26.0]), np.array([2.5]), none)
        assert width[0] == pytest.approx(FWHM_PER_SIGMA * np.sqrt(sx * sy), rel=1e-6)

    def test_many_at_once(self, none):
        x, y, sigma = np.array([12.2, 40.9, 55.1]), np.array([14.0, 20.3, 45.6]), np.array([1.5, 2.0, 3.0])
        widths = [gaussian_fwhm(gauss(none.shape, a, b, 9, s, s), x, y, np.full(3, 2.0), none) for a, b, s in zip(x, y, sigma, strict=True)]
        np.testing.assert_allclose(np.diag(widths), FWHM_PER_SIGMA * sigma, rtol=1e-5)


@pytest.mark.oracle
def test_noisy_source_as_scipy_fits_it(rng, none):
    data = gauss(none.shape, 31.2, 28.7, 30.0, 2.4, 1.8, 0.4) + rng.normal(size=none.shape)
    yy, xx = np.mgrid[-12:13, -12:13]

    def model(_, peak, a, b, p, q, w):
        return (peak * np.exp(-0.5 * (p * (xx - a) ** 2 + 2 * q * (xx - a) * (yy - b) + w * (yy - b) ** 2))).ravel()

    best, _ = curve_fit(model, 0, data[17:42, 19:44].ravel(), p0=(30, 0, 0, 0.2, 0, 0.2))
    width = gaussian_fwhm(data, np.array([31.2]), np.array([28.7]), np.array([2.0]), none)[0]
    assert width == pytest.approx(FWHM_PER_SIGMA * (best[3] * best[5] - best[4] ** 2) ** -0.25, rel=1e-5)


@pytest.mark.pure
class TestOddSources:
    def test_neighbours_are_left_out(self, none):
        data = gauss(none.shape, 30.0, 25.0, 50.0, 2.0, 2.0) + gauss(none.shape, 39.0, 25.0, 80.0, 2.0, 2.0)
        labels = none.copy()
        labels[:, 35:] = 2
        where = np.array([30.0, 39.0]), np.array([25.0, 25.0]), np.array([2.0, 2.0])
        assert gaussian_fwhm(data, *where, none)[0] > 5.5
        np.testing.assert_allclose(gaussian_fwhm(data, *where, labels)[0], FWHM_PER_SIGMA * 2, rtol=0.02)

    def test_bad_pixels_and_edges(self, none):
        data = gauss(none.shape, 2.0, 57.0, 50.0, 2.0, 2.0)
        data[57, 3], bad = 1e6, none.copy()
        bad[57, 3] = -1
        assert gaussian_fwhm(data, np.array([2.0]), np.array([57.0]), np.array([2.0]), bad)[0] == pytest.approx(4.7096, rel=1e-4)

    def test_what_is_no_source_is_nan(self, rng, none):
        flat = np.full(none.shape, 3.0)
        falling = -gauss(none.shape, 30.0, 25.0, 5.0, 2.0, 2.0)
        for data, sigma in ((flat, 2.0), (falling, 2.0), (flat, np.nan), (np.zeros(none.shape), 2.0)):
            assert np.isnan(gaussian_fwhm(data, np.array([30.0]), np.array([25.0]), np.array([sigma]), none)[0])
        assert np.isnan(gaussian_fwhm(flat, np.array([np.nan]), np.array([25.0]), np.array([2.0]), none)[0])
        assert gaussian_fwhm(flat, np.zeros(0), np.zeros(0), np.zeros(0), none).shape == (0,)

    def test_nothing_changes(self, none):
        data = gauss(none.shape, 30.0, 25.0, 50.0, 2.0, 2.0)
        arguments = data, np.array([30.0]), np.array([25.0]), np.array([2.0]), none
        before = [a.copy() for a in arguments]
        gaussian_fwhm(*arguments)
        for one, other in zip(arguments, before, strict=True):
            np.testing.assert_array_equal(one, other)
