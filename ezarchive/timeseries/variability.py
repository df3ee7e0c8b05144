"""Numbers that tell a variable star from a constant one, of one light curve in one filter.

`store.summary` computes the same for millions of light curves (`kernels_variability`); a test holds the two together. Magnitudes that are
not finite, or whose errors are not finite and positive, are left out; a number that cannot be had is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError

PAIR_DAYS = 0.02
"""Measurements that follow each other within this many days (half an hour) are a pair of Stetson's J."""

PAIR_WEIGHT, SINGLE_WEIGHT = 1.0, 0.25
"""Weights of a pair, and of a measurement without a partner, in Stetson's J."""

Floats = NDArray[np.float64]


def weighted_mean(mag: ArrayLike, mag_err: ArrayLike) -> tuple[float, float]:
    """Return the mean weighted by the inverse squares of the errors, and its error.

    Parameters
    ----------
    mag, mag_err : array_like, shape (n,)

    Returns
    -------
    mean, error : float
        The error is ``1 / sqrt(sum(1 / mag_err**2))``: of the errors given, whatever the scatter is.

    Raises
    ------
    InputError
        If the arrays are not of one length.
    """
    mag, err = _good(mag, mag_err)
    if not len(mag):
        return np.nan, np.nan
    weight = err**-2
    return float(np.sum(weight * mag) / np.sum(weight)), float(np.sum(weight) ** -0.5)


def chi2_reduced(mag: ArrayLike, mag_err: ArrayLike) -> float:
    """Return chi2 against constancy, divided by the degrees of freedom: about 1 of a constant star.

    Parameters
    ----------
    mag, mag_err : array_like, shape (n,)

    Returns
    -------
    float
        ``sum(((mag - weighted_mean) / mag_err)**2) / (n - 1)``; NaN of fewer than two.

    Raises
    ------
    InputError
        If the arrays are not of one length.
    """
    mag, err = _good(mag, mag_err)
    if len(mag) < 2:
        return np.nan
    return float(np.sum(((mag - weighted_mean(mag, err)[0]) / err) ** 2) / (len(mag) - 1))


def von_neumann_eta(mjd: ArrayLike, mag: ArrayLike) -> float:
    """Return von Neumann's ratio: about 2 of noise, smaller where neighbours in time are alike, larger where they alternate.

    Parameters
    ----------
    mjd, mag : array_like, shape (n,)
        In any order; equal times stay in the order given.

    Returns
    -------
    float
        The mean square of the n - 1 successive differences, over the variance (with n - 1); NaN of fewer than three, for of two it is 2
        whatever they are, and of equal magnitudes.

    Raises
    ------
    InputError
        If the arrays are not of one length.

    References
    ----------
    von Neumann, J. 1941, Ann. Math. Stat. 12, 367.
    """
    mjd, mag = _arrays(mjd, mag)
    good = np.isfinite(mag)
    mjd, mag = mjd[good], mag[good]
    if len(mag) < 3 or np.ptp(mag) == 0:
        return np.nan
    ordered = mag[np.argsort(mjd, kind="stable")]
    return float(np.mean(np.diff(ordered) ** 2) / np.var(mag, ddof=1))


def stetson_j(mjd: ArrayLike, mag: ArrayLike, mag_err: ArrayLike, *, pair_days: float = PAIR_DAYS) -> float:
    r"""Return Stetson's J: about 0 of a constant star, large where measurements close in time deviate to the same side.

    Parameters
    ----------
    mjd, mag, mag_err : array_like, shape (n,)
        Of one filter; in any order.
    pair_days : float
        From the first measurement on, two that follow each other within this time are a pair; each belongs to one pair at most.

    Returns
    -------
    float
        NaN of fewer than two.

    Raises
    ------
    InputError
        If the arrays are not of one length, or ``pair_days`` is negative.

    Notes
    -----
    :math:`J = \sum_k w_k\,\mathrm{sgn}(P_k)\sqrt{|P_k|} / \sum_k w_k`, where :math:`P = \delta_i\delta_j` of a pair,
    :math:`P = \delta_i^2 - 1` of a single one, and :math:`\delta = \sqrt{n/(n-1)}\,(m - \bar m)/\sigma` with the weighted mean of the
    filter. The weights are for the user to choose; here `PAIR_WEIGHT` and `SINGLE_WEIGHT`. A single one of a constant star gives
    -0.2 on the average and not 0, so a light curve without any pair has a J of about -0.2 if nothing happens.

    References
    ----------
    Stetson, P. B. 1996, PASP 108, 851, equations 1 and 2.
    """
    if not pair_days >= 0:
        raise InputError(f"pair_days {pair_days}: must not be negative")
    mjd, mag, err = _arrays(mjd, mag, mag_err)
    good = np.isfinite(mag) & np.isfinite(err) & (err > 0)
    order = np.flatnonzero(good)[np.argsort(mjd[good], kind="stable")]
    if len(order) < 2:
        return np.nan
    mjd, mag, err = mjd[order], mag[order], err[order]
    delta = np.sqrt(len(mag) / (len(mag) - 1)) * (mag - weighted_mean(mag, err)[0]) / err
    return _j_of(mjd, delta, pair_days)


def amplitude(mag: ArrayLike) -> float:
    """Return the faintest minus the brightest magnitude; NaN of fewer than two."""
    (mag,) = _arrays(mag)
    mag = mag[np.isfinite(mag)]
    return float(np.ptp(mag)) if len(mag) > 1 else np.nan


def _j_of(mjd: Floats, delta: Floats, pair_days: float) -> float:
    total = weights = 0.0
    at = 0
    while at < len(mjd):
        paired = at + 1 < len(mjd) and mjd[at + 1] - mjd[at] <= pair_days
        product = delta[at] * delta[at + 1] if paired else delta[at] ** 2 - 1
        weight = PAIR_WEIGHT if paired else SINGLE_WEIGHT
        total += weight * np.sign(product) * np.sqrt(abs(product))
        weights += weight
        at += 2 if paired else 1
    return float(total / weights)


def _arrays(*values: ArrayLike) -> list[Floats]:
    made = [np.atleast_1d(np.asarray(value, np.float64)) for value in values]
    if len({array.shape for array in made}) > 1 or made[0].ndim != 1:
        raise InputError(f"arrays of shapes {', '.join(str(array.shape) for array in made)}: must be one-dimensional and of one length")
    return made


def _good(mag: ArrayLike, mag_err: ArrayLike) -> tuple[Floats, Floats]:
    mag, err = _arrays(mag, mag_err)
    good = np.isfinite(mag) & np.isfinite(err) & (err > 0)
    return mag[good], err[good]
