"""What counts as an image, and what is known of it."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, NDData, StdDevUncertainty, UnknownUncertainty, VarianceUncertainty
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.images.image import Image
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.pictures import Picture, error_of
from ezarchive.quicklook.planes.skywcs import checked_wcs, to_pixel, to_sky

pytestmark = pytest.mark.pure


def tan(angle=0.0, scale=1e-4):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [10.0, -20.0], [5.0, 4.0]
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    wcs.wcs.cd = scale * np.array([[-c, s], [s, c]])
    return wcs


@pytest.fixture
def several(tmp_path):
    """A file with a primary header, science, error and variance planes."""
    header = tan().to_header()
    header["BUNIT"] = "MJy/sr"
    science = fits.ImageHDU(np.arange(12.0).reshape(3, 4), header, name="SCI")
    error = fits.ImageHDU(np.full((3, 4), 2.0), name="ERR")
    path = tmp_path / "frame.fits"
    fits.HDUList([fits.PrimaryHDU(header=fits.Header({"TELESCOP": "JWST"})), science, error]).writeto(path)
    return path


def test_a_file(several):
    made = picture(several)
    assert made.label == "frame[SCI,1]"
    assert made.unit == u.MJy / u.sr
    assert made.primary["TELESCOP"] == "JWST"
    assert made.shape == (3, 4)
    assert made.data[2, 3] == 11
    assert made.wcs is not None
    np.testing.assert_array_equal(error_of(several, 1), np.full((3, 4), 2.0))


def test_variances_are_rooted(tmp_path):
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((2, 2)), name="SCI"), fits.ImageHDU(np.full((2, 2), 9.0), name="VAR")]).writeto(
        tmp_path / "v.fits"
    )
    np.testing.assert_array_equal(error_of(tmp_path / "v.fits", 1), np.full((2, 2), 3.0))


def test_a_variance_below_zero_is_no_error(tmp_path):
    variance = np.array([[9.0, -1.0], [np.nan, 4.0]])
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((2, 2)), name="SCI"), fits.ImageHDU(variance, name="VAR")]).writeto(
        tmp_path / "v.fits"
    )
    np.testing.assert_array_equal(error_of(tmp_path / "v.fits", 1), [[3.0, np.nan], [np.nan, 2.0]])


def test_kinds_of_images():
    array = np.arange(6.0).reshape(2, 3)
    assert picture(array).label == "image"
    assert picture(array * u.Jy).unit == u.Jy
    assert picture(np.ma.array(array, mask=array == 2)).mask.sum() == 1
    assert picture(np.ma.array(array)).mask is None
    made = picture(NDData(array, uncertainty=VarianceUncertainty(np.full((2, 3), 4.0)), mask=array == 0, unit="ct", meta={"a": {"b": 1}}))
    assert made.error[0, 0] == 2
    assert made.mask[0, 0]
    assert made.unit == u.ct
    assert made.meta["a"]["b"] == 1
    assert picture(CCDData(array, unit="adu", wcs=tan(), uncertainty=StdDevUncertainty(array))).wcs.wcs.crval[0] == 10
    assert picture(made) is made
    assert picture(Image(array), "other").label == "other"


def test_what_is_given_goes_before_what_is_known(several):
    made = picture(several, wcs=tan(30), unit="Jy", label="mine")
    assert (made.unit, made.label) == (u.Jy, "mine")
    assert made.wcs.wcs.cd[0, 1] != 0
    assert made.meta["BUNIT"] == "MJy/sr"
    assert picture(several, header={"BUNIT": "ct"}).unit == u.ct


def test_a_unit_that_is_none_is_kept_as_text():
    made = picture(np.ones((2, 2)), header={"BUNIT": "bananas"})
    assert made.unit is None
    assert made.unit_text == "bananas"


@pytest.mark.parametrize(("text", "unit"), [("ELECTRONS/S", "electron / s"), ("counts/s", "ct / s"), ("MJy/sr", "MJy / sr")])
def test_units_as_headers_write_them(text, unit):
    assert picture(np.ones((2, 2)), unit=text).unit == picture(np.ones((2, 2)), header={"BUNIT": text}).unit
    assert picture(np.ones((2, 2)), unit=text).unit.to_string() == unit


def test_weights_of_zero_and_variances_below_zero():
    weights = picture(NDData(np.ones((1, 2)), uncertainty=InverseVariance(np.array([[0.0, 4.0]]))))
    np.testing.assert_array_equal(weights.error, [[np.inf, 0.5]])
    variances = picture(NDData(np.ones((1, 2)), uncertainty=VarianceUncertainty(np.array([[-1.0, 4.0]]))))
    np.testing.assert_array_equal(variances.error, [[np.nan, 2.0]])


def test_bad_input(tmp_path):
    with pytest.raises(InputError, match="image: must be a path, an Image, an NDData or a 2-D array, found int"):
        picture(3)
    with pytest.raises(InputError, match="unit='bananas': must be a unit that astropy knows"):
        picture(np.ones((2, 2)), unit="bananas")
    with pytest.raises(InputError, match="unit=5: must be a unit that astropy knows, found a number"):
        picture(np.ones((2, 2)), unit=5)
    with pytest.raises(InputError, match="wcs: must be a WCS, found str without pixel_to_world"):
        picture(np.ones((2, 2)), wcs="north up")
    with pytest.raises(InputError, match="wcs: must have two celestial axes"):
        checked_wcs(WCS(naxis=2))
    singular = WCS(naxis=2)
    singular.wcs.ctype, singular.wcs.cd = ["RA---TAN", "DEC--TAN"], np.zeros((2, 2))
    with pytest.raises(InputError, match="wcs: must turn pixels into positions and back: PCi_ja matrix is singular"):
        checked_wcs(singular)


def test_bad_arrays_and_nddata():
    for pixels in (np.ones(3), np.ones((2, 2, 2)), np.ones((0, 3)), np.ones((2, 2, 2)) * u.Jy):
        with pytest.raises(InputError, match=r"reference: must be a 2-D array that is not empty, found shape"):
            picture(pixels, "reference")
    with pytest.raises(InputError, match="image: must hold real numbers, found dtype complex128"):
        picture(np.ones((2, 2)) * 1j)
    with pytest.raises(InputError, match=r"image: its mask must have the shape of its data, \(2, 3\), found \(3, 2\)"):
        picture(NDData(np.ones((2, 3)), mask=np.zeros((3, 2), bool)))
    with pytest.raises(InputError, match=r"image: must be a 2-D array that is not empty, found shape \(2, 2, 2\)"):
        picture(NDData(np.ones((2, 2, 2))))


def test_uncertainties_in_the_unit_of_the_pixels():
    spread = StdDevUncertainty(np.full((2, 2), 3.0), unit="mJy")
    np.testing.assert_allclose(picture(NDData(np.ones((2, 2)), unit="Jy", uncertainty=spread)).error, 0.003)
    np.testing.assert_allclose(picture(NDData(np.ones((2, 2)), unit="Jy", uncertainty=InverseVariance(np.full((2, 2), 4.0)))).error, 0.5)
    assert picture(NDData(np.ones((2, 2)), uncertainty=UnknownUncertainty(np.ones((2, 2))))).error is None
    assert picture(NDData(np.ones((2, 2)), mask=False)).mask.sum() == 0


class Common:
    """Only the common interface of a WCS, as a GWCS has it: no sky outside its bounding box."""

    pixel_n_dim = 2

    def __init__(self, wcs):
        self._wcs = wcs

    def pixel_to_world(self, x, y):
        inside = (np.abs(np.asarray(x)) < 50) & (np.abs(np.asarray(y)) < 50)
        return self._wcs.pixel_to_world(np.where(inside, x, np.nan), np.where(inside, y, np.nan))

    def world_to_pixel(self, place):
        return self._wcs.world_to_pixel(place)


def test_any_wcs_gives_the_same_places():
    wcs, x, y = tan(33), np.array([[0.0, 5.0]]), np.array([[1.0], [7.0]])
    ours, common = to_sky(wcs, x, y), to_sky(Common(wcs), x, y)
    assert ours[0].shape == common[0].shape == (2, 2)
    np.testing.assert_allclose(ours, common, atol=1e-10)
    np.testing.assert_allclose(to_pixel(Common(wcs), *ours), np.broadcast_arrays(x, y), atol=1e-6)
    np.testing.assert_allclose(to_pixel(wcs, *ours), np.broadcast_arrays(x, y), atol=1e-6)


def test_outside_the_bounding_box_there_is_no_sky():
    ra, dec = to_sky(Common(tan()), [0.0, 90.0], [0.0, 0.0])
    assert np.isfinite(ra).tolist() == np.isfinite(dec).tolist() == [True, False]
    assert np.isnan(to_pixel(Common(tan()), ra, dec)[0][1])


def test_nothing_is_read_before_it_is_asked_for(several):
    made = picture(several)
    assert isinstance(made, Picture)
    assert "data" not in vars(made.image)
