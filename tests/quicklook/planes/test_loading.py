"""Addresses of images in files, labels, cubes and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive.errors import FrameError, InputError
from ezarchive.quicklook.planes.loading import Address, label_of, load_file, load_one

pytestmark = pytest.mark.pure


def sky_header():
    wcs = WCS(naxis=3)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN", "FREQ"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [10.0, -20.0, 1e9], [2.0, 2.0, 1.0], [-1e-4, 1e-4, 1e6]
    return wcs.to_header()


@pytest.fixture
def mef(tmp_path):
    """Two versions of SCI, a table, a cube, a volume of four axes, an HDU without a name, and no data in the first."""
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.ones(3))], name="TAB")
    units = [
        fits.PrimaryHDU(header=fits.Header({"TELESCOP": "HST"})),
        fits.ImageHDU(np.full((3, 4), 1.0), name="SCI", ver=1),
        fits.ImageHDU(np.full((3, 4), 2.0), name="SCI", ver=2),
        table,
        fits.ImageHDU(np.arange(60.0).reshape(5, 3, 4), sky_header(), name="CUBE"),
        fits.ImageHDU(np.arange(120.0).reshape(2, 5, 3, 4), name="FOUR"),
        fits.ImageHDU(np.full((3, 4), 6.0)),
    ]
    path = tmp_path / "mef.fits"
    fits.HDUList(units).writeto(path)
    return path


@pytest.mark.parametrize(
    ("brackets", "label", "first"),
    [
        ("", "mef[SCI,1]", 1.0),
        ("[SCI]", "mef[SCI,1]", 1.0),
        ("[sci, 2]", "mef[SCI,2]", 2.0),
        ("[1]", "mef[SCI,1]", 1.0),
        ("[2]", "mef[SCI,2]", 2.0),
        ("[6]", "mef[6,1]", 6.0),
        ("[CUBE,1][3]", "mef[CUBE,1][3]", 36.0),
        ("[4][0]", "mef[CUBE,1][0]", 0.0),
    ],
)
def test_addresses(mef, brackets, label, first):
    made = load_one(f"{mef}{brackets}")
    assert made.label == label
    assert made.data[0, 0] == first
    assert made.primary["TELESCOP"] == "HST"


def test_brackets_in_the_name_of_a_file(mef, tmp_path):
    odd = tmp_path / "a[1].fits"
    odd.write_bytes(mef.read_bytes())
    assert load_one(odd).label == "a[1][SCI,1]"
    assert load_one(f"{odd}[SCI,2]").label == "a[1][SCI,2]"
    assert Address.of("x.fits[SCI,2][4]") == (Path("x.fits"), "SCI,2", 4)


def test_all_images_of_a_file(mef):
    cube = [f"mef[CUBE,1][{k}]" for k in range(5)]
    assert [made.label for made in load_file(f"{mef}[*]")] == ["mef[SCI,1]", "mef[SCI,2]", *cube, "mef[6,1]"]


def test_a_cube_has_the_sky_of_its_planes(mef):
    planes = load_file(f"{mef}[CUBE]")
    assert len(planes) == 5
    np.testing.assert_array_equal(planes[4].data, np.arange(48.0, 60.0).reshape(3, 4))
    assert planes[4].meta["NAXIS"] == 2
    assert "CTYPE3" not in planes[4].meta
    np.testing.assert_allclose(planes[2].wcs.wcs.crval, [10.0, -20.0])


def test_at_most_sixteen_planes_of_a_cube(tmp_path):
    fits.PrimaryHDU(np.zeros((1, 20, 2, 3), np.int16)).writeto(tmp_path / "cube.fits")
    with pytest.warns(UserWarning, match=r"cube\[PRIMARY,1\]: has 20 planes; only the first 16 are loaded"):
        planes = load_file(tmp_path / "cube.fits")
    assert [made.label for made in planes] == [f"cube[PRIMARY,1][{k}]" for k in range(16)]
    assert load_one(tmp_path / "cube.fits[PRIMARY][19]").shape == (2, 3)


def test_axes_of_one_pixel_do_not_count(tmp_path):
    fits.PrimaryHDU(np.ones((1, 1, 2, 3))).writeto(tmp_path / "flat.fits")
    assert load_one(tmp_path / "flat.fits").shape == (2, 3)


def test_compressed_and_gzipped_files_are_labelled_by_their_stem(tmp_path):
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(np.ones((8, 8), np.float32), name="SCI")]).writeto(tmp_path / "a.b.fits.fz")
    fits.PrimaryHDU(np.ones((2, 2))).writeto(tmp_path / "z.fits.gz")
    assert label_of(tmp_path / "a.b.fits.fz", 1) == "a.b[SCI,1]"
    assert load_one(tmp_path / "z.fits.gz").label == "z[PRIMARY,1]"


@pytest.mark.parametrize(
    ("brackets", "match"),
    [
        ("[TAB]", "must be a 2-D image, found has_data=False, is_image=False, name='TAB', ver=1, ndim=0"),
        ("[0]", "must be a 2-D image, found has_data=False, is_image=True, name='PRIMARY', ver=1, ndim=0"),
        ("[FOUR]", "must be a 2-D image, found has_data=True, is_image=True, name='FOUR', ver=1, ndim=4"),
        ("[CUBE]", r"ndim=3, shape=\(5, 3, 4\); one plane of it is .*mef.fits\[CUBE\]\[0\]"),
        ("[CUBE][9]", r"mef\[CUBE,1\]\[9\]: is not there; the cube has 5 planes, from 0 to 4"),
        ("[SCI][0]", "must be a 2-D image, found has_data=True"),
        ("[DQ]", r"mef.fits\[DQ\]: is not there; the file has \[PRIMARY,1\], \[SCI,1\], \[SCI,2\], \[TAB,1\]"),
        ("[SCI,3]", "is not there"),
    ],
)
def test_what_is_no_image(mef, brackets, match):
    with pytest.raises(FrameError, match=match) as err:
        load_one(f"{mef}{brackets}")
    assert err.value.code == "no_image"


def test_bad_files(tmp_path, mef):
    with pytest.raises(InputError, match=r"must name one image here, found \[\*\]"):
        load_one(f"{mef}[*]")
    with pytest.raises(FrameError, match="is not there"):
        load_one(tmp_path / "none.fits")
    (tmp_path / "text.fits").write_text("no FITS")
    with pytest.raises(FrameError, match="cannot be read as FITS"):
        load_one(tmp_path / "text.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    for load in (load_one, load_file):
        with pytest.raises(FrameError, match="must hold a 2-D image, found none in its 1 HDUs"):
            load(tmp_path / "empty.fits")
    with pytest.raises(FrameError, match="must hold an image, found none"):
        load_file(f"{tmp_path / 'empty.fits'}[*]")
