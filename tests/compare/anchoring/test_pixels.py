"""Pixels of anchored files: what is not changed on purpose stays, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive.compare.anchoring.pixels import (
    Smoothed,
    cache_key,
    image_shape,
    read_error,
    read_pixels,
    read_smoothed,
    sky_centre,
    write_anchored,
    write_smoothed,
)
from ezarchive.errors import FrameError

CARDS = {"ANCHOFF": (0.5, "[MJy/sr] added")}


def header(shape=(20, 30), scale=0.1):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [10.0, 20.0]
    wcs.wcs.crpix, wcs.wcs.cdelt = [shape[1] / 2, shape[0] / 2], [-scale / 3600, scale / 3600]
    made = wcs.to_header()
    made["BUNIT"] = "MJy/sr"
    return made


def pixels(dtype=np.float32):
    data = np.random.default_rng(1).normal(1, 0.3, (20, 30)).astype(dtype)
    data[:3] = 0
    if np.issubdtype(dtype, np.floating):
        data[10, 10] = np.nan
    return data


def write(path, data, *, primary=False, extra=(), checksum=False):
    head = fits.PrimaryHDU(data, header()) if primary else fits.PrimaryHDU()
    head.header["HISTORY"] = "made before"
    units = [head] if primary else [head, fits.ImageHDU(data, header(), "SCI")]
    fits.HDUList([*units, *extra]).writeto(path, checksum=checksum)
    return path


@pytest.mark.pure
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("primary", [True, False])
@pytest.mark.parametrize("checksum", [True, False])
def test_a_constant_is_added_and_all_else_stays(tmp_path, dtype, primary, checksum):
    data = pixels(dtype)
    error = fits.ImageHDU(np.full(data.shape, 0.3, np.float32), name="ERR")
    table = fits.BinTableHDU.from_columns([fits.Column("A", "J", array=np.arange(5))], name="ASDF")
    path = write(tmp_path / "a.fits", data, primary=primary, extra=(error, table), checksum=checksum)
    before = path.read_bytes()
    made = write_anchored(path, tmp_path / "b.fits", 0.5, CARDS, ["ANCHOR BKGRDVAL: 0.5"])
    assert path.read_bytes() == before
    with fits.open(made, checksum=True) as units:  # a wrong sum is a warning, and so an error
        new = units[0 if primary else 1].data
        assert new.dtype == np.dtype(dtype).newbyteorder(">")
        good = np.isfinite(data) & (data != 0)
        np.testing.assert_allclose(new[good], data[good] + 0.5, rtol=1e-6)
        assert (new[:3] == 0).all()
        assert np.isnan(new[10, 10])
        assert units[0].header["ANCHOFF"] == 0.5
        assert list(units[0].header["HISTORY"])[-2:] == ["made before", "ANCHOR BKGRDVAL: 0.5"]
        with fits.open(path) as old:
            size = path.stat().st_size - old["ERR"].fileinfo()["hdrLoc"]
    assert made.read_bytes()[-size:] == before[-size:]


@pytest.mark.pure
def test_bytes_after_the_last_hdu_stay_too(tmp_path):
    path = write(tmp_path / "a.fits", pixels())
    path.write_bytes(path.read_bytes() + b"x" * 100)
    made = write_anchored(path, tmp_path / "b.fits", 0.5, CARDS, [])
    assert made.read_bytes().endswith(b"x" * 100)


@pytest.mark.pure
def test_integers_become_floats(tmp_path):
    stored = np.arange(600, dtype=np.int16).reshape(20, 30)
    path = write(tmp_path / "a.fits", stored)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as units:
        units["SCI"].header.update({"BSCALE": 0.01, "BZERO": 1.0, "BLANK": 599})
    made = write_anchored(path, tmp_path / "b.fits", 0.5, CARDS, [])
    with fits.open(made) as units:
        assert units["SCI"].data.dtype == np.dtype(">f4")
        np.testing.assert_allclose(units["SCI"].data.ravel()[:-1], 0.01 * stored.ravel()[:-1] + 1.5, rtol=1e-6)
        assert np.isnan(units["SCI"].data[-1, -1])


@pytest.mark.pure
def test_no_pixel_becomes_the_mark_of_no_data(tmp_path):
    data = pixels()
    data[5, 5] = -0.5
    made = write_anchored(write(tmp_path / "a.fits", data), tmp_path / "b.fits", 0.5, CARDS, [])
    new = fits.getdata(made, "SCI")
    assert 0 < new[5, 5] < 1e-6
    assert ((new == 0) == (data == 0)).all()


@pytest.mark.pure
def test_what_is_read(tmp_path):
    data = pixels()
    quality = fits.ImageHDU(np.zeros(data.shape, np.int32), name="DQ")
    quality.data[12, 12] = 1
    error = fits.ImageHDU(np.full(data.shape, 0.3, np.float32), name="ERR")
    path = write(tmp_path / "a.fits", data, extra=(error, quality))
    mask = np.zeros(data.shape, bool)
    mask[15] = True
    found = read_pixels(path, mask)
    blank = ~np.isfinite(data) | (data == 0) | mask
    blank[12, 12] = True
    assert (np.isnan(found.data) == blank).all()
    assert found.data.dtype == np.float32
    assert found.step == pytest.approx((0.1, 0.1))
    assert str(found.unit) == "MJy / sr"
    assert read_error(path)[0, 0] == np.float32(0.3)
    assert image_shape(path) == (20, 30)
    ra, dec = np.radians([10, 20])
    assert sky_centre(path) == pytest.approx([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], abs=1e-6)
    variance = fits.ImageHDU(np.full(data.shape, 4.0, np.float32), name="VAR")
    assert read_error(write(tmp_path / "v.fits", data, extra=(variance,)))[0, 0] == 2
    assert read_error(write(tmp_path / "n.fits", data)) is None


@pytest.mark.pure
def test_files_that_are_of_no_use(tmp_path):
    with pytest.raises(FrameError, match=r"none\.fits: is not there"):
        read_pixels(tmp_path / "none.fits")
    with pytest.raises(FrameError, match="must hold a pixel that is finite"):
        read_pixels(write(tmp_path / "zero.fits", pixels() * 0))
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels(), name="SCI")]).writeto(tmp_path / "bare.fits")
    with pytest.raises(FrameError, match="must have a celestial WCS"):
        read_pixels(tmp_path / "bare.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(FrameError, match="must hold an image"):
        write_anchored(tmp_path / "empty.fits", tmp_path / "b.fits", 0.5, CARDS, [])
    cut = write(tmp_path / "cut.fits", pixels())
    cut.write_bytes(cut.read_bytes()[:7000])
    with pytest.raises(FrameError, match="ends before the end of its last HDU"):
        write_anchored(cut, tmp_path / "b.fits", 0.5, CARDS, [])
    assert not (tmp_path / "b.fits").exists()
    assert not sky_centre(tmp_path / "none.fits").any()


@pytest.mark.pure
@pytest.mark.parametrize("error", [None, np.full((20, 30), 0.1, np.float32)])
@pytest.mark.parametrize("primary", [True, False])
def test_what_is_kept_comes_back_under_its_key_only(tmp_path, error, primary):
    source = write(tmp_path / "a.fits", pixels(), primary=primary)
    kept = Smoothed(pixels(), np.full((20, 30), 0.9, np.float32), error)
    key = cache_key("1", "ab", (0.2, 4.0))
    path = write_smoothed(tmp_path / "x" / "a_atgauss4.fits", kept, source, key, {"ANCHRES": ("gauss4", "resolution")})
    found = read_smoothed(path, key)
    np.testing.assert_array_equal(found.data, kept.data)
    np.testing.assert_array_equal(found.coverage, kept.coverage)
    assert (found.error is None) == (error is None)
    assert read_smoothed(path, cache_key("2", "ab", (0.2, 4.0))) is None
    assert fits.getheader(path)["ANCHRES"] == "gauss4"
    assert WCS(fits.getheader(path, "SCI")).wcs.crval[0] == 10
    path.write_bytes(path.read_bytes()[:4000])
    assert read_smoothed(path, key) is None
    assert read_smoothed(tmp_path / "none.fits", key) is None
