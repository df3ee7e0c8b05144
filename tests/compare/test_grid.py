"""Whether two images lie on the same pixels of the sky."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.grid import Grid, grid_of, image_grids_aligned
from ezarchive.errors import FrameError, InputError
from ezarchive.simulate.pairs import tangent_wcs

pytestmark = pytest.mark.pure
SHAPE = (200, 300)


def image(shape=SHAPE, pixel=0.2, rotation=20.0, centre=(53.16, -27.78), shift=0.0):
    wcs = tangent_wcs(shape, pixel, rotation, centre)
    wcs.wcs.crpix = wcs.wcs.crpix + [shift, 0]
    return FluxImage(np.zeros(shape), wcs=wcs, name="m")


@pytest.mark.parametrize("centre", [(53.16, -27.78), (0.0, 0.0), (359.9999, 60.0), (12.0, 89.999), (180.0, -90.0)])
def test_the_same_pixels_anywhere(centre):
    assert image_grids_aligned(image(centre=centre), image(centre=centre))
    assert image_grids_aligned(image(centre=centre), image(centre=centre, shift=0.04))
    assert not image_grids_aligned(image(centre=centre), image(centre=centre, shift=0.06))
    assert image_grids_aligned(image(centre=centre), image(centre=centre, shift=0.06), tolerance=0.02)


def test_the_same_grid_written_from_another_reference_point():
    one = image(centre=(359.999, 10.0))
    other = one.copy()
    x, y = 10.0, 100.0
    ra, dec = one.wcs.all_pix2world([[x, y]], 0)[0]
    other.wcs.wcs.crval, other.wcs.wcs.crpix = [ra, dec], [x + 1, y + 1]
    assert ra < 1
    assert image_grids_aligned(one, other)


@pytest.mark.parametrize("other", [{"shape": (300, 200)}, {"pixel": 0.2001}, {"rotation": 20.1}, {"shape": (200, 301)}])
def test_other_pixels(other):
    """A step of 0.2001 arcsec lies within 0.01 arcsec per pixel, and yet 0.018 arcsec away in the corners."""
    assert not image_grids_aligned(image(), image(**other))


def test_a_mirrored_image_is_not_aligned():
    other = image()
    other.wcs.wcs.cd = other.wcs.wcs.cd * [[-1, 1], [-1, 1]]
    assert not image_grids_aligned(image(), other)


def test_files_and_cubes_give_their_planes(tmp_path):
    header = image().wcs.to_header()
    header.update({"CTYPE3": "WAVE", "CRVAL3": 5e-7, "CDELT3": 1e-10, "CRPIX3": 1.0, "CUNIT3": "m", "BUNIT": "Jy"})
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((3, *SHAPE), np.float32), header, "DATA")]).writeto(tmp_path / "cube.fits")
    grid = grid_of(tmp_path / "cube.fits", "muse")
    assert isinstance(grid, Grid)
    assert grid.shape == SHAPE
    assert grid.unit.to_string() == "Jy"
    np.testing.assert_allclose(grid.step, 0.2, rtol=1e-6)
    assert image_grids_aligned(tmp_path / "cube.fits", image())
    assert grid_of(grid) is grid


def test_wrong_arguments(tmp_path):
    with pytest.raises(InputError, match="im2: im2 must have a celestial WCS"):
        image_grids_aligned(image(), np.zeros(SHAPE))
    with pytest.raises(InputError, match="tolerance: must be arcsec from 0 on, found -1"):
        image_grids_aligned(image(), image(), -1)
    with pytest.raises(InputError, match="im1: must be a path"):
        image_grids_aligned(3, image())
    with pytest.raises(FrameError, match="is not there"):
        image_grids_aligned(tmp_path / "no.fits", image())
