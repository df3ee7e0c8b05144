"""Straight lines through a few bins: weighted, with outliers clipped and never too many; and the published way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_FEWEST = 3
_MAD = 1.4826


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


def clipped_line(x: Floats, y: Floats, error: Floats, slope: float | None = None, clip: float = 3.0) -> tuple[float, float, Bools]:
    """Return slope, intercept and the points in use: those within `clip` robust deviations of the line, at least three.

    Notes
    -----
    Deviations are in units of the points' errors, scaled up where their median absolute value says that they are larger than that. Each
    pass looks at every point again; it ends when nothing changes, or after 20 passes.
    """
    used = np.ones(x.size, bool)
    for _ in range(20):
        found = line(x[used], y[used], error[used] ** -2, slope)
        pull = np.abs(y - found[1] - found[0] * x) / error
        limit = clip * max(1.0, _MAD * float(np.median(pull[used])))
        kept = pull <= max(limit, np.sort(pull)[min(_FEWEST, x.size) - 1])
        if (kept == used).all():
            break
        used = kept
    found = line(x[used], y[used], error[used] ** -2, slope)
    return float(found[0]), float(found[1]), used


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
