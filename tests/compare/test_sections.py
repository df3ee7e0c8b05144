"""Images by pieces, out of memory and out of files."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from ezarchive.compare.fluximage import FluxImage, flux_image
from ezarchive.compare.sections import sections
from ezarchive.errors import FrameError
from ezarchive.simulate.pairs import tangent_wcs

pytestmark = pytest.mark.pure
SHAPE = (30, 40)


def image():
    rng = np.random.default_rng(0)
    data, mask = rng.normal(5, 1, SHAPE), rng.random(SHAPE) < 0.1
    data[3, 4] = np.nan
    data[20:] = 0.0
    wcs = tangent_wcs(SHAPE, 0.2, 20.0, (53.16, -27.78))
    return FluxImage(data, rng.uniform(1, 2, SHAPE), mask, wcs, u.Jy, fits.Header({"OBJECT": "x"}), name="a")


def test_a_file_and_an_image_give_the_same_pieces(tmp_path):
    path = image().write(tmp_path / "a.fits")
    known, expected = sections(path), sections(flux_image(path))
    assert (known.shape, known.unit, known.name, known.has_variance) == (SHAPE, u.Jy, "a", True)
    for one, other in zip(known.read(2, 12, 3, 40), expected.read(2, 12, 3, 40), strict=True):
        np.testing.assert_array_equal(one, other)


def test_jwst_has_harmless_bits_and_errors_are_squared(tmp_path):
    quality = np.zeros(SHAPE, np.int32)
    quality[0, 0], quality[0, 1] = 1, 4
    parts = zip((np.ones(SHAPE), np.full(SHAPE, 3.0), quality), ("SCI", "ERR", "DQ"), strict=True)
    primary = fits.PrimaryHDU(header=fits.Header({"TELESCOP": "JWST"}))
    fits.HDUList([primary, *(fits.ImageHDU(part, name=name) for part, name in parts)]).writeto(tmp_path / "j.fits")
    piece = sections(tmp_path / "j.fits").read(0, 2, 0, 3)
    assert piece.bad.sum() == 1
    assert piece.variance[1, 1] == 9
    assert sections(tmp_path / "j.fits").wcs is None


def test_zeros_may_be_blank(tmp_path):
    for source in (image(), image().write(tmp_path / "a.fits")):
        plain, blank = (sections(source).source(zeros_are_blank=which).read(0, 30, 0, 40) for which in (False, True))
        assert blank.bad[20:].all()
        assert not plain.bad[20:].all()
        assert (blank.bad[:20] == plain.bad[:20]).all()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FrameError, match="is not there"):
        sections(tmp_path / "no.fits")
