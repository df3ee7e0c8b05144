"""Compiled measurements of one source after the other: isophote, Kron ellipse, curve of growth, window, circles.

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
GROWTH_SIGMAS = 6.0
"""The curve of growth ends at this many times A."""
CROWDED_FRACTION = 0.1
"""From this share of masked pixels in its ellipse on, a source is crowded."""
MINIMUM_HALF_LIGHT = 0.5
"""Pixels; windows are never made for a smaller half-light radius."""

_STEPS = 64
_REACH = 0.75
"""More than half a pixel's diagonal."""
_WINDOW_ITERATIONS = 16
_WINDOW_STEP = 1e-4
_WINDOW_SIGMAS = 4.0
_BARELY_HALF = 0.49999
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


@njit(cache=True, nogil=True, error_model="numpy")
def pixel(image, y, x, twice_y, twice_x):
    """Return value and variance of a pixel, and whether it is masked: then they are its mirror image's, or zero.

    Without a map of the noise a neighbour's pixel keeps the variance of the sky, as in SExtractor.
    """
    data, status = image.data, image.status
    hidden = status[y, x] & image.blank
    if hidden == 0:
        return data[y, x], image.noise[y, x] ** 2 if image.has_map else image.variance, False
    if image.mirror:
        y2, x2 = int(twice_y - y), int(twice_x - x)
        if y2 >= 0 and x2 >= 0 and y2 < data.shape[0] and x2 < data.shape[1] and status[y2, x2] & image.blank == 0:
            return data[y2, x2], image.noise[y2, x2] ** 2 if image.has_map else image.variance, True
    return data.dtype.type(0.0), 0.0 if image.has_map or hidden & BAD else image.variance, True


@njit(cache=True, nogil=True, error_model="numpy")
def _circle_box(x, y, radius, shape):
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


@njit(cache=True, nogil=True, error_model="numpy")
def kron_radius(image, source, factor, minimum):
    """Return the scaled Kron radius, and whether the ellipse of its first moment is crowded and reaches off the image."""
    y0, y1, x0, x1, cut = _ellipse_box(source, KRON_SIGMAS, image.data.shape)
    data, status, blank = image.data, image.status, image.blank
    moment, flux = 0.0, 0.0
    area, hidden = 0, 0
    for y in range(y0, y1):
        dy = y - source.y
        for x in range(x0, x1):
            dx = x - source.x
            r2 = source.cxx * dx * dx + source.cyy * dy * dy + source.cxy * dx * dy
            if r2 <= KRON_SIGMAS * KRON_SIGMAS:
                area += 1
                if status[y, x] & blank:
                    hidden += 1
                else:
                    value = data[y, x]
                    moment += np.sqrt(max(r2, 0.0)) * value
                    flux += value
    radius = factor * moment / flux if moment > 0.0 and flux > 0.0 else minimum
    return max(radius, minimum), hidden > CROWDED_FRACTION * area, cut


@njit(cache=True, nogil=True, error_model="numpy")
def kron_flux(image, source, radius):
    """Sum an ellipse: pixels whose centre lies inside count whole.

    Returns flux, variance of the sky, whether it is crowded, reaches off the image, and holds bad pixels.
    """
    y0, y1, x0, x1, cut = _ellipse_box(source, radius, image.data.shape)
    twice_x, twice_y = 2.0 * source.x + _BARELY_HALF, 2.0 * source.y + _BARELY_HALF
    flux, variance = 0.0, 0.0
    area, hidden = 0, 0
    bits = np.uint8(0)
    limit = radius * radius
    for y in range(y0, y1):
        dy = y - source.y
        for x in range(x0, x1):
            dx = x - source.x
            if source.cxx * dx * dx + source.cyy * dy * dy + source.cxy * dx * dy <= limit:
                value, var, masked = pixel(image, y, x, twice_y, twice_x)
                area += 1
                flux += value
                variance += var
                if masked:
                    hidden += 1
                    bits |= image.status[y, x]
    return flux, variance, hidden > CROWDED_FRACTION * area, cut, (bits & BAD) != 0


@njit(cache=True, nogil=True, error_model="numpy")
def _add_ring(image, source, inner, outer, bins, density):
    """Add the pixels whose centre is at least `inner` and less than `outer` away to the curve of growth."""
    y0, y1, x0, x1, _ = _circle_box(source.x, source.y, outer, image.data.shape)
    twice_x, twice_y = 2.0 * source.x + _BARELY_HALF, 2.0 * source.y + _BARELY_HALF
    step = 1.0 / density
    inner2, outer2 = inner * inner, outer * outer
    n = len(bins)
    for y in range(y0, y1):
        dy = y - source.y
        for x in range(x0, x1):
            dx = x - source.x
            r2 = dx * dx + dy * dy
            if r2 < inner2 or r2 >= outer2:
                continue
            value, _, _ = pixel(image, y, x, twice_y, twice_x)
            r = np.sqrt(r2)
            rest = r - int(r * density) * step
            if rest >= _REACH and rest <= step - _REACH:
                bins[min(int(r * density), n - 1)] += value
                continue
            # Close to the edge of a bin the pixel is divided into 5 x 5.
            for row in range(5):
                dy1 = dy + 0.2 * (row - 2)
                for column in range(5):
                    dx1 = dx + 0.2 * (column - 2)
                    place = int(np.sqrt(dx1 * dx1 + dy1 * dy1) * density)
                    if place < n:
                        bins[place] += 0.04 * value


@njit(cache=True, nogil=True, error_model="numpy")
def _crossing(bins, complete, target):
    """Return where the curve of growth reaches a flux, in steps, and whether that is known from the first `complete` bins."""
    before, total = 0.0, 0.0
    place = 0
    while place < _STEPS - 1:
        if place >= complete:
            return 0.0, False
        before = total
        total += bins[place]
        if total >= target:
            break
        place += 1
    if place == 0:
        return target / total if total != 0.0 else 0.0, True
    rise = total - before
    return place + (target - before) / rise if rise != 0.0 else float(place), True


@njit(cache=True, nogil=True, error_model="numpy")
def growth_radii(image, source, flux, fraction, bins):
    """Return the radii of the circles that hold half and a fraction of a flux, from the curve of growth in 64 steps to 6 A.

    Rings are added from the inside out only until both are known.
    """
    limit = GROWTH_SIGMAS * source.a
    density = _STEPS / limit
    bins[:] = 0.0
    inner, outer = 0.0, 1.5 * source.a + 2.0 * _REACH
    while True:
        last = outer >= limit + 1.5
        if last:
            outer = limit + 1.5
        _add_ring(image, source, inner, outer, bins, density)
        complete = _STEPS if last else int((outer - _REACH) * density)
        half, known = _crossing(bins, complete, 0.5 * flux)
        part, also_known = (half, known) if fraction == 0.5 else _crossing(bins, complete, fraction * flux)
        if known and also_known:
            return min(half / density, limit), min(part / density, limit)
        inner, outer = outer, 1.4 * outer


@njit(cache=True, nogil=True, error_model="numpy")
def windowed(image, source, half_light, across):
    """Return the windowed position, and whether a window reached off the image.

    The barycentre stands where the iteration fails: the window's flux is not positive, or it wanders off by more than a pixel in both
    directions and out of the isophotal ellipse.
    """
    sigma = max(abs(half_light), MINIMUM_HALF_LIGHT) * 2.0 / 2.35
    radius, factor = _WINDOW_SIGMAS * sigma, 0.5 / sigma**2
    inner2, outer2 = max(radius - _REACH, 0.0) ** 2, (radius + _REACH) ** 2
    mx, my = source.x, source.y
    cut = False
    total = 0.0
    for _ in range(_WINDOW_ITERATIONS):
        y0, y1, x0, x1, off = _circle_box(mx, my, radius, image.data.shape)
        cut |= off
        for x in range(x0, x1):
            across[x - x0] = np.exp(-((x - mx) ** 2) * factor)
        total, step_x, step_y = 0.0, 0.0, 0.0
        for y in range(y0, y1):
            dy = y - my
            along = np.exp(-dy * dy * factor)
            for x in range(x0, x1):
                dx = x - mx
                r2 = dx * dx + dy * dy
                if r2 >= outer2:
                    continue
                value, _, _ = pixel(image, y, x, 2.0 * my + _BARELY_HALF, 2.0 * mx + _BARELY_HALF)
                weighted = value * along * across[x - x0]
                if r2 > inner2:
                    weighted *= _share_inside(dx, dy, radius)
                total += weighted
                step_x += weighted * dx
                step_y += weighted * dy
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
def _share_inside(dx, dy, radius):
    """Return the share of 11 x 11 points in a pixel that lie within a circle."""
    count = 0
    for row in range(11):
        room = radius * radius - (dy + (row - 5) / 11.0) ** 2
        if room > 0.0:
            half = np.sqrt(room)
            low = max(np.floor((-half - dx) * 11.0 + 5.0) + 1.0, 0.0)
            high = min(np.ceil((half - dx) * 11.0 + 5.0) - 1.0, 10.0)
            if high >= low:
                count += int(high - low) + 1
    return count / 121.0
