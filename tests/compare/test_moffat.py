"""Closed forms against quadrature, differences, and each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import j0

from ezarchive.compare.moffat import MoffatTable, blackman, moffat_derivatives, moffat_transfer
from ezarchive.errors import InputError

K = np.linspace(0, 3, 40)


@pytest.mark.truth
@pytest.mark.parametrize("beta", [1.6, 2.5, 4.765])
@pytest.mark.parametrize("k", [0.1, 0.5, 1.2])
def test_it_is_the_hankel_transform_of_the_profile(beta, k):
    a = 0.7 / 2 / np.sqrt(2 ** (1 / beta) - 1)
    radii = np.arange(0, 400) * 0.5 / k

    def ring(r):
        return 2 * (beta - 1) / a**2 * r * j0(2 * np.pi * k * r) * (1 + r**2 / a**2) ** -beta

    terms = [quad(ring, *ends)[0] for ends in zip(radii, radii[1:], strict=False)]
    sums = np.cumsum(terms)
    while len(sums) > 300:
        sums = (sums[1:] + sums[:-1]) / 2
    assert moffat_transfer(k, 0.7, beta) == pytest.approx(sums[-1], abs=2e-5)


def test_beta_2_is_an_elementary_function():
    from scipy.special import k1

    z = np.pi * 0.7 / np.sqrt(2**0.5 - 1) * K[1:]
    np.testing.assert_allclose(moffat_transfer(K[1:], 0.7, 2.0), z * k1(z), rtol=1e-12)


@pytest.mark.parametrize("beta", [1.01, 1.3, 1.6, 2.0, 2.5, 3.0, 10.0, 40.9, 41.1, 500.0, np.inf])
def test_it_is_one_at_0_and_falls(beta):
    found = moffat_transfer(K, 0.7, beta)
    assert found[0] == pytest.approx(1, abs=1e-10)
    assert (np.diff(found) < 0).all()
    assert (found >= 0).all()


def test_a_large_beta_is_a_gaussian_and_the_expansion_meets_the_closed_form():
    np.testing.assert_allclose(moffat_transfer(K, 0.7, 1e5), moffat_transfer(K, 0.7, np.inf), atol=1e-5)
    close = [moffat_transfer(K, 0.7, beta) for beta in (41 - 1e-9, 41 + 1e-9)]
    np.testing.assert_allclose(close[0], close[1], atol=1e-10)


@pytest.mark.parametrize("beta", [1.05, 1.6, 2.5, 3.0, 7.0, 60.0, np.inf])
def test_derivatives_are_those_of_the_transfer(beta):
    transfer, by_fwhm, by_inverse = moffat_derivatives(K, 0.7, beta)
    np.testing.assert_array_equal(transfer, moffat_transfer(K, 0.7, beta))
    change = (moffat_transfer(K, 0.7 + 1e-5, beta) - moffat_transfer(K, 0.7 - 1e-5, beta)) / 2e-5
    np.testing.assert_allclose(by_fwhm, change, atol=1e-8)
    if np.isfinite(beta):
        step = 1e-3 * beta
        by_beta = (moffat_transfer(K, 0.7, beta + step * 1e-2) - moffat_transfer(K, 0.7, beta - step * 1e-2)) / (step * 2e-2)
        np.testing.assert_allclose(-by_inverse / beta**2, by_beta, atol=3e-5)


@pytest.mark.parametrize("beta", [1.05, 1.6, 2.5, 100.0, np.inf])
def test_a_table_is_as_good(beta):
    k = np.hypot(np.fft.rfftfreq(150, 0.2), np.fft.fftfreq(135, 0.3)[:, None])
    for found, exact in zip(MoffatTable(k).derivatives(0.8, beta), moffat_derivatives(k, 0.8, beta), strict=True):
        np.testing.assert_allclose(found, exact, atol=2e-9 if np.isfinite(beta) else 1e-6)
    np.testing.assert_allclose(MoffatTable(k).transfer(0.8, beta), moffat_transfer(k, 0.8, beta), atol=2e-9)


def test_the_window_ends_at_the_nyquist_frequency():
    np.testing.assert_allclose(blackman([0, 0.5, 1, 1.2]), [1, 0.34, 0, 0], atol=1e-15)


@pytest.mark.parametrize("beta", [1.0, 0.3, -2, np.nan])
def test_no_profile_without_flux(beta):
    with pytest.raises(InputError, match="must be larger than 1"):
        moffat_transfer(K, 0.7, beta)


@pytest.mark.parametrize("fwhm", [0, -1, np.nan, np.inf])
def test_no_profile_without_width(fwhm):
    with pytest.raises(InputError, match="must be a positive number of arcsec"):
        moffat_transfer(K, fwhm, 2.5)
