"""Rows and columns through a pixel."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import NDData, StdDevUncertainty
from astropy.wcs import WCS

from ezarchive.errors import FrameError, InputError
from ezarchive.quicklook import line_profiles, link, picture

pytestmark = pytest.mark.pure


def tan(crpix=(5.0, 4.0), scale=1.0, rotation=0.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [10.0, -20.0], crpix
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    wcs.wcs.cd = scale / 3600 * np.array([[-c, s], [s, c]])
    return wcs


@pytest.fixture
def ramp():
    """Pixel (x, y) holds 100 y + x."""
    y, x = np.mgrid[:8, :12]
    return 100.0 * y + x


def test_the_numbers_of_the_reference():
    data = np.ones((10, 10))
    data[5, 5] = np.nan
    found = line_profiles(data, 5, 5)
    assert found.row.limits == (0, 9, 0.95, 1.05)
    assert found.column.limits == (0, 9, 0.95, 1.05)
    assert np.isnan(found.row.value).nonzero()[0].tolist() == [5]


def test_row_and_column(ramp):
    given = ramp.copy()
    found = line_profiles(ramp, 3, 6)
    assert (found.x, found.y, found.label, found.reason) == (3, 6, "image", "")
    np.testing.assert_array_equal(found.row.value, ramp[6])
    np.testing.assert_array_equal(found.column.value, ramp[:, 3])
    assert (found.row.title, found.row.xlabel, found.row.ylabel) == ("Y=6", "X (pix)", "Value")
    assert (found.column.title, found.column.xlabel) == ("X=3", "Y (pix)")
    found.row.value[:] = 0
    np.testing.assert_array_equal(ramp, given)


@pytest.mark.parametrize("place", [(0, 0), (0, 5), (5, 0), (11, 7), (-0.4, 7.4)])
def test_the_edges_are_pixels_too(ramp, place):
    found = line_profiles(ramp, *place)
    np.testing.assert_array_equal(found.row.value, ramp[round(place[1])])
    np.testing.assert_array_equal(found.column.value, ramp[:, round(place[0])])


def test_halves_go_to_the_even_pixel(ramp):
    found = line_profiles(ramp, 0.5, 1.5)
    assert (found.x, found.y) == (0, 2)


@pytest.mark.parametrize("place", [(12, 0), (0, 8), (-1, 0), (11.6, 0), (0, -0.6)])
def test_a_pixel_that_is_not_there(ramp, place):
    with pytest.raises(InputError, match=r"x, y: must be a pixel of 'image', x from 0 to 11 and y from 0 to 7, found"):
        line_profiles(ramp, *place)


@pytest.mark.parametrize("place", [(np.nan, 1), (np.inf, 1), (True, 1), ("a", 1), ([1, 2], 1), (1, [2])])
def test_what_is_no_pixel(ramp, place):
    with pytest.raises(InputError, match="x, y: must be two finite numbers of pixels"):
        line_profiles(ramp, *place)


class TestLimits:
    def test_every_pixel_in_view_counts(self, ramp):
        assert line_profiles(ramp, 3, 1, zoom=(2.6, 9.4, 0, 3)).row.limits == (3, 9, pytest.approx(103 * 0.95), pytest.approx(109 * 1.05))
        found = line_profiles(ramp, 3, 1, zoom=(2.3, 9.7, 1.5, 3)).row.limits
        assert found[:2] == (2, 10)
        assert line_profiles(ramp, 3, 1, zoom=(-20, 40, -3, 99)).column.limits[:2] == (0, 7)

    def test_negative_values_lie_in_the_range(self):
        found = line_profiles(np.full((4, 4), -2.0), 1, 1).row
        assert (found.low, found.high) == (pytest.approx(-2.1), pytest.approx(-1.9))
        found = line_profiles(np.array([[-1.0, 0.0, 2.0]]), 1, 0).row
        assert (found.low, found.high) == (pytest.approx(-1.05), pytest.approx(2.1))
        found = line_profiles(np.zeros((2, 2)), 1, 1).row
        assert found.low < 0 < found.high

    @pytest.mark.parametrize("zoom", [(np.nan,) * 4, (0, 3, np.nan, np.nan), (-np.inf, np.inf, 0, 1)])
    def test_a_view_of_nan_is_none(self, ramp, zoom):
        assert line_profiles(ramp, 3, 1, zoom=zoom).row.limits == line_profiles(ramp, 3, 1).row.limits

    def test_a_view_beside_the_image(self, ramp):
        found = line_profiles(ramp, 3, 1, zoom=(100, 120, 0, 3)).row
        assert found.limits[:2] == (None, None)
        assert np.isnan(found.low)
        assert found.to_dict()["limits"] == [None] * 4

    @pytest.mark.parametrize("zoom", [(1, 2, 3), (3, 1, 0, 1), (0, 1, 1, 1)])
    def test_views_that_are_none(self, ramp, zoom):
        with pytest.raises(InputError, match="zoom: must be"):
            line_profiles(ramp, 3, 1, zoom=zoom)


def test_nothing_but_nan():
    found = line_profiles(np.full((3, 3), np.nan), 1, 1)
    assert np.isnan(found.row.value).all()
    assert found.row.limits[:2] == (0, 2)
    assert np.isnan(found.row.low)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["row"]["value"] == [None] * 3


def test_one_pixel():
    found = line_profiles(np.array([[4]]), 0, 0)
    assert found.row.value.tolist() == [4.0]
    assert found.column.limits[:2] == (0, 0)


class TestSky:
    def test_below_each_pixel(self, ramp):
        found = line_profiles(ramp, 3, 6, wcs=tan(), unit="Jy")
        expected = tan().pixel_to_world(np.arange(12), 6)
        np.testing.assert_allclose(found.row.ra, expected.ra.deg)
        np.testing.assert_allclose(found.column.dec, tan().pixel_to_world(3, np.arange(8)).dec.deg)
        table = found.row.to_table()
        assert table.colnames == ["pixel", "value", "ra", "dec"]
        assert (table["value"].unit, found.row.ylabel) == (u.Jy, "Jy")
        assert line_profiles(ramp, 3, 6).row.ra is None

    def test_a_place_on_the_sky(self, ramp):
        place = tan().pixel_to_world(3.2, 5.8)
        assert (line_profiles(ramp, place, wcs=tan()).x, line_profiles(ramp, place, wcs=tan()).y) == (3, 6)
        assert line_profiles(ramp, place.to_string("hmsdms", precision=3), wcs=tan()).x == 3
        with pytest.raises(InputError, match="x, y: must be pixels for 'image', which has no WCS"):
            line_profiles(ramp, place)
        with pytest.raises(InputError, match="x, y: must be a place that the WCS of 'image' reaches"):
            line_profiles(ramp, SkyCoord(190, 20, unit="deg"), wcs=tan())

    def test_through_a_link(self, ramp):
        reference = picture(np.zeros((20, 20)), wcs=tan())
        other = picture(ramp, wcs=tan(crpix=(3.0, 2.0)))
        found = line_profiles(other, 5, 4, links=link(reference, other), zoom=(3.8, 6.2, 1.8, 5.2))
        assert (found.x, found.y) == (3, 2)
        assert found.row.limits[:2] == (2, 4)
        with pytest.raises(InputError, match="links: must lead to this image"):
            line_profiles(reference, 5, 4, links=link(reference, other))
        with pytest.raises(InputError, match="links: must be a Link, found str"):
            line_profiles(reference, 5, 4, links="wcs")

    def test_several_images(self, ramp):
        first, second = picture(ramp, wcs=tan(), label="a"), picture(ramp, wcs=tan(crpix=(3.0, 2.0)), label="b")
        found = line_profiles([first, second, ramp], 5, 4)
        assert [(one.label, one.x, one.y) for one in found] == [("a", 5, 4), ("b", 3, 2), ("image[2]", 5, 4)]
        found = line_profiles([first, second], 0, 0)
        assert found[1].row is None
        assert "must be a pixel of 'b'" in found[1].reason
        assert json.dumps(found[1].to_dict(), allow_nan=False)
        again = line_profiles([first, second], 5, 4, links=[link(first, second)])
        assert again[1].x == 3
        with pytest.raises(InputError, match="links: must be one for each image, 1, found 2"):
            line_profiles([first, second], 5, 4, links=[link(first, second)] * 2)
        with pytest.raises(InputError, match="must be a pixel of 'a'"):
            line_profiles([first, second], 50, 4)
        with pytest.raises(InputError, match="image: must hold at least one image"):
            line_profiles([], 5, 4)
        with pytest.raises(InputError, match="unit: must not be given with a list of images"):
            line_profiles([first], 5, 4, unit="Jy")


def test_masks_and_errors(ramp):
    mask = ramp == 603
    given = NDData(ramp, mask=mask, uncertainty=StdDevUncertainty(0.1 * ramp), unit="adu")
    found = line_profiles(given, 3, 6)
    assert np.isnan(found.row.value).nonzero()[0].tolist() == [3]
    np.testing.assert_allclose(found.column.err, 0.1 * ramp[:, 3])
    assert found.row.to_table()["err"].unit == u.adu
    found = line_profiles(ramp, 3, 6, error=2.0, mask=mask)
    assert found.row.err.tolist() == [2.0] * 12
    assert np.isnan(found.column.value[6])


def test_errors_of_the_file(tmp_path, ramp):
    units = [fits.PrimaryHDU(), fits.ImageHDU(ramp, name="SCI"), fits.ImageHDU(np.full(ramp.shape, 4.0), name="VAR")]
    fits.HDUList(units).writeto(tmp_path / "a.fits")
    found = line_profiles(tmp_path / "a.fits", 3, 6, error="file")
    assert found.label == "a[SCI,1]"
    assert found.row.err.tolist() == [2.0] * 12
    np.testing.assert_array_equal(found.row.value, ramp[6])
    with pytest.raises(FrameError, match="must hold DQ"):
        line_profiles(tmp_path / "a.fits", 3, 6, mask="file")


def test_a_file_that_does_not_load_whole(tmp_path, ramp):
    fits.PrimaryHDU(ramp.astype(np.float32)).writeto(tmp_path / "b.fits")
    given = picture(tmp_path / "b.fits")
    np.testing.assert_array_equal(line_profiles(given, 4, 2).column.value, ramp[:, 4])
    assert "data" not in given.image.__dict__


@pytest.mark.oracle
def test_a_real_frame(real_data):
    path = real_data / "irac" / "spitzer_example_image.fits"
    found = line_profiles(path, 500, 0)
    np.testing.assert_array_equal(found.row.value, fits.getdata(path)[0].astype(float))
    assert found.row.ylabel == "MJy / sr"
    assert found.row.ra.shape == (1025,)
