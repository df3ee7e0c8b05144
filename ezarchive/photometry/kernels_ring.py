"""Compiled statistics of the pixels in rings around positions.

The pixels are gathered, sorted by NumPy (whose sort uses the processor's vectors, ten times faster than any that is compiled here), and
clipped: of sorted values only the ends move.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def gather_ring(data, out, centre, form, reach, limit, values, count):  # noqa: ANN001, ANN201 - numba's types
    """Gather the pixels whose centres lie in a ring, for one ring a stamp.

    Parameters
    ----------
    data : ndarray of float32 or float64, shape (n, h, w)
    out : ndarray of bool, shape (n, h, w)
        Pixels that are left out.
    centre : ndarray of float64, shape (n, 2)
        x and y in the stamp.
    form : ndarray of float64, shape (n, 3)
        A pixel at (dx, dy) lies in the ring if ``1 <= xx dx^2 + xy dx dy + yy dy^2 < limit``.
    reach : ndarray of float64, shape (n, 2)
        Half the width and half the height of the box around the ring.
    limit : ndarray of float64, shape (n,)
    values : ndarray of the type of `data`, shape (n, most)
        Result: the pixels, as far as there is room.
    count : ndarray of int32, shape (n,)
        Result: how many there are.
    """
    n, h, w = data.shape
    most = values.shape[1]
    for i in range(n):
        m = 0
        first_row, last_row = max(int(centre[i, 1] - reach[i, 1]), 0), min(int(centre[i, 1] + reach[i, 1]) + 2, h)
        first_col, last_col = max(int(centre[i, 0] - reach[i, 0]), 0), min(int(centre[i, 0] + reach[i, 0]) + 2, w)
        for row in range(first_row, last_row):
            dy = row - centre[i, 1]
            for col in range(first_col, last_col):
                dx = col - centre[i, 0]
                q = form[i, 0] * dx * dx + form[i, 1] * dx * dy + form[i, 2] * dy * dy
                if 1.0 <= q < limit[i] and not out[i, row, col]:
                    if m < most:
                        values[i, m] = data[i, row, col]
                    m += 1
        count[i] = m


@njit(cache=True, nogil=True, error_model="numpy")
def clipped_statistics(values, clip, iterations, level, spread, count):  # noqa: ANN001, ANN201 - numba's types
    """Take the median and the standard deviation of sorted values, clipped again and again.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (n, most)
        The first ``count`` of each row, in rising order.
    clip : float
        Values further from the median than this many standard deviations are clipped.
    iterations : int
        How often at most.
    level, spread : ndarray of float64, shape (n,)
        Results: median, standard deviation; NaN without values.
    count : ndarray of int32, shape (n,)
        How many values there are, and as a result, how many are left.
    """
    for i in range(len(count)):
        row, low, high = values[i], 0, count[i]
        if high == 0:
            level[i], spread[i] = np.nan, np.nan
            continue
        middle, sigma = _moments(row, low, high)
        for _ in range(iterations):
            first, last = low, high
            while low < high and row[low] < middle - clip * sigma:
                low += 1
            while high > low and row[high - 1] > middle + clip * sigma:
                high -= 1
            if low == first and high == last:
                break
            middle, sigma = _moments(row, low, high)
        level[i], spread[i], count[i] = middle, sigma, high - low


@njit(cache=True, nogil=True, error_model="numpy")
def _moments(values, low, high):  # noqa: ANN001, ANN202 - numba's types
    """Return the median of sorted values and their standard deviation."""
    m = high - low
    half = low + m // 2
    middle = np.float64(values[half])
    if m % 2 == 0:
        middle = 0.5 * (middle + np.float64(values[half - 1]))
    total, square = 0.0, 0.0
    # Differences from the median keep the digits of a high level.
    for k in range(low, high):
        difference = values[k] - middle
        total += difference
        square += difference * difference
    variance = (square - total * total / m) / (m - 1) if m > 1 else 0.0
    return middle, np.sqrt(max(variance, 0.0))
