"""Compiled exact overlap of outlines and pixels, row by row, and sums in apertures. No pixel of a row is ever divided.

One routine serves circles and ellipses (a pixel becomes a parallelogram beside the unit circle), another all that has straight sides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

NOTHING, CIRCLE, ELLIPSE, RECTANGLE, POLYGON, GRID = 0, 1, 2, 3, 4, 5
SUM, AREA, VARIANCE, STRICT_VARIANCE, N_BAD, AREA_BAD, N_TOTALS = 0, 1, 2, 3, 4, 5, 6


class Outlines(NamedTuple):
    """Apertures as plain arrays: an outer outline each, and an inner one that is taken off.

    Attributes
    ----------
    kinds : ndarray of int64, shape (n, 2)
        `CIRCLE` and so on; `NOTHING` for no inner outline, `GRID` for weights that are given.
    numbers : ndarray, shape (n, 2, 6)
        x, y, half axes a and b (half width and height), cosine and sine of the angle.
    first : ndarray of int64, shape (n, 2, 2)
        Where corners begin and end in `corners`; of a `GRID` where its weights begin, and the row above which they lie.
    corners : ndarray, shape (m, 2)
        x, y, counter-clockwise.
    boxes : ndarray of int64, shape (n, 4)
        First and last row (exclusive), first and last column (exclusive), on the image.
    weights, inside : ndarray of float64 and of bool, shape (p,)
        Of grids, rows one after the other over their boxes.
    """

    kinds: NDArray[np.int64]
    numbers: NDArray[np.float64]
    first: NDArray[np.int64]
    corners: NDArray[np.float64]
    boxes: NDArray[np.int64]
    weights: NDArray[np.float64]
    inside: NDArray[np.bool_]


@njit(cache=True, nogil=True, error_model="numpy")
def _in_disc(px, py, dx, dy):  # pragma: no cover - compiled
    """Return twice the signed area of the unit disc between its centre and a side from p to p + d."""
    cross, pp, pd, dd = px * dy - py * dx, px * px + py * py, px * dx + py * dy, dx * dx + dy * dy
    room = dd - cross * cross
    low, high = 1.0, 0.0
    if room > 0.0:
        root = np.sqrt(room)
        low, high = max((-pd - root) / dd, 0.0), min((-pd + root) / dd, 1.0)
    if low >= high:
        return np.arctan2(cross, pp + pd)
    area = cross * (high - low)
    if low > 0.0:
        area += np.arctan2(low * cross, pp + low * pd)
    if high < 1.0:
        area += np.arctan2((1.0 - high) * cross, pp + (1.0 + high) * pd + high * dd)
    return area


@njit(cache=True, nogil=True, error_model="numpy")
def pixel_in_ellipse(dx, dy, numbers):  # pragma: no cover - compiled
    """Return the share of a pixel, whose lower left corner lies at dx, dy from the centre, that is in an ellipse.

    Parameters
    ----------
    dx, dy : float
    numbers : ndarray, shape (6,)
        As in `Outlines`; the centre is not looked at.
    """
    a, b, cos, sin = numbers[2], numbers[3], numbers[4], numbers[5]
    px, py = (dx * cos + dy * sin) / a, (dy * cos - dx * sin) / b
    ux, uy, vx, vy = cos / a, -sin / b, sin / a, cos / b
    twice = _in_disc(px, py, ux, uy) + _in_disc(px + ux, py + uy, vx, vy)
    twice += _in_disc(px + ux + vx, py + uy + vy, -ux, -uy) + _in_disc(px + vx, py + vy, -vx, -vy)
    return min(max(0.5 * twice * a * b, 0.0), 1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _ellipse_row(numbers, y, x0, row):  # pragma: no cover - compiled
    """Fill the shares of a row of pixels that begins at x0.

    The chord of height v reaches from ``slope v - half(v)`` to ``slope v + half(v)``: pixels between the chords at both edges of the row
    are whole, those beyond its widest are empty, and only the others are measured.
    """
    x, a, b, cos, sin = numbers[0], numbers[2], numbers[3], numbers[4], numbers[5]
    row[:] = 0.0
    rx, ry = np.hypot(a * cos, b * sin), np.hypot(a * sin, b * cos)
    mixed = (a - b) * (a + b) * sin * cos
    low, high = y - 0.5 - numbers[1], y + 0.5 - numbers[1]
    if low >= ry or high <= -ry:
        return
    slope, half = mixed / ry / ry, a * (b / ry)
    bottom, top = max(low, -ry), min(high, ry)
    v = min(max(mixed / rx, bottom), top)
    right = slope * v + half * np.sqrt(max(1.0 - (v / ry) ** 2, 0.0))
    v = min(max(-mixed / rx, bottom), top)
    left = slope * v - half * np.sqrt(max(1.0 - (v / ry) ** 2, 0.0))
    inner_left, inner_right = np.inf, -np.inf
    if low > -ry and high < ry:
        h0, h1 = half * np.sqrt(1.0 - (low / ry) ** 2), half * np.sqrt(1.0 - (high / ry) ** 2)
        inner_left, inner_right = max(slope * low - h0, slope * high - h1), min(slope * low + h0, slope * high + h1)
    start = x - x0 + 0.5
    first = int(min(max(np.floor(start + left), 0.0), row.size))
    last = int(min(max(np.ceil(start + right), 0.0), row.size))
    for i in range(first, last):
        dx = i - start
        whole = dx >= inner_left and dx + 1.0 <= inner_right
        row[i] = 1.0 if whole else pixel_in_ellipse(dx, low, numbers)


@njit(cache=True, nogil=True, error_model="numpy")
def _side_of_row(xa, ya, xb, yb, part, step, touched):  # pragma: no cover - compiled
    """Add the area to the right of one side of a polygon; the row lies between y = 0 and 1, its pixel i between x = i and i + 1."""
    low, high = min(ya, yb), max(ya, yb)
    if high <= 0.0 or low >= 1.0:
        return
    if low == high:
        for i in range(int(max(np.floor(min(xa, xb)), 0.0)), int(min(np.floor(max(xa, xb)), step.size - 2.0)) + 1):
            touched[i] = 1.0
        return
    turn = (xb - xa) / (yb - ya)
    start, stop = max(low, 0.0), min(high, 1.0)
    one = xa if start == ya else (xb if start == yb else xa + (start - ya) * turn)
    two = xa if stop == ya else (xb if stop == yb else xa + (stop - ya) * turn)
    rise = (start - stop) if yb > ya else (stop - start)
    left, right = min(one, two), max(one, two)
    if left >= step.size - 1:
        return
    if right <= 0.0:
        step[0] += rise
        return
    first, last = int(max(np.floor(left), 0.0)), int(min(np.floor(right), step.size - 2.0))
    width = right - left
    for i in range(first, last + 1):
        touched[i] = 1.0
        if width > 0.0:
            before, after = min(max((i - left) / width, 0.0), 1.0), min(max((i + 1.0 - left) / width, 0.0), 1.0)
            part[i] += rise * (before + (after - before) * (i + 1.0 - left - 0.5 * (before + after) * width))
        else:
            part[i] += rise * (i + 1.0 - left)
    step[last + 1] += rise


@njit(cache=True, nogil=True, error_model="numpy")
def _polygon_row(corners, y, x0, row, room):  # pragma: no cover - compiled
    """Fill the shares of a row of pixels that begins at x0; room has the shape (3, at least one more than the row)."""
    n = row.size
    part, step, touched = room[0, : n + 1], room[1, : n + 1], room[2, : n + 1]
    part[:], step[:], touched[:] = 0.0, 0.0, 0.0
    left, bottom = x0 - 0.5, y - 0.5
    xa, ya = corners[-1, 0] - left, corners[-1, 1] - bottom
    for k in range(corners.shape[0]):
        xb, yb = corners[k, 0] - left, corners[k, 1] - bottom
        _side_of_row(xa, ya, xb, yb, part, step, touched)
        xa, ya = xb, yb
    level = 0.0
    for i in range(n):
        level += step[i]
        row[i] = min(max(part[i] + level, 0.0), 1.0) if touched[i] > 0.0 else np.rint(level)


@njit(cache=True, nogil=True, error_model="numpy")
def _outline_row(outlines, k, which, y, x0, row, room):  # pragma: no cover - compiled
    """Fill the shares of a row of pixels in one of the two outlines of an aperture."""
    if outlines.kinds[k, which] <= ELLIPSE:
        _ellipse_row(outlines.numbers[k, which], y, x0, row)
    else:
        _polygon_row(outlines.corners[outlines.first[k, which, 0] : outlines.first[k, which, 1]], y, x0, row, room)


@njit(cache=True, nogil=True, error_model="numpy")
def weights_row(outlines, k, y, row, room):  # pragma: no cover - compiled
    """Fill the share of each pixel of a row, over the columns of the box, that lies in an aperture.

    Parameters
    ----------
    outlines : Outlines
    k, y : int
        Number of the aperture; row of the image.
    row : ndarray, shape (w,)
    room : ndarray, shape (4, at least w + 1)
        Scratch.
    """
    x0 = outlines.boxes[k, 2]
    if outlines.kinds[k, 0] == GRID:
        at = outlines.first[k, 0, 0] + (y - outlines.boxes[k, 0]) * row.size
        row[:] = outlines.weights[at : at + row.size]
        return
    _outline_row(outlines, k, 0, y, x0, row, room)
    if outlines.kinds[k, 1] != NOTHING:
        inner = room[3, : row.size]
        _outline_row(outlines, k, 1, y, x0, inner, room)
        for i in range(row.size):
            row[i] = max(row[i] - inner[i], 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _centre_in(outlines, k, which, x, y):  # pragma: no cover - compiled
    """Return whether a place is in an outline, as the shapes' own `contains` does, to the last bit."""
    kind, numbers = outlines.kinds[k, which], outlines.numbers[k, which]
    if kind == POLYGON:
        return _in_polygon(outlines.corners[outlines.first[k, which, 0] : outlines.first[k, which, 1]], x, y)
    dx, dy = x - numbers[0], y - numbers[1]
    if kind == CIRCLE:
        return dx**2 + dy**2 < numbers[2] ** 2
    along, across = dx * numbers[4] + dy * numbers[5], dy * numbers[4] - dx * numbers[5]
    if kind == ELLIPSE:
        return (along / numbers[2]) ** 2 + (across / numbers[3]) ** 2 < 1.0
    return abs(along) < numbers[2] and abs(across) < numbers[3]


@njit(cache=True, nogil=True, error_model="numpy")
def _in_polygon(corners, x, y):  # pragma: no cover - compiled
    """Return whether a ray to +x crosses an odd number of sides."""
    inside = False
    n = corners.shape[0]
    for i in range(n):
        j = i + 1 if i + 1 < n else 0
        x1, y1, x2, y2 = corners[i, 0], corners[i, 1], corners[j, 0], corners[j, 1]
        if y1 != y2 and (y1 <= y) != (y2 <= y) and x < x1 + (y - y1) * ((x2 - x1) / (y2 - y1)):
            inside = not inside
    return inside


@njit(cache=True, nogil=True, error_model="numpy")
def inside_row(outlines, k, y, row):  # pragma: no cover - compiled
    """Fill whether the centres of a row of pixels, over the columns of the box, lie in an aperture."""
    x0 = outlines.boxes[k, 2]
    if outlines.kinds[k, 0] == GRID:
        at = outlines.first[k, 0, 0] + (y - outlines.boxes[k, 0]) * row.size
        row[:] = outlines.inside[at : at + row.size]
        return
    for i in range(row.size):
        x = np.float64(x0 + i)
        row[i] = _centre_in(outlines, k, 0, x, np.float64(y))
        if row[i] and outlines.kinds[k, 1] != NOTHING:
            row[i] = not _centre_in(outlines, k, 1, x, np.float64(y))


@njit(cache=True, nogil=True, error_model="numpy")
def widest(outlines, which):  # pragma: no cover - compiled
    """Return the most columns of any box of these apertures."""
    most = 0
    for k in which:
        most = max(most, outlines.boxes[k, 3] - outlines.boxes[k, 2])
    return most


@njit(cache=True, nogil=True, error_model="numpy")
def fill(outlines, k, weights, inside):  # pragma: no cover - compiled
    """Fill the shares, and whether the centres lie inside, of the box of one aperture."""
    room = np.empty((4, weights.shape[1] + 1))
    for i in range(weights.shape[0]):
        weights_row(outlines, k, outlines.boxes[k, 0] + i, weights[i], room)
        inside_row(outlines, k, outlines.boxes[k, 0] + i, inside[i])


@njit(cache=True, nogil=True, error_model="numpy")
def add_sums(image, variance, y0, x0, outlines, which, background, totals):  # pragma: no cover - compiled
    """Add the rows of a part of an image to the sums of apertures.

    Parameters
    ----------
    image : ndarray, shape (h, w)
        Not finite where a pixel is bad.
    variance : ndarray, shape (h, w), or (0, 0) for none
    y0, x0 : int
        The pixel of the image's first one.
    outlines : Outlines
    which : ndarray of int64
        The apertures; their columns are all in this part, their rows need not be.
    background : ndarray, shape (n,)
        Taken from each pixel.
    totals : ndarray, shape (n, `N_TOTALS`)
        Added to. Rows are summed by themselves, so that the result is the same for any division into parts.
    """
    most = widest(outlines, which)
    room, values = np.empty((4, most + 1)), np.empty(most)
    found = np.empty(N_TOTALS)
    for k in which:
        left, right = outlines.boxes[k, 2], outlines.boxes[k, 3]
        row = values[: right - left]
        for y in range(max(outlines.boxes[k, 0], y0), min(outlines.boxes[k, 1], y0 + image.shape[0])):
            weights_row(outlines, k, y, row, room)
            found[:] = 0.0
            for i in range(row.size):
                weight = row[i]
                if not weight > 0.0:
                    continue
                value = image[y - y0, left - x0 + i]
                if not np.isfinite(value):
                    found[N_BAD] += 1.0
                    found[AREA_BAD] += weight
                    continue
                found[SUM] += weight * (value - background[k])
                found[AREA] += weight
                if variance.size:
                    spread = weight * variance[y - y0, left - x0 + i]
                    found[VARIANCE] += spread
                    found[STRICT_VARIANCE] += weight * spread
            for i in range(N_TOTALS):
                totals[k, i] += found[i]
