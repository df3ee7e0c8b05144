"""The plane geometry of closed outlines: area, centre, inside, crossing sides. Array kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def outline_centroid(corners: Floats) -> tuple[float, float, float]:
    """Return the area of a polygon and the centre of it.

    Parameters
    ----------
    corners : ndarray, shape (n, 2)
        Pairs (x, y), the last joined to the first, in either sense.

    Returns
    -------
    area, x, y : float
        The area is positive or zero; with none, the centre is the mean of the corners.

    Notes
    -----
    The shoelace formula and its first moments, about the mean of the corners, so that large coordinates lose no digits.
    """
    middle = corners.mean(axis=0)
    x, y = (corners - middle).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    cross = x * next_y - next_x * y
    twice = cross.sum()
    if twice == 0:
        return 0.0, float(middle[0]), float(middle[1])
    cx, cy = ((x + next_x) * cross).sum() / (3.0 * twice), ((y + next_y) * cross).sum() / (3.0 * twice)
    return float(abs(twice) / 2.0), float(middle[0] + cx), float(middle[1] + cy)


def outline_contains(corners: Floats, x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
    """Return whether places are inside a polygon.

    Parameters
    ----------
    corners : ndarray, shape (n, 2)
    x, y : array_like
        They broadcast; NaN is outside.

    Notes
    -----
    A ray to +x crosses the sides an odd number of times; sides are half open, so that a place counts once in a tiling.
    """
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    inside = np.zeros(x.shape, bool)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        between = (y1 <= y) != (y2 <= y)
        inside ^= between & (x < x1 + (y - y1) * ((x2 - x1) / (y2 - y1)))
    return inside


def crossing(corners: Floats) -> tuple[int, int] | None:
    """Return the first two sides of a polygon that cross, counted from 0; None where none do.

    Sides that only touch, or lie on each other as the bridge to a hole does, do not count.
    """
    start, end = corners, np.roll(corners, -1, axis=0)
    for i in range(len(corners) - 2):
        later = slice(i + 2, None)
        one = _side(start[i], end[i], start[later]) * _side(start[i], end[i], end[later])
        other = _side(start[later], end[later], start[i]) * _side(start[later], end[later], end[i])
        found = np.flatnonzero((one < 0) & (other < 0))
        if found.size:
            return i, i + 2 + int(found[0])
    return None


def _side(start: Floats, end: Floats, place: Floats) -> Floats:
    """Return on which side of a line places lie, as -1, 0 or 1."""
    along, to = end - start, place - start
    return np.sign(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])
