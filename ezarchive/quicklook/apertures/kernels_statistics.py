"""Compiled statistics of the pixels whose centres lie in apertures."""

from __future__ import annotations

import numpy as np
from numba import njit

from ezarchive.quicklook.apertures.kernels_overlap import inside_row, widest

COLUMNS = (
    "n", "min", "max", "mean", "median", "var", "mad", "biweight_location", "biweight_midvariance",
    "xcentroid", "ycentroid", "covariance_xx", "covariance_yy", "covariance_xy",
)  # fmt: skip
"""What `measure` fills, in order; centroids are counted from the first pixel of the image."""


@njit(cache=True, nogil=True, error_model="numpy")
def _select(values, n, k):  # pragma: no cover - compiled
    """Return the k-th smallest of the first n values, which are rearranged: none before it is larger (Hoare's selection)."""
    first, last = 0, n - 1
    while last > first:
        pivot = values[(first + last) // 2]
        i, j = first, last
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            last = j
        elif k >= i:
            first = i
        else:
            break
    return values[k]


@njit(cache=True, nogil=True, error_model="numpy")
def _median(values, n):  # pragma: no cover - compiled
    """Return the median of the first n values, which are rearranged."""
    upper = _select(values, n, n // 2)
    if n % 2:
        return upper
    lower = values[0]
    for i in range(1, n // 2):
        lower = max(lower, values[i])
    return 0.5 * (lower + upper)


@njit(cache=True, nogil=True, error_model="numpy")
def _centre(image, y0, x0, outlines, k, background, inside, values, out):  # pragma: no cover - compiled
    """Gather the values of an aperture, fill number, extremes, mean and centroid (from the box's first pixel); return number and sum."""
    left, low, high = outlines.boxes[k, 2], outlines.boxes[k, 0], outlines.boxes[k, 1]
    n, total, along, up = 0, 0.0, 0.0, 0.0
    least, most = np.inf, -np.inf
    for y in range(low, high):
        inside_row(outlines, k, y, inside)
        row_sum, row_along = 0.0, 0.0
        for i in range(inside.size):
            if not inside[i]:
                continue
            value = image[y - y0, left - x0 + i]
            if not np.isfinite(value):
                continue
            value -= background
            values[n] = value
            n += 1
            row_sum += value
            row_along += value * i
            least, most = min(least, value), max(most, value)
        total += row_sum
        along += row_along
        up += row_sum * (y - low)
    if n:
        out[0], out[1], out[2], out[3] = n, least, most, total / n
        out[9], out[10] = along / total, up / total
    return n, total


@njit(cache=True, nogil=True, error_model="numpy")
def _second_moments(image, y0, x0, outlines, k, background, inside, total, out):  # pragma: no cover - compiled
    """Fill the central second moments over their sum."""
    left, low, high = outlines.boxes[k, 2], outlines.boxes[k, 0], outlines.boxes[k, 1]
    xx, yy, xy = 0.0, 0.0, 0.0
    for y in range(low, high):
        inside_row(outlines, k, y, inside)
        dy, row_0, row_1, row_2 = y - low - out[10], 0.0, 0.0, 0.0
        for i in range(inside.size):
            value = image[y - y0, left - x0 + i]
            if inside[i] and np.isfinite(value):
                dx = i - out[9]
                value -= background
                row_0 += value
                row_1 += value * dx
                row_2 += value * dx * dx
        xx += row_2
        yy += row_0 * dy * dy
        xy += row_1 * dy
    out[11], out[12], out[13] = xx / total, yy / total, xy / total


@njit(cache=True, nogil=True, error_model="numpy")
def _spread(values, deviations, n, out):  # pragma: no cover - compiled
    """Fill variance, median, MAD and the two biweights, as astropy defines them."""
    mean, median = out[3], _median(values, n)
    total = 0.0
    for i in range(n):
        total += (values[i] - mean) ** 2
        deviations[i] = abs(values[i] - median)
    mad = _median(deviations, n)
    out[4], out[5], out[6] = median, total / n, mad
    out[7], out[8] = median, 0.0
    if mad == 0.0:
        return
    weights, shift, f1, f2 = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        d = values[i] - median
        u = (d / (6.0 * mad)) ** 2
        if u < 1.0:
            weights += (1.0 - u) ** 2
            shift += d * (1.0 - u) ** 2
        u = (d / (9.0 * mad)) ** 2
        if u < 1.0:
            f1 += d * d * (1.0 - u) ** 4
            f2 += (1.0 - u) * (1.0 - 5.0 * u)
    out[7], out[8] = median + shift / weights, n * f1 / f2**2


@njit(cache=True, nogil=True, error_model="numpy")
def measure(image, y0, x0, outlines, which, background, found):  # pragma: no cover - compiled
    """Measure the finite pixels whose centres lie in apertures, without weights.

    Parameters
    ----------
    image : ndarray, shape (h, w)
        Not finite where a pixel is bad.
    y0, x0 : int
        The pixel of the image's first one.
    outlines : Outlines
    which : ndarray of int64
        The apertures; their boxes are all in this part.
    background : ndarray, shape (n,)
        Taken from each pixel.
    found : ndarray, shape (n, len(COLUMNS))
        Filled where an aperture has such a pixel.
    """
    room = 0
    for k in which:
        room = max(room, (outlines.boxes[k, 1] - outlines.boxes[k, 0]) * (outlines.boxes[k, 3] - outlines.boxes[k, 2]))
    values, deviations, flags = np.empty(room), np.empty(room), np.empty(widest(outlines, which), np.bool_)
    for k in which:
        out, inside = found[k], flags[: outlines.boxes[k, 3] - outlines.boxes[k, 2]]
        n, total = _centre(image, y0, x0, outlines, k, background[k], inside, values, out)
        if n == 0:
            continue
        _second_moments(image, y0, x0, outlines, k, background[k], inside, total, out)
        _spread(values, deviations, n, out)
        out[9] += outlines.boxes[k, 2]
        out[10] += outlines.boxes[k, 0]
