"""What a session loads at once."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS

from ezarchive.errors import FrameError, InputError
from ezarchive.images.image import Image
from ezarchive.quicklook import picture
from ezarchive.quicklook.planes.sources import load_all

pytestmark = pytest.mark.pure


@pytest.fixture
def files(tmp_path):
    """Two files of one image, one of two."""
    for name in "ab":
        fits.PrimaryHDU(np.ones((2, 3))).writeto(tmp_path / f"{name}.fits")
    fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(np.full((2, 3), k), name="SCI", ver=k) for k in (1, 2))]).writeto(
        tmp_path / "c,d.fits"
    )
    return tmp_path


def labels(source, label=None):
    return [made.label for made in load_all(source, label)]


def test_lists_of_files(files):
    a, b, c = (files / name for name in ("a.fits", "b.fits", "c,d.fits"))
    assert labels(a) == labels(str(a)) == ["a[PRIMARY,1]"]
    assert labels(f"{a}, {b}[PRIMARY,1]") == labels([a, b]) == labels(iter((a, b))) == ["a[PRIMARY,1]", "b[PRIMARY,1]"]
    assert labels(c) == ["c,d[SCI,1]"]
    assert labels(f"{c}[SCI,2]") == ["c,d[SCI,2]"]
    assert labels([f"{a}", np.ones((2, 2)), Image(b)]) == ["a[PRIMARY,1]", "image", "b[PRIMARY,1]"]
    assert labels([]) == []


def test_labels_of_one_and_of_several(files):
    assert labels(files / "a.fits", "mine") == ["mine"]
    (files / "c,d.fits").rename(files / "c.fits")
    assert labels(files / "c.fits[*]", "mine") == ["mine[SCI,1]", "mine[SCI,2]"]
    assert labels(Image(files / "a.fits"), "other") == ["other"]
    assert labels(picture(np.ones((2, 2)), label="first"), "second") == ["second"]


def test_arrays(files):
    assert labels(np.ones((2, 3)) * u.Jy) == ["image"]
    assert load_all(np.ones((2, 3)) * u.Jy)[0].unit == u.Jy
    assert labels(np.ones((1, 1, 2, 3)), "x") == ["x"]
    planes = load_all(np.arange(24.0).reshape(4, 1, 2, 3), "x")
    assert [made.label for made in planes] == [f"x[{k}]" for k in range(4)]
    np.testing.assert_array_equal(planes[3].data, [[18, 19, 20], [21, 22, 23]])
    with pytest.warns(UserWarning, match="x: has 17 planes; only the first 16 are loaded"):
        assert len(load_all(np.zeros((17, 2, 2)), "x")) == 16
    masked = load_all(np.ma.array(np.zeros((2, 2, 2)), mask=np.arange(8).reshape(2, 2, 2) == 5))
    assert masked[0].mask is None
    assert masked[1].mask.sum() == 1


def test_what_is_given_goes_before_what_is_known(files):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    for made in load_all([files / "a.fits", np.ones((2, 3))], wcs=wcs, unit="Jy", header={"A": 1}):
        assert made.unit == u.Jy
        assert made.meta["A"] == 1
        assert made.wcs.wcs.ctype[0] == "RA---TAN"


def test_mask_and_uncertainty_are_pictures(files):
    source = CCDData(np.ones((2, 3)), unit="adu", mask=np.eye(2, 3, dtype=bool), uncertainty=StdDevUncertainty(np.full((2, 3), 0.5)))
    data, mask, spread = load_all(source, "ccd")
    assert [made.label for made in (data, mask, spread)] == ["ccd[DATA]", "ccd[MASK]", "ccd[UNCERTAINTY]"]
    assert data.unit == spread.unit == u.adu
    np.testing.assert_array_equal(mask.data, np.eye(2, 3))
    assert spread.data[0, 0] == 0.5


@pytest.mark.parametrize(
    ("source", "label", "match"),
    [
        (np.ones((2, 2, 2, 2)), None, r"image: must be a 2-D image or a 3-D cube, found ndim=4 \(shape \(2, 2, 2, 2\)\)"),
        (np.ones(5), None, r"image: must be a 2-D image or a 3-D cube, found ndim=1"),
        (np.ones((0, 5)), None, "image: must be a 2-D array that is not empty"),
        (3, None, "image: must be a path, an Image, an NDData or a 2-D array, found int"),
        ({"a": 1}, None, "found dict"),
        ("a.fits, b.fits", "x", "label='x': must not be given with several images, found 2"),
        (["a.fits", "b.fits"], "x", "label='x': must not be given with several images, found 2"),
        ("a.fits", "", "label='': must be a text that is not empty"),
        ("a.fits", 3, "label=3: must be a text"),
    ],
)
def test_bad_input(source, label, match):
    with pytest.raises(InputError, match=match):
        load_all(source, label)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FrameError, match="none.fits: is not there"):
        load_all(tmp_path / "none.fits")
