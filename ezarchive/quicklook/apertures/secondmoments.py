"""The ellipse of second moments: sizes, angle and eccentricity. Array kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_STEP = 1.0 / 12.0
"""Variance of a place that is known to a pixel."""
_ROUNDING = 1e-12


def moment_ellipse(xx: ArrayLike, yy: ArrayLike, xy: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Return what is derived from central second moments.

    Parameters
    ----------
    xx, yy, xy : array_like, shape (n,)
        Central second moments over the sum, square pixels.

    Returns
    -------
    dict
        ``covariance_xx``, ``covariance_yy``, ``covariance_xy`` (square pixels, raised where needed), ``semimajor_sigma``,
        ``semiminor_sigma``, ``fwhm`` (pixels), ``orientation`` (degrees counter-clockwise from +x, -90 to 90), ``eccentricity``;
        all NaN where the moments are none of an ellipse.

    Notes
    -----
    As in photutils' ``ApertureStats``, which follows SExtractor: where the determinant is below 1/12^2, 1/12 is added to both variances
    until it is not (the number of times is solved for); a negative determinant or eigenvalue gives NaN. A determinant that is zero but for
    rounding counts as zero.
    """
    xx, yy, xy = (np.array(one, float) for one in (xx, yy, xy))
    with np.errstate(invalid="ignore"):
        determinant = xx * yy - xy**2
        size = np.abs(xx * yy) + xy**2
        bad = ~np.isfinite(determinant) | (determinant < -_ROUNDING * size)
        raised = _STEP * _steps(xx, yy, xy)
        xx, yy = xx + raised, yy + raised
        middle, half = (xx + yy) / 2.0, np.hypot((xx - yy) / 2.0, xy)
        major, minor = middle + half, middle - half
        bad |= ~(minor >= 0.0)
        xx, yy, xy, major, minor = (np.where(bad, np.nan, one) for one in (xx, yy, xy, major, minor))
        return {
            "covariance_xx": xx,
            "covariance_yy": yy,
            "covariance_xy": xy,
            "semimajor_sigma": np.sqrt(major),
            "semiminor_sigma": np.sqrt(minor),
            "fwhm": 2.0 * np.sqrt(np.log(2.0) * (major + minor)),
            "orientation": np.degrees(0.5 * np.arctan2(2.0 * xy, xx - yy)),
            "eccentricity": np.sqrt(1.0 - minor / major),
        }


def _steps(xx: NDArray[np.float64], yy: NDArray[np.float64], xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many times 1/12 is to be added: (xx + n/12) (yy + n/12) - xy^2 >= 1/12^2, at the larger root."""
    enough = _STEP**2 * (1.0 - _ROUNDING)
    thin = xx * yy - xy**2 < enough
    root = -(xx + yy) / 2.0 + np.sqrt(((xx - yy) / 2.0) ** 2 + xy**2 + _STEP**2)
    n = np.maximum(np.ceil(root / _STEP - 1e-9), 1.0)
    return np.where(thin, n, 0.0)
