"""Object ids: where on the sky an object was founded, as a number that sorts along HEALPix.

An id is twice the HEALPix NESTED cell of order 29 (0.4 mas) of the detection that founded the object, or the next number that is
free. Sorted ids are sorted on the sky, an area is a few ranges of ids, and no counter has to be kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from astropy import units
from astropy.coordinates import Latitude, Longitude
from cdshealpix import nested
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.sky import cell_of

ORDER = 29
"""Order of the cells in the ids."""

N_IDS = 12 << (2 * ORDER + 1)
"""Ids lie in 0 to this, which is left out."""

DRIFT_ARCSEC = 20.0
"""How far the mean position of an object may lie from the place in its id."""

_SHIFT_12 = 2 * (ORDER - 12) + 1
_FINEST = 20
_TINY = 1 / 3600
"""Degrees below which the cover of a cone might miss its centre for want of digits. To look its cell up starts a thread, which is slow
where all cores are busy."""
_CELL_DEG = math.degrees(math.sqrt(math.pi / 3))


class Range(NamedTuple):
    """Object ids from `low` to `high`, which is left out."""

    low: int
    high: int


def object_ids(healpix_29: ArrayLike) -> NDArray[np.int64]:
    """Return the id of an object founded in each cell, were no other founded there.

    Parameters
    ----------
    healpix_29 : array_like of int64, shape (n,)
        HEALPix NESTED cells of order 29.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    InputError
        If a cell is none of that order.
    """
    cells = np.asarray(healpix_29, np.int64)
    if cells.size and (cells.min() < 0 or cells.max() >= N_IDS >> 1):
        raise InputError(f"healpix_29: cells of order {ORDER} must lie in 0 to {(N_IDS >> 1) - 1}, found {cells.min()} to {cells.max()}")
    return cells << 1


def healpix_29(object_id: ArrayLike) -> NDArray[np.int64]:
    """Return the HEALPix NESTED cell of order 29 in each id.

    Parameters
    ----------
    object_id : array_like of int64, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    InputError
        If a number is no object id.
    """
    return _checked(object_id) >> 1


def cell_12(object_id: ArrayLike) -> NDArray[np.int64]:
    """Return the HEALPix NESTED cell of order 12 (52 arcsec) in each id.

    Parameters
    ----------
    object_id : array_like of int64, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    InputError
        If a number is no object id.
    """
    return _checked(object_id) >> _SHIFT_12


def same_cell_12(one: int, other: int) -> bool:
    """Tell whether two ids are of one cell of order 12."""
    return one >> _SHIFT_12 == other >> _SHIFT_12


def place(object_id: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centre of the cell of order 29 in each id.

    Parameters
    ----------
    object_id : array_like of int64, shape (n,)

    Returns
    -------
    ra, dec : ndarray, shape (n,)
        ICRS degrees.

    Raises
    ------
    InputError
        If a number is no object id.
    """
    cells = np.atleast_1d(healpix_29(object_id))
    if not cells.size:
        return np.empty(0), np.empty(0)
    longitude, latitude = nested.healpix_to_lonlat(cells.astype(np.uint64), np.uint8(ORDER), num_threads=1)
    return longitude.to_value(units.deg) % 360.0, latitude.to_value(units.deg)


def range_of(order: int, pixel: int) -> Range:
    """Return the ids of objects founded in a cell.

    Parameters
    ----------
    order : int
        HEALPix order, 0 to 29.
    pixel : int
        NESTED number of the cell.

    Returns
    -------
    Range

    Raises
    ------
    InputError
        If there is no such cell.
    """
    if not 0 <= order <= ORDER:
        raise InputError(f"order {order!r}: must lie in 0 to {ORDER}")
    if not 0 <= pixel < 12 << 2 * order:
        raise InputError(f"pixel {pixel!r}: must lie in 0 to {(12 << 2 * order) - 1} at order {order}")
    shift = 2 * (ORDER - order) + 1
    return Range(int(pixel) << shift, (int(pixel) + 1) << shift)


def ranges_of_cone(ra: float, dec: float, radius_deg: float, *, margin_deg: float = DRIFT_ARCSEC / 3600) -> list[Range]:
    """Return ranges of ids that hold every object whose mean position may lie in a cone.

    Parameters
    ----------
    ra, dec : float
        Centre, ICRS degrees.
    radius_deg : float
        Degrees, 0 to 180.
    margin_deg : float
        How far means may lie from the places in the ids, degrees.

    Returns
    -------
    list of Range
        Sorted, apart from one another; the area that they cover is little larger than the cone with its margin.

    Raises
    ------
    InputError
        If the centre is no position, or radius or margin is negative or not finite, or the radius above 180.
    """
    if not (math.isfinite(ra) and abs(dec) <= 90):
        raise InputError("position: must be finite, with a declination in -90 to 90 degrees")
    if not 0 <= radius_deg <= 180:
        raise InputError(f"radius {radius_deg!r}: must lie in 0 to 180 degrees")
    if not 0 <= margin_deg < math.inf:
        raise InputError(f"margin {margin_deg!r}: must be finite and not negative, in degrees")
    reach = radius_deg + margin_deg
    if reach >= 90:  # covers of more than a hemisphere are not worth their cost
        return [Range(0, N_IDS)]
    order = max(0, min(_FINEST, math.floor(math.log2(_CELL_DEG / max(reach, 1e-9))) + 2))
    longitude, latitude = Longitude(ra, units.deg), Latitude(dec, units.deg)
    pixels, orders, _ = nested.cone_search(longitude, latitude, reach * units.deg, order)
    shifts = 2 * (ORDER - orders.astype(np.int64)) + 1
    first = pixels.astype(np.int64)
    cells = list(map(Range, (first << shifts).tolist(), ((first + 1) << shifts).tolist()))
    if reach < _TINY:
        cells.append(range_of(ORDER, int(cell_of(ra, dec, ORDER)[0])))
    return merged(cells)


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Return ranges sorted, those that overlap or touch made one.

    Parameters
    ----------
    ranges : iterable of Range

    Returns
    -------
    list of Range

    Examples
    --------
    >>> merged([Range(4, 6), Range(0, 2), Range(2, 3)])
    [Range(low=0, high=3), Range(low=4, high=6)]
    """
    out: list[Range] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1].high:
            out[-1] = Range(out[-1].low, max(high, out[-1].high))
        elif low < high:
            out.append(Range(low, high))
    return out


def _checked(object_id: ArrayLike) -> NDArray[np.int64]:
    ids = np.asarray(object_id, np.int64)
    if ids.size and (ids.min() < 0 or ids.max() >= N_IDS):
        raise InputError(f"object_id: must lie in 0 to {N_IDS - 1}, found {ids.min()} to {ids.max()}")
    return ids
