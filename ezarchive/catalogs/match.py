"""Which rows of a table lie near positions: on the sky or on the pixels, all within a radius or the nearest one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from ezarchive import sky
from ezarchive.errors import InputError


class Matches(NamedTuple):
    """Pairs of a wanted position and a row, by position, then separation.

    Attributes
    ----------
    wanted : ndarray of int, shape (n,)
        Place of the position in the list, from 0.
    row : ndarray of int, shape (n,)
        Row of the table, from 0.
    separation : ndarray of float, shape (n,)
        Their distance: arcsec on the sky, pixels on the image.
    """

    wanted: NDArray[np.intp]
    row: NDArray[np.intp]
    separation: NDArray[np.float64]


def match_sky(ra: ArrayLike, dec: ArrayLike, wanted_ra: ArrayLike, wanted_dec: ArrayLike, radius: float, *, nearest: bool) -> Matches:
    """Find the rows near positions on the sky.

    Parameters
    ----------
    ra, dec : array_like, shape (n,)
        Of the rows, ICRS degrees; rows without a position (NaN) match nothing.
    wanted_ra, wanted_dec : array_like, shape (m,)
        ICRS degrees.
    radius : float
        Arcsec; the edge counts.
    nearest : bool
        Only the nearest row of each position, else all within the radius.

    Returns
    -------
    Matches

    Raises
    ------
    InputError
        If the radius is not positive and finite, or a wanted position is not finite.
    """
    ra, dec, wanted_ra, wanted_dec = (np.atleast_1d(np.asarray(values, float)) for values in (ra, dec, wanted_ra, wanted_dec))
    radius = _checked(radius, "arcsec", wanted_ra, wanted_dec)
    chord = 2.0 * np.sin(np.radians(min(radius / 3600.0, 180.0)) / 2.0)
    there = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    found, rows, chords = _pairs(sky.unit_vectors(ra[there], dec[there]), sky.unit_vectors(wanted_ra, wanted_dec), chord, nearest)
    return Matches(found, there[rows], np.degrees(2.0 * np.arcsin(np.clip(chords / 2.0, 0.0, 1.0))) * 3600.0)


def match_pixels(x: ArrayLike, y: ArrayLike, wanted_x: ArrayLike, wanted_y: ArrayLike, radius: float, *, nearest: bool) -> Matches:
    """Find the rows near positions on the image: as `match_sky`, all in pixels."""
    x, y, wanted_x, wanted_y = (np.atleast_1d(np.asarray(values, float)) for values in (x, y, wanted_x, wanted_y))
    radius = _checked(radius, "pixels", wanted_x, wanted_y)
    there = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    found, rows, distances = _pairs(np.column_stack([x[there], y[there]]), np.column_stack([wanted_x, wanted_y]), radius, nearest)
    return Matches(found, there[rows], distances)


def _checked(radius: float, unit: str, first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if not (np.isfinite(radius) and radius > 0):
        raise InputError(f"matching_radius={radius!r}: must be positive and finite, in {unit}")
    if first.shape != second.shape or first.ndim != 1:
        raise InputError(f"x, y: must be of one length, found shapes {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError(f"x, y: must be finite, found ({first.tolist()[:5]}, {second.tolist()[:5]})")
    return float(radius)


def _pairs(points: NDArray, wanted: NDArray, radius: float, nearest: bool) -> tuple[NDArray, NDArray, NDArray]:
    """Return wanted, point and distance of the pairs within the radius (the edge counts, as far as rounding lets it)."""
    none = np.empty(0, np.intp)
    if not len(points) or not len(wanted):
        return none, none, np.empty(0)
    tree, reach = KDTree(points), np.nextafter(radius * (1 + 1e-12), np.inf)
    if nearest:
        distances, rows = tree.query(wanted, distance_upper_bound=reach)
        found = np.flatnonzero(np.isfinite(distances))
        return found, rows[found].astype(np.intp), distances[found]
    near = tree.query_ball_point(wanted, reach)
    found = np.repeat(np.arange(len(wanted)), [len(rows) for rows in near])
    rows = np.concatenate([np.asarray(rows, np.intp) for rows in near]) if len(found) else none
    distances = np.linalg.norm(points[rows] - wanted[found], axis=1)
    order = np.lexsort((rows, distances, found))
    return found[order], rows[order], distances[order]
