from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.simulate import optics


def wcs_of(camera, centre=(326.25, -77.26), shape=(400, 600)):
    return WCS(optics.wcs_header(shape, centre, camera, optics.PIXEL_SCALE))


@pytest.mark.pure
def test_a_plain_frame_has_north_up_and_east_left():
    wcs = wcs_of(optics.Telescope("a"))
    jacobian = optics.sky_to_pixel_matrix(wcs, np.array([326.25]), np.array([-77.26]))[0]
    np.testing.assert_allclose(jacobian * optics.PIXEL_SCALE, [[-1, 0], [0, 1]], atol=1e-6)


@pytest.mark.pure
def test_a_mirrored_frame_has_east_right():
    jacobian = optics.sky_to_pixel_matrix(wcs_of(optics.Telescope("a", mirrored=True)), np.array([326.25]), np.array([-77.26]))[0]
    assert np.linalg.det(jacobian) > 0


@pytest.mark.pure
def test_a_rotated_frame_has_north_turned_counter_clockwise():
    jacobian = optics.sky_to_pixel_matrix(wcs_of(optics.Telescope("a", rotation=30)), np.array([326.25]), np.array([-77.26]))[0]
    north = jacobian[:, 1]
    assert abs(np.degrees(np.arctan2(north[0], north[1]))) == pytest.approx(30, abs=1e-3)
    assert np.linalg.det(jacobian) < 0


@pytest.mark.pure
@pytest.mark.parametrize("camera", optics.TELESCOPES, ids=lambda c: c.name)
@pytest.mark.parametrize("centre", [(326.25, -77.26), (0.0, -30.0)])
def test_positions_go_round(camera, centre):
    wcs = wcs_of(camera, centre)
    x, y = np.random.default_rng(1).uniform(0, 400, (2, 300))
    back = optics.to_pixels(wcs, *wcs.all_pix2world(x, y, 0))
    np.testing.assert_allclose(back, (x, y), atol=1e-5)


@pytest.mark.pure
def test_distortion_shifts_the_corners_by_what_it_says():
    camera = optics.Telescope("a", distortion=2.0)
    plain, bent = wcs_of(optics.Telescope("a")), wcs_of(camera)
    assert "SIP" in bent.wcs.ctype[0]
    sky = plain.all_pix2world(np.array([0.0, 599, 0, 599, 299.5]), np.array([0.0, 0, 399, 399, 199.5]), 0)
    x, y = optics.to_pixels(bent, *sky)
    shift = np.hypot(x - [0, 599, 0, 599, 299.5], y - [0, 0, 399, 399, 199.5])
    assert 0.5 < shift[:4].max() < 4
    assert shift[4] < 1e-6


@pytest.mark.pure
def test_bands():
    assert optics.band("m600").wavelength == 600
    assert optics.band("r").sky > optics.band("m600").sky
    with pytest.raises(InputError, match="filter 'Halpha': must be one of u, g, r, i, z or a medium band"):
        optics.band("Halpha")


@pytest.mark.pure
def test_telescopes_by_name():
    assert optics.telescope("7DT02").rotation == 33.7
    assert optics.telescope("T9") == optics.Telescope("T9")
    assert optics.telescope(optics.TELESCOPES[2]) is optics.TELESCOPES[2]
    fields = optics.Telescope("T9", gain=2.0, dark=0.1).exposure_fields(300.0, 3)
    assert fields["dark"] == pytest.approx(15)
    assert fields["saturation"] == 180000


@pytest.mark.oracle
def test_altitude_and_azimuth():
    with iers.conf.set_temp("auto_download", False):
        place = EarthLocation(lon=optics.LONGITUDE * u.deg, lat=optics.LATITUDE * u.deg, height=optics.ELEVATION * u.m)
        for ra, dec, mjd in ((326.25, -77.26, 60919.1), (0.0, -30.0, 60925.3), (200.0, 10.0, 60930.9)):
            frame = AltAz(obstime=Time(mjd, format="mjd"), location=place)
            true = SkyCoord(ra, dec, unit="deg").transform_to(frame)
            altitude, azimuth = optics.altitude_azimuth(mjd, ra, dec)
            # Precession since J2000 is left out: a third of a degree.
            assert altitude == pytest.approx(true.alt.deg, abs=0.5)
            assert (azimuth - true.az.deg + 180) % 360 - 180 == pytest.approx(0, abs=1.5)
