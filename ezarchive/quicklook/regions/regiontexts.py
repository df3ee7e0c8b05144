"""The text forms of region files: each statement through the package ``regions`` by itself, so that one that fails leaves the others.

DS9: a file without a coordinate system is ``physical``, as there. CRTF: as CASA writes it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import regions as rg
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyWarning

PIXEL_FRAMES = ("image", "physical")
_FRAMES = ("image", "physical", "icrs", "fk5", "j2000", "fk4", "b1950", "galactic", "ecliptic", "linear", "amplifier", "detector", "tile")
_WORD = re.compile(r"[+-]?\s*([a-z][a-z0-9]*)", re.IGNORECASE)
_HIDDEN = re.compile(r"#\s*(vector|ruler|compass|projection|segment|text|line|point)\s*\(", re.IGNORECASE)
_BARE = re.compile(r"([+-]?\s*(?:box|ellipse))\s*\(([^()#]*)\)", re.IGNORECASE)
_ANNOTATION = re.compile(r"ann\s", re.IGNORECASE)
_IN_PIXELS = re.compile(r"[^\[]*\[\s*\[[^\]]*pix\s*\]", re.IGNORECASE)
_CORNERS = re.compile(r"[+-]?\s*box\b", re.IGNORECASE)
_ERRORS = (ValueError, KeyError, IndexError, TypeError, AttributeError, UnboundLocalError)


class Statement(NamedTuple):
    """One region of a file: its text, the regions it makes, the frame of pixels that it is in ("" for the sky), or why there are none."""

    text: str
    regions: tuple[Any, ...]
    frame: str
    reason: str


def ds9_statements(text: str) -> Iterator[Statement]:
    """Yield the regions of a DS9 file."""
    everywhere: list[str] = []
    frame = "physical"
    for statement in (part for line in text.splitlines() for part in _split(line)):
        if _HIDDEN.match(statement):
            yield _parsed(statement, statement, "ds9", everywhere, frame) if "text" in statement[:8] else _no_area(statement)
            continue
        word = _WORD.match(statement)
        if not statement or statement.startswith("#"):
            continue
        name = "" if word is None else word[1].lower()
        if name == "global":
            everywhere.append(statement)
        elif name in _FRAMES or re.fullmatch(r"wcs[a-z0]?", name):
            frame = name
        else:
            yield _parsed(statement, _with_angle(statement), "ds9", everywhere, frame)


def crtf_statements(text: str) -> Iterator[Statement]:
    """Yield the regions of a CRTF file; places in ``pix`` are those of the image whatever the file's coordinates are."""
    everywhere: list[str] = []
    for line in (one.strip() for one in text.splitlines()):
        if line.lower().startswith("global"):
            everywhere.append(line)
        elif _ANNOTATION.match(line):
            yield Statement(line, (), "", "not implemented: an annotation, which is nothing to measure in")
        elif line and not line.startswith("#"):
            in_pixels = _IN_PIXELS.match(line) is not None
            found = _parsed(line, f"{line}, coord=IMAGE" if in_pixels else line, "crtf", ["#CRTFv0", *everywhere], "image")
            yield found._replace(regions=tuple(map(_between_corners, found.regions))) if _CORNERS.match(line) else found


def _between_corners(region: Any) -> Any:
    """Return a box between two corners on the sky with its width there: the parser takes the difference in longitude for it."""
    if not isinstance(region, rg.RectangleSkyRegion):
        return region
    center, width = region.center, region.width.to(u.deg)
    if width > 180 * u.deg:  # the corners lie on both sides of longitude 0
        width = 360 * u.deg - width
        place = center.spherical
        center = SkyCoord(place.lon + 180 * u.deg, place.lat, frame=center.frame.replicate_without_data())
    return region.copy(center=center, width=width * np.cos(center.spherical.lat))


def _split(line: str) -> list[str]:
    """Return the statements of a line: between semicolons that are not part of a text, in braces or, after a #, in quotation marks."""
    parts, closing, after = [""], "", False
    for letter in line:
        if closing:
            closing = "" if letter == closing else closing
        elif letter == "{" or (after and letter in "'\""):
            closing = "}" if letter == "{" else letter
        elif letter == ";":
            parts.append("")
            after = False
            continue
        after = after or letter == "#"
        parts[-1] += letter
    return [part.strip() for part in parts]


def _with_angle(statement: str) -> str:
    """Return a box or an ellipse that has no angle with one of 0."""
    found = _BARE.match(statement)
    if found is None or len(re.split(r"[\s,]+", found[2].strip())) != 4:
        return statement
    return f"{found[1]}({found[2]}, 0){statement[found.end() :]}"


def _no_area(text: str) -> Statement:
    return Statement(text, (), "", "not implemented: it has no area")


def _parsed(text: str, statement: str, form: str, before: list[str], frame: str) -> Statement:
    lines = [*before, statement]
    if form == "ds9":
        lines.insert(len(before), "image" if frame == "physical" else frame)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AstropyWarning)
        try:
            made = tuple(rg.Regions.parse("\n".join(lines) + "\n", format=form))
        except _ERRORS as err:
            return Statement(text, (), "", f"it cannot be understood: {err}")
    if not made:
        said = "; ".join(str(one.message) for one in caught)
        return Statement(text, (), "", f"it cannot be understood: {said or 'it is no region'}")
    return Statement(text, made, frame if isinstance(made[0], rg.PixelRegion) else "", "")
