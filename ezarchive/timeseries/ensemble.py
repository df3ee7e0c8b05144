"""Zero points of many epochs from the stars that they share, none of which needs a known magnitude.

Arrays in, an `EnsembleSolution` out. What is solved is ``m_ij = M_i - Z_j + noise``: the instrumental magnitude of star i on epoch j, its
true one, the zero point of the epoch. All of it holds but for one constant in each set of epochs that share stars.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ezarchive.errors import InputError, MeasurementError
from ezarchive.timeseries.ensemblefit import Fit, Network, fit, group_median, group_sum

__all__ = ["EnsembleOptions", "EnsembleSolution", "solve"]

NO_MEASUREMENTS, TOO_FEW_STARS, DISCONNECTED = "no_measurements", "too_few_stars", "disconnected"
USED, VARIABLE, UNCONNECTED = "used", "variable", "few_epochs"

_FIRST_ROUNDS = 8  # of the fit that starts: of least absolute deviations
_FREE_ROUNDS = 8  # after which what has been left out stays out, so that the choice settles
_FORGIVEN = 0.1  # share of a star's measurements that may be clipped before they count against it
_STRONG = 3.0  # reduced chi2 above which a variable star says nothing of the noise
_SOFT = 0.01  # mag that keeps the brightest stars from ruling it
_CAP = 3.0  # sigma above which a residual says no more of a star's variability
_QUARTILE = 0.674489750196082  # of the absolute value of a normal deviate, the median
_MEDIAN_ERROR = 1.17  # of `_QUARTILE`-scaled medians: their relative error times the root of the number
_SIGNIFICANT = 4.0  # sigma from which the stars of an epoch scatter more than their errors tell
_FEW = 6  # stars below which the scatter of an epoch, or of the better half, is not looked at
_BISECTIONS = 30
_LARGEST = 10.0  # mag of excess scatter

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class EnsembleOptions:
    """How an ensemble is solved.

    Attributes
    ----------
    min_stars : int
        Comparison stars that an epoch needs.
    min_epochs : int
        Epochs that a star needs to count.
    clip : float
        Sigma above which a measurement is left out.
    significance : float
        A star is variable if chance gives its scatter with a probability below this.
    iterations : int
        How often stars and measurements are chosen anew, at the most.
    apart : bool
        Solve sets of epochs that share no stars each for itself; else they are an error.
    """

    min_stars: int = 3
    min_epochs: int = 2
    clip: float = 4.0
    significance: float = 1e-3
    iterations: int = 20
    apart: bool = False

    def __post_init__(self) -> None:
        for name, least in (("min_stars", 1), ("min_epochs", 2), ("iterations", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise InputError(f"{name}={value!r}: must be a whole number from {least}")
        if not (_is_number(self.clip) and self.clip >= 2):
            raise InputError(f"clip={self.clip!r}: must be a number of sigma from 2")
        if not (_is_number(self.significance) and 0 <= self.significance < 0.5):
            raise InputError(f"significance={self.significance!r}: must be a probability from 0 to below 0.5")


@dataclass(frozen=True, kw_only=True)
class EnsembleSolution:
    """Zero points of epochs, and what the stars turned out to be.

    Attributes
    ----------
    epochs : ndarray, shape (n,)
        The epochs as they were named, in rising order.
    zero_point, zero_point_err : ndarray of float, shape (n,)
        What is to be added to instrumental magnitudes, mag: the mean over the epochs of a set is 0, and the errors are those of that
        choice. NaN where an epoch has too few comparison stars.
    n_stars : ndarray of int, shape (n,)
        Comparison stars that were used on it.
    scatter : ndarray of float, shape (n,)
        Standard deviation of their residuals, mag.
    excess : ndarray of float, shape (n,)
        Scatter of an epoch beyond that of other epochs, as clouds that cross the field make it, mag.
    group : ndarray of int, shape (n,)
        Number of the set of epochs that share stars, from 0, the one of most epochs first; -1 where there is no zero point.
    stars : ndarray, shape (k,)
        The stars as they were named, in rising order.
    mag, mag_err : ndarray of float, shape (k,)
        Mean magnitude on the scale of the zero points and its error.
    n_epochs : ndarray of int, shape (k,)
        Measurements on epochs with a zero point.
    chi2_reduced : ndarray of float, shape (k,)
        Against constancy, residuals above 3 sigma counted as 3; NaN without freedom.
    star_excess : ndarray of float, shape (k,)
        Scatter beyond the errors and `floor`, mag.
    star_group : ndarray of int, shape (k,)
        As `group`; of a variable star the set that it was measured in, which is one of them where it was measured in several.
    reason : ndarray of str, shape (k,)
        ``used``: a comparison star; ``variable``; ``few_epochs``: on too few epochs with zero points.
    floor : float
        Scatter that the better half of the stars have beyond their errors, mag: it is added to every error.
    n_clipped : int
        Measurements of comparison stars that were left out.
    iterations : int
        Rounds that were done.
    converged : bool
        Whether the last of them changed nothing.
    """

    epochs: NDArray[np.generic]
    zero_point: Floats
    zero_point_err: Floats
    n_stars: Ints
    scatter: Floats
    excess: Floats
    group: Ints
    stars: NDArray[np.generic]
    mag: Floats
    mag_err: Floats
    n_epochs: Ints
    chi2_reduced: Floats
    star_excess: Floats
    star_group: Ints
    reason: NDArray[np.str_]
    floor: float
    n_clipped: int
    iterations: int
    converged: bool

    @property
    def used(self) -> Bools:
        """Which stars are comparison stars, shape (k,)."""
        return self.reason == USED


class _State(NamedTuple):
    """What the rounds work on: the fit, the noise, and what counts."""

    fit: Fit
    floor: float
    excess: Floats  # of each epoch
    variable: Bools  # of each star
    strong: Bools  # of each star: so variable that it says nothing of the noise
    kept: Bools  # of each measurement


def solve(star: ArrayLike, epoch: ArrayLike, mag: ArrayLike, err: ArrayLike, options: EnsembleOptions | None = None) -> EnsembleSolution:
    """Find the zero points of epochs from the stars that they share.

    Parameters
    ----------
    star, epoch : array_like, shape (n,)
        Which star was measured on which epoch: numbers or names.
    mag, err : array_like, shape (n,)
        Instrumental magnitudes and their errors; what is not finite, or has no positive error, is left out.
    options : EnsembleOptions, optional

    Returns
    -------
    EnsembleSolution

    Raises
    ------
    InputError
        If the arrays differ in length.
    MeasurementError
        ``no_measurements``: none is finite; ``too_few_stars``: no epoch has enough stars in common with others; ``disconnected``: sets of
        epochs share no comparison star, and ``apart`` was not said.

    Notes
    -----
    Weighted least squares (normal equations, from which the larger of the two sets of unknowns is eliminated: no order of epochs, no
    reference frame), as for differential photometry with an ensemble of inhomogeneous exposures by Honeycutt (1992, PASP 104, 435). It
    starts from least absolute deviations. Then, until nothing changes: epochs whose stars scatter more than elsewhere get that as noise;
    the median chi2 of the better half of the stars is made what chance gives by a common `floor` of noise; stars whose chi2 chance does
    not give are variable and left out; measurements of the others beyond ``clip`` sigma are left out. Errors come from the covariance
    matrix. They hold for noise that is independent from star to star. (More than 3000 stars and 3000 epochs at once are solved by conjugate
    gradients, and the errors leave out the errors of the stars' means.)
    """
    options = options or EnsembleOptions()
    stars, epochs, network = _network(star, epoch, mag, err)
    network = network.of(_connected(network, options))
    if not len(network.mag):
        message = f"no epoch has {options.min_stars} stars that are on {options.min_epochs} epochs or more; found {len(stars)} stars on "
        raise MeasurementError(TOO_FEW_STARS, f"{message}{len(epochs)} epochs; fewer must be asked for, or more be measured")
    state, rounds, converged = _rounds(network, options)
    if state.fit.n_groups > 1 and not options.apart:
        sizes = np.sort(np.bincount(state.fit.group[state.fit.group >= 0]))[::-1].tolist()
        message = f"{len(sizes)} sets of epochs share no comparison star (of {', '.join(map(str, sizes[:8]))} epochs ...)"
        raise MeasurementError(DISCONNECTED, f"{message}; they must share stars, or be solved apart (apart=True)")
    solution = _solution(network, state, options, rounds=rounds, converged=converged)
    return replace(solution, stars=stars, epochs=epochs)


def _network(star: ArrayLike, epoch: ArrayLike, mag: ArrayLike, err: ArrayLike) -> tuple[NDArray[np.generic], NDArray[np.generic], Network]:
    """Return the names of stars and epochs, and the measurements by their numbers."""
    stars, epochs = np.asarray(star), np.asarray(epoch)
    mags, errs = (np.ma.filled(np.ma.asarray(values, float), np.nan) for values in (mag, err))
    shapes = [values.shape for values in (stars, epochs, mags, errs)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise InputError(f"star, epoch, mag, err: must be of one length, found shapes {', '.join(map(str, shapes))}")
    good = np.isfinite(mags) & np.isfinite(errs) & (errs > 0)
    if not good.any():
        raise MeasurementError(NO_MEASUREMENTS, f"mag, err: none of {len(mags)} measurements is finite with a positive error")
    star_names, star_numbers = np.unique(stars, return_inverse=True)
    epoch_names, epoch_numbers = np.unique(epochs, return_inverse=True)
    numbers = star_numbers[good], epoch_numbers[good]
    return star_names, epoch_names, Network(*numbers, mags[good], errs[good], len(star_names), len(epoch_names))


def _connected(network: Network, options: EnsembleOptions, wanted: Bools | None = None) -> Bools:
    """Return which measurements are of stars on enough epochs with enough stars."""
    kept = np.ones(len(network.mag), bool) if wanted is None else wanted.copy()
    while True:
        of_star = np.bincount(network.star[kept], minlength=network.n_stars)
        of_epoch = np.bincount(network.epoch[kept], minlength=network.n_epochs)
        both = kept & (of_star[network.star] >= options.min_epochs) & (of_epoch[network.epoch] >= options.min_stars)
        if both.sum() == kept.sum():
            return both
        kept = both


def _rounds(network: Network, options: EnsembleOptions) -> tuple[_State, int, bool]:
    state = _first(network)
    for number in range(1, options.iterations + 1):
        after = _next(network, state, options, settle=number > _FREE_ROUNDS)
        same = (after.kept == state.kept).all() and (after.variable == state.variable).all()
        if same and abs(after.floor - state.floor) < 1e-5 and np.abs(after.excess - state.excess).max() < 1e-5:
            return after, number, True
        state = after
    return state, options.iterations, False


def _first(network: Network) -> _State:
    """Return the solution of least absolute deviations, by weights that are made anew from the residuals."""
    everything = np.ones(len(network.mag), bool)
    soft = np.hypot(network.err, _SOFT)
    found = fit(network, 1 / soft**2)
    for _ in range(_FIRST_ROUNDS):
        size = np.maximum(np.abs(found.residuals(network)), 0.2 * soft)
        found = fit(network, 1 / (soft * size))
    none = np.zeros(network.n_stars, bool)
    return _State(found, 0.0, np.zeros(network.n_epochs), none, none, everything)


def _next(network: Network, state: _State, options: EnsembleOptions, *, settle: bool) -> _State:
    residuals, free = state.fit.residuals(network), state.fit.freedom(network)
    known = np.isfinite(residuals)
    residuals = np.where(known, residuals, 0.0)
    steady = known & ~state.variable[network.star]
    # The common noise first: what all epochs have is no excess of any.
    noise = network.err**2 + state.excess[network.epoch] ** 2
    floor = _floor(network, residuals, noise, free, known & state.kept & ~state.strong[network.star])
    excess = _epoch_excess(network, residuals, free, floor, steady)
    variance = network.err**2 + excess[network.epoch] ** 2 + floor**2
    kept = residuals**2 <= options.clip**2 * variance * np.maximum(free, 0.05)
    chi2, freedom = _evidence(network, _capped_chi2(network, residuals, variance, known), free * known, ~kept & known)
    testable = freedom > 0.5
    variable = testable & (stats.chi2.sf(chi2, np.where(testable, freedom, 1.0)) < options.significance)
    kept |= ~known  # comes again when its epoch does
    if settle:
        variable, kept = variable | state.variable, kept & state.kept
    counted = _connected(network, options, kept & ~variable[network.star])
    if not counted.any():
        message = f"no epoch has {options.min_stars} constant stars that others have too; found {int(variable.sum())} variable ones"
        raise MeasurementError(TOO_FEW_STARS, f"{message} of {len(np.unique(network.star))}; fewer must be asked for")
    strong = variable & (chi2 > _STRONG * freedom)
    return _State(fit(network, np.where(counted, 1 / variance, 0.0)), floor, excess, variable, strong, kept)


def _evidence(network: Network, chi2: Floats, free: Floats, clipped: Bools) -> tuple[Floats, Floats]:
    """Return chi2 and freedom of each star, without the few measurements that may be wrong of a star that is constant."""
    n = np.bincount(network.star, minlength=network.n_stars)
    forgiven = np.minimum(group_sum(network.star, clipped, network.n_stars), np.floor(_FORGIVEN * n))
    return chi2 - _CAP**2 * forgiven, group_sum(network.star, free, network.n_stars) - forgiven


def _epoch_excess(network: Network, residuals: Floats, free: Floats, floor: float, steady: Bools) -> Floats:
    """Return the scatter of the stars of each epoch beyond what their errors tell, where it is beyond doubt."""
    part = network.of(steady)
    variance = part.err**2 + floor**2
    deviations = np.abs(residuals[steady]) / np.sqrt(variance * np.maximum(free[steady], 0.05))
    ratio = group_median(part.epoch, deviations, network.n_epochs) / _QUARTILE
    typical = group_median(part.epoch, variance, network.n_epochs)
    n = np.bincount(part.epoch, minlength=network.n_epochs)
    with np.errstate(invalid="ignore", divide="ignore"):
        beyond = (n >= _FEW) & (ratio > 1 + _SIGNIFICANT * _MEDIAN_ERROR / np.sqrt(n))
        return np.where(beyond, np.sqrt(np.maximum(ratio**2 - 1, 0) * typical), 0.0)


def _capped_chi2(network: Network, residuals: Floats, variance: Floats, known: Bools) -> Floats:
    return group_sum(network.star, np.minimum(residuals**2 / variance, _CAP**2) * known, network.n_stars)


def _floor(network: Network, residuals: Floats, variance: Floats, free: Floats, telling: Bools) -> float:
    """Return the noise to be added to all errors, so that the better half of the stars have the chi2 that chance gives."""
    freedom = group_sum(network.star, free * telling, network.n_stars)
    stars = np.flatnonzero(freedom > 0.5)
    if not len(stars):
        return 0.0
    noise = group_median(network.star, variance, network.n_stars)[stars]
    if len(stars) >= _FEW:
        stars = stars[noise <= np.median(noise)]
    wanted = stats.chi2.ppf(0.5, freedom[stars])

    def ratio(floor: float) -> float:
        return float(np.median(_capped_chi2(network, residuals, variance + floor**2, telling)[stars] / wanted))

    if ratio(0.0) <= 1:
        return 0.0
    low, high = 0.0, _LARGEST
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if ratio(middle) > 1 else (low, middle)
    return (low + high) / 2


def _solution(network: Network, state: _State, options: EnsembleOptions, *, rounds: int, converged: bool) -> EnsembleSolution:
    """Put together what is known of epochs and stars after the last round."""
    found = state.fit
    residuals, free = found.residuals(network), found.freedom(network)
    known = np.isfinite(residuals)
    residuals = np.where(known, residuals, 0.0)
    variance = network.err**2 + state.floor**2 + state.excess[network.epoch] ** 2
    counted = known & (found.weight > 0)
    n_used = np.bincount(network.epoch[counted], minlength=network.n_epochs)
    n_epochs = np.bincount(network.star[known], minlength=network.n_stars)
    freedom = group_sum(network.star, free * known, network.n_stars)
    chi2 = _capped_chi2(network, residuals, variance, known)
    # Of a variable star all measurements tell how much; of the others those that were not clipped.
    telling = known & (state.kept | state.variable[network.star])
    star_group = found.star_group.copy()
    loose = known & (star_group[network.star] < 0)
    np.maximum.at(star_group, network.star[loose], found.group[network.epoch[loose]])
    reason = np.full(network.n_stars, UNCONNECTED)
    reason[group_sum(network.star, counted, network.n_stars) > 0] = USED
    reason[state.variable] = VARIABLE
    with np.errstate(invalid="ignore", divide="ignore"):
        scatter = np.sqrt(group_sum(network.epoch, residuals**2 * counted, network.n_epochs) / np.maximum(n_used - 1, 1))
        return EnsembleSolution(
            epochs=np.arange(network.n_epochs), zero_point=found.zero_point, zero_point_err=found.errors(network), n_stars=n_used,
            scatter=np.where(n_used > 1, scatter, np.nan), excess=state.excess, group=found.group,
            stars=np.arange(network.n_stars), mag=found.mag, mag_err=found.mag_errors(network, variance), n_epochs=n_epochs,
            chi2_reduced=np.where(freedom > 0.5, chi2 / freedom, np.nan),
            star_excess=_star_excess(network, residuals, variance, free, telling), star_group=star_group, reason=reason,
            floor=state.floor, n_clipped=int((known & ~state.kept & ~state.variable[network.star]).sum()), iterations=rounds,
            converged=converged,
        )  # fmt: skip


def _star_excess(network: Network, residuals: Floats, variance: Floats, free: Floats, telling: Bools) -> Floats:
    """Return for each star the noise that makes its chi2 its freedom (Paule & Mandel 1982, J. Res. NBS 87, 377)."""
    freedom = group_sum(network.star, free * telling, network.n_stars)
    low, high = np.zeros(network.n_stars), np.full(network.n_stars, _LARGEST)
    squares = residuals**2 * telling

    def above(excess: Floats) -> Bools:
        return group_sum(network.star, squares / (variance + excess[network.star] ** 2), network.n_stars) > freedom

    some = above(low)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        more = above(middle)
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return np.where(freedom > 0.5, np.where(some, (low + high) / 2, 0.0), np.nan)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and bool(np.isfinite(value))
