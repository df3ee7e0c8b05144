"""The read-out of a cursor: numbers and texts, at edges, through links, with and without sky."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.quicklook import link
from ezarchive.quicklook.display.readout import cursor


def tan(ra=337.5202808, dec=-20.833333059999998, crpix=(1.0, 1.0), scale=0.0002):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [ra, dec], crpix, [-scale, scale]
    wcs.wcs.set()
    return wcs


HUNDRED = np.arange(100.0).reshape(10, 10)


@pytest.mark.parametrize(
    ("shape", "x", "y", "text"),
    [
        ((10, 10), 0, 0, "x=00.0, y=00.0"),
        ((10, 10), 1.26, 9.04, "x=01.3, y=09.0"),
        ((10, 10), -0.3, 5, "x=-0.3, y=05.0"),
        ((11, 10), 3, 4, "x=003.0, y=004.0"),
        ((100, 200), 12.3, 45, "x=0012.3, y=0045.0"),
        ((2048, 2048), 7, 2000.06, "x=00007.0, y=02000.1"),
        ((1, 1), 0, 0, "x=0.0, y=0.0"),
        ((10, 10), 12345.6, -99, "x=12345.6, y=-99.0"),
    ],
)
def test_pixels(shape, x, y, text):
    assert cursor(np.zeros(shape), x, y).pixel_text == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.0, None, "+1.00000e+00"),
        (1.234564, "MJy/sr", "+1.23456e+00 MJy / sr"),
        (-7.9e-20, "Jy", "-7.90000e-20 Jy"),
        (0.0, "Jy", "+0.00000e+00 Jy"),
        (np.nan, "Jy", "+nan Jy"),
        (np.inf, None, "+inf"),
    ],
)
def test_values(value, unit, text):
    found = cursor(np.full((3, 3), value), 1, 1, unit=unit)
    assert found.value_text == text
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["value"] == (value if np.isfinite(value) else None)


@pytest.mark.parametrize(
    ("x", "y", "value"),
    [
        (0, 0, 0.0), (-0.49, -0.49, 0.0), (9.49, 9.49, 99.0), (9, 0, 9.0), (0, 9, 90.0), (2.5, 3, 32.0), (3.5, 3, 34.0), (2.51, 3.49, 33.0),
        (-0.5, 3, None), (3, -0.5, None), (9.5, 3, None), (3, 9.5, None), (-40, 3, None), (3, 1e9, None),
    ],
)  # fmt: skip
def test_the_nearest_pixel_of_the_image_alone(x, y, value):
    found = cursor(HUNDRED, x, y)
    assert found.value == value
    assert (found.value_text == "") is (value is None)
    assert (found.sky_text, found.degrees_text, found.ra) == ("", "", None)


@pytest.mark.oracle
@pytest.mark.parametrize(("x", "y"), [(0, 0), (1.5, -3.0), (512, 700.25)])
def test_the_sky(x, y):
    wcs = tan()
    found = cursor(np.zeros((800, 800)), x, y, wcs=wcs)
    place = SkyCoord(*wcs.all_pix2world(x, y, 0), unit="deg")
    assert (found.ra, found.dec) == pytest.approx((place.ra.deg, place.dec.deg), abs=1e-10)
    assert found.degrees_text == f"{found.ra:.10f} {found.dec:.10f}"
    assert SkyCoord(found.sky_text).separation(place).arcsec < 1e-3


def test_the_texts_of_the_sky():
    found = cursor(np.zeros((4, 4)), 0, 0, wcs=tan())
    assert found.sky_text == "22h30m04.8674s -20d49m59.9990s"
    assert found.degrees_text == "337.5202808000 -20.8333330600"
    small = cursor(np.zeros((4, 4)), 0, 0, wcs=tan(ra=15.0, dec=5.0))
    assert small.sky_text == "01h00m00.0000s +05d00m00.0000s"


def test_galactic_pixels_read_in_icrs():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = ["GLON-CAR", "GLAT-CAR"], [0.0, 0.0], [1, 1], [-0.1, 0.1]
    found = cursor(np.zeros((4, 4)), 0, 0, wcs=wcs)
    assert SkyCoord(found.ra, found.dec, unit="deg").galactic.separation(SkyCoord(0, 0, unit="deg", frame="galactic")).arcsec < 1e-3


def test_no_sky_beyond_the_projection():
    wcs = tan(dec=0.0, scale=1.0)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    found = cursor(np.zeros((300, 300)), 200, 200, wcs=wcs)
    assert found.value == 0.0
    assert (found.sky_text, found.degrees_text, found.ra, found.dec) == ("", "", None, None)


def test_through_a_link():
    reference, image = tan(crpix=(1, 1)), tan(crpix=(4, 6))
    data = np.arange(400.0).reshape(20, 20)
    header, other = reference.to_header(), image.to_header()
    way = link(fits_data(header), fits_data(other, data))
    found = cursor(data, 2, 3, link=way, wcs=image)
    assert (found.x, found.y) == pytest.approx((5, 8), abs=1e-6)
    assert found.value == data[8, 5]
    assert found.pixel_text == "x=005.0, y=008.0"
    straight = cursor(np.zeros((20, 20)), 2, 3, wcs=reference)
    assert found.degrees_text[:12] == straight.degrees_text[:12]


def fits_data(header, data=None):
    """Return a picture with a header."""
    from ezarchive.quicklook import picture

    return picture(np.zeros((20, 20)) if data is None else data, header=header)


def test_a_link_to_another_image():
    data = np.zeros((20, 20))
    way = link(data, data, "pixels")
    assert cursor(data, 2, 3, link=way).x == 2
    with pytest.raises(InputError, match="link: must lead to this image"):
        cursor(np.zeros((5, 5)), 2, 3, link=way)
    with pytest.raises(InputError, match="link: must be a Link"):
        cursor(data, 2, 3, link="wcs")


def test_masked_pixels_are_told():
    data = np.ma.masked_array(HUNDRED, HUNDRED == 33)
    assert cursor(data, 3, 3).masked
    assert not cursor(data, 4, 3).masked
    assert not cursor(data, 40, 3).masked


def test_a_file(tmp_path):
    fits.writeto(tmp_path / "a.fits", HUNDRED.astype(np.int16), fits.Header({"BUNIT": "DN", **tan().to_header()}))
    found = cursor(tmp_path / "a.fits", 3, 4)
    assert found.value == 43.0
    assert found.value_text.startswith("+4.30000e+01")
    assert found.ra is not None and found.label.startswith("a")


@pytest.mark.parametrize(("x", "y", "name"), [(np.nan, 0, "x"), (0, np.inf, "y"), ("3", 0, "x"), (0, None, "y"), (True, 0, "x")])
def test_what_is_no_place(x, y, name):
    with pytest.raises(InputError, match=f"{name}=.*must be a finite number"):
        cursor(HUNDRED, x, y)
