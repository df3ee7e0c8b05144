"""Straight lines: weighted, robust against outliers, and the published way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_MAD, _HUBER, _PASSES = 1.4826, 1.345, 50


def line(x: Floats, y: Floats, weight: Floats, slope: float | None = None) -> tuple[Floats, Floats]:
    """Return slope and intercept of weighted least squares.

    Parameters
    ----------
    x, y : ndarray, shape (..., n)
    weight : ndarray, shape (n,) or (..., n)
    slope : float, optional
        Taken as it is.

    Returns
    -------
    slope, intercept : ndarray, shape (...)
    """
    total = weight.sum(-1)
    mean_x, mean_y = (weight * x).sum(-1) / total, (weight * y).sum(-1) / total
    if slope is None:
        dx = x - mean_x[..., None]
        found = (weight * dx * y).sum(-1) / (weight * dx**2).sum(-1)
    else:
        found = np.full(np.shape(mean_x), slope)
    return found, mean_y - found * mean_x


def huber_line(x: Floats, y: Floats, slope: float | None = None) -> tuple[float, float, Floats, float]:
    """Return slope, intercept, weights and scale of a straight line by Huber's M-estimator.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
    slope : float, optional
        Taken as it is.

    Returns
    -------
    slope, intercept : float
    weights : ndarray, shape (n,)
        1, and less for points that lie further off than 1.345 deviations.
    scale : float
        The deviation: 1.4826 times the median absolute residual.

    Notes
    -----
    Iteratively reweighted least squares (Huber & Ronchetti 2009, Robust Statistics, section 7.8): 95 % as efficient as least squares for
    Gaussian noise; a point far off pulls no more than one at 1.345 deviations. Points exactly on a line are no trouble.
    """
    weight, least = np.ones(x.size), 1e-12 * float(np.abs(y).max()) + 1e-300
    for _ in range(_PASSES):
        found = line(x, y, weight, slope)
        residual = y - found[1] - found[0] * x
        scale = max(_MAD * float(np.median(np.abs(residual))), least)
        new = np.minimum(1.0, _HUBER * scale / np.maximum(np.abs(residual), least))
        change = np.abs(new - weight).max()
        weight = new
        if change < 1e-6:
            break
    return float(found[0]), float(found[1]), weight, scale


def published_line(x: Floats, y: Floats, slope: float | None = None) -> tuple[float, float, Floats, Bools]:
    """Return slope, intercept, covariance and the points of the last pass of three, each without those that lay 3 deviations off before.

    Notes
    -----
    Unweighted; the deviation is the population's, of the points in use; what was left out never comes back. Points exactly on the line
    are kept. The covariance (2, 2) of slope and intercept is that of the residuals, NaN where there are but two points.
    """
    used = np.ones(x.size, bool)
    for _ in range(3):
        taken, weight = used.copy(), used.astype(float)
        found_slope, found_intercept = line(x, y, weight, slope)
        residual = y - found_intercept - found_slope * x
        spread = residual[used].std()
        used &= (np.abs(residual) < 3 * spread) | (np.abs(residual) <= 1e-12 * max(1.0, float(np.abs(y).max())))
        if np.count_nonzero(used) < 2:
            used = taken
    return float(found_slope), float(found_intercept), _covariance(x[taken], residual[taken], slope is None), taken


def _covariance(x: Floats, residual: Floats, free: bool) -> Floats:
    spare = x.size - (2 if free else 1)
    variance = (residual**2).sum() / spare if spare > 0 else np.nan
    if not free:
        return np.array([[0.0, 0.0], [0.0, variance / x.size]])
    mean, spread = x.mean(), ((x - x.mean()) ** 2).sum()
    return variance * np.array([[1 / spread, -mean / spread], [-mean / spread, 1 / x.size + mean**2 / spread]])
