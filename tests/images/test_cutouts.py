"""Mapped pixels are those that the whole image has, whatever the file."""

from __future__ import annotations

import gzip
import pickle
import shutil

import numpy as np
import pytest
from astropy.io import fits

from ezarchive.errors import FrameError, InputError
from ezarchive.frames.wcs import wcs_from_header
from ezarchive.images.cutouts import MappedPixels
from ezarchive.images.image import Image
from ezarchive.simulate.exposure import Exposure

pytestmark = pytest.mark.pure
ROWS, COLS = slice(3, 17), slice(5, 29)


def same(path, hdu=0):
    whole = Image(path, hdu).load()
    pixels = MappedPixels(path, hdu, Image(path, hdu).load)
    assert pixels.shape == whole.shape
    for rows, cols in ((ROWS, COLS), (slice(None), slice(None)), (slice(0, 1), slice(29, 30)), (slice(4, 4), slice(0, 5))):
        found = pixels.cut(rows, cols)
        assert found.dtype == whole.dtype
        assert found.dtype.isnative
        np.testing.assert_array_equal(found, whole[rows, cols])
    return whole


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "f4", "f8", "u2", "u4"])
def test_dtypes(rng, tmp_path, dtype):
    fits.writeto(tmp_path / "a.fits", rng.normal(100, 20, (20, 30)).astype(dtype))
    same(tmp_path / "a.fits")


def test_unsigned_64_bits(tmp_path):
    values = np.arange(600, dtype=np.uint64).reshape(20, 30) + np.uint64(1 << 40)
    fits.writeto(tmp_path / "a.fits", values)
    np.testing.assert_array_equal(MappedPixels(tmp_path / "a.fits").cut(ROWS, COLS), values[ROWS, COLS])


@pytest.mark.parametrize("dtype", ["i2", "i4", "u1"])
def test_scaled_and_blank(rng, tmp_path, dtype):
    unit = fits.PrimaryHDU(rng.integers(0, 20, (20, 30)).astype(dtype))
    unit.header["BLANK"], unit.header["BSCALE"], unit.header["BZERO"] = 7, 0.25, 1000.5
    unit.writeto(tmp_path / "a.fits")
    assert np.isnan(same(tmp_path / "a.fits")).any()


def test_blank_of_unsigned_integers(tmp_path):
    unit = fits.PrimaryHDU(np.arange(600, dtype=np.uint16).reshape(20, 30))
    unit.header["BLANK"] = -32768 + 40
    unit.writeto(tmp_path / "a.fits")
    found = same(tmp_path / "a.fits")
    assert np.argwhere(np.isnan(found)).tolist() == [[1, 10]]


def test_scaled_floats_and_nan(rng, tmp_path):
    data = rng.normal(0, 1, (20, 30)).astype("f4")
    data[4, 6] = np.nan
    unit = fits.PrimaryHDU(data)
    unit.writeto(tmp_path / "a.fits")
    raw = (tmp_path / "a.fits").read_bytes()
    end = raw.index(b"END     ")
    header = raw[:end] + b"BSCALE  =                  2.5".ljust(80) + b"BZERO   =                  7.5".ljust(80) + b"END"
    (tmp_path / "b.fits").write_bytes(header.ljust(2880) + raw[2880:])
    np.testing.assert_allclose(same(tmp_path / "b.fits"), data * 2.5 + 7.5, rtol=1e-6)


def test_extensions_and_axes_of_length_one(rng, tmp_path):
    units = [fits.PrimaryHDU(), fits.ImageHDU(rng.normal(size=(20, 30)).astype("f4")), fits.ImageHDU(rng.normal(size=(1, 20, 30)))]
    fits.HDUList(units).writeto(tmp_path / "a.fits")
    for hdu in (1, 2):
        same(tmp_path / "a.fits", hdu)
    for hdu in (0, 9):
        with pytest.raises(FrameError, match=f"holds no 2-D image in HDU {hdu}") as caught:
            MappedPixels(tmp_path / "a.fits", hdu)
        assert caught.value.code == "no_image"


def test_compressed_files(rng, tmp_path):
    data = rng.integers(0, 500, (20, 30)).astype("i2")
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data)]).writeto(tmp_path / "a.fits.fz")
    same(tmp_path / "a.fits.fz", 1)
    fits.writeto(tmp_path / "b.fits", data)
    with (tmp_path / "b.fits").open("rb") as plain, gzip.open(tmp_path / "b.fits.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    same(tmp_path / "b.fits.gz")


def test_the_header_comes_with_it(tmp_path):
    exposure = Exposure(nx=30, ny=20)
    fits.writeto(tmp_path / "a.fits", np.zeros((20, 30), "f4"), exposure.header())
    pixels = MappedPixels(tmp_path / "a.fits")
    assert pixels.cards["EXPTIME"] == 100.0
    np.testing.assert_allclose(wcs_from_header(pixels.cards).wcs.crval, [exposure.ra, exposure.dec])
    assert "20 x 30" in repr(pixels)


def test_what_was_cut_is_the_callers_own(tmp_path):
    fits.writeto(tmp_path / "a.fits", np.zeros((20, 30), "f4"))
    pixels = MappedPixels(tmp_path / "a.fits")
    pixels.cut(ROWS, COLS)[:] = 5
    assert not pixels.cut(ROWS, COLS).any()


def test_an_image_is_cut_from_its_file(tmp_path, rng):
    data = rng.normal(size=(20, 30)).astype("f4")
    fits.writeto(tmp_path / "a.fits", data)
    image = Image(tmp_path / "a.fits")
    for _ in range(300):  # on both sides of the number from which the system may read ahead
        found = image.cut(ROWS, COLS)
    np.testing.assert_array_equal(found, data[ROWS, COLS])
    assert "data" not in image.__dict__
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(image)).cut(ROWS, COLS), data[ROWS, COLS])  # noqa: S301 - our own
    assert image.data.shape == (20, 30)
    assert np.shares_memory(image.cut(ROWS, COLS), image.data)


def test_bad_input(tmp_path):
    with pytest.raises(FrameError, match=r"nothing\.fits: the file has vanished") as caught:
        MappedPixels(tmp_path / "nothing.fits")
    assert caught.value.code == "vanished"
    (tmp_path / "text.fits").write_text("no FITS at all" * 300)
    with pytest.raises(FrameError, match=r"text\.fits: the file begins with"):
        MappedPixels(tmp_path / "text.fits")
    fits.writeto(tmp_path / "a.fits", np.zeros((20, 30), "f4"))
    (tmp_path / "short.fits").write_bytes((tmp_path / "a.fits").read_bytes()[:3000])
    with pytest.raises(FrameError, match=r"short\.fits: HDU 0 needs"):
        MappedPixels(tmp_path / "short.fits")
    with pytest.raises(InputError, match="rows, cols: must have step 1"):
        MappedPixels(tmp_path / "a.fits").cut(slice(0, 9, 2), COLS)
    with gzip.open(tmp_path / "c.fits.gz", "wb") as packed:
        packed.write((tmp_path / "a.fits").read_bytes())
    with pytest.raises(InputError, match=r"c\.fits\.gz: is compressed and cannot be mapped"):
        MappedPixels(tmp_path / "c.fits.gz")
