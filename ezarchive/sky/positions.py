"""Positions and angles as users write them; unit vectors and separations."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from astropy import units
from astropy.coordinates import ConvertError, SkyCoord
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_SEXAGESIMAL = re.compile(
    rf"(?P<sign>[+-]?)(?P<a>{_NUMBER})(?:(?P<mark>[:hd°])(?:(?P<b>{_NUMBER})(?:[:m'′](?:(?P<c>{_NUMBER})[s\"″]?)?)?)?)?\Z"
)
_ANGLE = re.compile(rf"\s*(?P<number>[+-]?(?:{_NUMBER})(?:[eE][+-]?\d+)?)\s*(?P<unit>\D*?)\s*\Z")
_UNITS = {
    "deg": 1.0,
    "degree": 1.0,
    "degrees": 1.0,
    "d": 1.0,
    "°": 1.0,
    "arcmin": 1 / 60,
    "arcmins": 1 / 60,
    "arcminute": 1 / 60,
    "arcminutes": 1 / 60,
    "amin": 1 / 60,
    "'": 1 / 60,
    "′": 1 / 60,
    "arcsec": 1 / 3600,
    "arcsecs": 1 / 3600,
    "arcsecond": 1 / 3600,
    "arcseconds": 1 / 3600,
    "asec": 1 / 3600,
    '"': 1 / 3600,
    "″": 1 / 3600,
    "''": 1 / 3600,
    "mas": 1 / 3.6e6,
    "rad": 180 / math.pi,
    "radian": 180 / math.pi,
    "radians": 180 / math.pi,
}


def parse_position(value: Any, name: str = "position") -> tuple[float, float]:
    """Read one position in any of the forms that users write.

    Parameters
    ----------
    value : SkyCoord, pair or str
        A scalar ``SkyCoord``; ``(ra, dec)`` in degrees, as Quantities or as two strings; ``"325.6 -77.3"`` (degrees),
        ``"21:45:00 -77:15:44"`` or ``"21 45 00 -77 15 44"`` (hours and degrees), ``"21h45m00s -77d15m44s"``.
    name : str
        What messages call it.

    Returns
    -------
    tuple of float
        Right ascension in 0 to 360 and declination, ICRS degrees.

    Raises
    ------
    InputError
        If it is not a position, not finite, or off the sphere.

    Examples
    --------
    >>> parse_position("21:45:00 -77:15:00")
    (326.25, -77.25)
    >>> parse_position((-10, 5))
    (350.0, 5.0)
    """
    if isinstance(value, SkyCoord):
        if not value.isscalar:
            raise InputError(f"{name}: must be one position, found {value.size}")
        try:
            value = (value.icrs.ra, value.icrs.dec)
        except (ConvertError, AttributeError) as err:  # astropy's AltAz without a place ends in the second
            raise InputError(f"{name}: its frame {value.frame.name!r} must be one that can be converted to ICRS, found no way") from err
    if isinstance(value, str):
        ra, dec = _position_from_text(value, name)
    elif isinstance(value, (tuple, list, np.ndarray)) and len(value) == 2:
        if all(isinstance(part, str) for part in value):
            return parse_position(f"{value[0].strip()} {value[1].strip()}", name)
        ra, dec = _degrees(value[0], name), _degrees(value[1], name)
    else:
        raise InputError(f"{name} {value!r}: must be a SkyCoord, (ra, dec) in degrees, or text such as '21:45:00 -77:15:44'")
    if not (math.isfinite(ra) and math.isfinite(dec)):
        raise InputError(f"{name} {value!r}: must be finite")
    if not (-360 <= ra <= 360 and -90 <= dec <= 90):
        raise InputError(f"{name} {value!r}: right ascension must lie in -360 to 360 and declination in -90 to 90 degrees")
    # The second remainder: -1e-20 % 360 is 360.0.
    return ra % 360 % 360, dec


def parse_angle(value: Any, name: str = "angle") -> float:
    """Read an angle that carries its unit.

    Parameters
    ----------
    value : Quantity or str
        For example ``10 * u.arcmin``, ``"10 arcmin"``, ``"10'"``, ``'2"'``, ``"0.5 deg"``.
    name : str
        What messages call it.

    Returns
    -------
    float
        Degrees.

    Raises
    ------
    InputError
        If it has no unit, an unknown one, or is not finite.

    Examples
    --------
    >>> parse_angle("30 arcmin")
    0.5
    """
    if isinstance(value, units.Quantity):
        degrees = _degrees(value, name)
    elif isinstance(value, str):
        match = _ANGLE.match(value)
        if not match:
            raise InputError(f"{name} {value!r}: must be a number with a unit, as '10 arcmin' or '2\"'")
        unit = match["unit"].lower()
        if not unit:
            raise InputError(f"{name} {value!r}: has no unit; write '{value.strip()} arcsec' or '{value.strip()} arcmin'")
        if unit not in _UNITS:
            raise InputError(f"{name} {value!r}: unit {match['unit']!r} must be one of deg, arcmin, arcsec, mas, rad")
        degrees = float(match["number"]) * _UNITS[unit]
    elif isinstance(value, (int, float, np.number)):
        raise InputError(f"{name} {value!r}: a bare number has no unit; write '{value} arcsec', '{value} arcmin' or a Quantity")
    else:
        raise InputError(f"{name} {value!r}: must be a Quantity or text with a unit, as '10 arcmin'")
    if not math.isfinite(degrees):
        raise InputError(f"{name} {value!r}: must be finite")
    return degrees


def _degrees(value: Any, name: str) -> float:
    if isinstance(value, units.Quantity):
        if not value.isscalar:
            raise InputError(f"{name}: must be one value, found {value.size}")
        try:
            return float(value.to_value(units.deg))
        except units.UnitConversionError as err:
            raise InputError(f"{name} {value!r}: unit {value.unit} must be an angle") from err
    if isinstance(value, (bool, np.bool_, str, bytes)) or not np.isscalar(value):
        raise InputError(f"{name} {value!r}: must be a number of degrees or a Quantity")
    try:
        return float(value)
    except (TypeError, ValueError) as err:
        raise InputError(f"{name} {value!r}: must be a number of degrees or a Quantity") from err


def _position_from_text(text: str, name: str) -> tuple[float, float]:
    parts = text.replace("\N{MINUS SIGN}", "-").replace(",", " ").split()
    if len(parts) == 6:
        parts = [":".join(parts[:3]), ":".join(parts[3:])]
    if len(parts) != 2:
        raise InputError(f"{name} {text!r}: must be two words, right ascension and declination, as '21:45:00 -77:15:44' or '325.6 -77.3'")
    ra, hours = _from_sexagesimal(parts[0], ":h", name)
    dec, _ = _from_sexagesimal(parts[1], "", name)
    if hours and not 0 <= ra <= 24:
        raise InputError(f"{name} {text!r}: the hours of right ascension must lie in 0 to 24")
    return (ra * 15 if hours else ra), dec


def _from_sexagesimal(word: str, hour_marks: str, name: str) -> tuple[float, bool]:
    """Return the number that a word stands for and whether it counts hours."""
    match = _SEXAGESIMAL.match(word)
    if not match or (match["mark"] == "h" and not hour_marks):
        raise InputError(f"{name}: {word!r} must be degrees or sexagesimal, as -77.3, -77:15:44 or -77d15m44s")
    minutes, seconds = float(match["b"] or 0), float(match["c"] or 0)
    if minutes >= 60 or seconds >= 60:
        raise InputError(f"{name}: {word!r}: minutes and seconds must lie below 60")
    size = float(match["a"]) + minutes / 60 + seconds / 3600
    return (-size if match["sign"] == "-" else size), bool(match["mark"]) and match["mark"] in hour_marks


def unit_vectors(ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
    """Return unit vectors.

    Parameters
    ----------
    ra, dec : array_like
        Degrees; they broadcast to one shape.

    Returns
    -------
    ndarray, shape (..., 3)
    """
    ra, dec = np.broadcast_arrays(np.radians(ra, dtype=np.float64), np.radians(dec, dtype=np.float64))
    cos_dec = np.cos(dec)
    return np.stack([cos_dec * np.cos(ra), cos_dec * np.sin(ra), np.sin(dec)], axis=-1)


def from_vectors(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return right ascension (0 to 360) and declination of vectors of any length.

    Parameters
    ----------
    vectors : ndarray, shape (..., 3)

    Returns
    -------
    ra, dec : ndarray
        Degrees.
    """
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.degrees(np.arctan2(y, x)) % 360 % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))


def separation(ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike) -> NDArray[np.float64]:
    """Return the angle between positions, right at every distance.

    Parameters
    ----------
    ra1, dec1, ra2, dec2 : array_like
        Degrees; they broadcast.

    Returns
    -------
    ndarray or float
        Degrees.

    Notes
    -----
    Vincenty's formula for the sphere (Survey Review 23, 88, 1975).
    """
    phi1, phi2 = np.radians(dec1), np.radians(dec2)
    delta = np.radians(np.subtract(ra2, ra1))
    across = np.cos(phi2) * np.sin(delta)
    along = np.cos(phi1) * np.sin(phi2) - np.sin(phi1) * np.cos(phi2) * np.cos(delta)
    cosine = np.sin(phi1) * np.sin(phi2) + np.cos(phi1) * np.cos(phi2) * np.cos(delta)
    return np.degrees(np.arctan2(np.hypot(across, along), cosine))
