"""HEALPix cells (NESTED, ICRS): of positions, of polygons, of cones."""

from __future__ import annotations

import numpy as np
from astropy import units
from astropy.coordinates import Latitude, Longitude
from cdshealpix import nested
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError

# The default starts a pool of threads with every call, which takes 1 ms.
_THREADS = 1

CELL_ORDER = 7
"""Order of the cells that frames are filed under: 27.5 arcmin a side."""


def cell_of(ra: ArrayLike, dec: ArrayLike, order: int = CELL_ORDER) -> NDArray[np.int64]:
    """Return the NESTED cell that holds each position.

    Parameters
    ----------
    ra, dec : array_like, shape (n,)
        Degrees.
    order : int
        HEALPix order, 0 to 29.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    InputError
        If a coordinate is not finite or off the sphere, or the order is none.
    """
    _check_order(order)
    ra, dec = np.broadcast_arrays(np.atleast_1d(np.asarray(ra, np.float64)), np.atleast_1d(np.asarray(dec, np.float64)))
    if ra.size == 0:
        return np.empty(0, np.int64)
    _check_positions(ra, dec)
    return nested.lonlat_to_healpix(Longitude(ra, units.deg), Latitude(dec, units.deg), np.uint8(order), num_threads=_THREADS).astype(
        np.int64
    )


def cells_of_polygon(vertices: ArrayLike, order: int = CELL_ORDER) -> NDArray[np.int64]:
    """Return every cell that a polygon touches.

    Parameters
    ----------
    vertices : array_like, shape (n, 2)
        Corners in degrees, in either winding; the sides are great circles and the polygon is less than a hemisphere.
    order : int
        HEALPix order, 0 to 29.

    Returns
    -------
    ndarray of int64
        Sorted; a touched cell is never missed, and few others are in it.

    Raises
    ------
    InputError
        If the corners are not three or more finite positions.
    """
    _check_order(order)
    vertices = np.asarray(vertices, np.float64)
    if vertices.ndim != 2 or vertices.shape[1] != 2 or len(vertices) < 3:
        raise InputError(f"vertices: must have shape (n, 2) with n of 3 or more, found {vertices.shape}")
    _check_positions(vertices[:, 0], vertices[:, 1])
    if len({tuple(corner) for corner in vertices.tolist()}) < 3:
        # Without an area there are still the corners.
        return np.unique(cell_of(vertices[:, 0], vertices[:, 1], order))
    longitude, latitude = Longitude(vertices[:, 0], units.deg), Latitude(vertices[:, 1], units.deg)
    found, _, _ = nested.polygon_search(longitude, latitude, np.uint8(order), flat=True)
    return np.sort(found).astype(np.int64)


def cells_of_cone(ra: float, dec: float, radius: float, order: int = CELL_ORDER) -> NDArray[np.int64]:
    """Return every cell that a cone touches.

    Parameters
    ----------
    ra, dec : float
        Centre in degrees.
    radius : float
        Degrees, 0 to 180.
    order : int
        HEALPix order, 0 to 29.

    Returns
    -------
    ndarray of int64
        Sorted; a touched cell is never missed, and few others are in it.

    Raises
    ------
    InputError
        If the centre is no position or the radius not in 0 to 180.
    """
    centre = cell_of(ra, dec, order)
    if not 0 <= radius <= 180:
        raise InputError(f"radius {radius!r}: must lie in 0 to 180 degrees")
    if radius == 180:
        return np.arange(12 * 4**order, dtype=np.int64)
    found, _, _ = nested.cone_search(Longitude(ra, units.deg), Latitude(dec, units.deg), radius * units.deg, order, flat=True)
    return np.union1d(found.astype(np.int64), centre)


def _check_order(order: int) -> None:
    if not 0 <= order <= 29:
        raise InputError(f"order {order!r}: must lie in 0 to 29")


def _check_positions(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> None:
    if not (np.isfinite(ra).all() and (np.abs(dec) <= 90).all()):
        raise InputError("position: must be finite, with a declination in -90 to 90 degrees")
