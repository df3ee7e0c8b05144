"""Places by which rows of a catalog are found: what users write, and what the table holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from ezarchive import sky
from ezarchive.browse.selection import plain_number
from ezarchive.catalogs.match import Matches
from ezarchive.errors import InputError
from ezarchive.plots.common import numbers

UNITS = {"coord": ("ALPHA_J2000", "DELTA_J2000", "arcsec"), "pixel": ("X_IMAGE", "Y_IMAGE", "pix")}
"""Kind of a place -> the columns that hold it, and the unit of a distance."""


def coordinates(table: Table, unit: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the places of rows, NaN where they have none, and the unit of a distance between them.

    Raises
    ------
    InputError
        If the kind is none of `UNITS`, or the table lacks its columns.
    """
    if unit not in UNITS:
        raise InputError(f"unit={unit!r}: must be 'coord' or 'pixel'")
    first, second, distance = UNITS[unit]
    for name in (first, second):
        if name not in table.colnames:
            raise InputError(f"data: lacks the column {name!r}; it holds {', '.join(table.colnames[:12])}")
    return numbers(table[first]), numbers(table[second]), distance


def row_names(table: Table) -> list[str]:
    """Return what rows are called: their target_id, else their NUMBER, else their place in the table from 0."""
    name = next((name for name in ("target_id", "NUMBER") if name in table.colnames), None)
    return [str(item) for item in (range(len(table)) if name is None else table[name])]


def positions(x: Any, y: Any, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Return positions as two arrays of plain numbers."""
    if unit == "coord" and isinstance(x, SkyCoord):
        if y is not None:
            raise InputError("x, y: y must be left out when x is a SkyCoord")
        return np.atleast_1d(x.icrs.ra.deg), np.atleast_1d(x.icrs.dec.deg)
    if unit == "coord" and (isinstance(x, str) or (y is None and np.size(x) and isinstance(np.ravel(x)[0], str))):
        texts = [x] if isinstance(x, str) and y is None else [(x, y)] if isinstance(x, str) else list(x)
        places = [sky.parse_position(text, "x, y") for text in texts]
        return np.array([ra for ra, _ in places]), np.array([dec for _, dec in places])
    if y is None:
        raise InputError(f"y: must be given with x={x!r}; only a SkyCoord or a text holds both")
    wanted = u.deg if unit == "coord" else u.pix
    try:
        numbers = [value.to_value(wanted) if isinstance(value, u.Quantity) else value for value in (x, y)]
    except u.UnitConversionError as err:
        raise InputError(f"x, y: must be in {wanted}, found {x!r} and {y!r}") from err
    try:
        return tuple(np.atleast_1d(np.asarray(value, dtype=float)) for value in numbers)
    except (TypeError, ValueError) as err:
        raise InputError(f"x, y: must be numbers, found {x!r} and {y!r}") from err


def matching_distance(radius: Any, unit: str) -> float:
    """Return a radius as a plain number of arcsec, or of pixels."""
    if isinstance(radius, str) and unit == "coord":
        return sky.parse_angle(radius, "matching_radius") * 3600.0
    number = plain_number("matching_radius", radius, UNITS[unit][2])
    if isinstance(number, bool) or not isinstance(number, (int, float, np.integer, np.floating)):
        raise InputError(f"matching_radius={radius!r}: must be a number{' or an angle' if unit == 'coord' else ''}")
    return float(number)


def matched(data: QTable, found: Matches, unit: str) -> QTable:
    """Return the rows of pairs, with their distance in a unit and the place of the position that they belong to."""
    table = data[found.row]
    table["separation"] = u.Quantity(found.separation, unit)
    table["separation"].info.description = "distance from the position asked for"
    table["input_index"] = found.wanted.astype(np.int32)
    table["input_index"].info.description = "place of the position in the list, from 0"
    return table
