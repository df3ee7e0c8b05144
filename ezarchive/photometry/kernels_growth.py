"""Compiled curve of growth and windowed position of one source."""

from __future__ import annotations

import numpy as np
from numba import njit

from ezarchive.photometry.kernels_measure import BARELY_HALF, circle_box, clear, stand_in

GROWTH_SIGMAS = 6.0
"""The curve of growth ends at this many times A."""
MINIMUM_HALF_LIGHT = 0.5
"""Pixels; windows are never made for a smaller half-light radius."""

_STEPS = 64
_REACH = 0.75
"""More than half a pixel's diagonal."""
_POINT_X = np.resize(np.tile(0.2 * np.arange(-2, 3), 5), 32).astype(np.float32)
_POINT_Y = np.resize(np.repeat(0.2 * np.arange(-2, 3), 5), 32).astype(np.float32)
"""The 5 x 5 points of a pixel, and some more for the sake of round numbers; single precision puts them into their bins fast enough."""
_WINDOW_ITERATIONS = 16
_WINDOW_STEP = 1e-4
_WINDOW_SIGMAS = 4.0


@njit(cache=True, nogil=True, error_model="numpy")
def _add_ring(image, source, inner, outer, bins, density, places):
    """Add the pixels whose centre is at least `inner` and less than `outer` away to the curve of growth."""
    y0, y1, x0, x1, _ = circle_box(source.x, source.y, outer, image.data.shape)
    twice_x, twice_y = 2.0 * source.x + BARELY_HALF, 2.0 * source.y + BARELY_HALF
    step = 1.0 / density
    inner2, outer2 = inner * inner, outer * outer
    n, dense = np.uint64(bins.shape[1]), np.float32(density)
    data, status, blank = image.data, image.status, image.blank
    for y in range(y0, y1):
        row, dy = np.uint64(y), y - source.y
        for x in range(x0, x1):
            column, dx = np.uint64(x), x - source.x
            r2 = dx * dx + dy * dy
            if r2 < inner2 or r2 >= outer2:
                continue
            value = np.float64(data[row, column]) if status[row, column] & blank == 0 else stand_in(image, y, x, twice_y, twice_x)[0]
            r = np.sqrt(r2)
            rest = r - int(r * density) * step
            if rest >= _REACH and rest <= step - _REACH:
                bins[0, min(int(r * density), bins.shape[1] - 1)] += value
                continue
            # Close to the edge of a bin the pixel is divided into 5 x 5.
            near_x, near_y = np.float32(dx), np.float32(dy)
            for k in range(32):
                point_x, point_y = near_x + _POINT_X[k], near_y + _POINT_Y[k]
                places[k] = np.int32(np.sqrt(point_x * point_x + point_y * point_y) * dense)
            value *= 0.04
            for k in range(25):
                place = np.uint64(places[k])
                if place < n:
                    # Sums of their own: neighbouring points often fall into one bin, and would wait for each other.
                    bins[np.uint64(k % 5), place] += value


@njit(cache=True, nogil=True, error_model="numpy")
def _crossing(curve, complete, target):
    """Return where the curve of growth reaches a flux, in steps, and whether that is known from the first `complete` bins."""
    before, total = 0.0, 0.0
    place = 0
    while place < _STEPS - 1:
        if place >= complete:
            return 0.0, False
        before = total
        total += curve[place]
        if total >= target:
            break
        place += 1
    if place == 0:
        return target / total if total != 0.0 else 0.0, True
    rise = total - before
    return place + (target - before) / rise if rise != 0.0 else float(place), True


@njit(cache=True, nogil=True, error_model="numpy")
def growth_radii(image, source, flux, fraction, bins, places):
    """Return the radii of the circles that hold half and a fraction of a flux, from the curve of growth in 64 steps to 6 A.

    Of a negative flux the second is negative, as in SExtractor; the first, which windows are made of, is never.
    Rings are added from the inside out only until both are known.
    """
    limit = GROWTH_SIGMAS * source.a
    density = _STEPS / limit
    bins[:] = 0.0
    curve = bins[5]
    inner, outer = 0.0, 1.5 * source.a + 2.0 * _REACH
    while True:
        last = outer >= limit + 1.5
        if last:
            outer = limit + 1.5
        _add_ring(image, source, inner, outer, bins[:5], density, places)
        for i in range(_STEPS):
            curve[i] = bins[0, i] + bins[1, i] + bins[2, i] + bins[3, i] + bins[4, i]
        complete = _STEPS if last else int((outer - _REACH) * density)
        half, known = _crossing(curve, complete, 0.5 * flux)
        part, also_known = (half, known) if fraction == 0.5 else _crossing(curve, complete, fraction * flux)
        if known and also_known:
            return min(abs(half) / density, limit), min(part / density, limit)
        inner, outer = outer, 1.4 * outer


@njit(cache=True, nogil=True, error_model="numpy")
def windowed(image, source, half_light, rows):
    """Return the windowed position, and whether a window reached off the image.

    The barycentre stands where the iteration fails: the window's flux is not positive, or it wanders off by more than a pixel in both
    directions and out of the isophotal ellipse.
    """
    sigma = max(half_light, MINIMUM_HALF_LIGHT) * 2.0 / 2.35
    mx, my = source.x, source.y
    cut = False
    total = 0.0
    for _ in range(_WINDOW_ITERATIONS):
        total, step_x, step_y, off = _window_sums(image, mx, my, sigma, rows)
        cut |= off
        if not total > 0.0:
            break
        step_x, step_y = step_x / total, step_y / total
        mx += 2.0 * step_x
        my += 2.0 * step_y
        if step_x**2 + step_y**2 < _WINDOW_STEP**2:
            break
    dx, dy = mx - source.x, my - source.y
    outside = source.cxx * dx * dx + source.cyy * dy * dy + source.cxy * dx * dy > 1.0
    if not total > 0.0 or (dx * dx > 1.0 and dy * dy > 1.0 and outside) or not np.isfinite(dx + dy):
        return source.x, source.y, cut
    return mx, my, cut


@njit(cache=True, nogil=True, error_model="numpy")
def _window_sums(image, mx, my, sigma, rows):
    """Return the flux in a Gaussian window of 4 sigma, its first moments, and whether the window reaches off the image."""
    radius, factor = _WINDOW_SIGMAS * sigma, 0.5 / sigma**2
    y0, y1, x0, x1, off = circle_box(mx, my, radius, image.data.shape)
    free = clear(image, y0, y1, x0, x1)
    data, status, blank = image.data, image.status, image.blank
    twice_x, twice_y = 2.0 * mx + BARELY_HALF, 2.0 * my + BARELY_HALF
    # From one pixel to the next the Gaussian changes by a factor that itself changes by the same factor at each step.
    change = np.exp(-2.0 * factor)
    height, ratio = np.exp(-((x0 - mx) ** 2) * factor), np.exp(-(2.0 * (x0 - mx) + 1.0) * factor)
    for x in range(x0, x1):
        rows[0, np.uint64(x - x0)], rows[1, np.uint64(x - x0)] = height, height * (x - mx)
        height, ratio = height * ratio, ratio * change
    height, ratio = np.exp(-((y0 - my) ** 2) * factor), np.exp(-(2.0 * (y0 - my) + 1.0) * factor)
    total, step_x, step_y = 0.0, 0.0, 0.0
    rows[2, 0], rows[3, 0] = 0.0, 0.0
    for y in range(y0, y1):
        dy, along = y - my, height
        height, ratio = height * ratio, ratio * change
        reach = radius * radius - max(abs(dy) - 0.5, 0.0) ** 2
        if reach <= 0.0:
            continue
        # Running sums along the row: whatever part of it lies inside is a difference of two.
        reach = np.sqrt(reach)
        begin, end = max(int(mx - reach - 0.5), x0), min(int(mx + reach + 2.5), x1)
        if begin >= end:
            continue
        row, flux, shift = np.uint64(y), 0.0, 0.0
        for x in range(begin, end):
            column, place = np.uint64(x), np.uint64(x - x0)
            value = np.float64(data[row, column])
            if not free and status[row, column] & blank:
                value = stand_in(image, y, x, twice_y, twice_x)[0]
            flux += value * rows[0, place]
            shift += value * rows[1, place]
            place = np.uint64(x - begin + 1)
            rows[2, place], rows[3, place] = flux, shift
        flux, shift = _row_inside(rows, mx - begin + 0.5, dy, radius, end - begin)
        total += flux * along
        step_x += shift * along
        step_y += flux * along * dy
    return total, step_x, step_y, off


@njit(cache=True, nogil=True, error_model="numpy")
def _row_inside(rows, middle, dy, radius, n):
    """Return what the two running sums along a row of `n` pixels hold inside a circle."""
    # Where the circle crosses the row steeply its middle tells; SExtractor divides the pixels at the edge into 11 x 11.
    parts = 1 if abs(dy) < 0.85 * radius else 3
    flux, shift = 0.0, 0.0
    for part in range(parts):
        room = radius * radius - (dy + (part + 0.5) / parts - 0.5) ** 2
        if room > 0.0:
            half = np.sqrt(room)
            low, high = min(max(middle - half, 0.0), float(n)), min(max(middle + half, 0.0), float(n))
            i, j = np.uint64(min(int(low), n - 1)), np.uint64(min(int(high), n - 1))
            low, high = low - i, high - j
            flux += rows[2, j] + high * (rows[2, j + 1] - rows[2, j]) - rows[2, i] - low * (rows[2, i + 1] - rows[2, i])
            shift += rows[3, j] + high * (rows[3, j + 1] - rows[3, j]) - rows[3, i] - low * (rows[3, i + 1] - rows[3, i])
    return flux / parts, shift / parts
