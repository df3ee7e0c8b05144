"""The ellipse of second moments, against numpy's eigenvalues and SExtractor's rule for thin ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ezarchive.quicklook.apertures.secondmoments import moment_ellipse


def loop(xx, yy, xy):
    """1/12 added until the determinant is large enough."""
    while xx * yy - xy**2 < (1 - 1e-12) / 144:
        xx, yy = xx + 1 / 12, yy + 1 / 12
    return xx, yy


@pytest.mark.oracle
def test_eigenvalues_angle_and_eccentricity(rng):
    for _ in range(200):
        a, b = np.sort(rng.uniform(0.5, 20, 2))[::-1]
        theta = rng.uniform(-90, 90)
        turn = np.array([[math.cos(t := math.radians(theta)), -math.sin(t)], [math.sin(t), math.cos(t)]])
        covariance = turn @ np.diag([a**2, b**2]) @ turn.T
        found = moment_ellipse(covariance[0, 0], covariance[1, 1], covariance[0, 1])
        assert (found["semimajor_sigma"], found["semiminor_sigma"]) == pytest.approx((a, b), rel=1e-10)
        assert found["orientation"] == pytest.approx(theta, abs=1e-6)
        assert found["eccentricity"] == pytest.approx(math.sqrt(1 - (b / a) ** 2), rel=1e-9)
        assert found["fwhm"] == pytest.approx(2 * math.sqrt(math.log(2) * (a**2 + b**2)), rel=1e-12)


@pytest.mark.oracle
def test_thin_ellipses_are_raised_as_by_the_loop(rng):
    thin = [(0, 0, 0), (5, 0, 0), (0, 0.05, 0), (1, 1, 1), (0.01, 0.02, 0.014), (-0.3, -0.01, 0.05), (4, 1e-3, 1e-3)]
    thin += [(xx, yy, f * math.sqrt(xx * yy)) for xx, yy, f in rng.uniform(0, 0.2, (50, 3)) * (1, 1, 5)]
    found = moment_ellipse(*np.array(thin).T)
    for k, one in enumerate(thin):
        if one[0] * one[1] - one[2] ** 2 < -1e-12:
            assert math.isnan(found["covariance_xx"][k])
        elif one[0] >= 0:
            assert (found["covariance_xx"][k], found["covariance_yy"][k]) == pytest.approx(loop(*one), rel=1e-12)


@pytest.mark.truth
def test_a_hugely_negative_variance_does_not_take_for_ever():
    """The determinant is that of an ellipse, barely; adding 1/12 a million million times would do the same."""
    found = moment_ellipse(-1e11, -1e-14, 0.0)
    assert math.isfinite(found["covariance_xx"])


@pytest.mark.truth
@pytest.mark.parametrize("moments", [(1, 1, 2), (-4, -4, 0), (np.nan, 1, 0), (1, -1, 0), (np.inf, 1, 0)])
def test_what_is_no_ellipse_is_nan(moments):
    assert all(np.isnan(value) for value in moment_ellipse(*moments).values())


@pytest.mark.truth
def test_a_line_of_pixels_is_one_although_its_determinant_is_rounded_below_zero():
    """Pixels along a diagonal, at a place where the products do not cancel."""
    x = np.array([0.1, 1.1, 2.1, 3.7])
    w = np.array([0.3, 0.7, 0.11, 0.13])
    mean = (w * x).sum() / w.sum()
    var = (w * (x - mean) ** 2).sum() / w.sum()
    found = moment_ellipse([var] * 3, [var * (1 - 1e-16)] * 3, [var, np.nextafter(var, 9), np.nextafter(var, 0)])
    assert np.allclose(found["orientation"], 45, atol=1e-6)
    assert np.all(found["semimajor_sigma"] > found["semiminor_sigma"])


@pytest.mark.pure
def test_arguments_are_not_changed():
    given = np.array([1.0, 0.0])
    moment_ellipse(given, given, np.zeros(2))
    assert given.tolist() == [1.0, 0.0]
