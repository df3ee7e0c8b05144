"""Sky columns where the WCS is not the plain one."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from ezarchive.photometry.world import sky_columns
from ezarchive.sky import cell_of

pytestmark = pytest.mark.pure


def make_wcs(ctype=("RA---TAN", "DEC--TAN"), crval=(150.0, 20.0), rotation=25.0) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = list(ctype), list(crval), [50.0, 50.0]
    turn, scale = np.radians(rotation), 0.5 / 3600
    wcs.wcs.cd = scale * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return wcs


def values(n=20, seed=1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    theta = rng.uniform(0, np.pi, n)
    a2, b2 = 9.0, 4.0
    return {
        "X_IMAGE": rng.uniform(0, 100, n), "Y_IMAGE": rng.uniform(0, 100, n), "FWHM_IMAGE": np.full(n, 4.0),
        "FLUX_MAX": rng.uniform(50, 100, n),
        "X2_IMAGE": a2 * np.cos(theta) ** 2 + b2 * np.sin(theta) ** 2, "Y2_IMAGE": a2 * np.sin(theta) ** 2 + b2 * np.cos(theta) ** 2,
        "XY_IMAGE": (a2 - b2) * np.sin(theta) * np.cos(theta), "theta": np.degrees(theta),
    }  # fmt: skip


def test_plain_frame():
    given = values()
    found = sky_columns(make_wcs(rotation=0.0), given)
    # North up, east left: north is +y, so the position angle is theta - 90.
    expected = given["theta"] - 90
    assert np.abs((found["THETA_J2000"] - expected + 90) % 180 - 90).max() < 0.05
    np.testing.assert_allclose(found["FWHM_WORLD"] * 3600, 2.0, rtol=1e-6)
    # Half an arcsec a pixel: a peak of that many counts a pixel is four times as many an arcsec^2.
    np.testing.assert_allclose(found["MU_MAX"], -2.5 * np.log10(4 * given["FLUX_MAX"]), atol=1e-5)
    np.testing.assert_array_equal(found["_healpix_29"], cell_of(found["ALPHA_J2000"], found["DELTA_J2000"], 29))
    assert not np.ma.getmaskarray(found["_healpix_29"]).any()


def test_galactic_frame_gives_native_and_icrs():
    given = values()
    found = sky_columns(make_wcs(("GLON-TAN", "GLAT-TAN"), (30.0, 10.0)), given)
    expected = SkyCoord(l=found["X_WORLD"], b=found["Y_WORLD"], unit="deg", frame="galactic").icrs
    np.testing.assert_allclose(found["ALPHA_J2000"], expected.ra.deg, atol=1e-9)
    np.testing.assert_allclose(found["DELTA_J2000"], expected.dec.deg, atol=1e-9)
    # The two position angles differ by that of galactic north.
    turn = expected[0].position_angle(SkyCoord(l=0, b=90, unit="deg", frame="galactic").icrs).deg
    difference = found["THETA_J2000"][0] - found["THETA_SKY"][0]
    assert (difference - turn + 90) % 180 - 90 == pytest.approx(0, abs=0.01)


def test_latitude_as_the_first_axis():
    wcs = make_wcs(("DEC--TAN", "RA---TAN"), (20.0, 150.0))
    found = sky_columns(wcs, values())
    np.testing.assert_allclose(found["X_WORLD"], found["DELTA_J2000"], atol=1e-9)
    np.testing.assert_array_equal(found["THETA_WORLD"], found["THETA_SKY"])


def test_angles_lie_in_half_a_turn():
    found = sky_columns(make_wcs(), values(500))
    for name in ("THETA_WORLD", "THETA_SKY", "THETA_J2000"):
        assert (found[name] > -90).all()
        assert (found[name] <= 90).all()


def test_no_wcs_and_no_source():
    found = sky_columns(None, values(3))
    assert np.isnan(found["ALPHA_J2000"]).all()
    assert found["_healpix_29"].mask.all()
    assert all(len(column) == 0 for column in sky_columns(make_wcs(), values(0)).values())


def test_pixels_beyond_the_sky_are_missing():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = ["GLON-AIT", "GLAT-AIT"], [0.0, 0.0], [50.0, 50.0], [-4.0, 4.0]
    given = values(2)
    given["X_IMAGE"], given["Y_IMAGE"] = np.array([49.0, 0.0]), np.array([49.0, 0.0])
    found = sky_columns(wcs, given)
    assert np.isfinite(found["ALPHA_J2000"][0])
    assert np.isnan(found["ALPHA_J2000"][1])
    np.testing.assert_array_equal(np.ma.getmaskarray(found["_healpix_29"]), [False, True])
