"""Dates, times of day and sexagesimal numbers as headers write them; time systems and nights."""

from __future__ import annotations

import math
import re
import warnings
from datetime import date, timedelta

import erfa

MJD_EPOCH = date(1858, 11, 17)
_JD_TO_MJD = 2400000.5
_YEARS = (1800, 2200)
_MJD_LIMITS = (-21_000.0, 125_000.0)

_CLOCK = r"(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?"
_ISO = re.compile(rf"(\d{{4}})[-/](\d{{1,2}})[-/](\d{{1,2}})(?:[T ]\s*{_CLOCK})?\s*(Z|UTC?|[+-]\d\d:?\d\d)?\Z", re.IGNORECASE)
_BASIC = re.compile(r"(\d{4})(\d\d)(\d\d)(?:[T_ -]?(\d\d)(\d\d)(\d\d(?:\.\d*)?)Z?)?\Z", re.IGNORECASE)
_OLD = re.compile(rf"(\d{{1,2}})/(\d{{1,2}})/(\d{{4}}|\d\d)(?:[T ]\s*{_CLOCK})?\Z", re.IGNORECASE)
_SEXAGESIMAL = re.compile(r"([+-]?)(\d{1,3})[: dhDH°]\s*(\d{1,2}(?:\.\d*)?)(?:[: mM'′]\s*(\d{1,2}(?:\.\d*)?)[sS\"″]?)?\Z")


def parse_date(text: str) -> tuple[float, bool] | None:
    """Read a date of a header.

    Parameters
    ----------
    text : str
        ``2025-09-01T02:03:04.5``, with a space for the T, a ``Z`` or an offset, ``20250901T020304``, ``2025-09-01``, or FITS' old
        ``29/11/51`` (1951-11-29; FITS 4.0, section 9.1.1).

    Returns
    -------
    tuple of float and bool, or None
        MJD in the time system of the text, and whether it holds a time of day; None if there is no such date.
    """
    text = text.strip()
    match = _ISO.match(text) or _BASIC.match(text)
    if match:
        year, month, day, hour, minute, second, *zone = match.groups()
    else:
        match = _OLD.match(text)
        if not match:
            return None
        day, month, year, hour, minute, second, *zone = match.groups()
        year = f"19{year}" if len(year) == 2 else year
    try:
        days = (date(int(year), int(month), int(day)) - MJD_EPOCH).days
    except ValueError:
        return None
    if not _YEARS[0] <= int(year) <= _YEARS[1]:
        return None
    if hour is None:
        return float(days), False
    seconds = seconds_of_day(hour, minute, second)
    if seconds is None:
        return None
    return days + (seconds - _zone_seconds(zone[0] if zone else None)) / 86400, True


def parse_clock(text: str) -> float | None:
    """Return the seconds that a time of day (``02:03:04.5``, ``02:03``) stands for; None if it is none."""
    match = re.match(rf"\s*{_CLOCK}\s*(?:Z|UTC?)?\Z", text, re.IGNORECASE)
    return seconds_of_day(*match.groups()) if match else None


def seconds_of_day(hour: str, minute: str, second: str | None) -> float | None:
    """Return seconds since midnight; None if there is no such time (a leap second is let pass)."""
    h, m, s = int(hour), int(minute), float(second or 0)
    if h > 24 or m > 59 or s >= 61 or (h == 24 and (m or s)):
        return None
    return h * 3600 + m * 60 + s


def parse_sexagesimal(text: str) -> float | None:
    """Return the number that ``-77 15 44``, ``-77:15:44`` or ``-77d15m44s`` stands for; None if it is none."""
    match = _SEXAGESIMAL.match(text.strip())
    if not match:
        return None
    sign, whole, minutes, seconds = match.groups()
    if float(minutes) >= 60 or float(seconds or 0) >= 60:
        return None
    size = int(whole) + float(minutes) / 60 + float(seconds or 0) / 3600
    return -size if sign == "-" else size


def from_julian(value: float) -> float | None:
    """Return the MJD of a number that is a Julian date or an MJD by its size; None if it is no date of astronomy's history."""
    mjd = value - _JD_TO_MJD if value > 2_000_000 else value
    # A zero stands for "not set" more often than for 1858.
    return mjd if mjd and math.isfinite(mjd) and _MJD_LIMITS[0] < mjd < _MJD_LIMITS[1] else None


def to_utc(mjd: float, system: str) -> float | None:
    """Turn an MJD of a time system into UTC.

    Parameters
    ----------
    mjd : float
    system : str
        TIMESYS: UTC, UT, UT1, GMT, TAI, IAT, TT, ET, TDT, TDB, TCB, TCG or GPS (UT1 within 0.9 s, TDB and TCG within 2 ms and 1.3 s of TT).

    Returns
    -------
    float or None
        MJD UTC; None if the system is not known.
    """
    system = system.strip().upper().partition("(")[0]
    if system in ("", "UTC", "UT", "UT1", "GMT"):
        return mjd
    offsets = {"TAI": 0.0, "IAT": 0.0, "GPS": 19.0, **dict.fromkeys(("TT", "ET", "TDT", "TDB", "TCB", "TCG"), -32.184)}
    if system not in offsets:
        return None
    with warnings.catch_warnings():
        # Before 1960 and far ahead there is no leap-second table; the nearest value is as good as can be had.
        warnings.filterwarnings("ignore", category=erfa.ErfaWarning)
        first, second = erfa.taiutc(_JD_TO_MJD, mjd + offsets[system] / 86400)
    return float(first - _JD_TO_MJD + second)


def iso(mjd: float, day_only: bool = False) -> str:
    """Return an MJD as ISO text, to the millisecond or to the day."""
    milliseconds = round(mjd * 86_400_000)
    day, rest = divmod(milliseconds, 86_400_000)
    text = (MJD_EPOCH + timedelta(days=day)).isoformat()
    if day_only:
        return text
    seconds, thousandths = divmod(rest, 1000)
    return f"{text}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{thousandths:03d}"


def night_of(mjd: float, longitude: float | None) -> str:
    """Return the date of the evening of a night: from noon to noon, local mean time at a longitude, or UTC.

    Parameters
    ----------
    mjd : float
        UTC.
    longitude : float or None
        Degrees east; None counts from UTC noon.

    Returns
    -------
    str
        YYYY-MM-DD.

    Examples
    --------
    >>> night_of(60554.1, -70.8), night_of(60554.6, -70.8)
    ('2024-08-31', '2024-08-31')
    """
    east = 0.0 if longitude is None else (longitude + 180) % 360 - 180
    return (MJD_EPOCH + timedelta(days=math.floor(mjd + east / 360 - 0.5))).isoformat()


def _zone_seconds(zone: str | None) -> float:
    if not zone or zone[0] not in "+-":
        return 0.0
    digits = zone[1:].replace(":", "")
    return (int(digits[:2]) * 3600 + int(digits[2:]) * 60) * (1 if zone[0] == "+" else -1)
