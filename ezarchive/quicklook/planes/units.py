"""Units of sums over pixels: surface brightness times the solid angle of a pixel, counts, and magnitudes by a zero point."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u

from ezarchive.errors import InputError

ARCSEC2 = 2.350443053909789e-11
"""Steradians of a square arcsecond."""

AB_ZERO = 3631.0 * u.Jy
"""Flux density of AB magnitude 0 (Oke & Gunn 1983, ApJ 266, 713)."""

COUNT = u.ct
_PER_PIXEL = (u.pix, u.pix**2)
_OFF = (None, "")


def number_of(value: Any, name: str, what: str = "a finite number") -> float:
    """Return a finite number.

    Raises
    ------
    InputError
        If it is none: "Missing or invalid", what was found, and what must be.
    """
    text = f"{name}: missing or invalid value {value!r}; must be {what}"
    if isinstance(value, (bool, np.bool_, str)) or np.ndim(value) != 0:
        raise InputError(text)
    try:
        found = float(value)
    except (TypeError, ValueError) as err:
        raise InputError(text) from err
    if not np.isfinite(found):
        raise InputError(text)
    return found


def unit_text(unit: u.UnitBase | None) -> str:
    """Return the name of a unit that astropy reads back, empty for None and for pure numbers."""
    return "" if unit is None else unit.to_string()


def solid_angle_unit(unit: u.UnitBase | None) -> u.UnitBase | None:
    """Return the solid angle that a unit is per: ``sr`` of MJy/sr, ``arcsec2`` of mJy/arcsec2, ``pix2`` of electron/s/pix2.

    Parameters
    ----------
    unit : Unit or None
        Of the pixels.

    Returns
    -------
    Unit or None
        None for a unit that is not per solid angle.
    """
    if unit is None:
        return None
    for base, power in zip(unit.bases, unit.powers, strict=True):
        if (power == -1 and base.is_equivalent(u.sr)) or (power == -2 and (base.is_equivalent(u.rad) or base == u.pix)):
            return base ** (-power)
    return None


def sum_factor(unit: u.UnitBase | None, area: np.ndarray) -> tuple[u.UnitBase | None, np.ndarray, np.ndarray]:
    """Return what makes a flux of a sum of pixels.

    Parameters
    ----------
    unit : Unit or None
        Of the pixels.
    area : ndarray, shape (n,)
        Solid angle of one pixel, sr; NaN: not known.

    Returns
    -------
    unit : Unit or None
        Of the sum: with the solid angle taken away, unless no area is known.
    factor : ndarray, shape (n,)
        The sum of the pixels times this is the sum; NaN where the area of this pixel alone is not known.
    used : ndarray, shape (n,)
        The solid angle of the pixel that is in `factor`, sr; NaN where none is.
    """
    area = np.asarray(area, float)
    per = solid_angle_unit(unit)
    nothing = np.full(area.shape, np.nan)
    if unit is None or per is None:
        return unit, np.ones(area.shape), nothing
    if per == u.pix**2:
        return unit * per, np.ones(area.shape), nothing
    if not np.any(np.isfinite(area)):
        return unit, np.ones(area.shape), nothing
    return unit * per, area * u.sr.to(per), area


def scaling(value: Any, name: str, unit: u.UnitBase | None, sum_unit: u.UnitBase | None) -> tuple[float, float]:
    """Return the flux of magnitude 0 in the unit of the pixels' sum and in that of the sum.

    Parameters
    ----------
    value : float, Quantity or "ab"
        A number is in both units the same; a quantity is converted, NaN where it cannot be; "ab" is 3631 Jy.
    name : str
        The argument, for messages.
    unit, sum_unit : Unit or None
        Of the sum of pixels as they stand, and after the pixel area.

    Returns
    -------
    raw, flux : float

    Raises
    ------
    InputError
        If it is no number, or 0, or its unit is neither of the two.
    """
    if isinstance(value, str) and value.lower() == "ab":
        value = AB_ZERO
    if not isinstance(value, u.Quantity):
        number = _not_zero(number_of(value, name, "a number, a quantity or 'ab'"), name)
        return number, number
    _not_zero(number_of(value.value, name), name)
    found = [np.nan if one is None or not value.unit.is_equivalent(one) else float(value.to_value(one)) for one in (unit, sum_unit)]
    if np.isnan(found).all():
        wanted = " or ".join(sorted({unit_text(one) or "a unit of the image (it has none)" for one in (unit, sum_unit)}))
        raise InputError(f"{name}={value}: its unit conflicts with that of the sum; must convert to {wanted}")
    return found[0], found[1]


def per_count(value: Any, name: str, unit: u.UnitBase | None) -> float:
    """Return the conversion factor of counts: units of the pixels per count.

    Raises
    ------
    InputError
        If it is no number above 0, or a quantity whose unit is not that of the pixels per count.
    """
    number = value
    if isinstance(value, u.Quantity):
        wanted = (u.dimensionless_unscaled if unit is None else unit) / COUNT
        if not value.unit.is_equivalent(wanted):
            raise InputError(f"{name}={value}: its unit conflicts with that of the image; must convert to {unit_text(wanted)}")
        number = value.to_value(wanted)
    found = _not_zero(number_of(number, name, "a number above 0"), name)
    if found < 0:
        raise InputError(f"{name}: cannot be negative but got {found!r}; must be above 0")
    return found


def in_unit(value: Any, name: str, unit: u.UnitBase | None) -> Any:
    """Return the number of a quantity in the unit of the pixels; a plain number or array comes back as it is.

    Raises
    ------
    InputError
        If the units conflict.
    """
    if not isinstance(value, u.Quantity):
        return value
    wanted = u.dimensionless_unscaled if unit is None else unit
    if not value.unit.is_equivalent(wanted):
        shown = unit_text(unit) or "none (the image has no unit)"
        raise InputError(f"{name}: its unit {unit_text(value.unit)!r} conflicts with that of the image; must convert to {shown}")
    return value.to_value(wanted)


def takes_factors(unit: u.UnitBase | None) -> bool:
    """Say whether pixels of a unit can be made counts and magnitudes: not without a unit."""
    return unit is not None and unit_text(unit) not in _OFF


def takes_counts(unit: u.UnitBase | None) -> bool:
    """Say whether pixels of a unit can be made counts: not counts themselves, and not without a unit."""
    return takes_factors(unit) and unit != COUNT


def _not_zero(number: float, name: str) -> float:
    if number == 0.0:
        raise InputError(f"{name}=0: is a number, and not 'off'; must not be 0 (leave it out, or give None)")
    return number
