"""Fluxes and magnitudes with errors, zero points and upper limits.

Arrays (or numbers) in, float64 arrays (or numbers) out; NaN where a value is undefined, never a warning. Masked values become NaN.
Magnitudes follow Pogson (1856, MNRAS 17, 12): m = zp - 2.5 log10 F.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

POGSON = 2.5
MAG_PER_RELATIVE_ERROR = POGSON / np.log(10)
"""1.0857362: the error of a magnitude for a relative flux error of 1."""

AB_MICROJANSKY = 23.9
"""AB magnitude of 1 uJy, as the surveys round it (exactly 23.8999...: -48.60 - 2.5 log10(1e-29); Oke & Gunn 1983, ApJ 266, 713)."""


SAME_APERTURE = 0.01
"""Relative difference of diameters within which a zero point or a depth is that of an aperture."""


class ZeroPoint(NamedTuple):
    """The magnitude of 1 stored unit per exposure, for one kind of measurement on one frame.

    Attributes
    ----------
    measure : str
        ``AUTO`` or ``APER``.
    aperture : float or None
        Diameter of the aperture in arcsec; None for ``AUTO``.
    value, error : float
        Zero point and its error, mag.
    system : str or None
        ``AB`` or ``Vega``.
    ab_offset : float or None
        What makes an AB magnitude of one in ``system``, mag: 0 for AB, None where it is not known.
    """

    measure: str
    aperture: float | None
    value: float
    error: float = np.nan
    system: str | None = "AB"
    ab_offset: float | None = 0.0

    @property
    def ab(self) -> float:
        """The zero point in AB; NaN where the offset of its system is not known."""
        return np.nan if self.ab_offset is None else self.value + self.ab_offset


def flux_to_mag(flux: ArrayLike, zero_point: ArrayLike = 0.0) -> NDArray[np.float64]:
    """Return magnitudes of fluxes.

    Parameters
    ----------
    flux : array_like
        Fluxes, any linear unit.
    zero_point : array_like
        Magnitude of flux 1.

    Returns
    -------
    ndarray or float
        ``zero_point - 2.5 log10(flux)``; NaN where the flux is zero, negative or NaN.

    Examples
    --------
    >>> float(flux_to_mag(100.0, 25.0))
    20.0
    """
    with np.errstate(all="ignore"):
        values = _array(flux)
        return _array(zero_point) - POGSON * np.log10(np.where(values > 0, values, np.nan))


def mag_to_flux(mag: ArrayLike, zero_point: ArrayLike = 0.0) -> NDArray[np.float64]:
    """Return fluxes of magnitudes, in the unit whose 1 has magnitude `zero_point`.

    Examples
    --------
    >>> float(mag_to_flux(20.0, 25.0))
    100.0
    """
    with np.errstate(all="ignore"):
        return 10.0 ** ((_array(zero_point) - _array(mag)) / POGSON)


def mag_error(flux: ArrayLike, flux_err: ArrayLike) -> NDArray[np.float64]:
    """Return errors of magnitudes, to first order.

    Parameters
    ----------
    flux, flux_err : array_like
        Fluxes and their errors, the same unit.

    Returns
    -------
    ndarray or float
        ``1.0857362 flux_err / flux``; NaN where the flux is not positive.

    Examples
    --------
    >>> round(float(mag_error(100.0, 1.0)), 6)
    0.010857
    """
    with np.errstate(all="ignore"):
        values = _array(flux)
        return MAG_PER_RELATIVE_ERROR * _array(flux_err) / np.where(values > 0, values, np.nan)


def flux_to_ujy(flux: ArrayLike, zero_point_ab: ArrayLike) -> NDArray[np.float64]:
    """Return flux densities in microjansky; the same factor serves for errors.

    Parameters
    ----------
    flux : array_like
        Fluxes; zero and negative ones are right too.
    zero_point_ab : array_like
        AB magnitude of flux 1.

    Returns
    -------
    ndarray or float
        ``flux 10^((23.9 - zero_point_ab) / 2.5)``, uJy.

    Examples
    --------
    >>> float(flux_to_ujy(10.0, 23.9))
    10.0
    """
    with np.errstate(all="ignore"):
        return _array(flux) * 10.0 ** ((AB_MICROJANSKY - _array(zero_point_ab)) / POGSON)


def upper_limit(sigma: ArrayLike, n: float = 5.0, zero_point: ArrayLike = 0.0) -> NDArray[np.float64]:
    """Return the magnitude of `n` times a flux error.

    Parameters
    ----------
    sigma : array_like
        Noise of the flux.
    n : float
        How many sigma.
    zero_point : array_like
        Magnitude of flux 1.

    Returns
    -------
    ndarray or float
        NaN where the noise is not positive.

    Examples
    --------
    >>> float(upper_limit(20.0, 5, 25.0))
    20.0
    """
    with np.errstate(all="ignore"):
        return flux_to_mag(n * _array(sigma), zero_point)


_PER = re.compile(r"\s*(?:/|\bper\b)\s*")
_PER_SECOND = re.compile(r"/\(?(s|sec|second)s?\b|\b(s|sec)\s*(\*\*|\^)?\s*\(?-1|\bcps\b")
_CALIBRATED = re.compile(r"jy\b|jansky|maggy|maggies|/\(?sr\b|\bsr\s*(\*\*|\^)?\s*\(?-1|\berg\b")


def is_rate(bunit: str | None) -> bool:
    """Tell whether pixels are no counts per exposure: a rate, a flux density or a surface brightness.

    Such an image is not divided by its exposure time. Nothing known (None) means counts.

    Parameters
    ----------
    bunit : str or None
        BUNIT as the header gives it.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_rate("ELECTRONS/S"), is_rate("MJy/sr"), is_rate("adu"), is_rate(None)
    (True, True, False, False)
    """
    text = _PER.sub("/", (bunit or "").strip().lower())
    return bool(_PER_SECOND.search(text) or _CALIBRATED.search(text))


def _array(values: ArrayLike) -> NDArray[np.float64]:
    if isinstance(values, np.ma.MaskedArray):
        return values.astype(float).filled(np.nan)
    return np.asarray(values, dtype=float)
