"""Pixels with variance, mask and unit, from whatever holds them, and back to a file."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, NDData, StdDevUncertainty, VarianceUncertainty
from astropy.wcs import WCS

from ezarchive import Image
from ezarchive.compare.fluximage import FluxImage, flux_image, read_flux_image
from ezarchive.errors import FrameError, InputError

SHAPE = (7, 9)


def wcs(rotation=20.0, pixel=0.2):
    made, t, s = WCS(naxis=2), np.radians(rotation), pixel / 3600
    made.wcs.ctype, made.wcs.crval, made.wcs.crpix = ["RA---TAN", "DEC--TAN"], [53.16, -27.78], [5, 4]
    made.wcs.cd = s * np.array([[-np.cos(t), -np.sin(t)], [-np.sin(t), np.cos(t)]])
    return made


def pixels():
    data = np.arange(63.0).reshape(SHAPE)
    data[2, 3] = np.nan
    return data


def write(path, *, telescope="VLT", names=("DATA", "STAT", "DQ"), second=None, quality=None):
    quality = np.zeros(SHAPE, np.int32) if quality is None else quality
    header = wcs().to_header()
    header["BUNIT"] = "10**(-20)*erg/s/cm**2/Angstrom"
    primary = fits.PrimaryHDU()
    primary.header["TELESCOP"] = telescope
    second = np.full(SHAPE, 4.0) if second is None else second
    planes = (pixels(), second, quality)
    fits.HDUList([primary, *(fits.ImageHDU(p, header, n) for p, n in zip(planes, names, strict=True))]).writeto(path)
    return path


def test_a_file_gives_data_variance_mask_unit_and_name(tmp_path):
    quality = np.zeros(SHAPE, np.int32)
    quality[0, 0] = 2
    found = flux_image(write(tmp_path / "udf04.fits", quality=quality))
    assert found.name == "udf04"
    assert found.shape == SHAPE
    assert found.variance.mean() == 4
    assert (np.argwhere(found.mask) == [[0, 0], [2, 3]]).all()
    assert found.unit == u.Unit("1e-20 erg s-1 cm-2 Angstrom-1")
    np.testing.assert_allclose(found.step, (0.2, 0.2), rtol=1e-6)
    assert repr(found) == "FluxImage('udf04', 7 x 9, 1e-20 erg / (Angstrom s cm2), variance, 2 masked)"


def test_errors_are_squared_and_jwst_knows_bits_that_do_no_harm(tmp_path):
    quality = np.zeros(SHAPE, np.int32)
    quality[0, 0], quality[0, 1] = 4, 5
    path = write(tmp_path / "a.fits", telescope="JWST", names=("SCI", "ERR", "DQ"), second=np.full(SHAPE, 3.0), quality=quality)
    found = read_flux_image(path)
    assert found.variance.mean() == 9
    assert (np.argwhere(found.mask) == [[0, 1], [2, 3]]).all()


def test_what_is_written_is_read_again(tmp_path):
    first = flux_image(write(tmp_path / "a.fits"))
    first.mask[1, 1] = True
    again = flux_image(first.write(tmp_path / "b.fits", dtype=np.float64))
    np.testing.assert_array_equal(again.data, first.data)
    np.testing.assert_array_equal(again.mask, first.mask)
    np.testing.assert_array_equal(again.variance, first.variance)
    assert again.unit == first.unit
    corners = [[0, 0], [8, 6]]
    np.testing.assert_allclose(again.wcs.wcs_pix2world(corners, 0), first.wcs.wcs_pix2world(corners, 0), atol=1e-11)
    with fits.open(tmp_path / "b.fits") as units:
        assert [unit.name for unit in units] == ["PRIMARY", "DATA", "STAT", "DQ"]
        assert "PC1_1" not in units["DATA"].header
        assert units["DATA"].header["CD1_1"] == pytest.approx(wcs().wcs.cd[0, 0])


def test_a_plain_image_an_array_and_nddata_are_taken(tmp_path):
    fits.writeto(tmp_path / "plain.fits.gz", pixels())
    plain = flux_image(Image(tmp_path / "plain.fits.gz"))
    assert (plain.name, plain.variance, plain.unit, plain.wcs) == ("plain", None, None, None)
    assert flux_image(pixels()).mask.sum() == 1
    masked = CCDData(pixels(), unit="MJy/sr", mask=pixels() > 60, uncertainty=StdDevUncertainty(np.full(SHAPE, 2.0)), wcs=wcs())
    found = flux_image(masked)
    assert found.variance.mean() == 4
    assert found.mask.sum() == 3
    assert found.unit == u.MJy / u.sr
    assert flux_image(CCDData(pixels(), unit="adu", uncertainty=VarianceUncertainty(np.full(SHAPE, 2.0)))).variance.mean() == 2
    assert flux_image(found) is found


def test_a_copy_shares_nothing_and_update_leaves_old_arrays(tmp_path):
    first = flux_image(write(tmp_path / "a.fits"))
    held = first.data
    other = first.copy(data=first.data + 1)
    other.mask[:] = True
    assert first.mask.sum() == 1
    assert first.update(other) is first
    assert first.name == "a"
    assert held[0, 0] == 0
    assert first.data[0, 0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": np.zeros(4)}, r"data: must have two axes and at least one pixel, found shape \(4,\)"),
        ({"data": np.zeros((0, 4))}, "data: must have two axes and at least one pixel"),
        ({"data": np.zeros((3, 4)), "mask": np.zeros((4, 3), bool)}, r"mask: must have the shape of the data, \(3, 4\), found \(4, 3\)"),
        ({"data": np.zeros((3, 4)), "variance": np.zeros(2)}, "variance: must have two axes"),
        ({"data": np.zeros((3, 4)), "variance": -np.ones((3, 4))}, "variance: must not be negative, found -1"),
    ],
)
def test_wrong_arrays_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        FluxImage(**arguments)


@pytest.mark.parametrize("unit", ["1e-20 erg / (Angstrom s cm2)", 1e-20 * u.Unit("erg / (Angstrom s cm2)")])
def test_a_unit_may_be_a_text_or_a_quantity(unit):
    made = FluxImage(np.zeros((3, 4)), unit=unit)
    assert isinstance(made.unit, u.UnitBase)
    assert made.unit.to("erg / (Angstrom s cm2)") == pytest.approx(1e-20)


def test_what_is_no_image_is_refused(tmp_path):
    with pytest.raises(InputError, match="muse: must be a path, an Image, a FluxImage, an NDData or a 2-D array, found list"):
        flux_image([1, 2], "muse")
    with pytest.raises(FrameError, match="is not there"):
        flux_image(tmp_path / "none.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(FrameError, match="must hold a 2-D image, found none in its 1 HDUs"):
        flux_image(tmp_path / "empty.fits")
    (tmp_path / "text.fits").write_text("no FITS")
    with pytest.raises(FrameError, match=r"text\.fits: cannot be read as FITS"):
        flux_image(tmp_path / "text.fits")
    with pytest.raises(InputError, match="image: must have a celestial WCS"):
        flux_image(np.zeros((3, 3))).step  # noqa: B018


@pytest.mark.pure
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.ones(3), r"hst: must have two axes and at least one pixel, found shape \(3,\)"),
        (np.ones((2, 3, 4)), r"hst: must have two axes and at least one pixel, found shape \(2, 3, 4\)"),
        (np.ones((0, 4)), r"hst: must have two axes and at least one pixel, found shape \(0, 4\)"),
        (np.array([["a", "b"]]), "hst: must be numbers, found <U1"),
        (NDData(np.ones(3)), r"hst: must have two axes and at least one pixel, found shape \(3,\)"),
    ],
)
def test_pixels_that_are_none_are_named_as_the_argument(source, message):
    with pytest.raises(InputError, match=message):
        flux_image(source, "hst")
