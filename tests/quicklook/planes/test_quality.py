"""Errors and bad pixels of an image: given, its own, of the same file."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData, StdDevUncertainty

from ezarchive.errors import FrameError, InputError
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.quality import bad_pixels, errors_of

pytestmark = pytest.mark.pure
DATA = np.arange(12.0).reshape(3, 4)


@pytest.fixture
def path(tmp_path):
    """A file with errors and quality."""
    quality = np.zeros((3, 4), np.int32)
    quality[0, 0], quality[1, 1] = 1, 4
    units = [fits.PrimaryHDU(), fits.ImageHDU(DATA, name="SCI"), fits.ImageHDU(DATA / 10, name="ERR"), fits.ImageHDU(quality, name="DQ")]
    fits.HDUList(units).writeto(tmp_path / "a.fits")
    units[0].header["TELESCOP"] = "JWST"
    fits.HDUList(units).writeto(tmp_path / "jwst.fits")
    fits.HDUList(units[:2]).writeto(tmp_path / "bare.fits")
    return tmp_path / "a.fits"


def test_of_the_file(path):
    source = picture(path)
    np.testing.assert_array_equal(errors_of(source, "file"), DATA / 10)
    assert np.argwhere(bad_pixels(source, "file")).tolist() == [[0, 0], [1, 1]]
    assert np.argwhere(bad_pixels(picture(path.with_name("jwst.fits")), "file")).tolist() == [[0, 0]]
    assert errors_of(source, None) is None
    assert bad_pixels(source, None) is None


def test_given(path):
    source = picture(DATA, unit="Jy")
    assert errors_of(source, 2).tolist() == np.full((3, 4), 2.0).tolist()
    np.testing.assert_allclose(errors_of(source, DATA * u.mJy), DATA / 1000)
    np.testing.assert_array_equal(errors_of(source, f"{path}[ERR]"), DATA / 10)
    assert np.argwhere(bad_pixels(source, f"{path}[DQ]")).tolist() == [[0, 0], [1, 1]]
    np.testing.assert_array_equal(bad_pixels(source, DATA > 3), DATA > 3)


def test_of_the_image_itself():
    source = picture(NDData(DATA, mask=DATA < 2, uncertainty=StdDevUncertainty(DATA / 5)))
    np.testing.assert_allclose(errors_of(source, None), DATA / 5)
    np.testing.assert_array_equal(bad_pixels(source, None), DATA < 2)
    np.testing.assert_array_equal(bad_pixels(source, DATA > 9), (DATA < 2) | (DATA > 9))
    np.testing.assert_array_equal(bad_pixels(source, DATA > 9, own=False), DATA > 9)
    assert bad_pixels(source, None, own=False) is None


def test_what_is_refused(path):
    source, bare = picture(DATA, unit="Jy"), picture(path.with_name("bare.fits"))
    for call, message in (
        (lambda: errors_of(source, "file"), "error='file': the image must come from a file"),
        (lambda: bad_pixels(source, "file"), "mask='file': the image must come from a file"),
        (lambda: errors_of(source, np.ones((2, 2))), r"error: must have the shape of the image \(3, 4\), found \(2, 2\)"),
        (lambda: bad_pixels(source, np.ones((2, 2), bool)), r"mask: must have the shape of the image"),
        (lambda: bad_pixels(source, np.ones((3, 4)), name="background_mask"), "background_mask: must be an array of bool"),
        (lambda: errors_of(source, -1), "error: must not be negative"),
        (lambda: errors_of(source, 1 * u.m), "error: its unit 'm' conflicts"),
        (lambda: errors_of(source, True), "error: must be a path"),
    ):
        with pytest.raises(InputError, match=message):
            call()
    with pytest.raises(FrameError, match="must hold ERR or VAR beside"):
        errors_of(bare, "file")
    with pytest.raises(FrameError, match="must hold DQ beside"):
        bad_pixels(bare, "file")
