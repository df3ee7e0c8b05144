"""Fluxes and magnitudes."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.magnitudes import MAG_PER_RELATIVE_ERROR, flux_to_mag, flux_to_ujy, is_rate, mag_error, mag_to_flux, upper_limit

positive = st.floats(1e-30, 1e30)
points = st.floats(-60, 60)


@pytest.mark.pure
@given(positive, points)
def test_round_trip(flux: float, zero_point: float) -> None:
    assert mag_to_flux(flux_to_mag(flux, zero_point), zero_point) == pytest.approx(flux, rel=1e-12)


@pytest.mark.pure
@given(positive, points, st.floats(0.01, 100))
def test_five_magnitudes_are_a_factor_of_a_hundred(flux: float, zero_point: float, factor: float) -> None:
    brighter = flux_to_mag(flux * 100, zero_point)
    assert flux_to_mag(flux, zero_point) - brighter == pytest.approx(5.0)
    assert flux_to_mag(flux, zero_point + 1) - flux_to_mag(flux, zero_point) == pytest.approx(1.0)
    assert flux_to_mag(flux * factor) - flux_to_mag(flux) == pytest.approx(-2.5 * np.log10(factor), abs=1e-9)


@pytest.mark.pure
@given(positive, st.floats(1e-6, 1e-3))
def test_error_is_the_derivative(flux: float, relative: float) -> None:
    up, down = flux_to_mag(flux * (1 - relative)), flux_to_mag(flux * (1 + relative))
    assert mag_error(flux, flux * relative) == pytest.approx((up - down) / 2, rel=1e-5)


def test_known_values() -> None:
    assert pytest.approx(1.0857362047581294) == MAG_PER_RELATIVE_ERROR
    assert mag_error(50.0, 1.0) == pytest.approx(0.0217147241)
    assert upper_limit(10.0, 5, 25.0) == pytest.approx(25 - 2.5 * np.log10(50))
    assert upper_limit(10.0, 3) == pytest.approx(-2.5 * np.log10(30))


@pytest.mark.oracle
@given(st.floats(-1e6, 1e6), st.floats(0, 35))
def test_microjansky_is_astropys_ab(flux: float, zero_point: float) -> None:
    exact = (flux * (zero_point * u.ABmag).to_value(u.uJy)) if flux else 0.0
    # 23.9 is the surveys' rounding of 23.8999...: 2e-5 relative.
    assert flux_to_ujy(flux, zero_point) == pytest.approx(exact, rel=1e-4)


def test_undefined_is_nan_without_a_warning() -> None:
    flux = np.array([1.0, 0.0, -1.0, np.nan, np.inf])
    np.testing.assert_array_equal(np.isnan(flux_to_mag(flux)), [False, True, True, True, False])
    np.testing.assert_array_equal(np.isnan(mag_error(flux, 1.0)), [False, True, True, True, False])
    np.testing.assert_array_equal(np.isnan(upper_limit(flux)), [False, True, True, True, False])
    np.testing.assert_array_equal(flux_to_ujy(flux, 23.9), flux)
    assert np.isnan(flux_to_mag(1.0, np.nan))
    assert np.isnan(mag_to_flux(np.nan))
    assert mag_to_flux(-1e6) == np.inf


def test_arrays_lists_and_masked_values() -> None:
    zero_points = np.array([25.0, 26.0])
    np.testing.assert_allclose(flux_to_mag([1, 100], zero_points), [25.0, 21.0])
    assert flux_to_mag(np.ones((2, 3))).shape == (2, 3)
    assert flux_to_mag(np.array([1, 10], dtype=">i4")).dtype == np.float64
    masked = flux_to_mag(np.ma.masked_array([1.0, 10.0], [False, True]))
    np.testing.assert_array_equal(np.isnan(masked), [False, True])
    flux = np.array([4.0, -1.0])
    flux_to_mag(flux)
    np.testing.assert_array_equal(flux, [4.0, -1.0])


@pytest.mark.parametrize(
    "bunit",
    [
        "ELECTRONS/S", "counts / sec", "counts per second", "DN s-1", "count.s**-1", "e-/s", "electron s^(-1)", "cps", "electron/pix/s",
        "MJy/sr", "MJy sr-1", "Jy/beam", "mJy", "uJy", "nanomaggy", "nanomaggies", "erg/s/cm2/A", "DN/s ",
    ],
)  # fmt: skip
def test_rates(bunit: str) -> None:
    assert is_rate(bunit)


@pytest.mark.parametrize(
    "bunit",
    [None, "", "adu", "ADU", "counts", "COUNTS", "electrons", "DN", "e-", "adu/pix", "electrons per pixel", "energy", "seconds", "us"],
)
def test_counts(bunit: str | None) -> None:
    assert not is_rate(bunit)
