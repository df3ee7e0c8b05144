"""Compiled loops over points on the sphere that are sorted by the cells of a cubic grid.

A cell is named by one number, ``x << 42 | y << 21 | z``, so that the three cells above one another in z follow each other, and the
neighbours of a cell are nine such columns. All columns are swept side by side: no search is needed.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def root(parent, i):  # pragma: no cover - compiled
    """Return the root of a point; the way there is shortened."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True, error_model="numpy")
def join(parent, i, j):  # pragma: no cover - compiled
    """Make two points one component, under the lower root."""
    first, second = root(parent, i), root(parent, j)
    if first < second:
        parent[second] = first
    else:
        parent[first] = second


@njit(cache=True, nogil=True, error_model="numpy")
def join_groups(parent, point, group, n_groups):  # pragma: no cover - compiled
    """Make all points of each group one component."""
    first = np.full(n_groups, -1, np.int64)
    for i in range(len(point)):
        if first[group[i]] < 0:
            first[group[i]] = point[i]
        else:
            join(parent, first[group[i]], point[i])


@njit(cache=True, nogil=True, error_model="numpy")
def _meet(parent, points, i, j, limit):  # pragma: no cover - compiled
    if parent[i] != parent[j]:
        dx, dy, dz = points[i, 0] - points[j, 0], points[i, 1] - points[j, 1], points[i, 2] - points[j, 2]
        if dx * dx + dy * dy + dz * dz <= limit:
            join(parent, i, j)


@njit(cache=True, nogil=True, error_model="numpy")
def link(keys, points, parent, limit):  # pragma: no cover - compiled
    """Join every two points whose squared distance is `limit` or less.

    Parameters
    ----------
    keys : array of int64, shape (n,)
        Cells of the points, in ascending order; cells are as wide as the distance or wider.
    points : array of float64, shape (n, 3)
        Unit vectors.
    parent : array of int64, shape (n,)
        Union-find forest, changed.
    limit : float
        Square of the chord.
    """
    n = len(keys)
    for i in range(n):
        j = i + 1
        while j < n and keys[j] <= keys[i] + 1:
            _meet(parent, points, i, j, limit)
            j += 1
    for step in ((1 << 21), (1 << 42) - (1 << 21), (1 << 42), (1 << 42) + (1 << 21)):
        low = 0
        for i in range(n):
            while low < n and keys[low] < keys[i] + step - 1:
                low += 1
            j = low
            while j < n and keys[j] <= keys[i] + step + 1:
                _meet(parent, points, i, j, limit)
                j += 1


@njit(cache=True, nogil=True, error_model="numpy")
def labels(parent):  # pragma: no cover - compiled
    """Return the number of the component of each point, counted in the order of first members, and how many there are."""
    out = np.empty(len(parent), np.int64)
    count = 0
    for i in range(len(parent)):
        top = root(parent, i)
        if top == i:
            out[i] = count
            count += 1
        else:
            out[i] = out[top]
    return out, count


@njit(cache=True, nogil=True, error_model="numpy")
def touches(keys, points, others, other_points, owner, limit):  # pragma: no cover - compiled
    """Return which owners have a point within reach of each point.

    Parameters
    ----------
    keys, others : array of int64
        Cells of the points and of the owned points, each ascending.
    points, other_points : array of float64, shape (n, 3)
        Unit vectors.
    owner : array of int64
        Owner of each owned point, 0 or more.
    limit : float
        Square of the chord.

    Returns
    -------
    array of int64, shape (m, 2)
        (point, owner); an owner may be told of more than once.
    """
    found, count = np.empty((2 * len(keys) + 16, 2), np.int64), 0
    first = np.full(len(keys), -1, np.int64)
    last = np.full(len(keys), -1, np.int64)
    for dx in range(-1, 2):
        for dy in range(-1, 2):
            step = (dx << 42) + (dy << 21)
            low = 0
            for i in range(len(keys)):
                while low < len(others) and others[low] < keys[i] + step - 1:
                    low += 1
                j = low
                while j < len(others) and others[j] <= keys[i] + step + 1:
                    who = owner[j]
                    if who != first[i] and who != last[i]:
                        x, y, z = (points[i, 0] - other_points[j, 0], points[i, 1] - other_points[j, 1], points[i, 2] - other_points[j, 2])
                        if x * x + y * y + z * z <= limit:
                            if first[i] < 0:
                                first[i] = who
                            last[i] = who
                            if count == len(found):
                                larger = np.empty((2 * count, 2), np.int64)
                                larger[:count] = found
                                found = larger
                            found[count, 0], found[count, 1] = i, who
                            count += 1
                    j += 1
    return found[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def founders(group, mjd, cell, frame, row, n_groups):  # pragma: no cover - compiled
    """Return the first member of each group in the order (mjd, cell, frame, row); -1 of a group without any.

    Parameters
    ----------
    group : array of int64, shape (n,)
        Group of each member; negative: none.
    mjd, cell, frame, row : array, shape (n,)
        What they are ordered by.
    n_groups : int

    Returns
    -------
    array of int64, shape (n_groups,)
    """
    best = np.full(n_groups, -1, np.int64)
    for i in range(len(group)):
        if group[i] < 0:
            continue
        j = best[group[i]]
        if j < 0 or (mjd[i], cell[i], frame[i], row[i]) < (mjd[j], cell[j], frame[j], row[j]):
            best[group[i]] = i
    return best
