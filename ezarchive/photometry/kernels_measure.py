"""Compiled measurements of one source: what the pixels are, and sums in its Kron ellipse.

They are SExtractor's (Bertin & Arnouts 1996, A&AS 117, 393; manual, chapters "Measurements" and "Photometry"), the masking of neighbours
included. Every pixel has a status byte, the sum of bits below. While a source is measured its own pixels lose the bit ``SOURCE``: what
has it then are the pixels of its neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

SOURCE, LOOSE, BAD, MASKED, SATURATED = 1, 2, 4, 8, 16
"""Bits of the status: pixel of a source; detected, but in too small a group; no value; masked; saturated."""

KRON_SIGMAS = 6.0
"""The first Kron moment is taken in an ellipse of this many times A and B."""
CROWDED_FRACTION = 0.1
"""From this share of masked pixels in its ellipse on, a source is crowded."""
BARELY_HALF = 0.49999
"""Added to twice the centre it gives, less the column, that of the mirror image."""

_LOW, _HIGH = 0.499999, 1.499999


class Image(NamedTuple):
    """The pixels: `blank` are the bits of the status for which a pixel is masked, `variance` holds where there is no map of the noise."""

    data: np.ndarray
    status: np.ndarray
    noise: np.ndarray
    variance: float
    has_map: bool
    blank: int
    mirror: bool


class Source(NamedTuple):
    """Barycentre, semi-axes and ellipse of a source, as sep gives them."""

    x: float
    y: float
    a: float
    b: float
    cxx: float
    cyy: float
    cxy: float


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def stand_in(image, y, x, twice_y, twice_x):
    """Return value and variance that stand in for a masked pixel: its mirror image's, or zero.

    Without a map of the noise a neighbour's pixel keeps the variance of the sky, as in SExtractor.
    """
    data, status = image.data, image.status
    if image.mirror:
        y2, x2 = int(twice_y - y), int(twice_x - x)
        row, column = np.uint64(y2), np.uint64(x2)
        if y2 >= 0 and x2 >= 0 and y2 < data.shape[0] and x2 < data.shape[1] and status[row, column] & image.blank == 0:
            return np.float64(data[row, column]), np.float64(image.noise[row, column]) ** 2 if image.has_map else image.variance
    return 0.0, 0.0 if image.has_map or status[np.uint64(y), np.uint64(x)] & BAD else image.variance


@njit(cache=True, nogil=True, error_model="numpy")
def circle_box(x, y, radius, shape):
    """Return the rows and columns of a circle, and whether they reach off the image (SExtractor truncates towards zero)."""
    x0, x1 = int(x - radius + _LOW), int(x + radius + _HIGH)
    y0, y1 = int(y - radius + _LOW), int(y + radius + _HIGH)
    cut = x0 < 0 or y0 < 0 or x1 > shape[1] or y1 > shape[0]
    return max(y0, 0), min(y1, shape[0]), max(x0, 0), min(x1, shape[1]), cut


@njit(cache=True, nogil=True, error_model="numpy")
def _round(value):
    return int(value + 0.5) if value > 0 else int(value - 0.5)


@njit(cache=True, nogil=True, error_model="numpy")
def _ellipse_box(source, scale, shape):
    """Return the rows and columns of an ellipse, and whether they reach off the image."""
    along = source.cxx - source.cxy**2 / (4.0 * source.cyy)
    across = source.cyy - source.cxy**2 / (4.0 * source.cxx)
    half_x = scale / np.sqrt(along) if along > 0 else 0.0
    half_y = scale / np.sqrt(across) if across > 0 else 0.0
    x0, x1 = _round(source.x - half_x), _round(source.x + half_x) + 1
    y0, y1 = _round(source.y - half_y), _round(source.y + half_y) + 1
    cut = x0 < 0 or y0 < 0 or x1 > shape[1] or y1 > shape[0]
    return max(y0, 0), min(y1, shape[0]), max(x0, 0), min(x1, shape[1]), cut


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def clear(image, y0, y1, x0, x1):
    """Return whether no pixel of a box is masked."""
    status, found = image.status, np.uint8(0)
    for y in range(y0, y1):
        for x in range(x0, x1):
            found |= status[np.uint64(y), np.uint64(x)]
    return found & image.blank == 0


@njit(cache=True, nogil=True, error_model="numpy")
def _inside(source, dy, dx):
    return source.cxx * dx * dx + source.cyy * dy * dy + source.cxy * dx * dy


@njit(cache=True, nogil=True, error_model="numpy")
def _span(source, y, limit, x0, x1):
    """Return the first column of a row whose centre lies in the ellipse, and the one after the last."""
    dy = y - source.y
    half = 0.5 * source.cxy * dy
    root = half * half - source.cxx * (source.cyy * dy * dy - limit)
    if not root >= 0.0:
        return x0, x0
    middle, reach = source.x - half / source.cxx, np.sqrt(root) / source.cxx
    first, last = max(int(middle - reach) - 1, x0), min(int(middle + reach) + 3, x1)
    # Rounding must not decide what is inside.
    while first < last and not _inside(source, dy, first - source.x) <= limit:
        first += 1
    while last > first and not _inside(source, dy, last - 1 - source.x) <= limit:
        last -= 1
    return first, max(first, last)


@njit(cache=True, nogil=True, error_model="numpy")
def kron_radius(image, source, factor, minimum, room):
    """Return the scaled Kron radius, and whether the ellipse of its first moment is crowded and reaches off the image.

    `room` holds the distances along a row.
    """
    y0, y1, x0, x1, cut = _ellipse_box(source, KRON_SIGMAS, image.data.shape)
    moment, flux = 0.0, 0.0
    area, hidden = 0, 0
    data, status, blank = image.data, image.status, image.blank
    free = clear(image, y0, y1, x0, x1)
    for y in range(y0, y1):
        first, last = _span(source, y, KRON_SIGMAS * KRON_SIGMAS, x0, x1)
        area += last - first
        row, dy, start = np.uint64(y), y - source.y, first - source.x
        for k in range(last - first):
            # A short integer becomes a float in one instruction for several pixels.
            room[np.uint64(k)] = np.sqrt(max(_inside(source, dy, np.int32(k) + start), 0.0))
        for k in range(last - first):
            column = np.uint64(first + k)
            if free or status[row, column] & blank == 0:
                value = np.float64(data[row, column])
                moment += room[np.uint64(k)] * value
                flux += value
            else:
                hidden += 1
    radius = factor * moment / flux if moment > 0.0 and flux > 0.0 else minimum
    return max(radius, minimum), hidden > CROWDED_FRACTION * area, cut


@njit(cache=True, nogil=True, error_model="numpy")
def kron_flux(image, source, radius):
    """Sum an ellipse: pixels whose centre lies inside count whole.

    Returns flux, variance of the sky, whether it is crowded, reaches off the image, and holds bad pixels.
    """
    y0, y1, x0, x1, cut = _ellipse_box(source, radius, image.data.shape)
    twice_x, twice_y = 2.0 * source.x + BARELY_HALF, 2.0 * source.y + BARELY_HALF
    flux, variance = 0.0, 0.0
    area, hidden = 0, 0
    bits = np.uint8(0)
    data, status, blank = image.data, image.status, image.blank
    plain = not image.has_map and clear(image, y0, y1, x0, x1)
    for y in range(y0, y1):
        first, last = _span(source, y, radius * radius, x0, x1)
        area += last - first
        row = np.uint64(y)
        if plain:
            for x in range(first, last):
                flux += data[row, np.uint64(x)]
            continue
        for x in range(first, last):
            column = np.uint64(x)
            if status[row, column] & blank == 0:
                flux += data[row, column]
                variance += np.float64(image.noise[row, column]) ** 2 if image.has_map else image.variance
            else:
                value, var = stand_in(image, y, x, twice_y, twice_x)
                flux += value
                variance += var
                hidden += 1
                bits |= status[row, column]
    if plain:
        variance = area * image.variance
    return flux, variance, hidden > CROWDED_FRACTION * area, cut, (bits & BAD) != 0
