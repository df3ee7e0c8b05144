"""On which pixels of the sky an image lies, and whether two lie on the same."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive import sky
from ezarchive.compare.cube import FluxCube, flux_cube, is_cube
from ezarchive.compare.fluximage import flux_image
from ezarchive.errors import InputError


class Grid(NamedTuple):
    """The pixels of an image or of the planes of a cube: celestial WCS, rows and columns, unit, header, and a name for messages."""

    wcs: WCS
    shape: tuple[int, int]
    unit: u.UnitBase | None
    header: fits.Header
    name: str

    @property
    def step(self) -> tuple[float, float]:
        """Arcsec per pixel along y and along x, at the centre."""
        ny, nx = self.shape
        along_x, along_y = np.hypot(*sky.jacobian(self.wcs, (nx - 1) / 2, (ny - 1) / 2))
        return float(along_y), float(along_x)


def grid_of(source: Any, name: str = "image") -> Grid:
    """Return the grid of an image or of the planes of a cube.

    Parameters
    ----------
    source : path, FluxImage, FluxCube, Image, NDData or Grid
        Of a cube, no pixels are read.
    name : str
        The argument, for messages.

    Returns
    -------
    Grid

    Raises
    ------
    InputError
        If it is nothing of the kind or has no celestial WCS.
    FrameError
        If a file cannot be read.
    """
    if isinstance(source, Grid):
        return source
    if isinstance(source, FluxCube) or (isinstance(source, (str, Path)) and is_cube(source)):
        cube = flux_cube(source, name)
        wcs, shape, unit, header, label = cube.wcs, cube.shape[1:], cube.unit, cube.header, cube.name
    else:
        image = flux_image(source, name)
        wcs, shape, unit, header, label = image.wcs, image.shape, image.unit, image.header, image.name
    if wcs is None:
        raise InputError(f"{name}: {label} must have a celestial WCS")
    return Grid(wcs, shape, unit, header, label)


def image_grids_aligned(im1: Any, im2: Any, tolerance: float = 0.01) -> bool:
    """Say whether two images lie on the same pixels of the sky.

    Parameters
    ----------
    im1, im2 : path, FluxImage, Image or NDData; or a cube, for the grid of its planes
    tolerance : float
        Arcsec.

    Returns
    -------
    bool
        True if they have as many rows and columns, and the centre and the four corner pixels of the one are no farther than the tolerance,
        along a great circle, from those of the other.

    Raises
    ------
    InputError
        If one has no celestial WCS, or the tolerance is negative.

    Notes
    -----
    Five positions tell a shift, a rotation, a shear and a difference in scale apart from none anywhere on the sky, also across RA 0 and at
    the poles. A tolerance on the elements of the CD matrix would let the corners of a large image drift.
    """
    if not (isinstance(tolerance, (int, float)) and 0 <= tolerance < math.inf):
        raise InputError(f"tolerance: must be arcsec from 0 on, found {tolerance!r}")
    first, second = grid_of(im1, "im1"), grid_of(im2, "im2")
    if first.shape != second.shape:
        return False
    ny, nx = first.shape
    x, y = np.array([0, nx - 1, 0, nx - 1, (nx - 1) / 2]), np.array([0, 0, ny - 1, ny - 1, (ny - 1) / 2])
    apart = sky.separation(*sky.pixel_to_icrs(first.wcs, x, y), *sky.pixel_to_icrs(second.wcs, x, y))
    return bool((apart * 3600 <= tolerance).all())
