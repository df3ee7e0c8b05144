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

_X, _Y, _ERRX2, _ERRY2, _ERRXY, _A, _B, _THETA, _CXX, _CYY, _CXY, _CFLUX, _FLUX, _CPEAK, _PEAK = (
    FLOATS.index(name)
    for name in ("x", "y", "errx2", "erry2", "errxy", "a", "b", "theta", "cxx", "cyy", "cxy", "cflux", "flux", "cpeak", "peak")
)
_TNPIX, _XMIN, _YMIN = (INTEGERS.index(name) for name in ("tnpix", "xmin", "ymin"))
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
    _extent(members, first, last, rows, columns, smoothed, values, floats, integers)
    x_min, y_min, weight = integers[_XMIN], integers[_YMIN], floats[_CFLUX]
    mx, my, mxx, myy, mxy, half_area = _moments(members, first, last, rows, columns, smoothed, values, thresh, floats, integers)
    cx, cy = mx / weight, my / weight
    if keep_centre:
        nx, ny = floats[_X] - x_min, floats[_Y] - y_min
        vx = mxx / weight + nx * nx - 2 * cx * nx
        vy = myy / weight + ny * ny - 2 * cy * ny
        vxy = mxy / weight + nx * ny - cx * ny - nx * cy
        cx, cy = nx, ny
    else:
        vx, vy, vxy = mxx / weight - cx * cx, myy / weight - cy * cy, mxy / weight - cx * cy
    variance = _errors(members, first, last, rows, columns, noise, cx, cy, floats, integers)
    if vx * vy - vxy * vxy < 0.00694:
        # A line or a point: as wide as a pixel.
        vx, vy = vx + 0.0833333, vy + 0.0833333
        integers[FLAG] |= SINGULAR
        variance *= 0.08333 / (weight * weight)
        if floats[_ERRX2] * floats[_ERRY2] - floats[_ERRXY] * floats[_ERRXY] < variance * variance:
            floats[_ERRX2], floats[_ERRY2] = floats[_ERRX2] + variance, floats[_ERRY2] + variance
    floats[0], floats[_X], floats[_Y] = thresh, cx + x_min, cy + y_min
    _shape(vx, vy, vxy, floats)
    floats[ABCOR] = _correction(np.float64(thresh), floats[_PEAK], half_area - integers[_TNPIX], floats[_A], floats[_B])


@njit(cache=True, nogil=True, error_model="numpy")
def _extent(members, first, last, rows, columns, smoothed, values, floats, integers):  # pragma: no cover - compiled
    """Write the limits, the peaks and the flux of the smoothed image."""
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
    floats[_CFLUX], floats[_CPEAK], floats[_PEAK] = np.float32(total), smooth_peak, peak
    integers[0], integers[_XMIN], integers[3], integers[_YMIN], integers[5] = last - first, x_min, x_max, y_min, y_max
    integers[6], integers[7], integers[8], integers[9] = x_smooth, y_smooth, x_peak, y_peak


@njit(cache=True, nogil=True, error_model="numpy")
def _moments(members, first, last, rows, columns, smoothed, values, thresh, floats, integers):  # pragma: no cover - compiled
    """Sum first and second moments of the smoothed image; write flux and area of the plain one, return the area above half the peak."""
    x_min, y_min, low = integers[_XMIN], integers[_YMIN], np.float64(thresh)
    half = (low + floats[_PEAK]) / 2.0
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
    floats[_FLUX], integers[_TNPIX] = np.float32(plain), n_above
    return mx, my, mxx, myy, mxy, n_half


@njit(cache=True, nogil=True, error_model="numpy")
def _errors(members, first, last, rows, columns, noise, cx, cy, floats, integers):  # pragma: no cover - compiled
    """Write the variances of the first moments and return the summed variance of the pixels."""
    x_min, y_min, square = integers[_XMIN], integers[_YMIN], floats[_CFLUX] * floats[_CFLUX]
    ex = ey = exy = variance = 0.0
    if noise.size:
        for k in range(first, last):
            p = members[k]
            x, y, var = columns[p] - x_min, rows[p] - y_min, np.float64(noise[p] * noise[p])
            variance += var
            ex += var * (x - cx) * (x - cx)
            ey += var * (y - cy) * (y - cy)
            exy += var * (x - cx) * (y - cy)
    floats[_ERRX2], floats[_ERRY2], floats[_ERRXY] = ex / square, ey / square, exy / square
    return variance


@njit(cache=True, nogil=True, error_model="numpy")
def _shape(vx, vy, vxy, floats):  # pragma: no cover - compiled
    """Write variances, axes, angle and ellipse parameters."""
    determinant, difference, mean = vx * vy - vxy * vxy, vx - vy, 0.5 * (vx + vy)
    theta = math.atan2(2.0 * vxy, difference) / 2.0 if abs(difference) > 0.0 else math.pi / 4.0
    spread = math.sqrt(0.25 * difference * difference + vxy * vxy)
    floats[3], floats[4], floats[5] = vx, vy, vxy
    floats[_A], floats[_B], floats[_THETA] = np.float32(np.sqrt(mean + spread)), np.float32(np.sqrt(mean - spread)), np.float32(theta)
    floats[_CXX], floats[_CYY] = np.float32(vy / determinant), np.float32(vx / determinant)
    floats[_CXY] = np.float32(-2 * vxy / determinant)


@njit(cache=True, nogil=True, error_model="numpy")
def _correction(low, peak, area, a, b):  # pragma: no cover - compiled
    """Return the area between the isophotes of the threshold and of half the peak, in units of that of a Gaussian; at most 1."""
    ratio = low / ((low + peak) / 2.0)
    if not ratio > 0.0:
        return np.float32(1.0)
    between = np.float64(area) if area < 0 else -1.0
    found = np.float32(between / (2 * math.pi * math.log(ratio if ratio < 1.0 else 0.99) * a * b))
    return np.float32(1.0) if found > 1.0 else found


@njit(cache=True, nogil=True, error_model="numpy")
def edge_flag(members, first, last, rows, columns, ny, nx):  # pragma: no cover - compiled
    """Return the bit of an object that touches the edge of the image, else 0."""
    for k in range(first, last):
        p = members[k]
        if rows[p] == 0 or columns[p] == 0 or rows[p] == ny - 1 or columns[p] == nx - 1:
            return TRUNCATED
    return 0
