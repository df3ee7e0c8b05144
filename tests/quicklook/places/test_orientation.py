"""The compass: numbers of the reference page, mirrored and rotated images, views, and images without a sky."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from ezarchive import sky
from ezarchive.errors import InputError
from ezarchive.quicklook import compass, link, picture

pytestmark = pytest.mark.pure


def tan(dec=0.0, scale=1.0, rotation=0.0, *, mirrored=False, crpix=(50.5, 50.5)):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [10.0, dec], crpix
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    flip = 1 if mirrored else -1
    wcs.wcs.cd = scale / 3600 * np.array([[flip * c, s], [-flip * s, c]])
    wcs.wcs.set()
    return wcs


def image(wcs, shape=(100, 100)):
    return picture(np.zeros(shape, np.float32), wcs=wcs)


def test_the_numbers_of_the_reference():
    """North up at the corner of 1024 x 1024 pixels of 1 arcsec at -20d50m gives all printed digits."""
    found = compass(image(tan(-(20 + 50 / 60), crpix=(1, 1)), (1024, 1024)), r_fac=0.25)
    assert (found.x, found.y) == (512, 512)
    assert round(found.xn, 4) == 512.2416
    assert round(found.yn, 4) == 768.0007
    assert round(found.xe, 4) == 256.0009
    assert round(found.ye, 4) == 512.24
    assert round(found.north_angle, 8) == 0.05406877
    assert round(found.east_angle, 5) == -90.00035
    assert found.flip is False
    assert found.parity == -1
    assert found.has_arms
    assert found.reason == ""


@pytest.mark.parametrize("rotation", [0, 30, 90, 179, -120])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotated_and_mirrored(rotation, mirrored):
    wcs = tan(40.0, 0.5, rotation, mirrored=mirrored)
    found = compass(image(wcs), at="center")
    assert (found.x, found.y) == (49.5, 49.5)
    assert found.parity == (1 if mirrored else -1)
    assert found.flip is mirrored
    assert found.east_angle == pytest.approx(90 if mirrored else -90, abs=1e-3)
    up = np.degrees(np.arctan2(found.xn - found.x, found.yn - found.y))
    assert found.north_angle == pytest.approx(-up if mirrored else up)
    assert np.hypot(found.xn - found.x, found.yn - found.y) == pytest.approx(40, abs=1e-4)
    assert found.position_angle == pytest.approx(float(sky.theta_to_pa(wcs, found.x, found.y, 90.0)), abs=1e-6)
    assert found.pixel_scale == pytest.approx(0.5, rel=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("at", [None, (3.0, 80.0), (-5.0, 120.0)])
def test_the_arms_point_where_astropy_says(at):
    wcs = tan(-60.0, 2.0, 25.0)
    found = compass(image(wcs), at=at)
    start = wcs.pixel_to_world(found.x, found.y)
    assert start.position_angle(wcs.pixel_to_world(found.xn, found.yn)).wrap_at(180 * u.deg).deg == pytest.approx(0, abs=1e-6)
    assert start.position_angle(wcs.pixel_to_world(found.xe, found.ye)).deg == pytest.approx(90, abs=1e-6)
    up = start.position_angle(wcs.pixel_to_world(found.x, found.y + 1e-3)).deg
    assert found.position_angle == pytest.approx(up, abs=1e-3)
    assert (found.ra, found.dec) == pytest.approx((start.ra.deg, start.dec.deg), abs=1e-9)


def test_pixels_that_are_no_squares():
    wcs = tan()
    wcs.wcs.cd = np.array([[-2.0, 0.0], [0.0, 0.5]]) / 3600
    wcs.wcs.set()
    found = compass(image(wcs))
    assert (found.scale_x, found.scale_y, found.pixel_scale) == pytest.approx((2, 0.5, 1), rel=1e-6)
    assert found.xe == pytest.approx(10, abs=1e-3)
    assert found.yn == pytest.approx(90, abs=1e-3)


def test_a_galactic_image_has_icrs_north():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["GLON-CAR", "GLAT-CAR"], [18.0, 0.0], [50.5, 50.5]
    wcs.wcs.cdelt = [-1 / 3600, 1 / 3600]
    found = compass(image(wcs), at="center")
    start, end = (wcs.pixel_to_world(x, y).icrs for x, y in ((found.x, found.y), (found.xn, found.yn)))
    assert start.position_angle(end).wrap_at(180 * u.deg).deg == pytest.approx(0, abs=1e-5)
    assert 20 < abs(found.north_angle) < 90


def test_the_reference_view_on_this_image():
    reference, other = image(tan()), image(tan(scale=0.5, rotation=90))
    through = link(reference, other)
    found = compass(other, zoom=(40, 60, 45, 55), link=through, at="view")
    np.testing.assert_allclose(found.zoom, through.polygon((40, 60, 45, 55)))
    assert (found.x, found.y) == pytest.approx(tuple(np.mean(found.zoom, axis=0)))
    plain = compass(other, zoom=(40, 60, 45, 55))
    assert plain.zoom == ((40, 45), (40, 55), (60, 55), (60, 45))
    assert (plain.x, plain.y) == (50, 50)
    assert compass(other, zoom=(40, 60, 45, 55), at="view").y == 50


def test_a_view_beyond_the_other_sky():
    reference, far = image(tan()), WCS(naxis=2)
    far.wcs.ctype, far.wcs.crval, far.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [10.0, -85.0], [-0.01, 0.01]
    through = link(reference, picture(np.zeros((50, 50)), wcs=far))
    found = compass(picture(np.zeros((50, 50)), wcs=far), zoom=(-4e6, 4e6, -4e6, 4e6), link=through, at="view")
    assert np.isnan(found.zoom).any()
    assert (found.x, found.y) == (24.5, 24.5)
    assert found.scale_bar().pixels <= 12.5
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert 'class="zoom"' not in found.svg()


@pytest.mark.parametrize("zoom", [None, (np.nan,) * 4, (0, np.inf, 0, 1)])
def test_no_view(zoom):
    found = compass(image(tan()), zoom=zoom, at="view")
    assert found.zoom is None
    assert (found.x, found.y) == (49.5, 49.5)


class TestNoSky:
    def test_without_a_wcs(self):
        found = compass(np.zeros((40, 80)))
        assert not found.has_arms
        assert "has no celestial WCS" in found.reason
        assert (found.x, found.y, found.x_arm, found.y_arm) == (40, 20, (50, 20), (40, 30))
        assert found.parity == 0
        assert found.scale_bar() is None
        assert ">N<" not in found.svg()
        made = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert made["xn"] is None
        assert made["x_arm"] == [50, 20]

    def test_off_the_projection(self):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---SIN", "DEC--SIN"], [10.0, 0.0], [1, 1]
        wcs.wcs.cdelt = [-2.0, 2.0]
        found = compass(image(wcs))
        assert not found.has_arms
        assert "no sky around (50, 50)" in found.reason

    def test_a_wcs_that_fails(self):
        class Broken:
            pixel_n_dim = 2

            def pixel_to_world(self, x, y):
                return SkyCoord(np.asarray(x) * 0.001, np.asarray(y) * 0.001, unit="deg")

            def world_to_pixel(self, place):
                raise NotImplementedError("no inverse is known")

        found = compass(np.zeros((10, 10)), wcs=Broken())
        assert not found.has_arms
        assert "fails at (5, 5): no inverse is known" in found.reason


def test_an_image_of_one_pixel():
    found = compass(image(tan(crpix=(1, 1)), (1, 1)))
    assert (found.x, found.y, found.radius) == (0.5, 0.5, 0.4)
    assert found.yn == pytest.approx(0.9, abs=1e-6)


def test_at_the_pole():
    found = compass(image(tan(90.0)), at=(80.0, 49.5))
    assert found.has_arms
    assert found.xn == pytest.approx(40, abs=1e-3)
    assert found.yn == pytest.approx(49.5, abs=1e-3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"r_fac": 0}, "r_fac: must be a number above 0, found 0"),
        ({"r_fac": np.nan}, "r_fac: must be a number above 0"),
        ({"at": "corner"}, r"at: must be None, 'center', 'view' or \(x, y\), found 'corner'"),
        ({"at": (1, np.nan)}, "at: must be two finite numbers"),
        ({"at": (1, "b")}, "at: must be two numbers"),
        ({"at": 3}, "at: must be None, 'center', 'view'"),
        ({"zoom": (1, 2)}, "zoom: must be"),
        ({"zoom": (2, 1, 0, 1)}, "zoom: must be"),
        ({"zoom": (0, 1, 0, 1), "link": link(np.zeros((2, 2)), np.zeros((7, 7)))}, "link: must lead to this image of shape"),
    ],
)
def test_wrong_arguments(given, said):
    with pytest.raises(InputError, match=said):
        compass(image(tan()), **given)


@pytest.mark.oracle
def test_real_frames(real_data):
    """The NIRCam cutout's own header tells its scale; the galactic IRAC mosaic is turned against ICRS."""
    nircam = compass(next((real_data / "nircam").glob("*stamp.fits")))
    assert nircam.pixel_scale == pytest.approx(np.sqrt(nircam_area(real_data)), rel=1e-3)
    assert nircam.parity == -1
    irac = compass(real_data / "irac" / "spitzer_example_image.fits")
    assert irac.has_arms
    assert abs(irac.north_angle) > 30


def nircam_area(folder):
    return float(picture(next((folder / "nircam").glob("*stamp.fits"))).meta["PIXAR_A2"])
