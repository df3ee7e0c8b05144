"""Times as users write them, as MJD UTC."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from astropy.time import Time

from ezarchive.errors import InputError

_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
_MJD_LIMITS = (-650_000.0, 1_000_000.0)


def parse_time(what: str, value: Any) -> float:
    """Return an instant as MJD UTC.

    Parameters
    ----------
    what : str
        The argument, for messages.
    value : str, number, Time, datetime or date
        ISO ("2025-09-01", "2025-09-01T12:30:00", with or without offset), YYYYMMDD, YYMMDD, or an MJD as a number. A date alone is its
        0h UTC; a datetime without time zone is UTC.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If it is none of these.

    Examples
    --------
    >>> [parse_time("obs_start", day) for day in ("20250901", "250901", "2025-09-01", 60919)]
    [60919.0, 60919.0, 60919.0, 60919.0]
    """
    if isinstance(value, np.datetime64):
        value = Time(value)
    if isinstance(value, Time):
        if not value.isscalar:
            raise InputError(f"{what}: must be one time, found {value.size}")
        return _checked(what, value, float(value.utc.mjd))
    if isinstance(value, datetime):
        return _mjd(value)
    if isinstance(value, date):
        return _mjd(datetime(value.year, value.month, value.day))
    if isinstance(value, str):
        return _parse_text(what, value)
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputError(f"{what}={value!r}: must be a date (2025-09-01, 20250901, 250901), a Time, a datetime or an MJD")
    if isinstance(value, (int, np.integer)) and len(str(value)) in (6, 8):
        return _parse_text(what, str(value))
    if isinstance(value, (int, np.integer)) and 1800 <= value <= 2200:
        raise InputError(f"{what}={value!r}: looks like a year; must be a date, as '{value}-01-01', or an MJD")
    return _checked(what, value, float(value))


def _checked(what: str, value: Any, mjd: float) -> float:
    if not _MJD_LIMITS[0] <= mjd <= _MJD_LIMITS[1]:
        raise InputError(f"{what}={value!r}: must be an MJD when it is a number (a JD is an MJD plus 2400000.5)")
    return mjd


def _parse_text(what: str, value: str) -> float:
    text = value.strip()
    digits = "20" + text if len(text) == 6 and text.isdigit() else text
    try:
        return _mjd(datetime.fromisoformat(digits))
    except ValueError:
        pass  # astropy reads what the standard library does not: leap seconds, day of the year
    try:
        return float(text) if _is_mjd(text) else float(Time(text, scale="utc").mjd)
    except ValueError as err:
        raise InputError(f"{what}={value!r}: must be a date (2025-09-01, 20250901, 250901), a time (2025-09-01T12:30) or an MJD") from err


def _is_mjd(text: str) -> bool:
    return re.fullmatch(r"\d{5}(\.\d*)?", text) is not None


def _mjd(moment: datetime) -> float:
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - _EPOCH) / timedelta(days=1)


def day_of(mjd: float) -> str:
    """Return the UTC day of an MJD as YYYY-MM-DD."""
    return (_EPOCH + timedelta(days=math.floor(mjd))).date().isoformat()
