"""Zero points: the magnitude of one count, from stars whose magnitudes are known.

Arrays in, a `ZeroPointFit` out. Which stars to trust is the business of `photometry.calibrators`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincc

from ezarchive.errors import InputError, MeasurementError

MEDIAN_ERROR = math.sqrt(math.pi / 2)
"""1.2533: the error of a median in units of that of a mean, for normal errors."""
TOO_FEW_STARS = "too_few_stars"
ERRORS = ("analytic", "bootstrap")

_QUARTILE = 0.674489750196082  # of the absolute value of a normal deviate, the median
_PAIRED = 300  # points whose pairs are looked at
_PER_TERM = 3  # stars that a term of the map of residuals needs

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How a zero point is fitted.

    Attributes
    ----------
    clip : float
        Stars whose residual exceeds this many sigma are left out.
    iterations : int
        How often at the most.
    error : str
        Of the median: ``analytic`` or ``bootstrap``.
    n_bootstrap : int
        Samples of the bootstrap; its random numbers are always the same.
    n_min : int
        Stars that a zero point needs after clipping.
    colour_term : float, "fit" or None
        Magnitudes per magnitude of colour: a known one, one to be fitted, or none.
    colour_pivot : float, optional
        The colour for which a zero point with colour term holds; by default the median colour of the stars.
    spatial_order : int
        Highest power in the polynomial that maps the residuals over the frame; 0: no map.
    """

    clip: float = 3.0
    iterations: int = 5
    error: str = "analytic"
    n_bootstrap: int = 500
    n_min: int = 5
    colour_term: float | str | None = None
    colour_pivot: float | None = None
    spatial_order: int = 2

    def __post_init__(self) -> None:
        if self.error not in ERRORS:
            raise InputError(f"error={self.error!r}: must be one of {', '.join(ERRORS)}")
        for name, least in (("iterations", 1), ("n_bootstrap", 10), ("n_min", 1), ("spatial_order", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise InputError(f"{name}={value!r}: must be a whole number from {least}")
        if not (is_number(self.clip) and self.clip > 0):
            raise InputError(f"clip={self.clip!r}: must be a positive number of sigma")
        if self.colour_term is not None and self.colour_term != "fit" and not is_number(self.colour_term):
            raise InputError(f"colour_term={self.colour_term!r}: must be a number, 'fit' or None")
        if self.colour_pivot is not None and not is_number(self.colour_pivot):
            raise InputError(f"colour_pivot={self.colour_pivot!r}: must be a number or None")


@dataclass(frozen=True)
class SpatialFit:
    """A polynomial through the residuals over the frame: a map of where the zero point is another one.

    Attributes
    ----------
    order : int
    coefficients : tuple of float
        Of ``u^i v^j`` with 0 <= i + j <= order, by i + j, then by j; u and v are pixel coordinates scaled to -1 .. 1 over the frame. Mag.
    shape : (int, int)
        Rows and columns of the frame.
    rms : float
        Of the map at the stars, mag.
    p_value : float
        Chance that a frame without any such dependence shows one as strong (chi-square of the improvement).
    """

    order: int
    coefficients: tuple[float, ...]
    shape: tuple[int, int]
    rms: float
    p_value: float

    def at(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Return the map at 0-based pixels: what is to be added to the zero point there, mag."""
        return _powers(np.asarray(x, float), np.asarray(y, float), self.shape, self.order) @ np.array(self.coefficients)


@dataclass(frozen=True, eq=False)
class ZeroPointFit:
    """A zero point, its errors, and what the stars say against it.

    Attributes
    ----------
    value, error : float
        Magnitude of 1 unit of flux at the colour ``colour_pivot``, and its error.
    scatter : float
        Standard deviation of the residuals of the stars that were used, mag: what one star differs from the zero point.
    intrinsic : float
        The part of the scatter that the stars' own errors do not explain, mag.
    n, n_clipped : int
        Stars that were used, and that were clipped.
    colour_term, colour_term_err, colour_pivot : float or None
        m_ref - m_inst = value + colour_term (colour - colour_pivot); None without colour term, the error also where it was given.
    magnitude_slope, magnitude_slope_err : float or None
        Slope of the residuals with the reference magnitude, mag per mag: not zero where the detector or the sky's level is not linear.
    spatial : SpatialFit or None
    residual : ndarray (n_stars,)
        m_ref - m_inst - fit, mag; NaN where a star could not be used.
    used : ndarray of bool (n_stars,)
    """

    value: float
    error: float
    scatter: float
    intrinsic: float
    n: int
    n_clipped: int
    colour_term: float | None
    colour_term_err: float | None
    colour_pivot: float | None
    magnitude_slope: float | None
    magnitude_slope_err: float | None
    spatial: SpatialFit | None
    residual: Array
    used: NDArray[np.bool_]

    @property
    def linear(self) -> bool | None:
        """Whether the residuals do not depend on the magnitude (by 3 sigma); None where that could not be told."""
        if self.magnitude_slope is None or not self.magnitude_slope_err:
            return None
        return abs(self.magnitude_slope) <= 3 * self.magnitude_slope_err


@dataclass(frozen=True)
class _Clipped:
    """Stars that were kept, the residual and the standard deviation of each, and the line along the colour."""

    used: NDArray[np.bool_]
    centre: float
    sigma: Array
    intrinsic: float
    slope: float
    slope_err: float | None


def fit_zero_point(
    reference_mag: ArrayLike,
    instrumental_mag: ArrayLike,
    *,
    reference_err: ArrayLike | None = None,
    instrumental_err: ArrayLike | None = None,
    colour: ArrayLike | None = None,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    shape: tuple[int, int] | None = None,
    options: FitOptions | None = None,
) -> ZeroPointFit:
    """Fit the zero point of stars that were chosen.

    Parameters
    ----------
    reference_mag, instrumental_mag : array_like (n,)
        Magnitudes of the reference, and -2.5 log10 of the fluxes. Stars where either is not finite are not used.
    reference_err, instrumental_err : array_like (n,), optional
        Their errors, mag; not finite or none: 0.
    colour : array_like (n,), optional
        For the colour term, mag; stars without one are not used for a zero point with colour term.
    x, y : array_like (n,), optional
        0-based pixels, and ``shape`` of the frame (rows, columns): for the map of the residuals.
    shape : (int, int), optional
    options : FitOptions, optional

    Returns
    -------
    ZeroPointFit

    Raises
    ------
    InputError
        If arrays differ in length, or a colour term is asked for without colours.
    MeasurementError
        ``too_few_stars``: if fewer than ``n_min`` stars are left.

    Notes
    -----
    The zero point is the median of m_ref - m_inst (- colour term) of the stars within ``clip`` sigma of it, where the variance of a star is
    tau_i^2 = err_ref^2 + err_inst^2 + s^2 and s, the intrinsic scatter, makes the residuals as large as they are. Stars are not weighted: a
    few bright ones must not carry the zero point. Its analytic error is 1.2533 tau / sqrt(N) with the harmonic mean tau of
    the tau_i: the asymptotic error of a median, 1 / (2 f(0) sqrt(N)), of normal errors of different width (Kendall & Stuart, The Advanced
    Theory of Statistics, 10.10); of equal errors it is 1.2533 sigma / sqrt(N). The error of a fitted colour term is added in quadrature
    as far as the mean colour of the stars lies from the pivot.
    """
    options = options or FitOptions()
    reference, instrumental = (np.asarray(values, float) for values in (reference_mag, instrumental_mag))
    n = len(_one_dimensional("reference_mag", reference))
    difference = reference - _same_length("instrumental_mag", instrumental, n)
    errors = np.hypot(_errors("reference_err", reference_err, n), _errors("instrumental_err", instrumental_err, n))
    good = np.isfinite(difference)
    offset, pivot = np.zeros(n), None
    if options.colour_term is not None:
        if colour is None:
            raise InputError(f"colour: must be given for colour_term={options.colour_term!r}")
        colours = _same_length("colour", np.asarray(colour, float), n)
        good &= np.isfinite(colours)
        pivot = options.colour_pivot
        if pivot is None:
            pivot = float(np.median(colours[good])) if good.any() else 0.0
        offset = colours - pivot
    clipped = _clip(difference, errors, offset, good, options)
    residual = np.where(good, difference - clipped.slope * np.where(good, offset, 0) - clipped.centre, np.nan)
    used, has_colour = clipped.used, options.colour_term is not None
    slope, slope_err = _line(reference[used], residual[used], clipped.sigma[used])
    return ZeroPointFit(
        value=clipped.centre, error=_error(residual, offset, clipped, options), scatter=float(np.std(residual[used], ddof=1)) if
        used.sum() > 1 else 0.0, intrinsic=clipped.intrinsic, n=int(used.sum()), n_clipped=int(good.sum() - used.sum()),
        colour_term=clipped.slope if has_colour else None, colour_term_err=clipped.slope_err, colour_pivot=pivot,
        magnitude_slope=slope, magnitude_slope_err=slope_err,
        spatial=_spatial(x, y, shape, (residual, clipped), options.spatial_order), residual=residual, used=used,
    )  # fmt: skip


def _clip(difference: Array, errors: Array, offset: Array, good: NDArray[np.bool_], options: FitOptions) -> _Clipped:
    """Fit centre and colour term, leaving out what lies off, until nothing changes."""
    fitted = options.colour_term == "fit"
    slope, slope_err = (0.0 if fitted or options.colour_term is None else float(options.colour_term)), None
    used = good.copy()
    if fitted and good.any():
        slope = _robust_slope(offset[good], difference[good])
    for turn in range(options.iterations):
        _enough(used, good, options.n_min)
        flat = difference - slope * np.where(good, offset, 0)
        # Of all stars, the outliers too: the scatter of the clipped ones would shrink at every turn.
        sigma = np.hypot(errors, _robust_scatter(flat[good], errors[good]))
        if fitted and turn:  # the first turn clips around the robust slope
            slope, slope_err = _line(offset[used], difference[used], sigma[used])
            flat = difference - slope * np.where(good, offset, 0)
        centre = np.median(flat[used])
        within = good & (np.abs(flat - centre) <= options.clip * np.maximum(sigma, 1e-9))
        if turn and np.array_equal(within, used):
            break
        used = within
    _enough(used, good, options.n_min)
    for _ in range(2 if fitted else 1):
        # With the scatter of those that are left: it may be another one than that of all.
        flat = difference - slope * np.where(good, offset, 0)
        centre = float(np.median(flat[used]))
        intrinsic = _scatter(flat[used] - centre, errors[used], (2 if fitted else 1, options.clip))
        sigma = np.maximum(np.hypot(errors, intrinsic), 1e-9)
        if fitted:
            slope, slope_err = _line(offset[used], difference[used], sigma[used])
    return _Clipped(used, float(np.median((difference - slope * np.where(good, offset, 0))[used])), sigma, intrinsic, slope, slope_err)


def _enough(used: NDArray[np.bool_], good: NDArray[np.bool_], n_min: int) -> None:
    if used.sum() < n_min:
        raise MeasurementError(TOO_FEW_STARS, f"{used.sum()} of {good.sum()} calibrating stars are left; must be at least {n_min}")


def _robust_scatter(values: Array, errors: Array) -> float:
    """Return the intrinsic scatter that makes half of the normalised deviations smaller than a quartile.

    Of few values the median deviation is too small, by (n - 0.8) / n (Croux & Rousseeuw 1992, Computational Statistics 1, 411).
    """
    n = len(values)
    deviation = np.abs(values - np.median(values)) * n / (n - 0.8)
    return _solve(lambda variance: float(np.median(deviation / np.sqrt(errors**2 + variance + 1e-30))) - _QUARTILE, deviation)


def _scatter(residual: Array, errors: Array, fit: tuple[int, float]) -> float:
    """Return the intrinsic scatter that makes chi-square the number of degrees of freedom, for a fit's parameters and its clip."""
    parameters, clip = fit
    wanted = max(len(residual) - parameters, 1) * _truncated_variance(clip)
    return _solve(lambda variance: float(np.sum(residual**2 / (errors**2 + variance + 1e-30))) - wanted, np.abs(residual))


def _solve(excess: Callable[[float], float], deviation: Array) -> float:
    """Return the root of a falling function of the variance; 0 where it is not positive at 0."""
    # Where the variance is four times the largest deviation squared, both functions are below 0.
    low, high = 0.0, 4.0 * float(np.max(deviation, initial=0)) ** 2 + 1e-20
    if excess(low) <= 0:
        return 0.0
    while high - low > 1e-6 * high and high > 1e-18:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return math.sqrt(0.5 * (low + high))


def _truncated_variance(clip: float) -> float:
    """Return the variance of normal deviates that lie within ``clip`` of 0."""
    inside = math.erf(clip / math.sqrt(2))
    return 1 - 2 * clip * math.exp(-(clip**2) / 2) / math.sqrt(2 * math.pi) / inside


def _robust_slope(x: Array, y: Array) -> float:
    """Return the median of the slopes between all pairs of points (Theil 1950; Sen 1968, JASA 63, 1379); of many points, of some."""
    chosen = np.linspace(0, len(x) - 1, min(len(x), _PAIRED)).astype(int)
    first, second = np.triu_indices(len(chosen), 1)
    across = x[chosen][second] - x[chosen][first]
    apart = np.abs(across) > 1e-6
    if not apart.any():
        raise MeasurementError(TOO_FEW_STARS, f"a colour term needs stars of different colours, found {len(x)} of one")
    return float(np.median((y[chosen][second] - y[chosen][first])[apart] / across[apart]))


def _line(x: Array, y: Array, sigma: Array) -> tuple[float, float] | tuple[None, None]:
    """Return the slope of a weighted straight line and its error; None where all x are the same."""
    weight = 1 / sigma**2
    centre = np.average(x, weights=weight)
    spread = float(np.sum(weight * (x - centre) ** 2))
    if len(x) < 3 or not spread > 1e-12 * np.sum(weight):
        return None, None
    return float(np.sum(weight * (x - centre) * y) / spread), 1 / math.sqrt(spread)


def _error(residual: Array, offset: Array, clipped: _Clipped, options: FitOptions) -> float:
    """Return the error of the zero point."""
    values, sigma = residual[clipped.used], clipped.sigma[clipped.used]
    n = len(values)
    if options.error == "bootstrap":
        rng = np.random.default_rng(n)
        error = float(np.std([np.median(values[rng.integers(0, n, n)]) for _ in range(options.n_bootstrap)], ddof=1))
    else:
        error = MEDIAN_ERROR / (float(np.mean(1 / sigma)) * math.sqrt(n))
    if clipped.slope_err is None:
        return error
    return math.hypot(error, clipped.slope_err * float(np.average(offset[clipped.used], weights=1 / sigma**2)))


def _spatial(
    x: ArrayLike | None, y: ArrayLike | None, shape: tuple[int, int] | None, fit: tuple[Array, _Clipped], order: int
) -> SpatialFit | None:
    """Map the residuals; None where that was not asked for, or there are too few stars for every term."""
    residual, clipped = fit
    if x is None or y is None or shape is None or order < 1:
        return None
    across, along = (_same_length(name, np.asarray(v, float), len(residual)) for name, v in (("x", x), ("y", y)))
    used = clipped.used & np.isfinite(across) & np.isfinite(along)
    powers = _powers(across[used], along[used], shape, order)
    if used.sum() < _PER_TERM * powers.shape[1]:
        return None
    weight = 1 / clipped.sigma[used]
    coefficients = np.linalg.lstsq(powers * weight[:, None], residual[used] * weight, rcond=None)[0]
    mapped = powers @ coefficients
    # Against a constant: the residuals are those from a zero point that was fitted already.
    constant = np.average(residual[used], weights=weight**2)
    gained = float(np.sum(((residual[used] - constant) * weight) ** 2) - np.sum(((residual[used] - mapped) * weight) ** 2))
    p_value = float(gammaincc((powers.shape[1] - 1) / 2, max(gained, 0.0) / 2))
    return SpatialFit(order, tuple(map(float, coefficients)), tuple(shape), float(np.sqrt(np.mean(mapped**2))), p_value)


def _powers(x: Array, y: Array, shape: tuple[int, int], order: int) -> Array:
    """Return the terms of the polynomial at pixels; shape (..., terms)."""
    ny, nx = shape
    u, v = (2 * x - (nx - 1)) / nx, (2 * y - (ny - 1)) / ny
    return np.stack([u ** (total - j) * v**j for total in range(order + 1) for j in range(total + 1)], axis=-1)


def _errors(name: str, values: ArrayLike | None, n: int) -> Array:
    if values is None:
        return np.zeros(n)
    errors = _same_length(name, np.asarray(values, float), n)
    return np.where(np.isfinite(errors), np.abs(errors), 0.0)


def _same_length(name: str, values: Array, n: int) -> Array:
    if _one_dimensional(name, values).shape != (n,):
        raise InputError(f"{name}: has {len(values)} values; must be {n}, one a star")
    return values


def _one_dimensional(name: str, values: Array) -> Array:
    if values.ndim != 1:
        raise InputError(f"{name}: has shape {values.shape}; must be one-dimensional")
    return values


def is_number(value: object) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and math.isfinite(value)
