"""Gaussian and Moffat fits of radial profiles that give back the width that went in, with errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from ezarchive.errors import InputError
from ezarchive.quicklook.apertures.radial import RadialProfile, plain
from ezarchive.quicklook.apertures.rings import ring_covariance
from ezarchive.quicklook.regions.shapebase import number

Floats = NDArray[np.float64]
FWHM_OF_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
PARAMETERS = {"gaussian": ("amplitude", "fwhm", "offset"), "moffat": ("amplitude", "fwhm", "offset", "beta")}
"""What is fitted by each model."""

_SHAPES = (1e-3, 2.0)
"""Of 1 / beta: almost a Gaussian, and wings that fall with the distance itself."""
_SHARED = 1e-9
"""Means of rings whose errors are so much (of the largest) one and the same do not count twice."""


@dataclass(frozen=True, eq=False)
class ProfileFit:
    """A model of a radial profile.

    Attributes
    ----------
    model : str
        ``gaussian`` or ``moffat``.
    values, errors : mapping
        Of ``amplitude`` (above `offset`), ``fwhm`` (pixels), ``offset`` and, of a Moffat, ``beta``; then what follows from them: ``sigma``
        of a Gaussian, ``gamma`` (core width) of a Moffat. Errors are one standard deviation; 0 of what was held fixed, NaN of `at_limit`.
    covariance : ndarray
        Of `free`, in that order.
    free : tuple of str
        What was fitted, `at_limit` apart.
    at_limit : tuple of str
        What the profile does not determine: ``beta`` goes to its largest value, 1000, for a Gaussian, and the other errors are those with
        it held there.
    chi2 : float
        Sum of the squared residuals in units of their errors; NaN without an error map.
    dof : int
        Data less free parameters.
    rms : float
        Of the residuals, unit of the profile.
    converged : bool
    message : str
        What the minimiser says.
    """

    model: str
    values: Mapping[str, float]
    errors: Mapping[str, float]
    covariance: Floats
    free: tuple[str, ...]
    at_limit: tuple[str, ...]
    chi2: float
    dof: int
    rms: float
    converged: bool
    message: str

    @property
    def fwhm(self) -> float:
        """Full width at half maximum, pixels."""
        return self.values["fwhm"]

    @property
    def fwhm_err(self) -> float:
        """Its error."""
        return self.errors["fwhm"]

    @property
    def reduced_chi2(self) -> float:
        """Of `chi2` and `dof`."""
        return self.chi2 / self.dof

    def at(self, radius: ArrayLike) -> Floats:
        """Return the model at distances in pixels, the offset included."""
        shape = 1.0 / self.values["beta"] if self.model == "moffat" else 0.0
        return _profile(np.asarray(radius, float), self.values["amplitude"], self.values["fwhm"], self.values["offset"], shape)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; NaN becomes None."""
        return {
            "model": self.model,
            "values": {name: plain(value) for name, value in self.values.items()},
            "errors": {name: plain(value) for name, value in self.errors.items()},
            "covariance": [plain(row) for row in self.covariance],
            "free": list(self.free),
            "at_limit": list(self.at_limit),
            "chi2": plain(self.chi2),
            "dof": self.dof,
            "rms": plain(self.rms),
            "converged": self.converged,
            "message": self.message,
        }


def fit_profile(profile: RadialProfile, model: str = "gaussian", *, fixed: Mapping[str, float] | None = None) -> ProfileFit:
    """Fit a model to a radial profile.

    Parameters
    ----------
    profile : RadialProfile
        Raw or in rings, circular ones or ellipses (the width is then that along `a`).
    model : {'gaussian', 'moffat'}
        Amplitude, width and offset are free, of a Moffat its `beta` too; the centre is that of the profile.
    fixed : mapping, optional
        Values to be held, as ``{"offset": 0.0}``.

    Returns
    -------
    ProfileFit

    Raises
    ------
    InputError
        If an argument is not as it must be, or there are no more data than free parameters.

    Notes
    -----
    The model is the light in a pixel as a function of the distance of its centre, so that the width includes the pixel, as a measured
    PSF does. Means of rings are compared with the same means of the model over the same pixels, with the same exact shares: neither the
    width of a ring nor the distance of its middle biases the result. Neighbouring rings share pixels: their covariance is taken into
    account. With an error map, least squares are weighted; without, all pixels have the same weight, and the errors follow from what is
    left of them. An error of the centre widens a profile: measure the centre first (`recenter`).

    Moffat (1969, A&A 3, 455): offset + amplitude (1 + (r / gamma)^2)^-beta, with fwhm = 2 gamma sqrt(2^(1 / beta) - 1).

    Examples
    --------
    >>> import numpy as np
    >>> from ezarchive.quicklook import fit_profile, radial_profile
    >>> from ezarchive.quicklook.regions.shapes import Circle
    >>> y, x = np.mgrid[:41, :41]
    >>> star = 100.0 * np.exp(-0.5 * ((x - 20.2) ** 2 + (y - 19.7) ** 2) / 3.0**2)
    >>> fit = fit_profile(radial_profile(star, Circle(20.2, 19.7, 15)))
    >>> round(fit.fwhm, 4)
    7.0645
    """
    if not isinstance(profile, RadialProfile):
        raise InputError(f"profile: must come from radial_profile, found {type(profile).__name__}")
    if model not in PARAMETERS:
        raise InputError(f"model={model!r}: must be one of {', '.join(PARAMETERS)}")
    held = _held(model, fixed)
    free = tuple(name for name in PARAMETERS[model] if name not in held)
    data = _data(profile)
    if data.n <= len(free):
        raise InputError(f"profile: must hold more data than the {len(free)} free parameters of the {model}, found {data.n}")
    found = _minimised(data, model, free, held)
    return _result(data, model, free, held, found)


@dataclass(frozen=True, eq=False)
class _Data:
    """Values of pixels, and what makes data of them.

    `whiten` takes values of pixels to data without covariance, of variance 1 (`known` errors) or that of a pixel; `share` tells how much
    of each pixel is in the data, `means` what is compared with the profile.
    """

    radius: Floats
    values: Floats
    whiten: Callable[[Floats], Floats]
    means: Callable[[Floats], Floats]
    share: Floats
    n: int
    known: bool

    def pixel_variance(self, away: Floats, n_free: int) -> float:
        """Return the variance of a pixel from what is left of them all, which is known better than from the few means of rings."""
        count = float(self.share.sum())
        size = float(np.max(np.abs(away))) or 1.0
        return float(self.share @ (away / size) ** 2) / max(count - n_free, 1.0) * size * size


def _data(profile: RadialProfile) -> _Data:
    pixels = profile.pixels
    known = pixels.variance is not None
    variance = np.ones_like(pixels.value) if pixels.variance is None else pixels.variance
    if known and not np.all(variance > 0):
        raise InputError("error: must be above 0 for a fit, found 0")
    if pixels.weights is None:
        inverse, share = 1.0 / np.sqrt(variance), np.ones_like(variance)
        return _Data(pixels.radius, pixels.value, lambda values: inverse * values, lambda values: values, share, len(variance), known)
    rings = np.flatnonzero(np.diff(pixels.weights.indptr))
    weights = pixels.weights[rings]
    if not rings.size:
        raise InputError("profile: must hold a ring with pixels, found none")
    sizes, axes = np.linalg.eigh(ring_covariance(weights, variance))
    use = sizes > _SHARED * sizes[-1]
    root = axes[:, use].T / np.sqrt(sizes[use])[:, None]
    share = np.minimum(weights.T @ profile.area[rings], 1.0)
    n = int(use.sum())
    return _Data(pixels.radius, pixels.value, lambda values: root @ (weights @ values), lambda values: weights @ values, share, n, known)


def _held(model: str, fixed: Mapping[str, float] | None) -> dict[str, float]:
    held = {}
    for name, value in ({} if fixed is None else fixed).items():
        if name not in PARAMETERS[model]:
            raise InputError(f"fixed: {name!r} must be one of {', '.join(PARAMETERS[model])}")
        held[name] = number(value, f"fixed {name}", positive=name in ("fwhm", "beta"))
    if len(held) == len(PARAMETERS[model]):
        raise InputError("fixed: must leave a parameter free")
    return held


def _profile(radius: Floats, amplitude: float, fwhm: float, offset: float, shape: float) -> Floats:
    """Return the model; `shape` is 1 / beta, and 0 the Gaussian that a Moffat goes to."""
    square = (2.0 * radius / fwhm) ** 2
    if shape == 0.0:
        return offset + amplitude * np.exp(-math.log(2.0) * square)
    return offset + amplitude * np.exp(-np.log1p(np.expm1(shape * math.log(2.0)) * square) / shape)


def _start(data: _Data) -> dict[str, float]:
    """Return where to begin: the middle, the outer part, and where the values are half way between the two."""
    order = np.argsort(data.radius)
    radius, values = data.radius[order], data.values[order]
    few = max(len(order) // 20, 1)
    top, offset = float(np.mean(values[: min(few, 5)])), float(np.median(values[-max(len(order) // 5, 1) :]))
    above = radius[(values - offset) * math.copysign(1.0, top - offset) > 0.5 * abs(top - offset)]
    area = math.pi * float(radius[-1]) ** 2 * len(above) / len(order)
    fwhm = 2.0 * math.sqrt(max(area, 1.0) / math.pi)
    return {"amplitude": top - offset if top != offset else 1.0, "fwhm": max(fwhm, 1.0), "offset": offset, "beta": 3.0}


@dataclass(frozen=True, eq=False)
class _Minimum:
    """What the minimiser found: the parameters, the Jacobian of the whitened data by them, and which of them are at a limit."""

    fitted: dict[str, float]
    jacobian: Floats
    square: float
    at_limit: tuple[str, ...]
    success: bool
    message: str


def _minimised(data: _Data, model: str, free: tuple[str, ...], held: Mapping[str, float]) -> _Minimum:
    """Fit in numbers near 1: amplitude and offset by the spread of the values, log(fwhm), 1 / beta."""
    start = _start(data) | dict(held)
    size = float(np.max(np.abs(data.values))) or 1.0
    goal = data.whiten(data.values / size)
    norm = float(np.linalg.norm(goal)) or 1.0
    scales = {"amplitude": size, "offset": size, "fwhm": 1.0, "beta": 1.0}
    low = {"fwhm": math.log(1e-2), "beta": _SHAPES[0]}
    high = {"fwhm": math.log(100.0 * (1.0 + float(data.radius.max()))), "beta": _SHAPES[1]}

    def residuals(inner: Floats) -> Floats:
        found = kept | {name: _outer(name, value) for name, value in zip(free, inner, strict=True)}
        return (data.whiten(_of(model, data.radius, found)) - goal) / norm

    # Values are divided by the largest of them, so that no square is too large or too small.
    kept = {name: value / scales[name] for name, value in held.items()}
    first = [_inner(name, start[name]) / scales[name] for name in free]
    bounds = ([low.get(name, -np.inf) for name in free], [high.get(name, np.inf) for name in free])
    found = least_squares(residuals, first, bounds=bounds, xtol=1e-12, ftol=1e-12, gtol=1e-12, jac="3-point", max_nfev=500)
    fitted = {name: _outer(name, value * scales[name]) for name, value in zip(free, found.x, strict=True)}
    slopes = np.array([_slope(name, fitted[name]) * scales[name] for name in free])
    at_limit = tuple(name for name, state in zip(free, found.active_mask, strict=True) if state)
    with np.errstate(over="ignore", divide="ignore"):
        jacobian = found.jac * (norm * size) / slopes
    square = 2.0 * float(found.cost) * norm * norm * size * size
    return _Minimum(fitted, jacobian, square, at_limit, bool(found.success), str(found.message))


def _inner(name: str, value: float) -> float:
    return math.log(value) if name == "fwhm" else 1.0 / value if name == "beta" else value


def _outer(name: str, value: float) -> float:
    return math.exp(value) if name == "fwhm" else 1.0 / value if name == "beta" else float(value)


def _slope(name: str, value: float) -> float:
    """Return the derivative of a parameter by the one that the minimiser moves."""
    return value if name == "fwhm" else -(value**2) if name == "beta" else 1.0


def _of(model: str, radius: Floats, found: Mapping[str, float]) -> Floats:
    shape = 1.0 / found["beta"] if model == "moffat" else 0.0
    return _profile(radius, found["amplitude"], found["fwhm"], found["offset"], shape)


def _result(data: _Data, model: str, free: tuple[str, ...], held: Mapping[str, float], found: _Minimum) -> ProfileFit:
    values = {name: held.get(name, found.fitted.get(name, math.nan)) for name in PARAMETERS[model]}
    inside = [k for k, name in enumerate(free) if name not in found.at_limit]
    free = tuple(free[k] for k in inside)
    away = data.values - _of(model, data.radius, values)
    spread = 1.0 if data.known else data.pixel_variance(away, len(free))
    covariance = _covariance(found.jacobian[:, inside], spread, flat=bool(np.all(data.values == data.values[0])))
    errors = dict.fromkeys(PARAMETERS[model], 0.0) | dict(zip(free, np.sqrt(np.diag(covariance)).tolist(), strict=True))
    errors |= dict.fromkeys(found.at_limit, math.nan)
    _derive(model, values, errors, covariance, free)
    return ProfileFit(
        model=model,
        values=MappingProxyType(values),
        errors=MappingProxyType(errors),
        covariance=covariance,
        free=free,
        at_limit=found.at_limit,
        chi2=found.square if data.known else math.nan,
        dof=data.n - len(free),
        rms=_rms(data.means(away)),
        converged=found.success,
        message=found.message,
    )


def _rms(values: Floats) -> float:
    size = float(np.max(np.abs(values))) or 1.0
    return size * float(np.sqrt(np.mean((values / size) ** 2)))


def _covariance(jacobian: Floats, spread: float, *, flat: bool) -> Floats:
    """Return the inverse of the normal matrix times the variance of the data; infinite where these say nothing, whatever their variance.

    Values that are all the same (`flat`) say nothing of a width, and neither do numbers beyond the range of the machine.
    """
    n = jacobian.shape[1]
    if flat or not (np.isfinite(jacobian).all() and math.isfinite(spread)):
        return np.full((n, n), np.inf)
    size = np.linalg.norm(jacobian, axis=0)
    if not np.all(size > 0):
        return np.full((n, n), np.inf)
    _, values, axes = np.linalg.svd(jacobian / size, full_matrices=False)
    if values[-1] <= 1e-12 * values[0]:
        return np.full((len(size), len(size)), np.inf)
    return spread * ((axes.T / values**2) @ axes / np.outer(size, size))


def _derive(model: str, values: dict[str, float], errors: dict[str, float], covariance: Floats, free: tuple[str, ...]) -> None:
    """Add sigma or gamma."""
    if model == "gaussian":
        values["sigma"], errors["sigma"] = values["fwhm"] / FWHM_OF_SIGMA, errors["fwhm"] / FWHM_OF_SIGMA
        return
    beta, power = values["beta"], 2.0 ** (1.0 / values["beta"])
    gamma = values["fwhm"] / (2.0 * math.sqrt(power - 1.0))
    slopes = {"fwhm": gamma / values["fwhm"], "beta": gamma * power * math.log(2.0) / (2.0 * beta**2 * (power - 1.0))}
    slope = np.array([slopes.get(name, 0.0) for name in free])
    known = math.isfinite(errors["fwhm"] + errors["beta"])
    values["gamma"], errors["gamma"] = gamma, float(np.sqrt(slope @ covariance @ slope)) if known else errors["fwhm"] + errors["beta"]
