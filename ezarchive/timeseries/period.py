"""The period of a light curve, of one filter or several: Lomb-Scargle, error, false alarm probability, and what it may be taken for.

A search runs in four steps: the periodogram's highest peak; a Fourier series with as many harmonics as the points ask for, refined in
frequency; a test whether every second cycle differs (an eclipsing binary shows itself first at half its period, a sine with two harmonics
at twice it); the error from the curvature of chi-square.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import betainc

from ezarchive.errors import InputError
from ezarchive.timeseries.periodogram import AMPLITUDES, Points, false_alarm_level, false_alarm_probability, points, power

LEAST_POINTS = 8
"""Fewer are not searched."""
MOST_FREQUENCIES = 3_000_000
_SIGNIFICANT = 1e-4
"""How unlikely noise must make it that every second cycle differs."""
_MOST_TERMS = 8
"""Of the periodogram; the series may have three times as many."""
_PATIENCE = 4
_FINE = 4000
Floats = NDArray[np.float64]


class Peak(NamedTuple):
    """A place of the periodogram where the period may be looked for as well.

    Attributes
    ----------
    name : str
        What it is of the frequency f that was found: ``f + 1/d``, ``1/d - f``, ``2 f``, ``f / 2`` ... ``""``: a peak of its own.
    frequency : float
        Of the highest point there, cycles per day.
    power : float
        Its height.
    """

    name: str
    frequency: float
    power: float

    @property
    def period(self) -> float:
        """Days."""
        return 1 / self.frequency


@dataclass(frozen=True)
class Series:
    """A Fourier series with a mean for each filter.

    Attributes
    ----------
    frequency : float
        Cycles per day.
    middle : float
        MJD at which the angles are 0.
    bands : tuple of str
    means : ndarray (B,)
    cosines, sines : ndarray (B, K)
        Of the harmonics 1 to K, for each filter.
    chi2 : float
    n_parameters : int
    """

    frequency: float
    middle: float
    bands: tuple[str, ...]
    means: Floats
    cosines: Floats
    sines: Floats
    chi2: float
    n_parameters: int

    @property
    def n_terms(self) -> int:
        """Harmonics."""
        return self.cosines.shape[1]

    def value(self, mjd: ArrayLike, band: str | None = None) -> Floats:
        """Return the model at times, in a filter (the first by default).

        Raises
        ------
        InputError
            If the filter was not in the light curve.
        """
        row = 0 if band is None else self._row(band)
        angle = 2 * np.pi * self.frequency * (np.asarray(mjd, float) - self.middle)
        k = np.arange(1, self.n_terms + 1)
        waves = np.multiply.outer(angle, k)
        return self.means[row] + np.cos(waves) @ self.cosines[row] + np.sin(waves) @ self.sines[row]

    def _row(self, band: str) -> int:
        if band not in self.bands:
            raise InputError(f"band {band!r}: must be one of {', '.join(map(repr, self.bands))}")
        return self.bands.index(band)


@dataclass(frozen=True)
class PeriodSearch:
    """What `find_period` found.

    Attributes
    ----------
    period, period_err : float
        Days; the error holds if the period is the right one of its aliases.
    epoch : float
        MJD of phase 0, near the middle of the times: the extreme of the curve that departs farther from its median, as the deeper
        minimum of an eclipsing star; of a curve that is symmetric the lower value, of magnitudes the maximum of light.
    amplitude : float
        Of the model in the first filter, from extreme to extreme.
    power, false_alarm_probability : float
        Of the highest peak of the periodogram.
    doubled : bool
        The period is twice that of the highest peak, or four times: every second cycle differs.
    frequencies, powers : ndarray
        The periodogram, cycles per day.
    false_alarm_level : float
        Height that noise reaches once in a hundred light curves.
    peaks : tuple of Peak
        Heights at the day's aliases of the highest peak, at twice and half its frequency, the highest first; then the highest other peaks.
    series : Series
        The model.
    chi2_reduced : float
        Of the model.
    n_points : int
    n_terms : int
        Harmonics of the periodogram's model.
    left_out : tuple of str
        Filters with too few points.
    """

    period: float
    period_err: float
    epoch: float
    amplitude: float
    power: float
    false_alarm_probability: float
    doubled: bool
    frequencies: Floats
    powers: Floats
    false_alarm_level: float
    peaks: tuple[Peak, ...]
    series: Series
    chi2_reduced: float
    n_points: int
    n_terms: int
    left_out: tuple[str, ...] = ()

    def phase(self, mjd: ArrayLike) -> Floats:
        """Return phases from 0 to 1."""
        return (np.asarray(mjd, float) - self.epoch) / self.period % 1

    def model(self, phase: ArrayLike, band: str | None = None) -> Floats:
        """Return the model at phases, in a filter (the first by default)."""
        return self.series.value(self.epoch + np.asarray(phase, float) * self.period, band)

    def __str__(self) -> str:
        digits = int(np.clip(1 - np.floor(np.log10(self.period_err)), 0, 12)) if 0 < self.period_err < np.inf else 6
        lines = [
            f"period {self.period:.{digits}f} +- {self.period_err:.{digits}f} d"
            + (" (twice that of the highest peak: every second cycle differs)" if self.doubled else ""),
            f"false alarm probability {self.false_alarm_probability:.2g}, {self.n_points} points, chi2 / freedom {self.chi2_reduced:.2f}",
        ]
        near = [peak for peak in self.peaks if peak.name and peak.power > 0.8 * self.power]
        if near:
            lines.append("nearly as high: " + ", ".join(f"{peak.period:.5g} d ({peak.name})" for peak in near))
        return "\n".join(lines)


def find_period(
    mjd: ArrayLike,
    value: ArrayLike,
    error: ArrayLike | None = None,
    band: ArrayLike | None = None,
    *,
    min_period: float = 0.1,
    max_period: float | None = None,
    n_terms: int = 1,
    amplitudes: str = "shared",
    doubling: bool = True,
    samples_per_peak: float = 10,
) -> PeriodSearch:
    """Find the period of a light curve.

    Parameters
    ----------
    mjd, value : array_like (n,)
        Times in days (BJD for short periods); magnitudes or fluxes. What is not finite is left out.
    error : array_like (n,), optional
        Errors of the values; without them all weigh the same.
    band : array_like of str (n,), optional
        Filters: each has a mean of its own.
    min_period, max_period : float
        Days; the longest is by default the baseline.
    n_terms : int
        Harmonics in the periodogram: 1 for a sine and for most pulsating stars, 2 for eclipsing binaries and for curves with two humps.
    amplitudes : {"shared", "each"}
        Whether all filters share one curve but for its mean, or each has its own (which takes more points).
    doubling : bool
        Whether twice the period is tried.
    samples_per_peak : float
        Frequencies over the width of a peak, 1 / baseline.

    Returns
    -------
    PeriodSearch

    Raises
    ------
    InputError
        If there are fewer than `LEAST_POINTS` good points, or too few for the model; if a period or another option is out of range.

    Notes
    -----
    The error of the frequency is where chi-square of the refined model rises by one reduced chi-square (at least 1); for a sine that is
    sqrt(6 / n) s / (pi T A) (Montgomery & O'Donoghue 1999, DSSN 13, 28), of noise s, baseline T, amplitude A.
    """
    _check(n_terms, amplitudes, min_period, max_period, samples_per_peak)
    given = set() if band is None else set(np.asarray(band, dtype=str).ravel().tolist())
    curve = points(mjd, value, error, band, least=2 * n_terms + 2 if amplitudes == "each" else 2)
    _check_points(curve, n_terms, amplitudes)
    frequencies = _grid(curve, min_period, max_period, samples_per_peak)
    powers = power(curve, frequencies, n_terms, amplitudes)
    best = int(np.argmax(powers))
    series = _halved(curve, _refined(curve, frequencies[best], n_terms, amplitudes), n_terms, amplitudes)
    if doubling:
        series = _doubled(curve, series, max(curve.baseline, max_period or 0), amplitudes)
    doubled = series.frequency < 0.75 * frequencies[best]
    freedom = len(curve.time) - series.n_parameters
    chi2 = series.chi2 / freedom if freedom > 0 else np.nan
    error_of = _frequency_error(curve, series, amplitudes, chi2 if error is None else max(chi2, 1.0))
    epoch, amplitude = _extreme(series)
    model = (n_terms, amplitudes)
    return PeriodSearch(
        1 / series.frequency, error_of / series.frequency**2, epoch, amplitude, float(powers[best]),
        float(false_alarm_probability(powers[best], curve, frequencies[-1], *model)), doubled, frequencies, powers,
        false_alarm_level(0.01, curve, frequencies[-1], *model), _peaks(frequencies, powers, curve.baseline), series, float(chi2),
        len(curve.time), n_terms, tuple(sorted(given - set(curve.bands))),
    )  # fmt: skip


def _check(n_terms: int, amplitudes: str, min_period: float, max_period: float | None, samples: float) -> None:
    if isinstance(n_terms, bool) or not isinstance(n_terms, (int, np.integer)) or not 1 <= n_terms <= _MOST_TERMS:
        raise InputError(f"n_terms {n_terms!r}: must be a whole number from 1 to {_MOST_TERMS}")
    if amplitudes not in AMPLITUDES:
        raise InputError(f"amplitudes {amplitudes!r}: must be one of {', '.join(AMPLITUDES)}")
    for name, value in (("min_period", min_period), ("max_period", max_period), ("samples_per_peak", samples)):
        if value is not None and not (isinstance(value, (int, float, np.number)) and 0 < value < np.inf):
            raise InputError(f"{name} {value!r}: must be a positive number")


def _check_points(curve: Points, n_terms: int, amplitudes: str) -> None:
    n = len(curve.time)
    least = max(LEAST_POINTS, 2 * n_terms * (len(curve.bands) if amplitudes == "each" else 1) + len(curve.bands) + 2)
    if n < least:
        raise InputError(f"mjd: has {n} good points; a period of this model takes at least {least}")
    if not curve.baseline > 0:
        raise InputError("mjd: must hold different times")
    if not curve.chi2 > 0:
        raise InputError("value: must vary, found the same value everywhere")


def _grid(curve: Points, min_period: float, max_period: float | None, samples: float) -> Floats:
    longest = curve.baseline if max_period is None else max_period
    if not min_period < longest:
        raise InputError(f"min_period {min_period!r}: must be shorter than the longest period, {longest:g} d")
    step = 1 / (samples * curve.baseline)
    n = int((1 / min_period - 1 / longest) / step) + 2
    if n > MOST_FREQUENCIES:
        text = f"asks for {n} frequencies, at most {MOST_FREQUENCIES}; it must be longer, or samples_per_peak smaller"
        raise InputError(f"min_period {min_period!r}: {text}")
    return 1 / longest + step * np.arange(n)


# ---------------------------------------------------------------------- the model at one frequency


def _fit(curve: Points, frequency: float, n_terms: int, amplitudes: str) -> Series:
    """Fit a Fourier series at a frequency."""
    angles = 2 * np.pi * frequency * curve.time[:, None] * np.arange(1, n_terms + 1)
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    n_bands = len(curve.bands)
    own = np.equal.outer(curve.band, np.arange(n_bands)).astype(float)
    if amplitudes == "each":
        waves = (own[:, :, None] * waves[:, None, :]).reshape(len(own), -1)
    root = np.sqrt(curve.weight)
    design = np.concatenate([own, waves], axis=1)
    found = np.linalg.lstsq(design * root[:, None], curve.value * root, rcond=1e-10)[0]
    chi2 = float(np.sum(curve.weight * (curve.value - design @ found) ** 2))
    rows = np.broadcast_to(found[n_bands:].reshape(-1, 2 * n_terms), (n_bands, 2 * n_terms))
    means = curve.means + found[:n_bands]
    return Series(frequency, curve.middle, curve.bands, means, rows[:, :n_terms], rows[:, n_terms:], chi2, len(found))


def _refined(curve: Points, frequency: float, least_terms: int, amplitudes: str) -> Series:
    """Choose the number of harmonics by the Bayesian information criterion, and the frequency by chi-square; twice, for they depend."""
    n_terms = least_terms
    for _ in range(2):
        frequency = _nearest_minimum(curve, frequency, n_terms, amplitudes)
        n_terms = _harmonics(curve, frequency, least_terms, amplitudes)
    return _fit(curve, _nearest_minimum(curve, frequency, n_terms, amplitudes), n_terms, amplitudes)


def _harmonics(curve: Points, frequency: float, least: int, amplitudes: str) -> int:
    n_curves = len(curve.bands) if amplitudes == "each" else 1
    room = (len(curve.time) - len(curve.bands)) // (4 * n_curves)
    best, lowest = least, np.inf
    for n_terms in range(least, max(least, min(3 * _MOST_TERMS, room)) + 1):
        cost = _cost(_fit(curve, frequency, n_terms, amplitudes), curve)
        if cost < lowest:
            best, lowest = n_terms, cost
        elif n_terms >= best + _PATIENCE:
            break
    return best


def _cost(series: Series, curve: Points) -> float:
    """Return the Bayesian information criterion; the noise is taken from the residuals."""
    n = len(curve.time)
    return n * np.log(max(series.chi2, 1e-300) / n) + series.n_parameters * np.log(n)


def _nearest_minimum(curve: Points, frequency: float, n_terms: int, amplitudes: str) -> float:
    """Return the frequency of least chi-square within a fraction of a peak's width."""
    half = 0.3 / (curve.baseline * n_terms)
    tried = frequency + half * np.linspace(-1, 1, 9)
    tried = tried[tried > 0]
    costs = [_fit(curve, value, n_terms, amplitudes).chi2 for value in tried]
    centre = tried[int(np.argmin(costs))]
    bounds = (max(centre - half / 4, frequency * 1e-3), centre + half / 4)
    found = minimize_scalar(
        lambda value: _fit(curve, value, n_terms, amplitudes).chi2, bounds=bounds, method="bounded", options={"xatol": half * 1e-4}
    )
    return float(found.x)


def _every_second_differs(curve: Points, frequency: float, n_terms: int, amplitudes: str) -> bool:
    """Return whether the odd harmonics of half a frequency, and the order of the points in phase, both speak for half of it."""
    n = len(curve.time)
    once, twice = _fit(curve, frequency, n_terms, amplitudes), _fit(curve, frequency / 2, 2 * n_terms, amplitudes)
    more, left = twice.n_parameters - once.n_parameters, n - twice.n_parameters
    if left < 4 or not once.chi2 > 0:
        return False
    # F test: the share of the residuals that the odd harmonics take away.
    chance = float(betainc(left / 2, more / 2, min(twice.chi2 / once.chi2, 1.0)))
    # A series that is too short for its curve leaves residuals that any more harmonics lower: the points themselves must agree.
    return chance < _SIGNIFICANT and _roughness(curve, frequency / 2) < _roughness(curve, frequency)


def _roughness(curve: Points, frequency: float) -> float:
    """Return the mean square of the differences of neighbours in phase (Lafler & Kinman 1965, ApJS 11, 216), in units of their errors."""
    phase = curve.time * frequency % 1
    total = number = 0.0
    for band in range(len(curve.bands)):
        rows = np.flatnonzero(curve.band == band)
        rows = rows[np.argsort(phase[rows], kind="stable")]
        following = np.roll(rows, -1)
        variance = 1 / curve.weight[rows] + 1 / curve.weight[following]
        total += float(np.sum((curve.value[following] - curve.value[rows]) ** 2 / variance))
        number += len(rows)
    return total / number


def _halved(curve: Points, series: Series, n_terms: int, amplitudes: str) -> Series:
    """Return the model of half the period as long as no second cycle differs: several harmonics fit twice a period as well as it."""
    for _ in range(2 if n_terms > 1 else 0):
        shorter = 2 * series.frequency
        terms = max(1, -(-series.n_terms // 2))
        if _every_second_differs(curve, shorter, terms, amplitudes):
            break
        series = _refined(curve, shorter, 1, amplitudes)
    return series


def _doubled(curve: Points, series: Series, longest: float, amplitudes: str) -> Series:
    """Return the model of twice the period as long as every second cycle differs."""
    for _ in range(2):
        if 2 / series.frequency > longest or not _every_second_differs(curve, series.frequency, series.n_terms, amplitudes):
            break
        series = _refined(curve, series.frequency / 2, 2, amplitudes)
    return series


def _frequency_error(curve: Points, series: Series, amplitudes: str, scale: float) -> float:
    """Return the error of the frequency: where chi-square rises by ``scale``, from its curvature."""
    step = 0.02 / (curve.baseline * series.n_terms)
    low, high = (_fit(curve, series.frequency + sign * step, series.n_terms, amplitudes).chi2 for sign in (-1, 1))
    curvature = (low + high - 2 * series.chi2) / step**2
    return float(np.sqrt(2 * scale / curvature)) if curvature > 0 else np.inf


def _extreme(series: Series) -> tuple[float, float]:
    """Return the time near the middle of the extreme that departs farther from the model's median, and the model's range."""
    times = series.middle + np.arange(_FINE) / (_FINE * series.frequency)
    model = series.value(times)
    centre = np.median(model)
    low, high = float(model.min() - centre), float(model.max() - centre)
    at = np.argmin(model) if -low >= high * (1 - 1e-3) else np.argmax(model)
    return float(times[at]), high - low


# ---------------------------------------------------------------------- what else it may be


def _peaks(frequencies: Floats, powers: Floats, baseline: float, n_others: int = 3) -> tuple[Peak, ...]:
    """Name the aliases of the highest peak, and the highest peaks that are none."""
    best = frequencies[int(np.argmax(powers))]
    width = 1 / baseline
    named: list[Peak] = []
    places = {"2 f": 2 * best, "f / 2": best / 2}
    for days in (1, 2):
        places |= {f"f + {days}/d": best + days, (f"f - {days}/d" if best > days else f"{days}/d - f"): abs(best - days)}
    for name, place in places.items():
        near = np.flatnonzero(np.abs(frequencies - place) <= width)
        if near.size and abs(place - best) > 2 * width:
            at = near[np.argmax(powers[near])]
            named.append(Peak(name, float(frequencies[at]), float(powers[at])))
    named.sort(key=lambda peak: -peak.power)
    return (*named, *_others(frequencies, powers, [best, *places.values()], width, n_others))


def _others(frequencies: Floats, powers: Floats, taken: list[float], width: float, n: int) -> list[Peak]:
    inner = powers[1:-1]
    tops = 1 + np.flatnonzero((inner > powers[:-2]) & (inner >= powers[2:]))
    found: list[Peak] = []
    for at in tops[np.argsort(-powers[tops], kind="stable")][:400]:
        if all(abs(frequencies[at] - place) > 3 * width for place in taken):
            found.append(Peak("", float(frequencies[at]), float(powers[at])))
            taken = [*taken, frequencies[at]]
        if len(found) == n:
            break
    return found
