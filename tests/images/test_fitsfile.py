"""FITS files: how they are opened, and what is said of those that cannot be."""

from __future__ import annotations

import errno
import os
import warnings

import numpy as np
import pytest
from astropy.io import fits

from ezarchive.errors import FrameError, InputError
from ezarchive.images.fitsfile import open_fits, read_errors, standard_cards, strips

pytestmark = pytest.mark.pure


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.arange(12.0).reshape(3, 4), name="SCI")]).writeto(path)
    return path


@pytest.mark.parametrize("memmap", [False, True])
def test_a_file_is_open_while_it_is_read(image, memmap):
    with open_fits(image, memmap=memmap) as units:
        assert units["SCI"].data[2, 3] == 11.0
        stream = units._file
    assert stream.closed


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, "vanished", "is not there"),
        (b"", "unreadable", "cannot be read as FITS: Empty or corrupt FITS file"),
        (b"text, and no FITS at all", "unreadable", "cannot be read as FITS: No SIMPLE card found"),
    ],
)
def test_what_is_wrong_has_a_code(tmp_path, content, code, message):
    path = tmp_path / "b.fits"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FrameError, match=rf"b\.fits: {message}") as caught, open_fits(path):
        pass
    assert caught.value.code == code


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(FrameError, match="cannot be read as FITS") as caught, open_fits(tmp_path):
        pass
    assert caught.value.code == "unreadable"


def test_what_goes_wrong_while_it_is_read_is_told_too(image):
    with pytest.raises(FrameError, match=r"a\.fits: pixels cannot be read: cut"), open_fits(image, failed="pixels cannot be read"):
        raise EOFError("cut")
    with pytest.raises(FrameError, match="may not be read") as caught, read_errors(image):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(image))
    assert caught.value.code == "no_permission"


def test_errors_of_ours_and_mistakes_stay_what_they_are(image):
    with pytest.raises(InputError, match="star: must be given"), open_fits(image):
        raise InputError("star: must be given")
    with pytest.raises(ZeroDivisionError, match="by zero"), open_fits(image):
        _ = 1 // 0


def test_cards_that_the_standard_does_not_allow_are_not_warned_of(image):
    content = image.read_bytes().replace(b"EXTNAME = 'SCI     '", b"extname = 'SCI     '")
    image.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_fits(image) as units:
            assert len(units) == 2


def test_strips_cover_every_row_once():
    assert strips((10, 4), pixels=12) == [slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 10)]
    assert strips((2, 100), pixels=12) == [slice(0, 1), slice(1, 2)]


def test_cards_of_other_pixels_are_left_out():
    header = fits.Header([("NAXIS", 2), ("BITPIX", -32), ("FILTER", "r"), ("BZERO", 3.0), ("CHECKSUM", "abc"), ("EXPTIME", 30.0)])
    assert [card.keyword for card in standard_cards(header)] == ["FILTER", "EXPTIME"]
