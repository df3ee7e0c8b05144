"""Footprints as spherical polygons: do they hold a point, do they meet a cone; their text form.

A polygon is an array of corners (n, 2) in degrees, joined by great circles, in either winding, smaller than a hemisphere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.sky.positions import unit_vectors

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class _Packed(NamedTuple):
    """Polygons end to end: corner vectors (N, 3), the first corner of each, each corner's polygon and next corner."""

    corners: Floats
    starts: NDArray[np.int64]
    owner: NDArray[np.int64]
    following: NDArray[np.int64]


class _Plane(NamedTuple):
    """Tangent planes at the polygons' centres: axes (k, 3) each, and the corners' plane coordinates (N,)."""

    centre: Floats
    first: Floats
    second: Floats
    x: Floats
    y: Floats


def polygon_contains(vertices: ArrayLike, ra: ArrayLike, dec: ArrayLike) -> Bools:
    """Tell which points lie in a polygon.

    Parameters
    ----------
    vertices : array_like, shape (n, 2)
        Corners in degrees.
    ra, dec : array_like, shape (m,)
        Points in degrees.

    Returns
    -------
    ndarray of bool, shape (m,)

    Raises
    ------
    InputError
        If the corners are not three or more finite positions within a hemisphere.

    Notes
    -----
    Great circles are straight lines in the gnomonic projection about the polygon's centre; there an even-odd count of crossings decides.
    """
    packed = _pack([vertices])
    plane = _plane(packed)
    points = np.atleast_2d(unit_vectors(ra, dec))
    depth = points @ plane.centre[0]
    ahead = depth > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(ahead, points @ plane.first[0] / depth, np.nan)
        y = np.where(ahead, points @ plane.second[0] / depth, np.nan)
    inside = np.zeros(len(points), bool)
    for start, end in enumerate(packed.following):
        inside ^= _crosses(plane.x[start], plane.y[start], plane.x[end], plane.y[end], x, y)
    return inside & ahead


def polygons_contain(polygons: Sequence[ArrayLike], ra: float, dec: float) -> Bools:
    """Tell which polygons hold a point.

    Parameters
    ----------
    polygons : sequence of array_like, each (n_i, 2)
        Corners in degrees.
    ra, dec : float
        The point, in degrees.

    Returns
    -------
    ndarray of bool, one a polygon

    Raises
    ------
    InputError
        If a polygon is none.
    """
    if not len(polygons):
        return np.zeros(0, bool)
    return _contain(_pack(polygons), unit_vectors(float(ra), float(dec)))


def polygon_meets_cone(vertices: ArrayLike, ra: float, dec: float, radius: float) -> bool:
    """Tell whether a polygon and a cone share a point (arguments as `polygons_meet_cone`)."""
    return bool(polygons_meet_cone([vertices], ra, dec, radius)[0])


def polygons_meet_cone(polygons: Sequence[ArrayLike], ra: float, dec: float, radius: float) -> Bools:
    """Tell which polygons share a point with a cone.

    Parameters
    ----------
    polygons : sequence of array_like, each (n_i, 2)
        Corners in degrees.
    ra, dec : float
        Centre of the cone, in degrees.
    radius : float
        Degrees, 0 to 180.

    Returns
    -------
    ndarray of bool, one a polygon

    Raises
    ------
    InputError
        If a polygon is none, or the radius not in 0 to 180.
    """
    if not 0 <= radius <= 180:
        raise InputError(f"radius {radius!r}: must lie in 0 to 180 degrees")
    if not len(polygons):
        return np.zeros(0, bool)
    packed = _pack(polygons)
    point = unit_vectors(float(ra), float(dec))
    near = np.minimum.reduceat(_distance_to_sides(packed, point), packed.starts) <= np.radians(radius)
    return near | _contain(packed, point)


def edge_distances(polygons: Sequence[ArrayLike], ra: float, dec: float) -> Floats:
    """Return how far a point lies from the nearest side of each polygon, inside or outside.

    Parameters
    ----------
    polygons : sequence of array_like, each (n_i, 2)
        Corners in degrees.
    ra, dec : float
        The point, in degrees.

    Returns
    -------
    ndarray of float, one a polygon
        Degrees, not negative.

    Raises
    ------
    InputError
        If a polygon is none.
    """
    if not len(polygons):
        return np.zeros(0)
    packed = _pack(polygons)
    sides = _distance_to_sides(packed, unit_vectors(float(ra), float(dec)))
    return np.degrees(np.minimum.reduceat(sides, packed.starts))


def s_region(vertices: ArrayLike) -> str:
    """Return a polygon as the text of ``s_region``: ``POLYGON ICRS ra dec ra dec ...`` (degrees, 0.04 mas)."""
    return "POLYGON ICRS " + " ".join([f"{ra:.8f} {dec:.8f}" for ra, dec in np.asarray(vertices, np.float64).tolist()])


def parse_region(text: str) -> Floats:
    """Return the corners of an ``s_region``.

    Parameters
    ----------
    text : str
        ``POLYGON [ICRS] ra dec ra dec ...`` in degrees.

    Returns
    -------
    ndarray, shape (n, 2)

    Raises
    ------
    InputError
        If it is no ICRS polygon.
    """
    words = text.split()
    if not words or words[0].upper() != "POLYGON":
        raise InputError(f"s_region {text[:60]!r}: must be POLYGON ICRS ra dec ...")
    words = words[2:] if len(words) > 1 and words[1].upper() == "ICRS" else words[1:]
    try:
        values = np.array(words, np.float64)
    except ValueError as err:
        raise InputError(f"s_region {text[:60]!r}: must be POLYGON ICRS and numbers") from err
    if len(values) < 6 or len(values) % 2:
        raise InputError(f"s_region {text[:60]!r}: must hold three or more pairs of numbers, found {len(values)} numbers")
    return values.reshape(-1, 2)


def _pack(polygons: Sequence[ArrayLike]) -> _Packed:
    arrays = [np.asarray(polygon, np.float64) for polygon in polygons]
    for array in arrays:
        if array.ndim != 2 or array.shape[1] != 2 or len(array) < 3:
            raise InputError(f"vertices: must have shape (n, 2) with n of 3 or more, found {array.shape}")
    counts = np.array([len(array) for array in arrays])
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    together = np.concatenate(arrays)
    if not np.isfinite(together).all():
        raise InputError("vertices: must be finite")
    following = np.arange(1, len(together) + 1)
    following[starts + counts - 1] = starts
    return _Packed(unit_vectors(together[:, 0], together[:, 1]), starts, np.repeat(np.arange(len(arrays)), counts), following)


def _plane(packed: _Packed) -> _Plane:
    corners, starts, owner, _ = packed
    centre = np.add.reduceat(corners, starts, axis=0)
    centre /= np.maximum(np.sqrt((centre**2).sum(1)), 1e-300)[:, None]
    # Any direction that is not along the centre gives the first axis.
    aside = np.eye(3)[np.abs(centre).argmin(1)]
    first = np.cross(centre, aside)
    first /= np.sqrt((first**2).sum(1))[:, None]
    second = np.cross(centre, first)
    depth = (corners * centre[owner]).sum(1)
    if (depth <= 1e-9).any():
        raise InputError("vertices: the polygon must be smaller than a hemisphere")
    return _Plane(centre, first, second, (corners * first[owner]).sum(1) / depth, (corners * second[owner]).sum(1) / depth)


def _crosses(x1: ArrayLike, y1: ArrayLike, x2: ArrayLike, y2: ArrayLike, x: Floats, y: Floats) -> Bools:
    """Tell whether the ray from (x, y) towards +x crosses the side from corner 1 to corner 2."""
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.subtract(x2, x1) * (y - y1) / np.subtract(y2, y1) + x1
        return ((y1 > y) != (y2 > y)) & (x < at)


def _contain(packed: _Packed, point: Floats) -> Bools:
    plane = _plane(packed)
    depth = plane.centre @ point
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(depth > 0, plane.first @ point / depth, np.nan)[packed.owner]
        y = np.where(depth > 0, plane.second @ point / depth, np.nan)[packed.owner]
    crossed = _crosses(plane.x, plane.y, plane.x[packed.following], plane.y[packed.following], x, y)
    return (np.add.reduceat(crossed.astype(np.int64), packed.starts) % 2 == 1) & (depth > 0)


def _distance_to_sides(packed: _Packed, point: Floats) -> Floats:
    """Return the angle in radians from a point to each side, a great-circle arc from a corner to the next."""
    begin, end = packed.corners, packed.corners[packed.following]
    normal = np.cross(begin, end)
    length = np.sqrt((normal**2).sum(1))
    # The foot of the perpendicular lies on the arc when the point is between the two planes through its ends.
    beside = (np.cross(normal, begin) @ point >= 0) & (np.cross(end, normal) @ point >= 0) & (length > 0)
    to_circle = np.arcsin(np.clip(np.abs(normal @ point) / np.where(length > 0, length, 1), 0, 1))
    to_corner = np.arctan2(np.sqrt((np.cross(begin, point) ** 2).sum(1)), begin @ point)
    return np.where(beside, to_circle, np.minimum(to_corner, to_corner[packed.following]))
