"""Compiled sums in circular apertures whose pixels are divided into 5 x 5, and the bits of the pixels in them."""

from __future__ import annotations

import numpy as np
from numba import njit

from ezarchive.photometry.kernels_measure import _BARELY_HALF, BAD, _circle_box, pixel

_SHARE = 0.04


@njit(cache=True, nogil=True, error_model="numpy")
def circles(image, source, radii, rows, flux, variance, area, bits):
    """Sum all circles around a source.

    Parameters
    ----------
    image, source : Image, Source
    radii : ndarray, shape (k,)
        In pixels.
    rows : ndarray, shape (3, m)
        Room for running sums along one row: at least two more than the columns of the largest circle.
    flux, variance, area : ndarray, shape (k,)
        Filled: flux, variance of the sky, number of pixels that hold a value.
    bits : ndarray of uint8, shape (k,)
        Filled: all bits of the status of the pixels inside.

    Returns
    -------
    bool
        Whether a circle reaches off the image.

    Notes
    -----
    A row of points inside a circle is an interval: its sum is a difference of running sums.
    """
    flux[:], variance[:], area[:], bits[:] = 0.0, 0.0, 0.0, 0
    largest, cut = 0.0, False
    for radius in radii:
        largest = max(largest, radius)
        cut |= _circle_box(source.x, source.y, radius, image.data.shape)[4]
    y0, y1, x0, x1, _ = _circle_box(source.x, source.y, largest, image.data.shape)
    for y in range(y0, y1 if x1 > x0 else y0):
        special = _running_sums(image, source, y, x0, x1, rows)
        for k in range(len(radii)):
            _add_row(source, radii[k], y, x0, x1, rows, k, flux, variance, area)
        if special:
            _add_bits(image.status, source, radii, y, x0, x1, bits)
    return cut


@njit(cache=True, nogil=True, error_model="numpy")
def _running_sums(image, source, y, x0, x1, rows):
    twice_x, twice_y = 2.0 * source.x + _BARELY_HALF, 2.0 * source.y + _BARELY_HALF
    special = np.uint8(0)
    rows[:, 0] = 0.0
    for x in range(x0, x1):
        value, var, _ = pixel(image, y, x, twice_y, twice_x)
        status = image.status[y, x]
        special |= status
        k = x - x0
        rows[0, k + 1] = rows[0, k] + value
        rows[1, k + 1] = rows[1, k] + var
        rows[2, k + 1] = rows[2, k] + (0.0 if status & BAD else 1.0)
    return special


@njit(cache=True, nogil=True, error_model="numpy")
def _add_row(source, radius, y, x0, x1, rows, k, flux, variance, area):
    """Add one row of pixels, five rows of points, to one circle."""
    for row in range(5):
        room = radius * radius - (y - source.y + 0.2 * (row - 2)) ** 2
        if room <= 0.0:
            continue
        half = np.sqrt(room)
        # Points are numbered along the row, five to a pixel; point p lies at x = (p - 2) / 5.
        low = max(int(np.floor((source.x - half) * 5.0 + 2.0)) + 1, 5 * x0)
        high = min(int(np.ceil((source.x + half) * 5.0 + 2.0)) - 1, 5 * x1 - 1)
        if high < low:
            continue
        first, last = low // 5 - x0, high // 5 - x0
        head, tail = low - 5 * (low // 5), 4 - (high - 5 * (high // 5))
        flux[k] += _SHARE * _interval(rows[0], first, last, head, tail)
        variance[k] += _SHARE * _interval(rows[1], first, last, head, tail)
        area[k] += _SHARE * _interval(rows[2], first, last, head, tail)


@njit(cache=True, nogil=True, error_model="numpy")
def _interval(sums, first, last, head, tail):
    """Sum the points of pixels `first` to `last` but for those missing at the head of the first and at the tail of the last."""
    whole = 5.0 * (sums[last + 1] - sums[first])
    return whole - head * (sums[first + 1] - sums[first]) - tail * (sums[last + 1] - sums[last])


@njit(cache=True, nogil=True, error_model="numpy")
def _add_bits(status, source, radii, y, x0, x1, bits):
    """Add the status of the pixels of a row of which at least one point lies inside a circle."""
    dy = _nearest_point(y - source.y)
    for x in range(x0, x1):
        if status[y, x]:
            dx = _nearest_point(x - source.x)
            r2 = dx * dx + dy * dy
            for k in range(len(radii)):
                if r2 < radii[k] * radii[k]:
                    bits[k] |= status[y, x]


@njit(cache=True, nogil=True, error_model="numpy")
def _nearest_point(distance):
    """Return how near the nearest of five points comes in one direction."""
    size = abs(distance)
    return size - 0.2 * min(np.rint(size * 5.0), 2.0)
