"""Compiled passes over pixels: extremes, what lies in brackets of values, sums over blocks. Only finite pixels count."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def extremes(values):  # pragma: no cover - compiled
    """Return number, smallest and largest of the finite values of an array of one axis, shape (n,)."""
    n = 0
    least, most = np.inf, -np.inf
    for v in values:
        if np.isfinite(v):
            n += 1
            least = min(least, np.float64(v))
            most = max(most, np.float64(v))
    return n, least, most


@njit(cache=True, nogil=True, error_model="numpy")
def squares(values, mean):  # pragma: no cover - compiled
    """Return the sum of the squared deviations of the finite values from a number, shape (n,)."""
    total = 0.0
    for v in values:
        d = np.float64(v) - mean
        if np.isfinite(d):
            total += d * d
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def sift(values, brackets, counts, kept):  # pragma: no cover - compiled
    """Count the values below, at and between the ends of two brackets, and keep those that are strictly between.

    Parameters
    ----------
    values : ndarray, shape (n,)
    brackets : ndarray, shape (2, 2)
        Of the type of `values`: low and high end; neither end of the second lies below that of the first.
    counts : ndarray of int64, shape (2, 5)
        Added to, for each bracket: below the low end, at it, strictly between (also where there is no more room), at the high end, above.
        An end that equals the other counts as low end only.
    kept : ndarray, shape (2, m)
        Filled from the place ``counts[:, 2]`` on, as long as there is room.
    """
    room = kept.shape[1]
    a0, b0, a1, b1 = brackets[0, 0], brackets[0, 1], brackets[1, 0], brackets[1, 1]
    middle = 0
    for v in values:
        if b0 < v < a1:
            middle += 1
        elif np.isfinite(v):
            for k, a, b in ((0, a0, b0), (1, a1, b1)):
                if v < a:
                    counts[k, 0] += 1
                elif v == a:
                    counts[k, 1] += 1
                elif v < b:
                    if counts[k, 2] < room:
                        kept[k, counts[k, 2]] = v
                    counts[k, 2] += 1
                elif v == b:
                    counts[k, 3] += 1
                else:
                    counts[k, 4] += 1
    counts[0, 4] += middle
    counts[1, 0] += middle


@njit(cache=True, nogil=True, error_model="numpy")
def add_blocks(rows, y0, factor, sums, numbers):  # pragma: no cover - compiled
    """Add the finite pixels of some rows to sums and numbers over square blocks.

    Parameters
    ----------
    rows : ndarray, shape (m, nx)
    y0 : int
        The row of the image that is the first of them.
    factor : int
        Pixels along a side of a block.
    sums, numbers : ndarray, shape (h, w)
        Of float64 and int64; added to.
    """
    m, nx = rows.shape
    along, count = np.zeros(nx), np.zeros(nx, np.int64)
    for i in range(m):
        for x in range(nx):  # columns first: these additions do not wait for each other
            v = np.float64(rows[i, x])
            finite = v - v == 0.0
            along[x] += v if finite else 0.0
            count[x] += 1 if finite else 0
        if (y0 + i + 1) % factor == 0 or i == m - 1:
            j = (y0 + i) // factor
            for x in range(nx):
                sums[j, x // factor] += along[x]
                numbers[j, x // factor] += count[x]
            along[:] = 0.0
            count[:] = 0
