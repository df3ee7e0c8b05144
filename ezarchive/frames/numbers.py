"""Numbers of a frame out of its header: exposure, gain, levels, seeing, depth, zero point, pointing; and its night."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ezarchive.config import SiteSettings
from ezarchive.frames import dates
from ezarchive.frames.draft import Context, Draft
from ezarchive.frames.times import Times, read_times

_LIMITS = {
    "exptime": (0.0, 1e9),
    "ncombine": (1, 1e7),
    "gain": (1e-9, 1e9),
    "read_noise": (0.0, 1e6),
    "saturation": (1e-9, 1e12),
    "seeing": (1e-3, 60.0),
    "depth": (-10.0, 50.0),
    "depth_aperture": (1e-6, 3600.0),
    "zero_point": (-50.0, 80.0),
    "zero_point_err": (0.0, 50.0),
    "zero_point_aperture": (1e-6, 3600.0),
    "sky": (-1e12, 1e12),
    "sky_sigma": (0.0, 1e12),
    "airmass": (0.99, 100.0),
    "altitude": (-90.0, 90.0),
    "azimuth": (-360.0, 360.0),
    "ccd_temp": (-273.15, 200.0),
    "pixel_scale": (1e-6, 7200.0),
    "longitude": (-360.0, 360.0),
    "dec": (-90.0, 90.0),
    "ra": (-360.0, 360.0),
}
"""What a value must lie in to be believed."""

_PLAIN = (
    "read_noise",
    "saturation",
    "depth",
    "depth_aperture",
    "zero_point",
    "zero_point_err",
    "zero_point_aperture",
    "sky",
    "sky_sigma",
    "airmass",
    "altitude",
    "azimuth",
    "ccd_temp",
)
_ANGLES = ("altitude", "azimuth", "longitude", "dec")
_SYSTEMS = {"AB": "AB", "ABMAG": "AB", "VEGA": "Vega", "VEGAMAG": "Vega"}


def put_numbers(draft: Draft, context: Context) -> None:
    """Fill in exposure, gain, levels and the rest; the kind and, if there is one, the WCS's pixel scale are there already."""
    if draft.values.get("pixel_scale") is None:
        _put(draft, context, "pixel_scale")
    for name in _PLAIN:
        _put(draft, context, name)
    _put_exptime(draft, context)
    count = _number(draft, context, "ncombine")
    draft.put("ncombine", *((round(count[0]), count[1]) if count else (None, None)))
    _put_gain(draft, context)
    _put_seeing(draft, context)
    if draft.values.get("azimuth") is not None:
        draft.values["azimuth"] %= 360
    system = _text(context, "zero_point_system")
    if system is not None and draft.values["zero_point"] is not None:
        draft.put("zero_point_system", _SYSTEMS.get(system[0].upper()), system[1])


def put_times(draft: Draft, context: Context, sites: Mapping[str, SiteSettings]) -> None:
    """Fill in start, middle, end and night; the exposure and the names are there already."""
    times = read_times(context.cards, context.camera, draft.values.get("exptime"), context.filename)
    for name in ("mjd_start", "mjd_mid", "mjd_end", "date_obs"):
        draft.put(name, getattr(times, name), times.origin.get(name))
    for text in times.notes:
        draft.note("mjd_mid", text)
    if times.mjd_mid is None:
        draft.flag("NO_TIME")
    if times.disagree:
        draft.flag("TIME_DISAGREES")
    _put_night(draft, context, times, sites)


def put_pointing(draft: Draft, context: Context) -> None:
    """Fill in where the telescope pointed, of a frame whose WCS does not say it."""
    dec = _number(draft, context, "dec")
    ra = None
    for keyword in context.camera.keywords("ra"):
        text = context.cards.text(keyword)
        if text is None:
            continue
        hours = dates.parse_sexagesimal(text)
        number = context.cards.number(keyword) if hours is None else hours * 15
        if number is not None and -360 <= number <= 360:
            ra = number % 360, f"header:{keyword}"
            break
    if ra is not None and dec is not None:
        draft.put("ra", *ra)
        draft.put("dec", *dec)


def _put(draft: Draft, context: Context, name: str) -> None:
    found = _number(draft, context, name)
    draft.put(name, *(found or (None, None)))


def _number(draft: Draft, context: Context, name: str) -> tuple[float, str] | None:
    """Return a number and its origin: header and default in the root's order, then the instrument's entry."""
    for source in context.root.order:
        found = _header_number(draft, context, name) if source == "header" else None
        if source == "default" and name in context.root.defaults:
            found = _believed(draft, name, context.root.defaults[name], "default")
        if found is not None:
            return found
    return context.camera.fact(name) if name in ("gain", "read_noise", "saturation", "pixel_scale", "longitude") else None


def _header_number(draft: Draft, context: Context, name: str) -> tuple[float, str] | None:
    for keyword in context.camera.keywords(name):
        if keyword not in context.cards:
            continue
        value = context.cards.number(keyword)
        text = context.cards.text(keyword)
        if value is None and text is not None and name in _ANGLES:
            value = dates.parse_sexagesimal(text)
        if value is None:
            if text is not None and not context.camera.instruments.no_value.match(text):
                draft.note(name, f"{keyword} {text!r} is no number")
            continue
        found = _believed(draft, name, value, f"header:{keyword}")
        if found is not None:
            return found
    return None


def _believed(draft: Draft, name: str, value: str | float, origin: str) -> tuple[float, str] | None:
    low, high = _LIMITS[name]
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        draft.note(name, f"{origin} {value} must lie in {low:g} to {high:g}")
        return None
    return number, origin


def _text(context: Context, name: str) -> tuple[str, str] | None:
    for keyword in context.camera.keywords(name):
        text = context.cards.text(keyword)
        if text is not None and not context.camera.instruments.no_value.match(text):
            return text, f"header:{keyword}"
    return None


def _put_exptime(draft: Draft, context: Context) -> None:
    found = _number(draft, context, "exptime")
    if found and found[0] == 0 and draft.values["kind"] != "bias":
        draft.note("exptime", f"{found[1]} is 0")
        found = None
    if found is None:
        draft.flag("NO_EXPTIME")
    draft.put("exptime", *(found or (None, None)))


def _put_gain(draft: Draft, context: Context) -> None:
    """Fill in the electrons per stored unit; a rate or a surface brightness has none."""
    instruments = context.camera.instruments
    unit = _text(context, "bunit")
    draft.put("bunit", *(unit or (None, None)))
    text = unit[0] if unit else ""
    if unit and instruments.rate_units.match(text):
        found = None
        draft.note("gain", f"BUNIT {text!r} is no count")
    elif unit and instruments.electron_units.fullmatch(text):
        found = 1.0, unit[1]
    else:
        found = _number(draft, context, "gain")
    if found is None:
        draft.flag("NO_GAIN")
    draft.put("gain", *(found or (None, None)))


def _put_seeing(draft: Draft, context: Context) -> None:
    found = _number(draft, context, "seeing")
    general = context.camera.instruments.keywords["seeing"]
    if found and context.camera.seeing_in_pixels and found[1].startswith("header:") and found[1].removeprefix("header:") not in general:
        scale = draft.values.get("pixel_scale")
        if scale is None:
            draft.note("seeing", f"{found[1]} counts pixels of unknown size")
        found = None if scale is None else (found[0] * scale, found[1])
    draft.put("seeing", *(found or (None, None)))


def _put_night(draft: Draft, context: Context, times: Times, sites: Mapping[str, SiteSettings]) -> None:
    found: dict[str, tuple[str, str]] = {}
    named = context.path.get("night")
    parsed = dates.parse_date(_leading_date(named)) if named else None
    if parsed is not None:
        found["path"] = dates.iso(math.floor(parsed[0]), True), "path"
    elif named:
        draft.note("night", f"path {named!r} is no date")
    instant = times.mjd_start if times.mjd_start is not None else times.mjd_mid
    if instant is not None:
        longitude, origin = _longitude(draft, context, sites)
        # A date alone is taken for that of the evening.
        found["header"] = (times.date_obs or "", "date") if times.day_only else (dates.night_of(instant, longitude), origin)
    if len(found) == 2 and found["path"][0] != found["header"][0]:
        draft.note("night", f"path {found['path'][0]}, header {found['header'][0]}")
        draft.flag("FIELD_DISAGREES")
    night, origin = next((found[source] for source in context.root.order if source in found), (None, None))
    draft.put("night", night, origin)
    if origin == "UTC":
        draft.flag("NIGHT_UTC")
        draft.note("night", f"counted from UTC noon: {'the telescope is in space' if context.camera.space else 'the site is unknown'}")


def _leading_date(text: str) -> str:
    """Return the date that the name of a night's folder begins with, as in ``2024-01-05_gain2750``."""
    digits = "".join(char if char.isdigit() else " " for char in text[:10]).split()
    if digits and len(digits[0]) == 8:
        return digits[0]
    if digits and len(digits[0]) == 6:
        return f"20{digits[0]}"
    return "-".join(digits[:3])


def _longitude(draft: Draft, context: Context, sites: Mapping[str, SiteSettings]) -> tuple[float | None, str]:
    """Return the east longitude of the site and where it is from: the settings, the header, the instrument's entry."""
    observatory = (draft.values.get("observatory") or "").casefold()
    for name, site in sites.items():
        if name.casefold() == observatory:
            return site.longitude, f"site:{name}"
    found = None if context.camera.space else _number(draft, context, "longitude")
    return found if found is not None else (None, "UTC")
