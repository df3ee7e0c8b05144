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
_ZERO, _BELOW = np.float32(0.0), np.float32(-1.0)
_GROUP = 8
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
    nx, rows = image.shape[1], last - first
    n_boxes = level.size
    bins, counts = np.empty(width, np.uint32), np.zeros(_MOST_LEVELS + 2, np.int32)
    turned = np.empty((rows * width, _GROUP), np.float32)
    sums, low, high = np.zeros((3, _GROUP)), np.zeros(_GROUP, np.float32), np.zeros(_GROUP, np.float32)
    for start in range(0, n_boxes, _GROUP):
        together = min(_GROUP, n_boxes - start)
        whole = bad.size == 0 and together == _GROUP and (start + _GROUP) * width <= nx
        if whole:
            _turn(image, first, last, start * width, width, turned)
            _sums_of_group(turned, sums)
        else:
            for k in range(together):
                x0 = (start + k) * width
                _sums_of_box(image, first, last, x0, min(x0 + width, nx), bad, -np.inf, np.inf, sums, k)
        for k in range(together):
            if not sums[2, k] < _TOO_MUCH:
                return False
        for k in range(together):
            mean, sigma = _mean_and_sigma(sums, k)
            low[k], high[k] = np.float32(mean - 2.0 * sigma), np.float32(mean + 2.0 * sigma)
            pixels = rows * (min((start + k + 1) * width, nx) - (start + k) * width)
            if np.float32(sums[0, k]) < np.float32(pixels * _LEAST_SHARE):
                low[k], high[k] = np.float32(np.nan), np.float32(np.nan)
        if whole:
            _clipped_sums_of_group(turned, low, high, sums)
        for k in range(together):
            x0 = (start + k) * width
            x1 = min(x0 + width, nx)
            if low[k] != low[k]:
                level[start + k], noise[start + k] = np.nan, np.nan
                continue
            if not whole:
                _sums_of_box(image, first, last, x0, x1, bad, low[k], high[k], sums, k)
            found = _of_box(image, first, last, x0, x1, bad, sums, k, bins, counts)
            level[start + k], noise[start + k] = found[0], found[1]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _turn(image, first, last, start, width, turned):  # pragma: no cover - compiled
    """Put the pixels of eight boxes beside each other."""
    n = 0
    for y in range(first, last):
        line = image[y]
        for k in range(_GROUP):
            part, out = line[start + k * width : start + (k + 1) * width], turned[n : n + width, k]
            for x in range(width):
                out[x] = part[x]
        n += width


@njit(cache=True, nogil=True, error_model="numpy")
def _sums_of_group(turned, sums):  # pragma: no cover - compiled
    """Sum values and squares of eight boxes, pixel by pixel of each in order."""
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = b0 = b1 = b2 = b3 = b4 = b5 = b6 = b7 = 0.0
    n = turned.shape[0]
    for i in range(n):
        v0, v1, v2, v3 = np.float64(turned[i, 0]), np.float64(turned[i, 1]), np.float64(turned[i, 2]), np.float64(turned[i, 3])
        v4, v5, v6, v7 = np.float64(turned[i, 4]), np.float64(turned[i, 5]), np.float64(turned[i, 6]), np.float64(turned[i, 7])
        a0, a1, a2, a3, a4, a5, a6, a7 = a0 + v0, a1 + v1, a2 + v2, a3 + v3, a4 + v4, a5 + v5, a6 + v6, a7 + v7
        b0, b1, b2, b3 = b0 + v0 * v0, b1 + v1 * v1, b2 + v2 * v2, b3 + v3 * v3
        b4, b5, b6, b7 = b4 + v4 * v4, b5 + v5 * v5, b6 + v6 * v6, b7 + v7 * v7
    for k, total in enumerate((a0, a1, a2, a3, a4, a5, a6, a7)):
        sums[0, k], sums[1, k] = n, total
    for k, squares in enumerate((b0, b1, b2, b3, b4, b5, b6, b7)):
        sums[2, k] = squares


@njit(cache=True, nogil=True, error_model="numpy")
def _clipped_sums_of_group(turned, low, high, sums):  # pragma: no cover - compiled
    """Sum as `_sums_of_group` what lies between limits."""
    for half in (0, 4):
        l0, l1, l2, l3 = low[half], low[half + 1], low[half + 2], low[half + 3]
        h0, h1, h2, h3 = high[half], high[half + 1], high[half + 2], high[half + 3]
        a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = n0 = n1 = n2 = n3 = 0.0
        four = turned[:, half : half + 4]
        for i in range(four.shape[0]):
            v0, v1, v2, v3 = four[i, 0], four[i, 1], four[i, 2], four[i, 3]
            g0, g1, g2, g3 = (v0 >= l0) & (v0 <= h0), (v1 >= l1) & (v1 <= h1), (v2 >= l2) & (v2 <= h2), (v3 >= l3) & (v3 <= h3)
            w0, w1, w2, w3 = v0 if g0 else _ZERO, v1 if g1 else _ZERO, v2 if g2 else _ZERO, v3 if g3 else _ZERO
            u0, u1, u2, u3 = np.float64(w0), np.float64(w1), np.float64(w2), np.float64(w3)
            a0, a1, a2, a3 = a0 + u0, a1 + u1, a2 + u2, a3 + u3
            b0, b1, b2, b3 = b0 + u0 * u0, b1 + u1 * u1, b2 + u2 * u2, b3 + u3 * u3
            n0, n1, n2, n3 = n0 + (1.0 if g0 else 0.0), n1 + (1.0 if g1 else 0.0), n2 + (1.0 if g2 else 0.0), n3 + (1.0 if g3 else 0.0)
        for k, found in enumerate(((n0, a0, b0), (n1, a1, b1), (n2, a2, b2), (n3, a3, b3))):
            sums[0, half + k], sums[1, half + k], sums[2, half + k] = found


@njit(cache=True, nogil=True, error_model="numpy")
def _sums_of_box(image, first, last, x0, x1, bad, low, high, sums, k):  # pragma: no cover - compiled
    """Sum number, values and squares of the good pixels of a box between limits."""
    n, total, squares = 0, 0.0, 0.0
    for y in range(first, last):
        for x in range(x0, x1):
            value = image[y, x]
            # Written so that what is no number is summed, and noticed, where there are no limits.
            if not (value < low or value > high) and (bad.size == 0 or not bad[y - first, x]):
                wide = np.float64(value)
                total += wide
                squares += wide * wide
                n += 1
    sums[0, k], sums[1, k], sums[2, k] = n, total, squares


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_and_sigma(sums, k):  # pragma: no cover - compiled
    mean = sums[1, k] / sums[0, k]
    variance = sums[2, k] / sums[0, k] - mean * mean
    return mean, math.sqrt(variance) if variance > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _of_box(image, first, last, x0, x1, bad, sums, k, bins, counts):  # pragma: no cover - compiled
    """Return level and noise of a box from the sums of its clipped pixels, and its histogram."""
    mean, sigma = _mean_and_sigma(sums, k)
    step = math.sqrt(2 / math.pi) * _HALF_WIDTH / _PER_LEVEL
    levels = min(int(step * sums[0, k] + 1), _MOST_LEVELS)
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
        line = image[y, x0:x1]
        width = line.size
        for x in range(width):
            place = line[x] / scale + offset
            # A place between -1 and 0 becomes 0.
            bins[x] = np.uint32(np.int32(place)) if (place > _BELOW) & (place < top) else np.uint32(levels)
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
