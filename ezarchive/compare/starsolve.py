"""Fit of one star in one stamp: flux and background linearly, place and shape by least squares, errors from the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.signal import fftconvolve

from ezarchive.compare.starmodel import Pixels
from ezarchive.errors import CompareError

Floats = NDArray[np.float64]

_STARTS = (1.5, 3.0, 6.0)
"""First FWHM, in pixels."""
_MOST_BETA = 200.0
_TRIED, _MOST = 12, 100
"""Evaluations from each start, and from where the best of these has come to."""
_ROUNDING = 1e-9
_SIGNIFICANT = 5.0
"""Flux over its error that is a star."""
_START_BETA = 3.0


class Profile(Protocol):
    """What `starmodel.MoffatProfile` and `starmodel.TransferProfile` are."""

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the free parameters of the shape."""

    def evaluate(self, pixels: Pixels, x: float, y: float, shape: dict[str, float]) -> tuple[Floats, Floats]:
        """Return the values and their derivatives by x, y and the free parameters."""


@dataclass(frozen=True)
class Stamp:
    """Pixels around a star.

    Attributes
    ----------
    pixels : Pixels
        Those that are used.
    values : ndarray, shape (n,)
    variance : ndarray, shape (n,), or None
    rows, columns : ndarray of int, shape (n,)
        Where they are in a rectangle that holds them all.
    correlation : ndarray, shape (2 ny - 1, 2 nx - 1), or None
        Of the noise, by distance in rows and columns of that rectangle; None: white.
    radius : float
        Arcsec within which the star is.
    """

    pixels: Pixels
    values: Floats
    variance: Floats | None
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    correlation: Floats | None
    radius: float

    def spread(self, columns: Floats) -> Floats:
        """Multiply the covariance of the noise (with variance 1 where it is not known) with columns, shape (n, k)."""
        sigma = np.ones(len(self.values)) if self.variance is None else np.sqrt(self.variance)
        if self.correlation is None:
            return columns * (sigma**2)[:, None]
        plane = np.zeros((columns.shape[1], *((n + 1) // 2 for n in self.correlation.shape)))
        plane[:, self.rows, self.columns] = (columns * sigma[:, None]).T
        made = fftconvolve(plane, self.correlation[None], mode="same", axes=(1, 2)) if min(plane.shape[1:]) else plane
        return made[:, self.rows, self.columns].T * sigma[:, None]


@dataclass(frozen=True)
class StarSolution:
    """What was found.

    Attributes
    ----------
    names : tuple of str
        ``dx``, ``dy``, free parameters of the shape, ``flux``, ``bg``.
    values : ndarray, shape (k,)
        dx, dy and fwhm in arcsec, dx and dy from where the star was looked for; flux and bg in the unit of the pixels.
    covariance : ndarray, shape (k, k)
    residual : ndarray, shape (n,)
        Pixels minus model.
    chi2 : float or None
        Sum of squared residuals over variances; None where the variances are not known.
    rchi : float
        Sum of squared weighted residuals over what the noise makes expect of it; where the variance is not known, the variance of a pixel.
    """

    names: tuple[str, ...]
    values: Floats
    covariance: Floats
    residual: Floats
    chi2: float | None
    rchi: float

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def cov(self, *names: str) -> Floats:
        """Return the covariance of some parameters."""
        places = [self.names.index(name) for name in names]
        return self.covariance[np.ix_(places, places)]


def solve(stamp: Stamp, profile: Profile, what: str) -> StarSolution:
    """Fit flux, background, place and the free shape of a star.

    Parameters
    ----------
    stamp : Stamp
    profile : Profile
    what : str
        The image, for messages.

    Raises
    ------
    CompareError
        ``too_few_pixels``; ``no_star`` where the flux is not positive and five times its error, or the place leaves the
        stamp; ``degenerate`` where the pixels do not determine the parameters.

    Notes
    -----
    Variable projection (Golub & Pereyra 1973) with the Jacobian of Kaufman (1975). With J the derivatives of all parameters, W the weights
    and C the covariance of the noise, the parameters have (J'WJ)^-1 J'WCWJ (J'WJ)^-1, times ``rchi`` where that is above 1 or the variance
    is not known.
    """
    n_all = 4 + len(profile.free)
    if len(stamp.values) <= n_all:
        raise CompareError(
            "too_few_pixels", f"{what}: the star must have more than {n_all} pixels that are not masked, found {len(stamp.values)}"
        )
    problem = _Problem(stamp, profile)
    tried = [least_squares(**problem.arguments(start, _TRIED)) for start in problem.starts()]
    best = min(tried, key=lambda found: found.cost)
    return problem.solution(least_squares(**problem.arguments(best.x, _MOST)).x, what)


class _Problem:
    """The residuals of a stamp by place and shape; what is asked for twice is worked out once."""

    def __init__(self, stamp: Stamp, profile: Profile) -> None:
        self.stamp, self.profile = stamp, profile
        self.weight = np.full(len(stamp.values), 1.0) if stamp.variance is None else 1 / np.sqrt(stamp.variance)
        self.seen: tuple[bytes, Any] | None = None

    def starts(self) -> list[Floats]:
        """Return the best of some first guesses for each width: at the brightest pixel, the centre of light, the middle."""
        pixels, values = self.stamp.pixels, self.stamp.values
        light = np.clip(values - np.median(values), 0, None) + 1e-300
        brightest = np.argmax(values)
        places = [
            (pixels.x[brightest], pixels.y[brightest]),
            (np.average(pixels.x, weights=light), np.average(pixels.y, weights=light)),
            (0, 0),
        ]
        step = float(np.sqrt(pixels.area))
        widths = [width for width in _STARTS if width * step < self.stamp.radius] if "fwhm" in self.profile.free else [0.0]
        guesses = []
        for width in widths or [self.stamp.radius]:
            shape = {"fwhm": np.log(max(width, 1e-9) * step), "beta": np.log(_START_BETA - 1)}
            tried = [np.array([*place, *(shape[name] for name in self.profile.free)]) for place in places]
            guesses.append(min(tried, key=lambda guess: float((self.residual(guess) ** 2).sum())))
        return guesses

    def arguments(self, start: Floats, most: int) -> dict[str, Any]:
        """Return what `least_squares` is called with."""
        radius, step = self.stamp.radius, float(np.sqrt(self.stamp.pixels.area))
        limits = {"fwhm": (np.log(0.02 * step), np.log(6 * radius)), "beta": (np.log(0.02), np.log(_MOST_BETA - 1))}
        low, high = zip((-radius, radius), (-radius, radius), *(limits[name] for name in self.profile.free), strict=True)
        inner = np.clip(start, np.add(low, 1e-6), np.subtract(high, 1e-6))
        settings = {"x_scale": "jac", "xtol": 1e-10, "ftol": 1e-13, "gtol": 1e-14, "max_nfev": most}
        return {"fun": self.residual, "x0": inner, "jac": self.jacobian, "bounds": (low, high), **settings}

    def shape(self, point: Floats) -> dict[str, float]:
        """Return the shape of a point in the space of the search: logarithms of fwhm and of beta - 1."""
        return {name: float(np.exp(value)) + (name == "beta") for name, value in zip(self.profile.free, point[2:], strict=True)}

    def at(self, point: Floats) -> Any:
        """Return profile, derivatives, orthogonal base, flux and background, weighted residual."""
        key = point.tobytes()
        if self.seen is None or self.seen[0] != key:
            profile, slopes = self.profile.evaluate(self.stamp.pixels, point[0], point[1], self.shape(point))
            base = np.stack([profile, np.ones_like(profile)], axis=1) * self.weight[:, None]
            q, r = np.linalg.qr(base)
            wanted = self.stamp.values * self.weight
            linear = np.linalg.lstsq(r, q.T @ wanted, rcond=None)[0]
            self.seen = key, (profile, slopes, q, linear, wanted - base @ linear)
        return self.seen[1]

    def residual(self, point: Floats) -> Floats:
        """Return weighted pixels minus model."""
        return self.at(point)[4]

    def jacobian(self, point: Floats) -> Floats:
        """Return the derivatives of the residual, but for those of its base (Kaufman)."""
        _, slopes, q, linear, _ = self.at(point)
        own = np.array([1.0, 1.0, *(value - (name == "beta") for name, value in self.shape(point).items())])
        weighted = slopes * own * linear[0] * self.weight[:, None]
        return -(weighted - q @ (q.T @ weighted))

    def solution(self, point: Floats, what: str) -> StarSolution:
        """Return parameters and errors."""
        profile, slopes, _, (flux, bg), residual = self.at(point)
        told = f"{what}: must show a star within {self.stamp.radius:g} arcsec, found a flux of {flux:.4g}"
        if not flux > _ROUNDING * np.abs(self.stamp.values).sum() or not np.hypot(*point[:2]) < self.stamp.radius:
            raise CompareError("no_star", f"{told} at {np.hypot(*point[:2]):.3g} arcsec from its place")
        names = ("dx", "dy", *self.profile.free, "flux", "bg")
        jacobian = np.column_stack([slopes * flux, profile, np.ones_like(profile)]) * self.weight[:, None]
        covariance, expected = self.covariance(jacobian, what)
        rchi = float(residual @ residual) / expected
        known = self.stamp.variance is not None
        covariance = covariance * (max(rchi, 1.0) if known else rchi)
        error = float(np.sqrt(covariance[-2, -2]))
        if flux < _SIGNIFICANT * error:
            raise CompareError("no_star", f"{told} +- {error:.2g}")
        values = np.array([point[0], point[1], *self.shape(point).values(), flux, bg])
        chi2 = float(residual @ residual) if known else None
        return StarSolution(names, values, covariance, residual / self.weight, chi2, rchi)

    def covariance(self, jacobian: Floats, what: str) -> tuple[Floats, float]:
        """Return the covariance of the parameters for the noise, and the sum of squared weighted residuals to expect."""
        norm = np.sqrt((jacobian**2).sum(axis=0))
        if not (norm > 0).all():
            raise CompareError("degenerate", f"{what}: its pixels do not determine the star's place and shape")
        scaled = jacobian / norm
        inverse = np.linalg.pinv(scaled.T @ scaled, rcond=1e-14, hermitian=True)
        spread = self.stamp.spread(scaled * self.weight[:, None]) * self.weight[:, None]
        inner = scaled.T @ spread
        expected = float(len(jacobian) - np.trace(inverse @ inner))
        return inverse @ inner @ inverse / np.outer(norm, norm), max(expected, 1.0)
