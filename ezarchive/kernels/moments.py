"""Sums, moments and shape of one list of pixels, in single and double precision exactly where sep has them.

Formulas: Bertin & Arnouts 1996 (A&AS 117, 393) and the SExtractor manual, chapter on isophotal measurements.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

FLOATS = (
    "thresh", "x", "y", "x2", "y2", "xy", "errx2", "erry2", "errxy", "a", "b", "theta", "cxx", "cyy", "cxy", "cflux", "flux", "cpeak",
    "peak",
)  # fmt: skip
"""What `measure` writes into `floats`, in order; the correction of the area (`ABCOR`) follows."""
INTEGERS = ("npix", "tnpix", "xmin", "xmax", "ymin", "ymax", "xcpeak", "ycpeak", "xpeak", "ypeak", "flag")
"""What `measure` writes into `integers`, in order."""

ABCOR = len(FLOATS)
N_FLOATS = len(FLOATS) + 1
N_INTEGERS = len(INTEGERS)
FLAG = INTEGERS.index("flag")

MERGED, TRUNCATED, SINGULAR = 1, 2, 8
"""Bits of ``flag`` as sep has them."""

_X, _Y, _CXX, _CYY, _CXY, _A, _B, _CFLUX, _CPEAK = 1, 2, 12, 13, 14, 9, 10, 15, 17
_LOWEST = np.float32(-1e30)


@njit(cache=True, nogil=True, error_model="numpy")
def measure(members, first, last, rows, columns, smoothed, values, noise, thresh, keep_centre, floats, integers):  # pragma: no cover
    """Measure the pixels ``members[first:last]`` of the lists `rows`, `columns`, `smoothed`, `values`.

    Parameters
    ----------
    members : array of int32
        Places of pixels in the lists.
    first, last : int
    rows, columns : array of int32
    smoothed, values : array of float32
        Smoothed and plain values.
    noise : array of float32
        Noise of each pixel of the lists; empty: the errors of the moments are 0.
    thresh : float32
        Threshold of the object.
    keep_centre : bool
        Whether moments refer to the centre that `floats` holds already (parts of a blend) rather than to the one of these pixels.
    floats, integers : array
        Row of results; flags are added to those there.
    """
    peak, smooth_peak = _LOWEST, _LOWEST
    x_peak, y_peak, x_smooth, y_smooth = 0, 0, 0, 0
    x_min, x_max, y_min, y_max = columns[members[first]], 0, rows[members[first]], 0
    total = 0.0
    for k in range(first, last):
        p = members[k]
        x, y, value, smooth = columns[p], rows[p], values[p], smoothed[p]
        if value > peak:
            peak, x_peak, y_peak = value, x, y
        if smooth > smooth_peak:
            smooth_peak, x_smooth, y_smooth = smooth, x, y
        total += smooth
        x_min, x_max, y_min, y_max = min(x_min, x), max(x_max, x), min(y_min, y), max(y_max, y)
    flux = np.float32(total)
    weight = np.float64(flux)
    low, half = np.float64(thresh), (np.float64(thresh) + np.float64(peak)) / 2.0
    n_above, n_half, plain = 0, 0, 0.0
    mx = my = mxx = myy = mxy = 0.0
    for k in range(first, last):
        p = members[k]
        x, y, value, smooth = np.float32(columns[p] - x_min), np.float32(rows[p] - y_min), values[p], smoothed[p]
        plain += value
        n_above += value > low
        n_half += value > half
        # Products are single, sums double.
        mx += smooth * x
        my += smooth * y
        mxx += smooth * x * x
        myy += smooth * y * y
        mxy += smooth * x * y
    cx, cy = mx / weight, my / weight
    if keep_centre:
        nx, ny = floats[_X] - x_min, floats[_Y] - y_min
        vx = mxx / weight + nx * nx - 2 * cx * nx
        vy = myy / weight + ny * ny - 2 * cy * ny
        vxy = mxy / weight + nx * ny - cx * ny - nx * cy
        cx, cy = nx, ny
    else:
        vx, vy, vxy = mxx / weight - cx * cx, myy / weight - cy * cy, mxy / weight - cx * cy
    ex = ey = exy = variance = 0.0
    if noise.size:
        for k in range(first, last):
            p = members[k]
            x, y, var = columns[p] - x_min, rows[p] - y_min, np.float64(noise[p] * noise[p])
            variance += var
            ex += var * (x - cx) * (x - cx)
            ey += var * (y - cy) * (y - cy)
            exy += var * (x - cx) * (y - cy)
        ex, ey, exy = ex / (weight * weight), ey / (weight * weight), exy / (weight * weight)
    determinant = vx * vy - vxy * vxy
    if determinant < 0.00694:
        # A line or a point: as wide as a pixel.
        vx, vy = vx + 0.0833333, vy + 0.0833333
        determinant = vx * vy - vxy * vxy
        integers[FLAG] |= SINGULAR
        variance *= 0.08333 / (weight * weight)
        if ex * ey - exy * exy < variance * variance:
            ex, ey = ex + variance, ey + variance
    difference = vx - vy
    theta = math.atan2(2.0 * vxy, difference) / 2.0 if abs(difference) > 0.0 else math.pi / 4.0
    spread = math.sqrt(0.25 * difference * difference + vxy * vxy)
    mean = 0.5 * (vx + vy)
    a, b = np.float32(np.sqrt(mean + spread)), np.float32(np.sqrt(mean - spread))
    ratio, abcor = low / half, np.float32(1.0)
    if ratio > 0.0:
        # The area between two isophotes, against that of a Gaussian.
        area = np.float64(n_half - n_above)
        area = area if area < 0.0 else -1.0
        abcor = np.float32(area / (2 * math.pi * math.log(ratio if ratio < 1.0 else 0.99) * np.float64(a) * np.float64(b)))
        if abcor > 1.0:
            abcor = np.float32(1.0)
    floats[0], floats[_X], floats[_Y], floats[3], floats[4], floats[5] = thresh, cx + x_min, cy + y_min, vx, vy, vxy
    floats[6], floats[7], floats[8], floats[_A], floats[_B], floats[11] = ex, ey, exy, a, b, np.float32(theta)
    floats[_CXX], floats[_CYY] = np.float32(vy / determinant), np.float32(vx / determinant)
    floats[_CXY] = np.float32(-2 * vxy / determinant)
    floats[_CFLUX], floats[16], floats[_CPEAK], floats[18], floats[ABCOR] = flux, np.float32(plain), smooth_peak, peak, abcor
    integers[0], integers[1], integers[2], integers[3], integers[4], integers[5] = last - first, n_above, x_min, x_max, y_min, y_max
    integers[6], integers[7], integers[8], integers[9] = x_smooth, y_smooth, x_peak, y_peak


@njit(cache=True, nogil=True, error_model="numpy")
def edge_flag(members, first, last, rows, columns, ny, nx):  # pragma: no cover - compiled
    """Return the bit of an object that touches the edge of the image, else 0."""
    for k in range(first, last):
        p = members[k]
        if rows[p] == 0 or columns[p] == 0 or rows[p] == ny - 1 or columns[p] == nx - 1:
            return TRUNCATED
    return 0
