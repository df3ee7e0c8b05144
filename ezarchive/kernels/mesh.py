"""Level and noise of the sky in boxes, exactly as sep and SExtractor estimate them (Bertin & Arnouts 1996, A&AS 117, 393, section 3.1)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_MOST_LEVELS = 4096
_HALF_WIDTH = 5.0
"""Sigmas on either side of the mean that the histogram spans."""
_PER_LEVEL = 4
"""Pixels in a level of the histogram at the mode."""
_LEAST_SHARE = 0.5
_CONVERGED = 1e-4
_TURNS = 100
_MODE_LIMIT = 0.3
"""Skewness from which the median is taken rather than the mode."""
_TOO_MUCH = 1e60
"""Sums of squares from which some pixel holds no value."""
_GROUP = 4
"""Boxes side by side that are summed together: each has its own chain of additions, and a processor can follow several at once."""


@njit(cache=True, nogil=True, error_model="numpy")
def box_row(image, first, last, width, bad, level, noise):  # pragma: no cover - compiled
    """Estimate level and noise in one row of boxes.

    Parameters
    ----------
    image : array of float32, shape (ny, nx)
    first, last : int
        Rows of the boxes.
    width : int
        Columns of a box.
    bad : array of bool, shape (last - first, nx), or (0, 0)
        Pixels to leave out; empty for none. Of those only may not be finite.
    level, noise : array of float64, shape (number of boxes,)
        Filled; NaN where less than half of the pixels can be used.

    Returns
    -------
    bool
        False, and nothing of use filled, if pixels that are not finite (or below -1e30) are not left out.
    """
    nx = image.shape[1]
    n_boxes = level.size
    bins = np.empty((last - first) * width, np.int32)
    counts = np.zeros(_MOST_LEVELS + 2, np.int64)
    sums = np.zeros((3, _GROUP))
    for start in range(0, n_boxes, _GROUP):
        if bad.size == 0 and start + _GROUP < n_boxes:
            _sums_of_group(image, first, last, start * width, width, sums)
            n_together = _GROUP
        else:
            n_together = min(_GROUP, n_boxes - start)
            for k in range(n_together):
                x0 = (start + k) * width
                _sums_of_box(image, first, last, x0, min(x0 + width, nx), bad, sums, k)
        for k in range(n_together):
            if not sums[2, k] < _TOO_MUCH:
                return False
            box = start + k
            x0 = box * width
            x1 = min(x0 + width, nx)
            if np.float32(sums[0, k]) < np.float32((x1 - x0) * (last - first) * _LEAST_SHARE):
                level[box], noise[box] = np.nan, np.nan
                continue
            found = _clipped(image, first, last, x0, x1, bad, sums[0, k], sums[1, k], sums[2, k], bins, counts)
            level[box], noise[box] = found[0], found[1]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _sums_of_group(image, first, last, start, width, sums):  # pragma: no cover - compiled
    """Sum values and squares of four boxes side by side, pixel by pixel of each in order."""
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = 0.0
    for y in range(first, last):
        for x in range(start, start + width):
            v0, v1 = np.float64(image[y, x]), np.float64(image[y, x + width])
            v2, v3 = np.float64(image[y, x + 2 * width]), np.float64(image[y, x + 3 * width])
            a0, a1, a2, a3 = a0 + v0, a1 + v1, a2 + v2, a3 + v3
            b0, b1, b2, b3 = b0 + v0 * v0, b1 + v1 * v1, b2 + v2 * v2, b3 + v3 * v3
    n = (last - first) * width
    sums[0, 0], sums[0, 1], sums[0, 2], sums[0, 3] = n, n, n, n
    sums[1, 0], sums[1, 1], sums[1, 2], sums[1, 3] = a0, a1, a2, a3
    sums[2, 0], sums[2, 1], sums[2, 2], sums[2, 3] = b0, b1, b2, b3


@njit(cache=True, nogil=True, error_model="numpy")
def _sums_of_box(image, first, last, x0, x1, bad, sums, k):  # pragma: no cover - compiled
    n, total, squares = 0, 0.0, 0.0
    for y in range(first, last):
        for x in range(x0, x1):
            if bad.size == 0 or not bad[y - first, x]:
                value = np.float64(image[y, x])
                total += value
                squares += value * value
                n += 1
    sums[0, k], sums[1, k], sums[2, k] = n, total, squares


@njit(cache=True, nogil=True, error_model="numpy")
def _clipped(image, first, last, x0, x1, bad, n, total, squares, bins, counts):  # pragma: no cover - compiled
    """Return level and noise of a box from its number of pixels and their sums: clip once, then look at the histogram."""
    mean = total / n
    variance = squares / n - mean * mean
    sigma = math.sqrt(variance) if variance > 0.0 else 0.0
    low, high = np.float32(mean - 2.0 * sigma), np.float32(mean + 2.0 * sigma)
    inside, total, squares = 0, 0.0, 0.0
    for y in range(first, last):
        for x in range(x0, x1):
            value = image[y, x]
            good = low <= value <= high and (bad.size == 0 or not bad[y - first, x])
            wide = np.float64(value) if good else 0.0
            total += wide
            squares += wide * wide
            inside += good
    mean = total / inside
    variance = squares / inside - mean * mean
    sigma = math.sqrt(variance) if variance > 0.0 else 0.0
    step = math.sqrt(2 / math.pi) * _HALF_WIDTH / _PER_LEVEL
    levels = min(int(step * inside + 1), _MOST_LEVELS)
    mean_single, sigma_single = np.float32(mean), np.float32(sigma)
    scale = np.float32(2 * _HALF_WIDTH * sigma / levels) if sigma > 0.0 else np.float32(1.0)
    zero = np.float32(mean - _HALF_WIDTH * sigma)
    offset = np.float32(0.499999 - np.float64(zero / scale))
    _fill(image, first, last, x0, x1, bad, scale, offset, levels, bins, counts)
    return _mode(counts, levels, np.float64(mean_single), np.float64(sigma_single), np.float64(scale), np.float64(zero))


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(image, first, last, x0, x1, bad, scale, offset, levels, bins, counts):  # pragma: no cover - compiled
    """Make the histogram."""
    for i in range(levels + 2):
        counts[i] = 0
    top = np.float32(levels)
    for y in range(first, last):
        # Two loops: the first one works on several pixels at once. What lies outside comes into the last place.
        width = x1 - x0
        for x in range(width):
            place = image[y, x0 + x] / scale + offset
            # A place between -1 and 0 becomes 0.
            bins[x] = np.int32(place) if np.float32(-1.0) < place < top else np.int32(levels)
        if bad.size == 0:
            for x in range(width):
                counts[bins[x]] += 1
        else:
            for x in range(width):
                counts[bins[x]] += not bad[y - first, x0 + x]


@njit(cache=True, nogil=True, error_model="numpy")
def _mode(counts, levels, mean, sigma, scale, zero):  # pragma: no cover - compiled
    """Return level and noise from a histogram, clipped at 3 sigma around the median until sigma stays.

    All sums are of integers, so they may be corrected for what is clipped rather than made anew, without a difference.
    """
    top = levels - 1
    low, high = 0, top
    n = first = second = 0
    for i in range(levels):
        count = counts[i]
        n += count
        first += count * i
        second += count * i * i
    below, split = 0, 0
    spread, before, middle, median = 10.0 * top, 1.0, mean, mean
    for _ in range(_TURNS):
        if not (spread >= 0.1 and abs(spread / before - 1.0) > _CONVERGED):
            break
        before = spread
        split, below = _split(counts, low, high, n, split, below)
        # The last places that were added from above and from below.
        over, under = split - 1, split
        if over >= 0:
            tall = max(counts[under] if under < levels else 0, counts[over])
            median = over + 0.5 + (np.float64(n - below) - np.float64(below)) / (2.0 * tall)
        else:
            median = 0.0
        middle, spread = np.float64(first), np.float64(second)
        if n:
            middle /= np.float64(n)
            spread = spread / n - middle * middle
        spread = math.sqrt(spread) if spread > 0.0 else 0.0
        edge = median - 3.0 * spread
        new_low = int(edge + 0.5) if edge > 0.0 else 0
        edge = median + 3.0 * spread
        new_high = (int(edge + 0.5) if edge > 0.0 else int(edge - 0.5)) if edge < top else top
        for i in range(min(low, new_low), max(low, new_low)):
            sign = 1 if new_low < low else -1
            n, first, second = n + sign * counts[i], first + sign * counts[i] * i, second + sign * counts[i] * i * i
            if split > i:
                below += sign * counts[i]
        for i in range(min(high, new_high) + 1, max(high, new_high) + 1):
            sign = 1 if new_high > high else -1
            n, first, second = n + sign * counts[i], first + sign * counts[i] * i, second + sign * counts[i] * i * i
            if split > i:
                below += sign * counts[i]
        low, high = new_low, new_high
    if abs(spread) > 0.0:
        skew = abs((middle - median) / spread)
        where = 2.5 * median - 1.5 * middle if skew < _MODE_LIMIT else median
    else:
        where = middle
    return np.float32(zero + where * scale), np.float32(spread * scale)


@njit(cache=True, nogil=True, error_model="numpy")
def _split(counts, low, high, n, split, below):  # pragma: no cover - compiled
    """Return where two sums that grow from both ends of ``low .. high`` meet, the smaller one always next, and the lower sum.

    The meeting place follows from the sums alone: it lies before or behind the place where the lower sum reaches half of all.
    """
    split = min(split, high + 1)
    while split < low or (split <= high and 2 * below < n):
        if split >= low:
            below += counts[split]
        split += 1
    while split > low and 2 * (below - counts[split - 1]) >= n:
        split -= 1
        below -= counts[split]
    # The lower sum reaches half with the place before the split; it is added from above if it was the lesser sum's turn.
    if split > low:
        without = below - counts[split - 1]
        if without >= n - below:
            return split - 1, without
    return split, below


@njit(cache=True, nogil=True, error_model="numpy")
def subtract(image, first, interval, weights, nodes, curves, middle):  # pragma: no cover - compiled
    """Subtract rows of a spline from an image, in place.

    Parameters
    ----------
    image : array of float32, shape (n, nx)
        Overwritten.
    first : int
        Its first row, among those of the next two.
    interval : array of int64, shape (ny,)
        The interval of nodes that each row lies in.
    weights : array of float32, shape (ny, 4)
        Of the two nodes, and of the curvatures at them.
    nodes, curves : array of float32, shape (number of nodes, nx)
        Level and curvature along rows at the nodes.
    middle : float32
        Added to the level.
    """
    last = nodes.shape[0] - 1
    for y in range(image.shape[0]):
        i = interval[first + y]
        j = min(i + 1, last)
        w0, w1, w2, w3 = weights[first + y, 0], weights[first + y, 1], weights[first + y, 2], weights[first + y, 3]
        line, low, high, bent_low, bent_high = image[y], nodes[i], nodes[j], curves[i], curves[j]
        for x in range(line.size):
            line[x] -= w0 * low[x] + w1 * high[x] + w2 * bent_low[x] + w3 * bent_high[x] + middle
