"""The text forms of region files: each statement through the package ``regions`` by itself, so that one that fails leaves the others.

DS9: a file without a coordinate system is ``physical``, as there. CRTF: as CASA writes it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import regions as rg
from astropy.utils.exceptions import AstropyWarning

PIXEL_FRAMES = ("image", "physical")
_FRAMES = ("image", "physical", "icrs", "fk5", "j2000", "fk4", "b1950", "galactic", "ecliptic", "linear", "amplifier", "detector", "tile")
_WORD = re.compile(r"[+-]?\s*([a-z][a-z0-9]*)", re.IGNORECASE)
_HIDDEN = re.compile(r"#\s*(vector|ruler|compass|projection|segment|text|line|point)\s*\(", re.IGNORECASE)
_SEPARATOR = re.compile(r";(?![^{]*\})")
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
    for statement in (part.strip() for line in text.splitlines() for part in _SEPARATOR.split(line)):
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
            yield _parsed(statement, statement, "ds9", everywhere, frame)


def crtf_statements(text: str) -> Iterator[Statement]:
    """Yield the regions of a CRTF file."""
    everywhere: list[str] = []
    for line in (one.strip() for one in text.splitlines()):
        if line.lower().startswith("global"):
            everywhere.append(line)
        elif line and not line.startswith("#"):
            yield _parsed(line, line, "crtf", ["#CRTFv0", *everywhere], "image")


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
