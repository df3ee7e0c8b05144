"""What Gaussian windows see of stars, of galaxies, of stars with an unseen neighbour, of clipped stars and of spikes.

Lengths are in units of the FWHM of the stars. A hypothesis is a row of sums in the windows of ``kernels_stellarity``, divided by that in
the reference window, less the row of a star: so it can be added to whatever the stars of a frame really look like.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ezarchive.photometry.kernels_stellarity import (
    N_ROUND,
    N_WINDOWS,
    QUADRUPOLES,
    REACH,
    REFERENCE,
    WIDEST,
    WIDTHS,
    respond,
)

STAR = np.array([[0.13598, 0.47965, 0.32261, 0.06082], [0.09748, 0.20937, 0.49608, 1.53346]])
"""Weights and variances of the Gaussians that make a Moffat profile of exponent 3.5 and unit FWHM, within 0.1 % of its peak."""

_DISC_WEIGHT = np.array([0.00552, 0.05091, 0.22485, 0.46259, 0.25495])
_DISC_VARIANCE = np.array([0.01171, 0.07332, 0.27873, 0.84602, 2.30009])
"""Gaussians that make an exponential disc of unit half-light radius (Hogg & Lang 2013, PASP 125, 719, do the same)."""

# Half-light radii and their shares; hardly any galaxy is so small that nothing tells it from a star.
_SIZES = ((0.1, 0.3), (0.14, 0.5), (0.2, 1.0), (0.28, 1.0), (0.4, 1.0), (0.56, 1.0), (0.8, 1.0), (1.13, 1.0), (1.6, 1.0))
_ROUND_SHARE = 0.3
_FLATTENED = ((0.65, 4), (0.35, 6))
# Distance, flux ratio and share of neighbours that are not detected apart: near ones may be bright, far ones must be faint.
_BLENDS = (
    (0.6, 0.15, 1.0), (0.6, 0.5, 1.0), (0.6, 1.0, 0.5), (0.9, 0.1, 1.0), (0.9, 0.3, 1.0), (0.9, 0.8, 0.7),
    (1.2, 0.1, 1.5), (1.2, 0.3, 1.0), (1.2, 0.8, 0.3), (1.6, 0.07, 2.0), (1.6, 0.2, 1.0), (1.6, 0.5, 0.3),
    (2.0, 0.07, 2.0), (2.0, 0.2, 1.0), (2.0, 0.5, 0.2),
)  # fmt: skip
_BLEND_ANGLES = 8
_PLACES = 5
_ONE_ISOPHOTE = 1.4
_BLEND_PRIOR = 0.02
_SPIKE_PRIOR = 0.02
_CLIPPED = (0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2)


class Hypotheses(NamedTuple):
    """Rows of sums relative to a star's, logarithms of their priors, and how many of them (the first) are stars."""

    rows: np.ndarray
    log_prior: np.ndarray
    n_stars: int


def star_row(scale: float = 1.0) -> np.ndarray:
    """Return the sums of a star of unit reference sum, for stars `scale` times as wide."""
    row = _respond(0.0, 0.0, 0.0, 0.0, 0.0, STAR * [[1.0], [scale**2]])
    return row / row[REFERENCE]


def width_row() -> np.ndarray:
    """Return the derivative of `star_row` to the logarithm of the width."""
    step = 0.05
    return (star_row(1 + step) - star_row(1 - step)) / (2 * step)


@lru_cache(maxsize=2)
def hypotheses(*, clipped: bool = False) -> Hypotheses:
    """Return all that a source may be: a star, a star with an unseen neighbour; a galaxy, a spike.

    Parameters
    ----------
    clipped : bool
        Whether the source is saturated: then stars cut off at several radii are added (galaxies cut off are so rare that they are not).

    Returns
    -------
    Hypotheses
        Galaxies are exponential discs of half-light radii from 0.1 to 1.6 FWHM and axis ratios 1, 0.65 and 0.35 in all directions; a
        spike is one pixel, or half as wide as a star. Stars and galaxies have equal priors.
    """
    star = star_row()
    stars, star_priors = _blends()
    stars, star_priors = [star, *stars], [0.5, *star_priors]
    if clipped:
        stars += _clipped_stars()
        star_priors += [0.5] * len(_CLIPPED)
    others, priors = _galaxies()
    point = np.r_[np.ones(N_ROUND), np.zeros(2 * len(QUADRUPOLES))]
    others += [point, star_row(0.5)]
    priors += [0.5 * _SPIKE_PRIOR] * 2
    weights = np.r_[star_priors, priors]
    return Hypotheses(np.array([*stars, *others]) - star, np.log(weights), len(stars))


@lru_cache(maxsize=1)
def growth_table() -> np.ndarray:
    """Return how the sums of a source grow with its round extra variance, as `kernels_stellarity.untangle` takes it.

    Returns
    -------
    ndarray, shape (m, 4)
        Extra variance; widest over reference sum; reference sum for unit flux; derivative of the narrower quadrupole, over the reference
        sum, to half the difference of the extra variances along both axes.
    """
    rows = []
    for extra in (0.0, *np.geomspace(0.01, 5.0, 24)):
        stretch = 0.5 * extra + 0.003
        plain, long = _respond(0, 0, extra, 0, extra), _respond(0, 0, extra + stretch, 0, max(extra - stretch, 0.0))
        half = 0.5 * (extra + stretch - max(extra - stretch, 0.0))
        rows.append((extra, plain[WIDEST] / plain[REFERENCE], plain[REFERENCE], long[N_ROUND] / plain[REFERENCE] / half))
    return np.array(rows)


@lru_cache(maxsize=1)
def disturbance() -> np.ndarray:
    """Return the covariance that unseen neighbours within 2.5 FWHM, each as bright as the star, give to its sums."""
    star, own = star_row(), _respond(0, 0, 0, 0, 0)[REFERENCE]
    total = np.zeros((N_WINDOWS, N_WINDOWS))
    # Places of equal area on a sunflower spiral.
    n = 400
    radius, angle = 2.5 * np.sqrt((np.arange(n) + 0.5) / n), np.pi * (3 - np.sqrt(5)) * np.arange(n)
    for dx, dy in zip(radius * np.cos(angle), radius * np.sin(angle), strict=True):
        change = _respond(dx, dy, 0, 0, 0) / own
        change -= change[REFERENCE] * star
        total += np.outer(change, change) / n
    return total


def overlap(fwhm: float, *, of_star: bool = False) -> np.ndarray:
    """Return the sums of products of windows over the pixels: the covariance of the sums for unit white noise.

    Parameters
    ----------
    fwhm : float
        Pixels.
    of_star : bool
        Whether the pixels are weighted with a star of unit reference sum: the covariance that its photons give.

    Returns
    -------
    ndarray, shape (N_WINDOWS, N_WINDOWS)
        Mean over 16 places of the centre in its pixel.
    """
    half = window_half(fwhm)
    pixel = np.arange(-half, half + 1)
    places = (np.arange(4) - 1.5) / 4
    total = np.zeros((N_WINDOWS, N_WINDOWS))
    for fx in places:
        for fy in places:
            x, y = (pixel - fx)[None, :] / fwhm, (pixel - fy)[:, None] / fwhm
            windows = _windows(x, y)
            weights = _star_pixels(x, y) if of_star else np.ones(x.size * y.size)
            if of_star:
                weights = weights / (windows[REFERENCE] @ weights)
            total += (windows * weights) @ windows.T / 16
    return total


@lru_cache(maxsize=4)
def sampling(fwhm: float) -> np.ndarray:
    """Return the covariance of a star's relative sums over the places of its centre in its pixel: small but for sharp stars.

    Parameters
    ----------
    fwhm : float
        Pixels.

    Returns
    -------
    ndarray, shape (N_WINDOWS, N_WINDOWS)
    """
    half = window_half(fwhm)
    pixel = np.arange(-half, half + 1)
    rows = []
    for place in np.ndindex(_PLACES, _PLACES):
        fx, fy = (np.array(place) + 0.5) / _PLACES - 0.5
        x, y = (pixel - fx)[None, :] / fwhm, (pixel - fy)[:, None] / fwhm
        row = _windows(x, y) @ _star_pixels(x, y)
        rows.append(row / row[REFERENCE])
    return np.cov(np.array(rows), rowvar=False)


def window_half(fwhm: float) -> int:
    """Return the half width of the square that is summed, pixels."""
    return int(np.ceil(REACH * fwhm))


def _respond(dx: float, dy: float, xx: float, xy: float, yy: float, star: np.ndarray = STAR) -> np.ndarray:
    out = np.empty(N_WINDOWS + 2)
    respond(float(dx), float(dy), float(xx), float(xy), float(yy), star, out)
    return out[:N_WINDOWS]


def _windows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the windows at offsets in FWHM as rows of flat pixels."""
    r2 = x**2 + y**2
    rows = [np.exp(-0.5 * r2 / s**2) for s in WIDTHS]
    for k in QUADRUPOLES:
        gauss = rows[k] / WIDTHS[k] ** 2
        rows += [gauss * (x**2 - y**2), gauss * 2 * x * y]
    return np.array([row.ravel() for row in rows])


def _star_pixels(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    r2 = (x**2 + y**2).ravel()[:, None]
    return (np.exp(-0.5 * r2 / STAR[1]) / STAR[1]) @ STAR[0]


def _galaxies() -> tuple[list[np.ndarray], list[float]]:
    shapes = [(1.0, 0.0, _ROUND_SHARE)]
    for ratio, n in _FLATTENED:
        shapes += [(ratio, np.pi * k / n, (1 - _ROUND_SHARE) / len(_FLATTENED) / n) for k in range(n)]
    rows, priors = [], []
    for size, share_of_size in _SIZES:
        for ratio, angle, share in shapes:
            cos, sin = np.cos(angle), np.sin(angle)
            xx, yy = size**2 * (cos**2 + (ratio * sin) ** 2), size**2 * (sin**2 + (ratio * cos) ** 2)
            xy = size**2 * (1 - ratio**2) * cos * sin
            row = sum(w * _respond(0, 0, v * xx, v * xy, v * yy) for w, v in zip(_DISC_WEIGHT, _DISC_VARIANCE, strict=True))
            rows.append(row / row[REFERENCE])
            priors.append(0.5 * share * share_of_size / sum(part for _, part in _SIZES))
    return rows, priors


def _blends() -> tuple[list[np.ndarray], list[float]]:
    rows, priors = [], []
    total = sum(share for *_, share in _BLENDS)
    for distance, ratio, share in _BLENDS:
        # Where both are one isophote, the centre is that of both.
        shift = ratio / (1 + ratio) * distance if distance < _ONE_ISOPHOTE else 0.0
        for angle in 2 * np.pi * np.arange(_BLEND_ANGLES) / _BLEND_ANGLES:
            cos, sin = np.cos(angle), np.sin(angle)
            far = distance - shift
            row = _respond(-shift * cos, -shift * sin, 0, 0, 0) + ratio * _respond(far * cos, far * sin, 0, 0, 0)
            rows.append(row / row[REFERENCE])
            priors.append(_BLEND_PRIOR * share / total / _BLEND_ANGLES)
    return rows, priors


def _clipped_stars() -> list[np.ndarray]:
    """Return stars of which nothing exceeds the level that they have at some radii."""
    step = 0.05
    axis = np.arange(-REACH, REACH + step / 2, step)
    x, y = axis[None, :], axis[:, None]
    pixels, windows = _star_pixels(x, y), _windows(x, y)
    rows = []
    for radius in _CLIPPED:
        row = windows @ np.minimum(pixels, _star_pixels(np.array([[radius]]), np.array([[0.0]]))[0])
        rows.append(row / row[REFERENCE])
    return rows
