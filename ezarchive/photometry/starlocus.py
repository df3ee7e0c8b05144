"""Where the stars lie among sources of all sizes: a narrow peak, with galaxies on its upper side only."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

SPREADS = (0.01, 0.02, 0.035)
"""Widths of the peak that are tried, in ln(size)."""

_STEP = 0.01
_SHARES = (0.03, 0.1, 0.25, 0.5, 0.75, 0.95)
_OUTLIERS = 0.02
_OUTLIER_DENSITY = 0.3
_TAILS = (0.3, 0.7)
_MOST = 1000


class Locus(NamedTuple):
    """The stars' ln(size), its spread from star to star, and the share of stars among the sources."""

    centre: float
    spread: float
    share: float


def find_locus(size: np.ndarray, error: np.ndarray, grid: np.ndarray, *, expected: tuple[float, float] | None = None) -> Locus:
    """Find the stars' size.

    Parameters
    ----------
    size : ndarray, shape (n,)
        Logarithms of the sizes of sources.
    error : ndarray, shape (n,)
        Their errors.
    grid : ndarray
        Centres that are tried.
    expected : tuple of two floats, optional
        Centre that is expected and the error of that.

    Returns
    -------
    Locus

    Notes
    -----
    The likelihood of a mixture is maximised: a share of stars, Gaussian around the centre; galaxies, an exponential of scale 0.3 or 0.7
    that begins at the centre (nothing is smaller than a star); 2 % anywhere. So the stars are found though most sources be galaxies.
    Of more than 1000 sources the most precise are used.
    """
    if len(size) > _MOST:
        best = np.argsort(error, kind="stable")[:_MOST]
        size, error = size[best], error[best]
    grid = np.asarray(grid, float)
    penalty = 0.0 if expected is None else 0.5 * ((grid - expected[0]) / expected[1]) ** 2
    found, most = Locus(float(grid[len(grid) // 2]), SPREADS[-1], 0.0), -np.inf
    offset = size[None, :] - grid[:, None]
    for spread in SPREADS:
        width = np.hypot(error, spread)
        stars = np.exp(-0.5 * (offset / width) ** 2) / (np.sqrt(2 * np.pi) * width)
        onset = (1 - _OUTLIERS) * ndtr(offset / width)
        for tail, share in product(_TAILS, _SHARES):
            galaxies = onset * np.exp(-np.maximum(offset, 0.0) / tail) / tail
            density = share * stars + (1 - share) * galaxies + _OUTLIERS * _OUTLIER_DENSITY
            likelihood = np.log(density).sum(axis=1) - penalty
            k = int(np.argmax(likelihood))
            if likelihood[k] > most:
                found, most = Locus(float(grid[k]), spread, share), likelihood[k]
    return found


def centres(low: float, high: float) -> np.ndarray:
    """Return the centres to try between two logarithms of sizes."""
    return np.arange(low, high + _STEP / 2, _STEP)


def polynomial(x: np.ndarray, y: np.ndarray, shape: tuple[int, int], n_stars: float) -> np.ndarray:
    """Return the terms of the polynomial over the frame that so many stars can bear.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Pixels.
    shape : tuple of int
        Of the frame, rows and columns.
    n_stars : float
        Number of stars: under 10 a constant, under 40 a plane, under 150 a parabola, else a cubic.

    Returns
    -------
    ndarray, shape (n, terms)
    """
    order = int(np.searchsorted((10, 40, 150), n_stars, side="right"))
    u, v = 2 * x / shape[1] - 1, 2 * y / shape[0] - 1
    return np.stack([u**i * v**j for i in range(order + 1) for j in range(order + 1 - i)], axis=-1)
