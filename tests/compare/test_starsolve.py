"""The least squares of one star."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare.moffat import blackman
from ezarchive.compare.starmodel import MoffatProfile, Pixels, correlation
from ezarchive.compare.starsolve import Stamp, solve
from ezarchive.errors import CompareError

STEP = (0.2, 0.2)


def stamp(values=None, variance=None, rho=None, n=21, truth=(0.1, -0.05, 0.7, 2.5, 1e4, 7.0)):
    y, x = (c.ravel() for c in np.indices((n, n)))
    pixels = Pixels((x - n // 2) * 0.2, (y - n // 2) * 0.2, STEP)
    dx, dy, fwhm, beta, flux, bg = truth
    made = MoffatProfile(fwhm, beta).evaluate(pixels, dx, dy, {})[0] * flux + bg
    return Stamp(pixels, made if values is None else made + values, variance, y, x, rho, 2.0)


@pytest.mark.truth
@pytest.mark.parametrize("truth", [(0.1, -0.05, 0.7, 2.5, 1e4, 7.0), (-0.6, 0.7, 0.35, 1.5, 50.0, -3.0), (0.0, 0.0, 1.6, 8.0, 1e6, 0.0)])
def test_exact_pixels(truth):
    found = solve(stamp(truth=truth), MoffatProfile(), "image")
    assert found.names == ("dx", "dy", "fwhm", "beta", "flux", "bg")
    assert found.values == pytest.approx(truth, rel=1e-5, abs=1e-5)
    assert abs(found.residual).max() < 1e-6 * truth[4]
    assert found.chi2 is None


@pytest.mark.truth
def test_errors_scale_with_the_noise_that_the_residuals_show():
    noise = np.random.default_rng(1).normal(size=441)
    one, ten = (solve(stamp(noise * level), MoffatProfile(), "image") for level in (1, 10))
    assert np.sqrt(one.rchi) == pytest.approx(1, rel=0.1)
    assert np.sqrt(np.diag(ten.covariance))[:3] == pytest.approx(10 * np.sqrt(np.diag(one.covariance))[:3], rel=0.1)
    known = solve(stamp(noise, np.ones(441)), MoffatProfile(), "image")
    assert known.chi2 == pytest.approx(known.rchi * (441 - 6), rel=1e-6)
    assert np.diag(known.covariance) == pytest.approx(np.diag(one.covariance), rel=0.25)


@pytest.mark.truth
def test_correlated_noise_makes_larger_errors():
    noise = np.random.default_rng(1).normal(size=441)
    white = solve(stamp(noise, np.ones(441)), MoffatProfile(), "image")
    filtered = solve(stamp(noise, np.ones(441), correlation((21, 21), blackman)), MoffatProfile(), "image")
    assert filtered.values == pytest.approx(white.values)
    ratio = np.sqrt(np.diag(filtered.covariance) / np.diag(white.covariance))
    assert (ratio > 1.3).all()


@pytest.mark.pure
def test_the_covariance_of_correlated_noise():
    """`Stamp.spread` is the product with the full matrix."""
    rho = correlation((6, 6), blackman)
    variance = np.random.default_rng(3).uniform(1, 2, 36)
    made = stamp(np.zeros(36), variance, rho, n=6)
    lag = made.rows[:, None] - made.rows + 5, made.columns[:, None] - made.columns + 5
    matrix = rho[lag] * np.sqrt(np.outer(variance, variance))
    columns = np.random.default_rng(4).normal(size=(36, 3))
    np.testing.assert_allclose(made.spread(columns), matrix @ columns, atol=1e-12)


@pytest.mark.pure
@pytest.mark.parametrize("flux", [-1e4, 0.0, 5.0])
def test_no_star(flux):
    noise = np.random.default_rng(7).normal(size=441)
    with pytest.raises(CompareError, match="image: must show a star within 2 arcsec, found a flux of") as err:
        solve(stamp(noise, np.ones(441), truth=(0, 0, 0.7, 2.5, flux, 3.0)), MoffatProfile(), "image")
    assert err.value.code == "no_star"


@pytest.mark.pure
def test_pixels_that_are_all_the_same():
    with pytest.raises(CompareError, match="image: ") as err:
        solve(stamp(truth=(0, 0, 0.7, 2.5, 0.0, 3.0)), MoffatProfile(), "image")
    assert err.value.code in ("no_star", "degenerate")


@pytest.mark.pure
def test_too_few_pixels():
    with pytest.raises(CompareError, match="image: the star must have more than 6 pixels that are not masked, found 4"):
        solve(stamp(n=2), MoffatProfile(), "image")
