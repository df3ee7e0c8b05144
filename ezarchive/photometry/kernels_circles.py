"""Compiled sums in circular apertures whose pixels are divided into 5 x 5, and the bits of the pixels in them."""

from __future__ import annotations

import numpy as np
from numba import njit

from ezarchive.photometry.kernels_measure import BAD, BARELY_HALF, circle_box, stand_in

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
        cut |= circle_box(source.x, source.y, radius, image.data.shape)[4]
    y0, y1, x0, x1, _ = circle_box(source.x, source.y, largest, image.data.shape)
    for y in range(y0, y1 if x1 > x0 else y0):
        special = _running_sums(image, source, y, x0, x1, rows)
        plain = not image.has_map and special & (image.blank | BAD) == 0
        for k in range(len(radii)):
            count, total, spread, good = _row(source, radii[k], y, x0, x1, rows, plain)
            flux[k] += _SHARE * total
            area[k] += _SHARE * (count if plain else good)
            variance[k] += _SHARE * (count * image.variance if plain else spread)
        if special:
            _add_bits(image.status, source, radii, y, x0, x1, bits)
    return cut


@njit(cache=True, nogil=True, error_model="numpy")
def _running_sums(image, source, y, x0, x1, rows):
    """Fill the running sums along a row; return all bits of its pixels. Where nothing is masked there is but one sum to be made."""
    special = np.uint8(0)
    row, pixels = image.status[y, x0:x1], image.data[y, x0:x1]
    for k in range(len(row)):
        special |= row[k]
    values = rows[0]
    values[0] = 0.0
    if not image.has_map and special & (image.blank | BAD) == 0:
        total = 0.0
        for k in range(len(pixels)):
            total += pixels[k]
            values[k + 1] = total
        return special
    twice_x, twice_y = 2.0 * source.x + BARELY_HALF, 2.0 * source.y + BARELY_HALF
    rows[1, 0], rows[2, 0] = 0.0, 0.0
    sigmas = image.noise[y if image.has_map else 0]
    for k in range(len(row)):
        value, var = np.float64(pixels[k]), np.float64(sigmas[k + x0]) ** 2 if image.has_map else image.variance
        if row[k] & image.blank:
            value, var = stand_in(image, y, k + x0, twice_y, twice_x)
        rows[0, k + 1] = rows[0, k] + value
        rows[1, k + 1] = rows[1, k] + var
        rows[2, k + 1] = rows[2, k] + (0.0 if row[k] & BAD else 1.0)
    return special


@njit(cache=True, nogil=True, error_model="numpy")
def _row(source, radius, y, x0, x1, rows, plain):
    """Return the points of one row of pixels, five rows of points, that lie in a circle: their number and the three sums."""
    count, total, spread, good = 0, 0.0, 0.0, 0.0
    dy = y - source.y
    if abs(dy) - 0.4 >= radius:
        return count, total, spread, good
    # Points are numbered along the row, five to a pixel; point p of a row that begins at x0 lies at x0 + (p - 2) / 5.
    middle, size = 5.0 * (source.x - x0) + 2.0, 25.0 * radius * radius
    for row in range(5):
        room = size - (5.0 * dy + (row - 2)) ** 2
        if room <= 0.0:
            continue
        half = np.sqrt(room)
        low = max(int(np.floor(middle - half)) + 1, 0)
        high = min(int(np.ceil(middle + half)) - 1, 5 * (x1 - x0) - 1)
        if high < low:
            continue
        count += high - low + 1
        # Divided as unsigned numbers: that is one multiplication.
        first, last = np.uint32(low) // np.uint32(5), np.uint32(high) // np.uint32(5)
        head, tail = low - 5 * first, 4 - (high - 5 * last)
        total += _interval(rows[0], first, last, head, tail)
        if not plain:
            spread += _interval(rows[1], first, last, head, tail)
            good += _interval(rows[2], first, last, head, tail)
    return count, total, spread, good


@njit(cache=True, nogil=True, error_model="numpy")
def _interval(sums, first, last, head, tail):
    """Sum the points of pixels `first` to `last` but for those missing at the head of the first and at the tail of the last."""
    whole = 5.0 * (sums[last + 1] - sums[first])
    return whole - head * (sums[first + 1] - sums[first]) - tail * (sums[last + 1] - sums[last])


@njit(cache=True, nogil=True, error_model="numpy")
def _add_bits(status, source, radii, y, x0, x1, bits):
    """Add the status of the pixels of a row of which at least one point lies inside a circle."""
    dy = _nearest_point(y - source.y)
    row = status[y, x0:x1]
    for i in range(len(row)):
        if row[i]:
            dx = _nearest_point(i + x0 - source.x)
            r2 = dx * dx + dy * dy
            for k in range(len(radii)):
                if r2 < radii[k] * radii[k]:
                    bits[k] |= row[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _nearest_point(distance):
    """Return how near the nearest of five points comes in one direction."""
    size = abs(distance)
    return size - 0.2 * min(np.rint(size * 5.0), 2.0)
