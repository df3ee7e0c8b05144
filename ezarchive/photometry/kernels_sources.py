"""The compiled loop over all sources, and the marks that it needs.

numba keeps a compiled function until the file changes that the function stands in, not those whose functions it calls: after a change in
``kernels_measure``, ``kernels_growth`` or ``kernels_circles`` this file must be touched, or ``__pycache__/*.nb?`` be deleted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ezarchive.photometry.kernels_circles import circles
from ezarchive.photometry.kernels_growth import GROWTH_SIGMAS, growth_radii, windowed
from ezarchive.photometry.kernels_measure import BAD, SATURATED, SOURCE, Source, circle_box, kron_flux, kron_radius


class Members(NamedTuple):
    """The pixels of all sources, those of source ``i`` from ``start[i]`` to ``start[i + 1]``."""

    start: np.ndarray
    y: np.ndarray
    x: np.ndarray


class Settings(NamedTuple):
    """What the loop is told; `analysis` is a threshold in units of the noise unless it is absolute."""

    factor: float
    minimum: float
    fraction: float
    analysis: float
    absolute: bool
    radii: np.ndarray


class Results(NamedTuple):
    """What the loop fills: numbers of each source, in columns, and of each source and aperture."""

    values: np.ndarray
    bits: np.ndarray
    flux: np.ndarray
    variance: np.ndarray
    area: np.ndarray
    status: np.ndarray


KRON, AUTO, AUTO_VARIANCE, HALF_LIGHT, RADIUS, XWIN, YWIN, FWHM, ISOAREA, ISO_VARIANCE = range(10)
"""Columns of `Results.values`."""

CUT, CROWDED, HOLED, BROKEN = 1, 2, 4, 8
"""Bits: an aperture reaches off the image, an ellipse is crowded, one holds bad pixels, bad pixels touch the isophote."""


@njit(cache=True, nogil=True, error_model="numpy")
def measure(image, shapes, peak, least, ceiling, members, settings, results):
    """Measure all sources.

    Parameters
    ----------
    image : Image
    shapes : ndarray, shape (n, 7)
        The fields of `Source`.
    peak, least, ceiling : ndarray, shape (n,)
        Highest pixel, least noise in the isophote, and level of saturation, all above the background.
    members : Members
    settings : Settings
    results : Results
        Filled.
    """
    bins, places = np.empty((6, 64)), np.empty(32, np.int32)
    rows = np.empty((4, max(image.data.shape) + 4))
    status = image.status
    for i in range(len(shapes)):
        s = shapes[i]
        source = Source(s[0], s[1], s[2], s[3], s[4], s[5], s[6])
        first, last = members.start[i], members.start[i + 1]
        for k in range(first, last):
            status[members.y[k], members.x[k]] &= 255 - SOURCE
        out = results.values[i]
        bits = isophote(image, members, first, last, settings, out)
        out[FWHM] = width(image.data, source, members, first, last, peak[i], settings.analysis * least[i], ceiling[i])
        out[KRON], crowded, cut = kron_radius(image, source, settings.factor, settings.minimum, rows[0])
        out[AUTO], out[AUTO_VARIANCE], crowded_too, cut_too, holed = kron_flux(image, source, out[KRON])
        out[HALF_LIGHT], out[RADIUS] = growth_radii(image, source, out[AUTO], settings.fraction, bins, places)
        out[XWIN], out[YWIN], window_cut = windowed(image, source, out[HALF_LIGHT], rows)
        circle_cut = circles(
            image, source, settings.radii, rows, results.flux[i], results.variance[i], results.area[i], results.status[i]
        )
        for k in range(len(settings.radii)):
            holed |= (results.status[i, k] & BAD) != 0
        bits |= CUT * (cut or cut_too or window_cut or circle_cut or growth_cut(source, image.data.shape))
        results.bits[i] = bits | CROWDED * (crowded or crowded_too) | HOLED * holed
        for k in range(first, last):
            status[members.y[k], members.x[k]] |= SOURCE


@njit(cache=True, nogil=True, error_model="numpy")
def growth_cut(source, shape):
    """Return whether the box of the curve of growth reaches off the image."""
    return circle_box(source.x, source.y, GROWTH_SIGMAS * source.a + 1.5, shape)[4]


@njit(cache=True, nogil=True, error_model="numpy")
def isophote(image, members, first, last, settings, out):
    """Fill the area above the analysis threshold and the variance of the isophotal flux; return the bits of the isophote."""
    data, status = image.data, image.status
    area, variance = 0, 0.0
    ny, nx = data.shape
    touched = np.uint8(0)
    sigma = np.sqrt(image.variance)
    for k in range(first, last):
        y, x = members.y[k], members.x[k]
        if image.has_map:
            sigma = np.float64(image.noise[y, x])
        variance += sigma * sigma
        area += data[y, x] > (settings.analysis if settings.absolute else settings.analysis * sigma)
        touched |= status[max(y - 1, 0), x] | status[min(y + 1, ny - 1), x] | status[y, max(x - 1, 0)] | status[y, min(x + 1, nx - 1)]
    out[ISOAREA], out[ISO_VARIANCE] = area, variance
    return BROKEN if touched & BAD else 0


@njit(cache=True, nogil=True, error_model="numpy")
def width(data, source, members, first, last, peak, threshold, ceiling):
    """Return the FWHM of the Gaussian core of a source, pixels; NaN where too few pixels are bright enough.

    A straight line is fitted to ln(value) against the squared distance, weighted by the squared value, over pixels above a fifth of the
    peak; the slope is limited to a FWHM of six sigma, and 1 / (4 FWHM) is taken off for undersampling, as SExtractor does.
    """
    floor = max(peak / 5.0, threshold)
    s, sx, sy, sxx, sxy = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(first, last):
        y, x = members.y[k], members.x[k]
        value = data[y, x]
        if value > floor and value < ceiling:
            d2 = (x - source.x) ** 2 + (y - source.y) ** 2
            # Relative to the peak: the slope is the same, and squares of the squares stay within range.
            relative = np.float64(value) / peak
            weight, log = relative * relative, np.log(relative)
            s += weight
            sx += weight * d2
            sy += weight * log
            sxx += weight * d2 * d2
            sxy += weight * d2 * log
    determinant = s * sxx - sx * sx
    # A few pixels at one distance leave nothing but rounding in the determinant.
    if not determinant > 1e-10 * s * sxx:
        return np.nan
    slope = max(-(s * sxy - sx * sy) / determinant, 1.0 / (13.0 * source.a * source.b))
    fwhm = 1.6651 / np.sqrt(slope)
    fwhm -= 1.0 / (4.0 * fwhm)
    return fwhm if np.isfinite(fwhm) and fwhm > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def mark(status, y, x, bit):
    """Set a bit of the status of pixels."""
    for k in range(len(y)):
        status[y[k], x[k]] |= bit


@njit(cache=True, nogil=True, error_model="numpy")
def mark_where(status, layer, bit):
    """Set a bit of the status wherever a layer is not zero."""
    ny, nx = status.shape
    for y in range(ny):
        for x in range(nx):
            if layer[y, x]:
                status[y, x] |= bit


@njit(cache=True, nogil=True, error_model="numpy")
def mark_saturated(status, data, y, x, level):
    """Set the bit of those pixels that reach a level, one for each."""
    for k in range(len(y)):
        if data[y[k], x[k]] >= level[k]:
            status[y[k], x[k]] |= SATURATED
