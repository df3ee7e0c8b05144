"""Compiled statistics of the pixels in rings around positions."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def ring_statistics(data, out, centre, form, limits, clip, iterations, level, spread, count):  # noqa: ANN001, ANN201 - numba's types
    """Take the clipped median and standard deviation of the pixels whose centres lie in a ring, for one ring a stamp.

    Parameters
    ----------
    data : ndarray of float32 or float64, shape (n, h, w)
    out : ndarray of bool, shape (n, h, w)
        Pixels that are left out.
    centre : ndarray of float64, shape (n, 2)
        x and y in the stamp.
    form, limits : ndarray of float64, shapes (n, 3) and (n, 2)
        A pixel at (dx, dy) lies in the ring if ``limits[0] <= xx dx^2 + xy dx dy + yy dy^2 < limits[1]``.
    clip : float
        Values further from the median than this many standard deviations are clipped.
    iterations : int
        How often at most.
    level, spread : ndarray of float64, shape (n,)
        Results: median, standard deviation (NaN without pixels).
    count : ndarray of int32, shape (n,)
        Result: pixels after clipping.
    """
    n, h, w = data.shape
    buffer = np.empty(h * w, np.float64)
    for i in range(n):
        m = 0
        for row in range(h):
            dy = row - centre[i, 1]
            for col in range(w):
                dx = col - centre[i, 0]
                q = form[i, 0] * dx * dx + form[i, 1] * dx * dy + form[i, 2] * dy * dy
                if limits[i, 0] <= q < limits[i, 1] and not out[i, row, col]:
                    buffer[m] = data[i, row, col]
                    m += 1
        if m == 0:
            level[i], spread[i], count[i] = np.nan, np.nan, 0
            continue
        values = np.sort(buffer[:m])
        low, high = 0, m
        middle, sigma = _moments(values, low, high)
        for _ in range(iterations):
            first, last = low, high
            # The values are sorted, so that clipping only moves the ends.
            while low < high and values[low] < middle - clip * sigma:
                low += 1
            while high > low and values[high - 1] > middle + clip * sigma:
                high -= 1
            if low == first and high == last:
                break
            middle, sigma = _moments(values, low, high)
        level[i], spread[i], count[i] = middle, sigma, high - low


@njit(cache=True, nogil=True, error_model="numpy")
def _moments(values, low, high):  # noqa: ANN001, ANN202 - numba's types
    """Return the median of sorted values and their standard deviation."""
    m = high - low
    half = low + m // 2
    middle = values[half] if m % 2 else 0.5 * (values[half - 1] + values[half])
    mean = 0.0
    for k in range(low, high):
        mean += values[k]
    mean /= m
    square = 0.0
    for k in range(low, high):
        square += (values[k] - mean) ** 2
    return middle, np.sqrt(square / (m - 1)) if m > 1 else 0.0
