"""Units of sums, factors that count as set, and units that conflict."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u

from ezarchive.errors import InputError
from ezarchive.quicklook.planes import units
from ezarchive.quicklook.planes.units import (
    in_unit,
    number_of,
    per_count,
    scaling,
    solid_angle_unit,
    sum_factor,
    takes_counts,
    takes_factors,
)

pytestmark = pytest.mark.pure


def test_a_square_arcsecond():
    assert units.ARCSEC2 == pytest.approx((1 * u.arcsec**2).to_value(u.sr), rel=1e-15) == 2.350443053909789e-11


@pytest.mark.parametrize(
    ("unit", "wanted"),
    [
        ("MJy/sr", u.sr), ("mJy/arcsec2", u.arcsec**2), ("erg/(s cm2 Angstrom arcsec2)", u.arcsec**2), ("Jy/deg2", u.deg**2),
        ("electron/(s pix2)", u.pix**2), ("electron/s", None), ("Jy", None), ("ct", None), ("Jy/beam", None), ("sr", None), ("", None),
    ],
)  # fmt: skip
def test_what_a_unit_is_per(unit, wanted):
    assert solid_angle_unit(u.Unit(unit)) == wanted
    assert solid_angle_unit(None) is None


@pytest.mark.parametrize(("unit", "flux"), [("MJy/sr", 1.0), ("MJy/arcsec2", 1 / units.ARCSEC2), ("Jy/sr", 1e-6)])
def test_a_sum_times_the_pixel_is_the_same_flux_in_every_unit(unit, flux):
    made, factor, used = sum_factor(u.Unit(unit), np.array([0.01 * units.ARCSEC2, 1.0]))
    np.testing.assert_allclose((factor * made).to_value(u.MJy), flux * np.array([0.01 * units.ARCSEC2, 1.0]), rtol=1e-14)
    assert used.tolist() == [0.01 * units.ARCSEC2, 1.0]


def test_sums_that_stay():
    for unit in (None, u.Jy, u.MJy / u.sr):
        made, factor, used = sum_factor(unit, np.array([np.nan, np.nan]))
        assert made == unit
        assert factor.tolist() == [1, 1]
        assert np.isnan(used).all()
    made, factor, _ = sum_factor(u.ct / u.pix**2, np.array([np.nan]))
    assert (made, factor[0]) == (u.ct, 1)
    assert np.isnan(sum_factor(u.MJy / u.sr, np.array([1.0, np.nan]))[1]).tolist() == [False, True]


@pytest.mark.parametrize("value", [7.9e-20, 3.631e-23, 1e-300, 0.003631, 5])
def test_small_factors_are_set(value):
    assert per_count(value, "counts_factor", u.Jy) == value
    assert scaling(value, "flux_scaling", u.Jy, u.Jy) == (value, value)


def test_quantities_are_converted():
    assert per_count(2e3 * u.mJy / u.ct, "counts_factor", u.Jy) == 2
    sr = u.MJy / u.sr
    raw, flux = scaling(3.631e-23 * u.W / u.m**2 / u.Hz, "flux_scaling", sr, u.MJy)
    assert np.isnan(raw)
    assert flux == pytest.approx(0.003631, rel=1e-12)
    assert scaling("ab", "flux_scaling", sr, u.MJy)[1] == pytest.approx(0.003631, rel=1e-14)
    assert in_unit(5 * u.mJy, "background", u.Jy) == 0.005
    assert in_unit(5.0, "background", u.Jy) == 5.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: per_count(-2.0, "counts_factor", u.Jy), r"counts_factor: cannot be negative but got -2.0"),
        (lambda: per_count(0, "counts_factor", u.Jy), "counts_factor=0: is a number, and not 'off'"),
        (lambda: per_count("x", "counts_factor", u.Jy), "counts_factor: missing or invalid value 'x'"),
        (lambda: per_count(2 * u.Jy, "counts_factor", u.Jy), "conflicts with that of the image; must convert to Jy / ct"),
        (lambda: scaling(0.0, "flux_scaling", u.Jy, u.Jy), "flux_scaling=0: is a number, and not 'off'"),
        (lambda: scaling(2 * u.m, "flux_scaling", u.MJy / u.sr, u.MJy), "conflicts with that of the sum; must convert to MJy or MJy / sr"),
        (lambda: scaling("ab", "flux_scaling", None, None), r"must convert to a unit of the image \(it has none\)"),
        (lambda: scaling(np.inf, "flux_scaling", u.Jy, u.Jy), "flux_scaling: missing or invalid value inf"),
        (lambda: in_unit(2 * u.m, "error", u.Jy), "error: its unit 'm' conflicts with that of the image; must convert to Jy"),
        (lambda: number_of(True, "background"), "background: missing or invalid value True"),
        (lambda: number_of(1 * u.Jy, "pixel_area"), "pixel_area: missing or invalid value"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_which_units_take_factors():
    assert not takes_factors(None)
    assert not takes_factors(u.dimensionless_unscaled)
    assert takes_factors(u.ct)
    assert not takes_counts(u.ct)
    assert takes_counts(u.electron)
    assert takes_counts(u.ct / u.s)
