"""Transfer functions in closed form: Moffat and Gaussian profiles, and the Blackman low-pass of a regridded image.

Frequencies k are in cycles per arcsec, widths in arcsec; a transfer function is 1 at k = 0. The profile (1 + r^2/a^2)^-beta with
a^2 = fwhm^2 / (4 (2^(1/beta) - 1)) has, at unit flux, the Fourier transform T(k) = 2 (z/2)^n K_n(z) / Gamma(n) with z = 2 pi a k and
n = beta - 1 (Basset's integral, DLMF 10.32.11; the profile: Moffat 1969, A&A 3, 455). Its flux is finite for beta > 1 only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.special import gamma, gammaln, kv

from ezarchive.errors import InputError

Floats = NDArray[np.float64]

_DEBYE_ORDER = 40.0
_SERIES_Z = 1e-4
_TINY_Z = 1e-12
_STEP = 1e-4
_NODES = 1500
_POWER = 4


def check_number(value: Any, name: str) -> float:
    """Return what was given as a number, else raise `InputError`."""
    if isinstance(value, (str, bytes)):
        raise InputError(f"{name} {value!r}: must be a number")
    try:
        return float(value)
    except (TypeError, ValueError) as err:
        raise InputError(f"{name} {value!r}: must be a number") from err


def check_beta(beta: float, name: str = "beta") -> float:
    """Return a Moffat exponent if its profile has a finite flux (`beta` > 1; inf is a Gaussian), else raise `InputError`."""
    beta = check_number(beta, name)
    if not beta > 1:
        raise InputError(f"{name} {beta!r}: must be larger than 1, or the profile has no finite flux")
    return beta


def check_fwhm(fwhm: float, name: str = "fwhm") -> float:
    """Return a width in arcsec if it is positive and finite, else raise `InputError`."""
    fwhm = check_number(fwhm, name)
    if not 0 < fwhm < np.inf:
        raise InputError(f"{name} {fwhm!r}: must be a positive number of arcsec")
    return fwhm


def moffat_transfer(k: ArrayLike, fwhm: float, beta: float) -> Floats:
    """Return the Fourier transform of a circular Moffat profile of unit flux.

    Parameters
    ----------
    k : array_like
        Cycles per arcsec, not negative.
    fwhm : float
        Arcsec.
    beta : float
        Larger than 1; inf is a Gaussian.

    Returns
    -------
    ndarray of float64, shape of `k`

    Raises
    ------
    InputError
        If `beta` is not larger than 1, or `fwhm` not positive.

    Examples
    --------
    >>> moffat_transfer([0.0, 1.0], 0.7, 2.5).round(4)
    array([1.    , 0.0999])
    """
    k = np.abs(np.asarray(k, dtype=float))
    check_fwhm(fwhm)
    check_beta(beta)
    if np.isinf(beta):
        return np.exp(-((np.pi * fwhm * k) ** 2) / (4 * np.log(2)))
    return _bessel_profile(beta - 1, _reach(fwhm, beta) * k)


def moffat_derivatives(k: ArrayLike, fwhm: float, beta: float) -> tuple[Floats, Floats, Floats]:
    """Return the transform of a Moffat profile and its derivatives by the width and by 1/beta.

    Parameters
    ----------
    k, fwhm, beta
        As in `moffat_transfer`.

    Returns
    -------
    transfer, by_fwhm, by_inverse_beta : ndarray of float64, shape of `k`
        dT/dfwhm per arcsec (closed form: dT/dz = -2 (z/2)^n K_{n-1}(z) / Gamma(n)), and dT/d(1/beta) at the same width (no closed form
        exists for the derivative of K_n by n: central difference, good to 1e-7). ``dT/dbeta = -by_inverse_beta / beta**2``.

    Notes
    -----
    1/beta rather than beta: it is regular through the Gaussian, where it is 0.
    """
    k = np.abs(np.asarray(k, dtype=float))
    transfer = moffat_transfer(k, fwhm, beta)
    if np.isinf(beta):
        by_fwhm = -2 * (np.pi * k) ** 2 * fwhm / (4 * np.log(2)) * transfer
    else:
        n, z = beta - 1, _reach(fwhm, beta) * k
        by_fwhm = _slope(n, z) / fwhm
    inverse = 1 / beta
    low, high = max(inverse - _STEP, 0.0), min(inverse + _STEP, 1 - 1e-9)
    ends = [moffat_transfer(k, fwhm, np.inf if q <= 0 else 1 / q) for q in (low, high)]
    return transfer, by_fwhm, (ends[1] - ends[0]) / (high - low)


class MoffatTable:
    """Moffat transforms at the same many frequencies again and again: a cubic spline through 1500 of them, good to 1e-10.

    Parameters
    ----------
    k : ndarray of float64, any shape
        Cycles per arcsec, not negative.

    Notes
    -----
    The nodes are even in k^(1/4), between the smallest frequency above 0 and the largest: the profile of small beta starts as k^(2 beta-2).
    """

    def __init__(self, k: Floats) -> None:
        self.k = np.asarray(k, dtype=float)
        some = self.k > 0
        low, high = (self.k[some].min(), self.k.max()) if some.any() else (0.5, 1.0)
        self._nodes = np.linspace(low ** (1 / _POWER), max(high, low * 1.001) ** (1 / _POWER), _NODES)
        self._at = np.clip(self.k ** (1 / _POWER), self._nodes[0], None)
        self._zero = ~some

    def transfer(self, fwhm: float, beta: float) -> Floats:
        """Return `moffat_transfer` at the frequencies."""
        return self._filled(moffat_transfer(self._nodes**_POWER, fwhm, beta), 1.0)

    def derivatives(self, fwhm: float, beta: float) -> tuple[Floats, Floats, Floats]:
        """Return `moffat_derivatives` at the frequencies."""
        transfer, by_fwhm, by_inverse = moffat_derivatives(self._nodes**_POWER, fwhm, beta)
        return self._filled(transfer, 1.0), self._filled(by_fwhm, 0.0), self._filled(by_inverse, 0.0)

    def _filled(self, values: Floats, at_zero: float) -> Floats:
        found = CubicSpline(self._nodes, values)(self._at)
        found[self._zero] = at_zero
        return found


def blackman(r: ArrayLike) -> Floats:
    """Return the radial Blackman window that regridded images have been multiplied with.

    Parameters
    ----------
    r : array_like
        Frequency divided by the Nyquist frequency of the pixels; not negative.

    Returns
    -------
    ndarray of float64
        .42 + .5 cos(pi r) + .08 cos(2 pi r), 0 beyond r = 1 (Blackman & Tukey 1958).
    """
    r = np.asarray(r, dtype=float)
    return np.where(r <= 1, 0.42 + 0.5 * np.cos(np.pi * r) + 0.08 * np.cos(2 * np.pi * r), 0.0)


def _reach(fwhm: float, beta: float) -> float:
    """Return z / k = 2 pi a."""
    return np.pi * fwhm / np.sqrt(np.expm1(np.log(2) / beta))


def _bessel_profile(n: float, z: Floats) -> Floats:
    """Return 2 (z/2)^n K_n(z) / Gamma(n)."""
    if n > _DEBYE_ORDER:
        return _debye_profile(n, z)
    made = np.ones_like(z)
    some = z > (_SERIES_Z if n >= 2 else _TINY_Z)
    if n >= 2:
        made -= np.where(some, 0.0, z**2 / (4 * (n - 1)))
    made[some] = 2 * (z[some] / 2) ** n * kv(n, z[some]) / gamma(n)
    return made


def _slope(n: float, z: Floats) -> Floats:
    """Return z dT/dz = -2 z (z/2)^n K_{n-1}(z) / Gamma(n)."""
    if n > 2:
        return -(z**2) / (2 * (n - 1)) * _bessel_profile(n - 1, z)
    made = np.zeros_like(z)
    some = z > _TINY_Z
    made[some] = -4 * (z[some] / 2) ** (n + 1) * kv(n - 1, z[some]) / gamma(n)
    return made


def _debye_profile(n: float, z: Floats) -> Floats:
    """Return the same for a large n, where K_n itself overflows: Debye's expansion (DLMF 10.41.4), good to 1e-9."""
    t = z / n
    root = np.sqrt(1 + t**2)
    p = 1 / root
    terms = (
        (3 * p - 5 * p**3) / 24,
        (81 * p**2 - 462 * p**4 + 385 * p**6) / 1152,
        (30375 * p**3 - 369603 * p**5 + 765765 * p**7 - 425425 * p**9) / 414720,
        (4465125 * p**4 - 94121676 * p**6 + 349922430 * p**8 - 446185740 * p**10 + 185910725 * p**12) / 39813120,
    )
    series = 1 + sum((-1) ** (j + 1) * term / n ** (j + 1) for j, term in enumerate(terms))
    log = np.log(2) + n * np.log(n / 2) + 0.5 * np.log(np.pi / (2 * n)) - gammaln(n)
    return np.exp(log + n * (np.log1p(root) - root) - 0.5 * np.log(root)) * series
