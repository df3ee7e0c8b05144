"""The image planes of a FITS file."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from ezarchive.errors import FrameError
from ezarchive.images.planes import data_hdu, is_plane, quality_mask, siblings_of, stem, unit_of

pytestmark = pytest.mark.pure


def plane(name="", ver=1, shape=(3, 4)):
    return fits.ImageHDU(np.ones(shape), name=name, ver=ver)


def written(path, *units):
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(path)
    return path


def test_the_data_are_named_or_come_first(tmp_path):
    assert data_hdu(written(tmp_path / "a.fits", plane("ERR"), plane("SCI"), plane("DQ"))) == 2
    assert data_hdu(written(tmp_path / "b.fits", plane("X", shape=(2, 3, 4)), plane("Y"), plane("Z"))) == 2
    assert data_hdu(written(tmp_path / "c.fits", plane("", shape=(1, 3, 4)))) == 1
    with pytest.raises(FrameError, match=r"d\.fits: must hold a 2-D image, found none in its 2 HDUs") as caught:
        data_hdu(written(tmp_path / "d.fits", plane("X", shape=(2, 3, 4))))
    assert caught.value.code == "no_image"
    with pytest.raises(FrameError, match=r"none\.fits: is not there"):
        data_hdu(tmp_path / "none.fits")


def test_siblings_are_of_one_version(tmp_path):
    path = written(tmp_path / "a.fits", plane("SCI"), plane("ERR"), plane("SCI", 2), plane("ERR", 2), plane("DQ", 2))
    assert siblings_of(path, 1) == {"ERR": 2}
    assert siblings_of(path, 3) == {"ERR": 4, "DQ": 5}
    assert siblings_of(path, -3) == {"ERR": 4, "DQ": 5}


def test_what_is_a_plane():
    assert is_plane(plane())
    assert not is_plane(fits.PrimaryHDU())
    assert not is_plane(fits.BinTableHDU())


@pytest.mark.parametrize(
    ("text", "unit"),
    [("adu", u.adu), ("MJy/sr", u.MJy / u.sr),
     ("10**(-20)*erg/s/cm**2/Angstrom", 1e-20 * u.Unit("erg s-1 cm-2 AA-1")), ("counts of it", None),
     ("", None)],
)  # fmt: skip
def test_units(text, unit):
    found = unit_of(fits.Header([("BUNIT", text)]))
    assert found is None if unit is None else found == u.Unit(unit)


def test_bits_that_exclude_a_pixel():
    quality = np.array([[0.0, 1.0], [4.0, np.nan]])
    np.testing.assert_array_equal(quality_mask(quality, fits.Header()), [[False, True], [True, True]])
    np.testing.assert_array_equal(quality_mask(quality, fits.Header([("TELESCOP", "JWST")])), [[False, True], [False, True]])


@pytest.mark.parametrize("name", ["a.b.fits", "a.b.FITS.gz", "a.b.fits.fz", "a.b.fts", "a.b"])
def test_stems(name):
    assert stem(Path("/x") / name) == "a.b"
