"""Which of many objects vary most: how far chi-square and von Neumann's eta stand out from those of objects as bright."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError

LEAST_EXCESS = 5.0
"""Chi-square must stand out by so many times the spread among objects as bright."""
_PER_BIN, _MOST_BINS = 50, 40
_MAD = 1.4826


class Outliers(NamedTuple):
    """The most variable of many.

    Attributes
    ----------
    rows : ndarray of int64 (k,)
        Their places in the arrays, the most variable first.
    score : ndarray (k,)
        How far they stand out: ``excess`` plus ``smoothness`` where that is positive.
    excess : ndarray (n,)
        Of all: by how many times its spread log10 of chi-square lies above the median of those as bright.
    smoothness : ndarray (n,)
        Of all: by how many standard deviations eta lies below that of noise (0 where it is not known).
    """

    rows: NDArray[np.int64]
    score: NDArray[np.float64]
    excess: NDArray[np.float64]
    smoothness: NDArray[np.float64]


def outliers(
    chi2_reduced: ArrayLike,
    eta: ArrayLike,
    n_points: ArrayLike,
    mag: ArrayLike,
    *,
    n: int = 10,
    least_excess: float = LEAST_EXCESS,
) -> Outliers:
    """Return the most variable of many light curves.

    Parameters
    ----------
    chi2_reduced, eta : array_like (n,)
        Of each light curve, against constancy, and von Neumann's: 2 for noise, near 0 for a smooth curve.
    n_points : array_like of int (n,)
        Measurements in each.
    mag : array_like (n,)
        Mean magnitudes; NaN where unknown (such rows are compared with each other).
    n : int
        How many at the most.
    least_excess : float
        What chi-square must stand out by; a large eta alone does not make a variable star, nor does a small one.

    Returns
    -------
    Outliers

    Raises
    ------
    InputError
        If the arrays differ in length, or ``n`` is negative.

    Notes
    -----
    Errors that are too small make all bright stars look variable: chi-square is compared among stars as bright. For noise eta, whose
    variance has n - 1 in its denominator, has the mean 2 and the variance 4 (n - 2) / (n^2 - 1) (von Neumann 1941, Ann. Math. Stat. 12,
    367).
    """
    chi2, eta, mag, number = (np.atleast_1d(np.asarray(values, float)) for values in (chi2_reduced, eta, mag, n_points))
    if not chi2.shape == eta.shape == mag.shape == number.shape or chi2.ndim != 1:
        shapes = (chi2.shape, eta.shape, number.shape, mag.shape)
        raise InputError(f"chi2_reduced, eta, n_points, mag: must be of one length, found shapes {shapes}")
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise InputError(f"n {n!r}: must be a whole number from 0")
    known = np.isfinite(chi2) & (chi2 > 0)
    log = np.log10(np.where(known, chi2, 1.0))
    excess = np.full(len(chi2), -np.inf)
    groups = _as_bright(mag, known)
    expected = _expected(log, mag, groups)
    for rows in groups:
        above = log[rows] - expected[rows]
        freedom = np.maximum(np.median(number[rows]) - 1, 1)
        # No less than what chance makes of as many degrees of freedom.
        spread = max(_MAD * float(np.median(np.abs(above - np.median(above)))), np.sqrt(2 / freedom) / np.log(10))
        excess[rows] = above / spread
    smoothness = np.zeros(len(chi2))
    told = np.isfinite(eta) & (number > 2)
    count = number[told]
    smoothness[told] = (2 - eta[told]) / np.sqrt(4 * (count - 2) / (count**2 - 1))
    score = excess + np.maximum(smoothness, 0)
    rows = np.flatnonzero(excess >= least_excess)
    rows = rows[np.argsort(-score[rows], kind="stable")][:n]
    return Outliers(rows, score[rows], excess, smoothness)


def _expected(log: NDArray[np.float64], mag: NDArray[np.float64], groups: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Return the median of stars as bright: that of each group at its median magnitude, straight lines between and beyond them."""
    expected = np.zeros(len(log))
    with_mag = [rows for rows in groups if np.isfinite(mag[rows[0]])]
    for rows in groups:
        expected[rows] = np.median(log[rows])
    if len(with_mag) < 2:
        return expected
    x, y = (np.array([np.median(values[rows]) for rows in with_mag]) for values in (mag, log))
    rows = np.concatenate(with_mag)
    inner = np.clip(mag[rows], x[0], x[-1])
    ends = [(y[at + 1] - y[at]) / max(x[at + 1] - x[at], 1e-3) for at in (0, len(x) - 2)]
    beyond = np.where(mag[rows] < x[0], ends[0], ends[1]) * (mag[rows] - inner)
    expected[rows] = np.interp(inner, x, y) + beyond
    return expected


def _as_bright(mag: NDArray[np.float64], known: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return groups of rows of about the same magnitude; those without one are a group of their own."""
    rows = np.flatnonzero(known & np.isfinite(mag))
    others = np.flatnonzero(known & ~np.isfinite(mag))
    rows = rows[np.argsort(mag[rows], kind="stable")]
    groups = np.array_split(rows, int(np.clip(len(rows) // _PER_BIN, 1, _MOST_BINS)))
    return [group for group in (*groups, others) if len(group)]
