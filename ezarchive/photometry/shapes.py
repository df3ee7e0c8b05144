"""Shape and size of detected sources: isophotes, Kron ellipses, half-light radii, windowed positions.

Names and formulas are SExtractor's (Bertin & Arnouts 1996, A&AS 117, 393; manual, chapter "Measurements"); positions are 0-based.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import sep

from ezarchive.photometry.aperture import flux_error
from ezarchive.photometry.pixels import Pixels

KRON_SIGMAS = 6.0
"""The first Kron moment is taken in an ellipse of this many times A and B."""

GROWTH_SIGMAS = 6.0
"""The curve of growth ends at this many times A."""

MINIMUM_HALF_LIGHT = 0.5
"""Pixels; windows are never made for a smaller half-light radius."""

# SExtractor divides the edge of the window 11 x 11; with 3 x 3 positions move by about 1e-5 pixel, in a third of the time.
_WINDOW_SUBPIX = 3
_GROWTH_SUBPIX = 5
_BLOCK_PIXELS = 1 << 18


@dataclass(frozen=True)
class Members:
    """The pixels of all detected sources, as flat arrays of equal length.

    Attributes
    ----------
    source : ndarray of int
        Which source a pixel belongs to, from 0.
    y, x : ndarray of int
        Its row and column.
    value : ndarray of float
        Its value, background-subtracted.
    noise : ndarray of float
        The noise of the sky in it.
    n : int
        Number of sources.
    """

    source: np.ndarray
    y: np.ndarray
    x: np.ndarray
    value: np.ndarray
    noise: np.ndarray
    n: int

    def sum(self, what: np.ndarray | None = None, where: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Sum a quantity (or count pixels) over each source."""
        weights = None if what is None else what[where]
        return np.bincount(self.source[where], weights, minlength=self.n)


@dataclass(frozen=True)
class KronSums:
    """Fluxes in Kron ellipses; every field has shape (n,)."""

    radius: np.ndarray
    flux: np.ndarray
    flux_err: np.ndarray
    area: np.ndarray
    n_bad: np.ndarray


def members(pixels: Pixels, segmap: np.ndarray, n: int) -> Members:
    """List the pixels of every source of a segmentation map (0: none; source ``i`` has the value ``i + 1``)."""
    # A block at a time stays in the cache.
    labels = segmap.ravel()
    blocks = range(0, labels.size, _BLOCK_PIXELS)
    flat = np.concatenate([first + np.flatnonzero(labels[first : first + _BLOCK_PIXELS] != 0) for first in blocks])
    y, x = np.divmod(flat, segmap.shape[1])
    # Crowded frames have millions of these pixels: small types, and no array for a noise that is one number.
    noise = pixels.noise.ravel()[flat] if pixels.has_map else np.broadcast_to(pixels.noise, flat.shape)
    return Members(labels[flat] - 1, y.astype(np.int32), x.astype(np.int32), pixels.data.ravel()[flat], noise, n)


def elliptical_distance(pixels: Members, objects: np.ndarray) -> np.ndarray:
    """Return the distance of each pixel from its source's centre in units of A and B along its ellipse, as float32."""
    out = np.empty(len(pixels.source), np.float32)
    for first in range(0, len(out), _BLOCK_PIXELS):
        part = slice(first, first + _BLOCK_PIXELS)
        x, y, cxx, cyy, cxy = (objects[name][pixels.source[part]] for name in ("x", "y", "cxx", "cyy", "cxy"))
        dx, dy = pixels.x[part] - x, pixels.y[part] - y
        out[part] = np.sqrt(np.maximum(cxx * dx**2 + cyy * dy**2 + cxy * dx * dy, 0.0))
    return out


def isophotal_area(pixels: Members, n_sigma: float) -> np.ndarray:
    """Return the number of pixels of each source whose unsmoothed value exceeds so many sigma."""
    return pixels.sum(where=pixels.value > n_sigma * pixels.noise)


def least_noise(pixels: Members, noise: float | np.ndarray) -> np.ndarray:
    """Return the least noise (a number or a map) within each source: thresholds are quoted for it, as in SExtractor."""
    least = np.full(pixels.n, np.inf)
    np.minimum.at(least, pixels.source, noise[pixels.y, pixels.x] if isinstance(noise, np.ndarray) else noise)
    return least


def fwhm(pixels: Members, objects: np.ndarray, threshold: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """Fit a Gaussian core to each source and return its FWHM.

    Parameters
    ----------
    pixels : Members
        Pixels of the sources.
    objects : structured ndarray, shape (n,)
        From ``sep.extract``.
    threshold : ndarray, shape (n,)
        Analysis threshold above the background.
    ceiling : ndarray, shape (n,)
        Saturation level above the background; infinite for none.

    Returns
    -------
    ndarray, shape (n,)
        In pixels; NaN where too few pixels are bright enough.

    Notes
    -----
    A straight line is fitted to ln(value) against the squared distance, weighted by the squared value, over pixels above a fifth of
    the peak; the slope is limited to a FWHM of six sigma, and 1 / (4 FWHM) is taken off for undersampling, as SExtractor does.
    """
    floor = np.maximum(objects["peak"] / 5.0, threshold)
    chosen = (pixels.value > floor[pixels.source]) & (pixels.value < ceiling[pixels.source])
    core = Members(*(v[chosen] for v in (pixels.source, pixels.y, pixels.x, pixels.value, pixels.noise)), pixels.n)
    distance2 = (core.x - objects["x"][core.source]) ** 2 + (core.y - objects["y"][core.source]) ** 2
    # Values relative to the peak: the slope is the same, and squares of the squares stay within range.
    value = core.value.astype(float) / objects["peak"][core.source]
    weight, log = value**2, np.log(value)
    s, sx, sy = core.sum(weight), core.sum(weight * distance2), core.sum(weight * log)
    sxx, sxy = core.sum(weight * distance2**2), core.sum(weight * distance2 * log)
    determinant = s * sxx - sx**2
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.maximum(-(s * sxy - sx * sy) / determinant, 1.0 / (13.0 * objects["a"] * objects["b"]))
        width = 1.6651 / np.sqrt(slope)
        width -= 1.0 / (4.0 * width)
    # A few pixels at one distance leave nothing but rounding in the determinant.
    return np.where((determinant > 1e-10 * s * sxx) & np.isfinite(width) & (width > 0), width, np.nan)


def kron(pixels: Pixels, objects: np.ndarray, factor: float, minimum: float, gain: float | None) -> KronSums:
    """Sum the Kron ellipses: pixels whose centre lies inside count whole, as in SExtractor.

    Parameters
    ----------
    pixels : Pixels
        The image.
    objects : structured ndarray, shape (n,)
        From ``sep.extract``.
    factor, minimum : float
        SExtractor's PHOT_AUTOPARAMS: scale of the Kron radius, and its least value after scaling.
    gain : float or None
        Electrons per stored unit.

    Returns
    -------
    KronSums
        ``radius`` in units of A and B, ``area`` in pixels on the image that hold a value, ``n_bad`` pixels that hold none.
    """
    where = ellipse(objects)
    # Where the moment is not positive sep gives 0 or NaN, and the least radius is used.
    moment, _ = sep.kron_radius(pixels.data, *where, KRON_SIGMAS)
    radius = np.fmax(factor * moment, minimum)
    err = pixels.noise if pixels.has_map else 1.0
    flux, spread, _ = sep.sum_ellipse(pixels.data, *where, radius, err=err, subpix=1)
    area = np.square(spread) if not pixels.has_map else np.square(sep.sum_ellipse(pixels.data, *where, radius, err=1.0, subpix=1)[1])
    n_bad = np.zeros(len(objects))
    if pixels.bad is not None:
        touched = sep.sum_ellipse(pixels.data, *where, radius, mask=pixels.bad, subpix=1)[2] & sep.APER_HASMASKED
        for i in np.flatnonzero(touched):
            n_bad[i] = _count_in_ellipse(pixels.bad, objects[i], radius[i])
    area = area - n_bad
    sky = spread if pixels.has_map else pixels.noise * np.sqrt(area)
    return KronSums(radius, flux, flux_error(sky, flux, gain), area, n_bad)


def _count_in_ellipse(layer: np.ndarray, one: np.void, radius: float) -> int:
    """Count the True pixels whose centre lies in an ellipse."""
    cxx, cyy, cxy = one["cxx"], one["cyy"], one["cxy"]
    half_x, half_y = (radius / np.sqrt(max(c - cxy**2 / (4.0 * other), 1e-30)) for c, other in ((cxx, cyy), (cyy, cxx)))
    ny, nx = layer.shape
    rows = slice(max(int(one["y"] - half_y), 0), min(int(one["y"] + half_y) + 2, ny))
    cols = slice(max(int(one["x"] - half_x), 0), min(int(one["x"] + half_x) + 2, nx))
    dy, dx = np.ogrid[rows, cols]
    dy, dx = dy - one["y"], dx - one["x"]
    return int(np.count_nonzero(layer[rows, cols] & (cxx * dx**2 + cyy * dy**2 + cxy * dx * dy < radius**2)))


def ellipse(objects: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return x, y, a, b, theta of objects as sep's functions take them (theta is clipped to what they allow)."""
    theta = np.clip(objects["theta"], -np.pi / 2, np.pi / 2)
    return objects["x"], objects["y"], objects["a"], np.minimum(objects["b"], objects["a"]), theta


def half_light_radius(data: np.ndarray, objects: np.ndarray, flux: np.ndarray, fraction: float = 0.5) -> np.ndarray:
    """Return the radius of the circle that holds a fraction of a flux, from the curve of growth (64 steps to 6 A), in pixels."""
    radius, _ = sep.flux_radius(
        data, objects["x"], objects["y"], GROWTH_SIGMAS * objects["a"], fraction, normflux=flux, subpix=_GROWTH_SUBPIX
    )
    return radius


def window_sigma(half_light: np.ndarray) -> np.ndarray:
    """Return the sigma of the Gaussian window for half-light radii (both in pixels)."""
    return np.maximum(np.abs(half_light), MINIMUM_HALF_LIGHT) * 2.0 / 2.35


class Windowed(NamedTuple):
    """Windowed positions (0-based), and whether a window reached off the image on the way."""

    x: np.ndarray
    y: np.ndarray
    cut: np.ndarray


def windowed(data: np.ndarray, objects: np.ndarray, half_light: np.ndarray) -> Windowed:
    """Find windowed positions.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        Background-subtracted pixels.
    objects : structured ndarray, shape (n,)
        From ``sep.extract``.
    half_light : ndarray, shape (n,)
        Half-light radii in pixels.

    Returns
    -------
    Windowed
        As in SExtractor, the barycentre stands where the iteration fails: the window's flux is not positive, or it wanders off by more
        than a pixel in both directions and out of the isophotal ellipse.
    """
    x0, y0 = objects["x"], objects["y"]
    x, y, bits = sep.winpos(data, x0, y0, window_sigma(half_light), subpix=_WINDOW_SUBPIX)
    dx, dy = x - x0, y - y0
    outside = objects["cxx"] * dx**2 + objects["cyy"] * dy**2 + objects["cxy"] * dx * dy > 1.0
    lost = ((dx**2 > 1.0) & (dy**2 > 1.0) & outside) | ((bits & sep.APER_NONPOSITIVE) != 0) | ~np.isfinite(dx + dy)
    return Windowed(np.where(lost, x0, x), np.where(lost, y0, y), (bits & sep.APER_TRUNC) != 0)
