"""Lomb-Scargle periodograms of one filter or several, with a mean of its own for each filter, and how likely noise makes a peak.

A peak's height is ``1 - chi2 / chi2_0``: how much of the scatter around the means a periodic model takes away. One filter is left to
`astropy.timeseries.LombScargle`; for several there are two models: one curve that is the same in all filters but for its mean ("shared"),
and a curve for each filter ("each"; VanderPlas & Ivezic 2015, ApJ 812, 18).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from astropy.timeseries import LombScargle
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import betainc, gammaln

from ezarchive.errors import InputError

AMPLITUDES = ("shared", "each")
"""Models of several filters."""
_STEP = 256
_RIDGE = 1e-10
Floats = NDArray[np.float64]


class Points(NamedTuple):
    """A light curve that can be searched: finite values only, each filter's weighted mean taken away.

    Attributes
    ----------
    time, value, weight : ndarray (n,)
        Days from the middle of the times; 1 / error^2.
    band : ndarray of int (n,)
        Place of the filter in ``bands``.
    bands : tuple of str
    middle : float
        What was taken from the times.
    means : ndarray (number of bands,)
        What was taken from the values.
    """

    time: Floats
    value: Floats
    weight: Floats
    band: NDArray[np.int64]
    bands: tuple[str, ...]
    middle: float
    means: Floats

    @property
    def chi2(self) -> float:
        """Chi-square around the means."""
        return float(np.sum(self.weight * self.value**2))

    @property
    def baseline(self) -> float:
        """Days from the first to the last."""
        return float(np.ptp(self.time))

    def of_band(self, number: int) -> Points:
        """Return the points of one filter."""
        rows = self.band == number
        columns = (self.time[rows], self.value[rows], self.weight[rows], np.zeros(rows.sum(), np.int64))
        return Points(*columns, (self.bands[number],), self.middle, self.means[number : number + 1])


def points(mjd: ArrayLike, value: ArrayLike, error: ArrayLike | None = None, band: ArrayLike | None = None, *, least: int = 1) -> Points:
    """Return a light curve that can be searched.

    Parameters
    ----------
    mjd, value : array_like (n,)
        Times in days; magnitudes or fluxes. What is not finite is left out.
    error : array_like (n,), optional
        Errors of the values; without them all weigh the same. Rows whose error is not positive are left out.
    band : array_like of str (n,), optional
        Filters.
    least : int
        Filters with fewer points are left out.

    Returns
    -------
    Points

    Raises
    ------
    InputError
        If the arrays differ in length.
    """
    mjd, value = np.atleast_1d(np.asarray(mjd, float)), np.atleast_1d(np.asarray(value, float))
    error = np.ones(value.shape) if error is None else np.atleast_1d(np.asarray(error, float))
    band = np.full(value.shape, "") if band is None else np.atleast_1d(np.asarray(band, dtype=str))
    for name, array in (("value", value), ("error", error), ("band", band)):
        if mjd.ndim != 1 or array.shape != mjd.shape:
            raise InputError(f"{name}: has shape {array.shape}; must be as long as mjd, whose shape is {mjd.shape}")
    good = np.isfinite(mjd) & np.isfinite(value) & np.isfinite(error) & (error > 0)
    bands, counts = np.unique(band[good], return_counts=True)
    good &= np.isin(band, bands[counts >= least])
    bands, place = np.unique(band[good], return_inverse=True)
    mjd, value, weight = mjd[good], value[good], error[good] ** -2.0
    middle = float(np.mean([mjd.min(), mjd.max()])) if len(mjd) else 0.0
    means = np.bincount(place, weight * value, len(bands)) / np.bincount(place, weight, len(bands))
    return Points(mjd - middle, value - means[place], weight, place, tuple(bands.tolist()), middle, means)


def power(curve: Points, frequencies: Floats, n_terms: int = 1, amplitudes: str = "shared") -> Floats:
    """Return the periodogram on a regular grid of frequencies.

    Parameters
    ----------
    curve : Points
    frequencies : ndarray (m,)
        Cycles per day, evenly spaced.
    n_terms : int
        Harmonics of the model.
    amplitudes : {"shared", "each"}
        Whether all filters share one curve.

    Returns
    -------
    ndarray (m,)
        Between 0 and 1.
    """
    if len(curve.bands) == 1:
        return _of_one(curve, frequencies, n_terms)
    if amplitudes == "each":
        parts = [curve.of_band(number) for number in range(len(curve.bands))]
        return sum(part.chi2 * _of_one(part, frequencies, n_terms) for part in parts) / curve.chi2
    made = [_reduction(sums, curve, n_terms) for sums in _trigonometric_sums(curve, frequencies, n_terms)]
    return np.clip(np.concatenate(made) / curve.chi2, 0, 1)


def _of_one(curve: Points, frequencies: Floats, n_terms: int) -> Floats:
    lomb = LombScargle(curve.time, curve.value, curve.weight**-0.5, nterms=n_terms, fit_mean=True, center_data=True)
    method = "fast" if n_terms == 1 else "fastchi2"
    return np.clip(lomb.power(frequencies, method=method, assume_regular_frequency=True, normalization="standard"), 0, 1)


class _Sums(NamedTuple):
    """Weighted sums of exp(i k x) over the points, for some frequencies: ``all`` (m, 2K + 1), by filter (m, K, B), times value (m, K)."""

    all: NDArray[np.complex128]
    by_band: NDArray[np.complex128]
    of_value: NDArray[np.complex128]


def _trigonometric_sums(curve: Points, frequencies: Floats, n_terms: int) -> Iterator[_Sums]:
    n_bands = len(curve.bands)
    weights = np.zeros((len(curve.time), n_bands + 1), complex)
    weights[np.arange(len(curve.time)), curve.band] = curve.weight
    weights[:, n_bands] = curve.weight * curve.value
    step = frequencies[1] - frequencies[0] if len(frequencies) > 1 else 0.0
    fine = np.exp(2j * np.pi * np.outer(step * np.arange(min(_STEP, len(frequencies))), curve.time))
    for start in range(0, len(frequencies), _STEP):
        unit = fine[: len(frequencies) - start] * np.exp(2j * np.pi * frequencies[start] * curve.time)
        waves, found = unit.copy(), []
        for k in range(1, 2 * n_terms + 1):
            found.append(waves @ weights)
            if k < 2 * n_terms:
                waves *= unit
        sums = np.stack(found, axis=1)
        every = np.concatenate([np.full((len(unit), 1), curve.weight.sum()), sums[..., :n_bands].sum(axis=2)], axis=1)
        yield _Sums(every, sums[:, :n_terms, :n_bands], sums[:, :n_terms, n_bands])


def _reduction(sums: _Sums, curve: Points, n_terms: int) -> Floats:
    """Return by how much a shared curve lowers chi-square: the normal equations, with every column's mean in a filter taken away."""
    k = np.arange(1, n_terms + 1)
    plus, minus = k[:, None] + k, np.abs(k[:, None] - k)
    cos, sin = sums.all.real, sums.all.imag
    sign = np.sign(k[:, None] - k)
    both = 0.5 * (sin[:, plus] + sign * sin[:, minus])  # sin k, cos l
    matrix = np.empty((len(cos), 2 * n_terms, 2 * n_terms))
    matrix[:, :n_terms, :n_terms] = 0.5 * (cos[:, minus] + cos[:, plus])
    matrix[:, n_terms:, n_terms:] = 0.5 * (cos[:, minus] - cos[:, plus])
    matrix[:, n_terms:, :n_terms] = both
    matrix[:, :n_terms, n_terms:] = both.transpose(0, 2, 1)
    columns = np.concatenate([sums.by_band.real, sums.by_band.imag], axis=1)
    matrix -= (columns / np.bincount(curve.band, curve.weight)) @ columns.transpose(0, 2, 1)
    matrix += np.eye(2 * n_terms) * _RIDGE * curve.weight.sum()
    right = np.concatenate([sums.of_value.real, sums.of_value.imag], axis=1)
    return np.sum(right * np.linalg.solve(matrix, right[..., None])[..., 0], axis=1)


def false_alarm_probability(height: ArrayLike, curve: Points, highest: float, n_terms: int = 1, amplitudes: str = "shared") -> Floats:
    """Return how likely noise alone makes a peak as high as this anywhere up to a frequency.

    Parameters
    ----------
    height : array_like
        Of the peak, as of `power`.
    curve : Points
    highest : float
        Largest frequency that was searched, cycles per day.
    n_terms, amplitudes
        As of `power`.

    Returns
    -------
    ndarray
        An upper limit that is close where it is small.

    Notes
    -----
    Davies' bound for the number of times that a chi-square process of d degrees of freedom crosses a level, as Baluev (2008, MNRAS 385,
    1279) takes it for d = 2, the sine; for d = 2 K in general (Sharpe 1978, Adv. Appl. Probab. 10, 373) the rate of crossing u has
    (u / 2)^((d - 1) / 2) exp(-u / 2) / Gamma(d / 2), and the harmonic k turns k times as fast.
    """
    height = np.clip(np.asarray(height, float), 0, 1)
    n_curves = len(curve.bands) if amplitudes == "each" else 1
    d, n = 2 * n_terms * n_curves, len(curve.time)
    left, around = n - len(curve.bands) - d, n - len(curve.bands)
    if left < 1:
        return np.ones(height.shape)
    single = betainc(left / 2, d / 2, 1 - height)
    spread = np.average(curve.time**2, weights=curve.weight) - np.average(curve.time, weights=curve.weight) ** 2
    width = highest * np.sqrt(4 * np.pi * spread) * np.sqrt(np.mean(np.arange(1, n_terms + 1) ** 2.0))
    with np.errstate(divide="ignore"):
        level = 0.5 * (d - 1) * np.log(height) + 0.5 * (left - 1) * np.log1p(-height)
        level += gammaln(around / 2) - gammaln((left + 1) / 2) - gammaln(d / 2) + np.log(width)
    rate = np.exp(np.minimum(level, 50))
    return -np.expm1(-rate) + single * np.exp(-rate)


def false_alarm_level(probability: float, curve: Points, highest: float, n_terms: int = 1, amplitudes: str = "shared") -> float:
    """Return the height that noise alone reaches with a probability; 1 where no height is as unlikely; see `false_alarm_probability`."""

    def over(height: float) -> float:
        return float(false_alarm_probability(height, curve, highest, n_terms, amplitudes)) - probability

    lowest = 1e-6
    if over(1 - 1e-12) > 0:
        return 1.0
    # Below its maximum the bound is no bound: the search begins where it falls.
    heights = np.linspace(lowest, 1 - 1e-12, 400)
    above = np.flatnonzero(false_alarm_probability(heights, curve, highest, n_terms, amplitudes) > probability)
    if above.size == 0:
        return lowest
    return float(brentq(over, heights[above[-1]], heights[min(above[-1] + 1, 399)])) if above[-1] < 399 else 1.0
