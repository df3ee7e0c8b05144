"""Averages of a light curve over bins of time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError

Floats = NDArray[np.float64]


class Bins(NamedTuple):
    """Rows sorted into bins.

    Attributes
    ----------
    order : ndarray of int
        Rows, those of a bin together, in time within it.
    starts : ndarray of int
        Where each bin begins in ``order``.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows in each bin."""
        return np.diff(np.append(self.starts, len(self.order)))

    def __len__(self) -> int:
        return len(self.starts)

    def sum(self, values: ArrayLike) -> Floats:
        """Return the sum over each bin; NaN counts nothing."""
        return self._reduced(np.add, np.nan_to_num(np.asarray(values, float), nan=0.0))

    def least(self, values: ArrayLike) -> Floats:
        """Return the least value of each bin; NaN where it has none."""
        return self._reduced(np.fmin, np.asarray(values, float))

    def greatest(self, values: ArrayLike) -> Floats:
        """Return the greatest value of each bin; NaN where it has none."""
        return self._reduced(np.fmax, np.asarray(values, float))

    def _reduced(self, function: np.ufunc, values: Floats) -> Floats:
        return function.reduceat(values[self.order], self.starts) if len(self) else np.zeros(0)

    def first(self, values: NDArray) -> NDArray:
        """Return the first value of each bin."""
        return np.asarray(values)[self.order[self.starts]] if len(self) else np.asarray(values)[:0]


class Average(NamedTuple):
    """Weighted means of bins.

    Attributes
    ----------
    value, error : ndarray, shape (k,)
        Mean with weights 1 / error^2, and its error; NaN of a bin without a measurement.
    n : ndarray of int, shape (k,)
        Measurements that count: finite, with a positive error.
    chi2_reduced : ndarray, shape (k,)
        Of the bin around its mean; NaN with fewer than two.
    """

    value: Floats
    error: Floats
    n: NDArray[np.int64]
    chi2_reduced: Floats


def number_of_bin(mjd: ArrayLike, days: float) -> NDArray[np.int64]:
    """Return the number of the bin of each time, bins of a width counted from MJD 0.

    Parameters
    ----------
    mjd : array_like
        Finite.
    days : float
        Width.

    Raises
    ------
    InputError
        If the width is not positive and finite.

    Examples
    --------
    >>> number_of_bin([60000.2, 60000.7, 60001.1], 0.5).tolist()
    [120000, 120001, 120002]
    """
    if isinstance(days, bool) or not 0 < days < np.inf:
        raise InputError(f"by={days!r}: must be 'night' or a number of days above 0")
    return np.floor(np.asarray(mjd, float) / days).astype(np.int64)


def bins(*keys: ArrayLike, mjd: ArrayLike) -> Bins:
    """Sort rows into bins of equal keys.

    Parameters
    ----------
    *keys : array_like, shape (n,)
        Rows with the same of all keys are of one bin; bins come in the order of the keys, the first one first.
    mjd : array_like, shape (n,)
        Time, which orders the rows of a bin.

    Returns
    -------
    Bins
    """
    codes = [np.unique(np.asarray(key), return_inverse=True)[1] for key in keys]
    order = np.lexsort((np.asarray(mjd, float), *codes[::-1]))
    if not order.size:
        return Bins(order, np.zeros(0, np.int64))
    changed = np.zeros(len(order), bool)
    changed[0] = True
    for code in codes:
        changed[1:] |= np.diff(code[order]) != 0
    return Bins(order, np.flatnonzero(changed))


def weights(value: ArrayLike, error: ArrayLike) -> Floats:
    """Return 1 / error^2; 0 where a value is not finite or its error not positive and finite."""
    value, error = np.asarray(value, float), np.asarray(error, float)
    good = np.isfinite(value) & np.isfinite(error) & (error > 0)
    return np.where(good, 1.0, 0.0) / np.where(good, error, 1.0) ** 2


def average(groups: Bins, value: ArrayLike, error: ArrayLike) -> Average:
    """Return weighted means.

    Parameters
    ----------
    groups : Bins
    value, error : array_like, shape (n,)
        Any unit in which errors are symmetric: fluxes, not magnitudes, of faint sources.

    Returns
    -------
    Average
    """
    value = np.asarray(value, float)
    weight = weights(value, error)
    counted = weight > 0
    n = groups.sum(counted).astype(np.int64)
    total = groups.sum(weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = groups.sum(np.where(counted, weight * value, 0.0)) / total
        centre = np.empty(len(value))
        centre[groups.order] = np.repeat(mean, groups.counts)
        chi2 = groups.sum(np.where(counted, weight * (value - centre) ** 2, 0.0))
        reduced = np.where(n > 1, chi2 / np.maximum(n - 1, 1), np.nan)
        return Average(mean, 1 / np.sqrt(np.where(total > 0, total, np.nan)), n, reduced)
