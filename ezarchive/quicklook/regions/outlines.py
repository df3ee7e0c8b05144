"""The plane geometry of closed outlines: area, centre, inside, crossing sides. Array kernels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_PAIRS = 200_000
"""Pairs of sides that are compared in one go."""
_ROUNDING = 4.0 * float(np.finfo(float).eps)
_FLAT = 1e-7
"""Radians by which the ends of a side that runs through a place may miss a straight angle there."""


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
    """Return two sides of a polygon that cross, counted from 0; None where none do.

    Sides cross between their ends, or where corners lie on each other or on sides. Sides that only touch, or lie on each other as the
    bridge to a hole does, do not count; an outline that is walked twice does.

    Notes
    -----
    An outline that does not cross itself turns about each place once, in one sense, or not at all. This is asked around all corners that
    lie on a side which is not theirs.
    """
    start, end = corners, np.roll(corners, -1, axis=0)
    if _is_convex(end - start):
        return None
    n, touching = len(corners), []
    for one, other in _neighbours(start, end):
        sides = [_side(start[a], end[a], part[b]) for a, b in ((one, other), (other, one)) for part in (start, end)]
        found = np.flatnonzero((sides[0] * sides[1] < 0) & (sides[2] * sides[3] < 0))
        if found.size:
            pairs = np.sort(np.stack([one[found], other[found]], axis=1), axis=1).tolist()
            i, j = min(pairs)
            return i, j
        for side, corner, flat in ((one, other, sides[0]), (other, one, sides[2])):
            low, high = np.minimum(start[side], end[side]), np.maximum(start[side], end[side])
            on = (flat == 0) & np.all((start[corner] >= low) & (start[corner] <= high), axis=1) & (corner != (side + 1) % n)
            touching.append(np.stack([side[on], corner[on]], axis=1))
    return _crossing_at(start, end, np.concatenate(touching)) if touching else None


def _is_convex(along: Floats) -> bool:
    """Tell whether sides turn the same way at every corner, and once in all: most polygons do, and are done with."""
    then = np.roll(along, -1, axis=0)
    cross = along[:, 0] * then[:, 1] - along[:, 1] * then[:, 0]
    if not (np.all(cross > 0) or np.all(cross < 0)):
        return False
    return abs(float(np.arctan2(cross, (along * then).sum(axis=1)).sum())) < 3.0 * np.pi


def _neighbours(start: Floats, end: Floats) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs of sides whose boxes meet, each pair once."""
    low, high = np.minimum(start, end), np.maximum(start, end)
    orders = [np.argsort(low[:, axis], kind="stable") for axis in (0, 1)]
    counts = [np.searchsorted(low[order, k], high[order, k], side="right") - np.arange(1, len(low) + 1) for k, order in enumerate(orders)]
    axis = int(counts[1].sum() < counts[0].sum())
    order, count = orders[axis], counts[axis]
    total = np.cumsum(count)
    first = 0
    while first < len(order):
        stop = max(int(np.searchsorted(total, total[first] - count[first] + _PAIRS, side="right")), first + 1)
        part = count[first:stop]
        one = np.repeat(np.arange(first, stop), part)
        other = one + 1 + np.arange(one.size) - np.repeat(np.cumsum(part) - part, part)
        one, other, first = order[one], order[other], stop
        meet = (low[one, 1 - axis] <= high[other, 1 - axis]) & (low[other, 1 - axis] <= high[one, 1 - axis])
        yield one[meet], other[meet]


def _crossing_at(start: Floats, end: Floats, touching: NDArray[np.int64]) -> tuple[int, int] | None:
    """Return two sides that cross where corners lie on sides, given as pairs (side, corner)."""
    n, turns = len(start), [0]
    for corner in np.unique(touching[:, 1]).tolist():
        place = start[corner]
        same = np.flatnonzero(np.all(start == place, axis=1))
        near = np.unique(np.concatenate([touching[np.isin(touching[:, 1], same), 0], same, (same - 1) % n]))
        for side in near.tolist():
            for far in (start[side], end[side]):
                others = start[touching[touching[:, 0] == side, 1]] - place
                ahead = others[(others @ (far - place) > 0)]
                step = min([far - place, *ahead], key=lambda to: float(to @ to))
                if step.any():
                    turns += _turns(start, end, place + step / 2.0, step)
        if max(turns) - min(turns) > 1:
            return int(near[0]), int(near[-1])
    return None


def _turns(start: Floats, end: Floats, place: Floats, along: Floats) -> tuple[int, int]:
    """Return how often an outline turns about what is left and right of a place on a side."""
    to, then = start - place, end - place
    angle = np.arctan2(to[:, 0] * then[:, 1] - to[:, 1] * then[:, 0], (to * then).sum(axis=1))
    through = np.abs(angle) > np.pi - _FLAT
    middle = float(angle[~through].sum()) / (2.0 * np.pi)
    half = float(np.sign((end - start)[through] @ along).sum()) / 2.0
    return round(middle + half), round(middle - half)


def _side(start: Floats, end: Floats, place: Floats) -> Floats:
    """Return on which side of a line places lie, as -1, 0 or 1; 0 where only the rounding of the numbers says it."""
    along, to = end - start, place - start
    cross = along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0]
    size = np.abs(along).sum(axis=-1) * (np.abs(start) + np.abs(place)).sum(axis=-1)
    return np.where(np.abs(cross) <= _ROUNDING * size, 0.0, np.sign(cross))
