"""When an exposure was: start, middle and end as MJD UTC, out of the many cards that say so.

The middle is MJD-AVG, DATE-AVG or EXPMID; else a start (MJD-BEG, DATE-BEG, DATE-OBS with its time) plus half the exposure; MJD-OBS and
JD come last, then a time in the file's name, then a date alone, at day precision. DATE is never looked at. Where two sources
disagree by more than the exposure, the first wins and a note is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ezarchive.frames import dates
from ezarchive.frames.cards import Cards
from ezarchive.frames.instruments import Camera

_TOLERANCE = 1.0 / 86400
"""Least difference in days that counts as one: cards are rounded."""


class Source(NamedTuple):
    """What one card says: its role (mid, start, end, late, name, day), where it is, and MJD UTC."""

    role: str
    origin: str
    mjd: float


@dataclass
class Times:
    """The times of one exposure (MJD UTC, None where not known), where they are from, and what is odd about them."""

    mjd_start: float | None = None
    mjd_mid: float | None = None
    mjd_end: float | None = None
    date_obs: str | None = None
    day_only: bool = False
    disagree: bool = False
    origin: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_times(cards: Cards, camera: Camera, exptime: float | None, filename: str) -> Times:
    """Find the times of an exposure.

    Parameters
    ----------
    cards : Cards
    camera : Camera
        Names the keywords.
    exptime : float or None
        Seconds.
    filename : str
        May hold date and time.

    Returns
    -------
    Times
    """
    times = Times()
    sources = _sources(cards, camera, filename, times)
    _choose(sources, exptime, times)
    _compare(sources, exptime, times)
    if times.mjd_start is not None:
        times.date_obs = dates.iso(times.mjd_start, times.day_only)
        times.origin["date_obs"] = times.origin["mjd_start"]
    return times


def _sources(cards: Cards, camera: Camera, filename: str, times: Times) -> list[Source]:
    """Return every source of a time, in the order in which they count, and note those that make no sense."""
    system_keyword = next((keyword for keyword in camera.keywords("time_system") if cards.text(keyword)), None)
    system = cards.text(system_keyword) or "" if system_keyword else ""
    if dates.to_utc(0.0, system) is None:
        times.notes.append(f"TIMESYS {system!r} is not known: taken as UTC")
        system = "UTC"
    clock = _clock(cards, camera)
    found, days = [], []
    for role in ("mid", "start", "end", "late"):
        for keyword in camera.keywords(f"time_{role}"):
            text = cards.text(keyword)
            if text is None or camera.instruments.no_value.match(text):
                continue
            value = _instant(cards, keyword, text)
            if value is None:
                times.notes.append(f"{keyword} {text!r} is no time")
                continue
            mjd, precise = value
            if not precise and clock is not None and role == "start":
                mjd, precise, keyword = mjd + clock[1] / 86400, True, f"{keyword}+{clock[0]}"
            source = Source(role, f"header:{keyword}", dates.to_utc(mjd, system) if precise else mjd)
            if precise:
                found.append(source)
            else:
                days.append(source._replace(role="day"))
    in_name = camera.instruments.file_time.search(filename)
    if in_name and (value := dates.parse_date(in_name["date"] + "T" + in_name["time"])) is not None:
        found.append(Source("name", "name", value[0]))
    return found + days


def _instant(cards: Cards, keyword: str, text: str) -> tuple[float, bool] | None:
    if isinstance(cards.get(keyword), str):
        value = dates.parse_date(text)
        if value is not None:
            return value
    number = cards.number(keyword)
    mjd = dates.from_julian(number) if number is not None and "DATE" not in keyword else None
    return None if mjd is None else (mjd, True)


def _clock(cards: Cards, camera: Camera) -> tuple[str, float] | None:
    """Return the card that holds a time of day, and its seconds."""
    for keyword in camera.keywords("clock"):
        value = cards.get(keyword)
        seconds = dates.parse_clock(value) if isinstance(value, str) else None
        if seconds is not None:
            return keyword, seconds
    for keyword in camera.keywords("clock_seconds"):
        number = cards.number(keyword)
        if number is not None and 0 <= number < 86400:
            return keyword, number
    return None


def _choose(sources: list[Source], exptime: float | None, times: Times) -> None:
    """Fill in start, middle and end from the first source of each."""
    length = (exptime or 0.0) / 86400
    first = {role: next((source for source in sources if source.role == role), None) for role in ("mid", "start", "end")}
    start = first["start"] or next((source for source in sources if source.role in ("late", "name", "day")), None)
    mid, end = first["mid"], first["end"]
    if mid is not None and (start is None or start.role != "start" or abs(start.mjd + length / 2 - mid.mjd) > max(length, _TOLERANCE)):
        # What stands far from the middle is no start of this exposure.
        start = Source("start", mid.origin, mid.mjd - length / 2) if exptime is not None else None
    if start is None and mid is None:
        if end is None:
            return
        start = Source("start", end.origin, end.mjd - length)
    if end is not None and start is not None and end.mjd < start.mjd:
        times.notes.append(f"{end.origin} lies before {start.origin}")
        end = None
    span = end.mjd - start.mjd if end is not None and start is not None else None
    if mid is None and start is not None:
        mid = _middle(start, length, span, exptime, times)
    times.day_only = start is not None and start.role == "day"
    if end is None and start is not None and exptime is not None and not times.day_only:
        end = Source("end", start.origin, start.mjd + length)
    for name, source in (("mjd_start", start), ("mjd_mid", mid), ("mjd_end", end)):
        if source is not None:
            setattr(times, name, source.mjd)
            times.origin[name] = source.origin


def _middle(start: Source, length: float, span: float | None, exptime: float | None, times: Times) -> Source:
    """Return the middle of an exposure that only says when it began."""
    if start.role == "day":
        times.notes.append("only the date is known: the time is that of the day's begin, and half the exposure")
    if exptime is None:
        if span is None:
            times.notes.append("no exposure time: the middle is taken to be the start")
        length = span or 0.0
    elif span is not None and length > span:
        # The sum of a stack's exposures, or of many detectors': the middle lies in the span all the same.
        length = span
    return Source("mid", start.origin, start.mjd + length / 2)


def _compare(sources: list[Source], exptime: float | None, times: Times) -> None:
    """Note each source that puts the middle elsewhere by more than the exposure."""
    if times.mjd_mid is None:
        return
    length = (exptime or 0.0) / 86400
    span = (times.mjd_end or 0.0) - (times.mjd_start or 0.0) if times.mjd_end is not None and times.mjd_start is not None else 0.0
    tolerance = max(length, _TOLERANCE)
    # Within a stack each start may be that of any of its frames.
    half = min(length, span) / 2 if span > 0 else length / 2
    for source in sources:
        if source.role == "name":
            # A file's name may count local time.
            continue
        middle = {"mid": source.mjd, "end": source.mjd - half}.get(source.role, source.mjd + half)
        difference = middle - times.mjd_mid
        if source.role == "day":
            difference = _beyond_day(source.mjd, times.mjd_mid)
        if abs(difference) > tolerance and source.origin != times.origin["mjd_mid"]:
            times.disagree = True
            times.notes.append(f"{source.origin} {source.mjd:.6f} lies {difference:+.6f} d from {times.origin['mjd_mid']}")


def _beyond_day(day: float, mjd: float) -> float:
    """Return how far an instant lies outside a day that begins at an MJD."""
    return day - mjd if mjd < day else min(day + 1 - mjd, 0.0)
