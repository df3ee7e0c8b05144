"""Rows of aperture photometry as plain columns (`Flat`), and as tables with units: the way there and back."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, QTable, Table
from astropy.time import Time

from ezarchive import columns as stored
from ezarchive.errors import InputError
from ezarchive.flags import FLAGS_LOOK, value

Flat = dict[str, np.ndarray]
"""Columns of `columns.LOOK` and ``id``, each of shape (n,): numbers (NaN where there is none) in `UNITS` or in the units that the columns
``unit`` and ``sum_unit`` name row by row; texts as objects."""

SPECS = {column.name: column for column in stored.LOOK}
DATA = (
    "background", "background_err", "background_std", "sum_raw", "min", "max", "mean", "median", "mode", "std", "mad_std",
    "biweight_location", "flux_scaling_raw",
)  # fmt: skip
DATA_SQUARED = ("var", "biweight_midvariance")
PER_COUNT = ("counts_fac",)
SUM = ("sum", "sum_err", "flux_scaling")
INTEGERS = tuple(name for name, spec in SPECS.items() if spec.dtype.startswith("int"))
TEXTS = tuple(name for name, spec in SPECS.items() if spec.dtype == "str")
UNITS = {name: u.Unit("ct" if spec.unit == "count" else spec.unit) for name, spec in SPECS.items() if spec.unit is not None}
SKY = {"sky_centroid": ("ra_centroid", "dec_centroid"), "sky_center": ("ra_center", "dec_center")}

_AFTER = {"ycentroid": "sky_centroid", "ycenter": "sky_center"}
ALL = (
    "id",
    *(
        name
        for spec in SPECS
        if spec not in {one for pair in SKY.values() for one in pair}
        for name in ((spec, _AFTER[spec]) if spec in _AFTER else (spec,))
    ),
)
"""Columns of the table, in order: those of the reference, then ours."""

LEGACY = {
    "id": "id", "xcenter": "xcenter", "ycenter": "ycenter", "sky_center": "sky_center", "background": "background",
    "npix": "sum_aper_area", "aperture_sum": "sum", "pixarea_tot": "pixarea_tot", "aperture_sum_counts": "aperture_sum_counts",
    "aperture_sum_counts_err": "aperture_sum_counts_err", "counts_fac": "counts_fac", "aperture_sum_mag": "aperture_sum_mag",
    "flux_scaling": "flux_scaling", "mean": "mean", "stddev": "std", "median": "median", "min": "min", "max": "max",
    "data_label": "data_label", "subset_label": "subset_label", "timestamp": "timestamp",
}  # fmt: skip
"""The 21 columns of the oldest manual, in order, and what each of them is called now."""


def empty(n: int) -> Flat:
    """Return n rows that hold nothing: NaN, 0, and empty texts."""
    flat: Flat = {"id": np.arange(1, n + 1)}
    for name in SPECS:
        kind = object if name in TEXTS else np.int64 if name in INTEGERS else float
        flat[name] = np.full(n, "" if kind is object else 0 if kind is np.int64 else np.nan, dtype=kind)
    return flat


def stacked(blocks: Sequence[Flat]) -> Flat:
    """Return blocks of rows as one, numbered anew from 1."""
    flat = {name: np.concatenate([block[name] for block in blocks]) for name in empty(0)} if blocks else empty(0)
    flat["id"] = np.arange(1, len(flat["id"]) + 1)
    return flat


def in_common_units(flat: Flat) -> Flat:
    """Return the rows in the units of the first of them that has any, where all can be converted; else as they are."""
    made = dict(flat)
    for name, powers in (("unit", [(DATA, 1), (DATA_SQUARED, 2), (PER_COUNT, 1)]), ("sum_unit", [(SUM, 1)])):
        texts, measured = flat[name], _measured(flat)
        units = list(dict.fromkeys(texts[measured].tolist()))
        if len(units) < 2 or not all(_unit(one).is_equivalent(_unit(units[0])) and one for one in units):
            continue
        factors = {one: _unit(one).to(_unit(units[0])) for one in units}
        factor = np.array([factors.get(one, 1.0) for one in texts])
        for members, power in powers:
            made |= {member: flat[member] * factor**power for member in members}
        made[name] = np.where(measured, units[0], texts).astype(object)
    return made


def units_of(flat: Flat) -> dict[str, u.UnitBase]:
    """Return the unit of each column that has one in all its rows."""
    units: dict[str, u.UnitBase] = dict(UNITS)
    pixels, sums = _common(flat, "unit"), _common(flat, "sum_unit")
    if pixels is not None:
        units |= dict.fromkeys(DATA, pixels) | dict.fromkeys(DATA_SQUARED, pixels**2) | dict.fromkeys(PER_COUNT, pixels / u.ct)
    return units if sums is None else units | dict.fromkeys(SUM, sums)


def table_of(flat: Flat, columns: Any = "all") -> QTable:
    """Return rows as a table: quantities, `SkyCoord` (NaN without a WCS) and `Time`.

    Parameters
    ----------
    flat : Flat
    columns : {"all", "legacy"} or sequence of str
        Every column, the 21 of the oldest manual under its names, or some of `ALL`.

    Returns
    -------
    QTable
        Units in which not all rows can be had are left to the columns ``unit`` and ``sum_unit``, and the numbers are plain.

    Raises
    ------
    InputError
        If there are no such columns.
    """
    names = check_columns(columns)
    flat = in_common_units(flat)
    units = units_of(flat)
    table = QTable()
    for shown, name in names.items():
        if name in SKY:
            table[shown] = SkyCoord(*(flat[axis] for axis in SKY[name]), unit="deg", frame="icrs")
        elif name == "timestamp":
            table[shown] = _times(flat[name])
        elif name in TEXTS:
            table[shown] = flat[name].astype(str)
        else:
            table[shown] = flat[name].copy() if name not in units else u.Quantity(flat[name].copy(), units[name])
        if name in SPECS:
            table[shown].info.description = SPECS[name].description
    return table


def check_columns(columns: Any) -> dict[str, str]:
    """Return the names that columns get in a table, and what they are here; see `table_of`."""
    if isinstance(columns, str) and columns in ("all", "legacy"):
        return {name: name for name in ALL} if columns == "all" else LEGACY
    names = [columns] if isinstance(columns, str) or not isinstance(columns, Iterable) else list(columns)
    for name in names:
        if not isinstance(name, str) or name not in ALL:
            raise InputError(f"columns: {name!r} is none; must be 'all', 'legacy' or some of {', '.join(ALL)}")
    return {name: name for name in names}


def flat_of(table: Table) -> Flat:
    """Return the rows of a table that `table_of` made, or of a file of results; what it lacks is NaN, 0 or empty.

    Raises
    ------
    InputError
        If it is no table of aperture photometry, or holds a unit that conflicts with ``unit`` or ``sum_unit``.
    """
    if not isinstance(table, Table) or not {"data_label", "subset_label"} <= set(table.colnames):
        raise InputError("results: must be a table of aperture_photometry, with the columns data_label and subset_label")
    flat = empty(len(table))
    old = {} if "sum" in table.colnames else {name: shown for shown, name in LEGACY.items()}
    for name in flat:
        shown = old.get(name, name)
        if shown in table.colnames:
            flat[name] = _plain(table[shown], name)
    for name, axes in SKY.items():
        if name in table.colnames and isinstance(table[name], SkyCoord):
            place = table[name].icrs
            flat |= {axes[0]: np.array(place.ra.deg, float), axes[1]: np.array(place.dec.deg, float)}
    _restore_units(flat, table, old)
    nameless = flat["calculation"] == ""
    if nameless.any():
        flat["calculation"][nameless], flat["row"][nameless] = str(uuid.uuid4()), np.arange(1, nameless.sum() + 1)
    return flat


def as_plain_table(flat: Flat) -> Table:
    """Return rows as a table of plain columns, each in the row's own unit; a column says its unit where all rows share it."""
    units = units_of(flat)
    table = Table()
    for name, values in flat.items():
        spec = SPECS.get(name)
        plain = values.astype(str) if name in TEXTS else values
        table[name] = Column(plain, unit=units.get(name), description=None if spec is None else spec.description)
    return table


def rows_of(flat: Flat) -> list[dict[str, Any]]:
    """Return rows as dicts of plain values: what is not finite and empty texts become None."""
    lists = {}
    for name, values in flat.items():
        if name in TEXTS:
            lists[name] = [text or None for text in values.tolist()]
        else:
            lists[name] = [one if math.isfinite(one) else None for one in values.tolist()]
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _measured(flat: Flat) -> np.ndarray:
    return (flat["flags"] & value(FLAGS_LOOK, "FAILED")) == 0


def _unit(text: str) -> u.UnitBase:
    return u.Unit(text)


def _common(flat: Flat, name: str) -> u.UnitBase | None:
    texts = set(flat[name][_measured(flat)].tolist())
    return _unit(text) if len(texts) == 1 and (text := texts.pop()) else None


def _times(texts: np.ndarray) -> Time:
    """Return moments of ISO texts, masked where they are empty."""
    if not len(texts):
        return Time(np.empty(0), format="mjd")
    missing = texts == ""
    times = Time(np.where(missing, "2000-01-01T00:00:00", texts).astype(str), format="isot", scale="utc")
    if missing.any():
        times[missing] = np.ma.masked
    return times


def _plain(column: Any, name: str) -> np.ndarray:
    if name in TEXTS:
        if isinstance(column, Time):
            column = np.ma.array(column.utc.unmasked.isot, mask=column.mask)
        texts = np.ma.filled(np.ma.asarray(column).astype(object), "")
        return np.array([one.decode() if isinstance(one, bytes) else str(one) for one in texts], dtype=object)
    if isinstance(column, u.Quantity):
        filled = column.filled(np.nan) if hasattr(column, "filled") else column
        return np.array(filled.to_value(UNITS[name]) if name in UNITS else filled.value, float)
    values = np.ma.asarray(column)
    return np.array(values.filled(0), np.int64) if name in INTEGERS or name == "id" else np.array(values.astype(float).filled(np.nan))


def _restore_units(flat: Flat, table: Table, old: dict[str, str]) -> None:
    """Bring quantities to the units that the rows name; where they name none (a legacy table), take those of the quantities."""
    for name, key, groups in (
        ("unit", "background", [(DATA, 1), (DATA_SQUARED, 2)]),
        ("sum_unit", "sum", [(SUM, 1)]),
    ):
        column = table[old.get(key, key)] if old.get(key, key) in table.colnames else None
        if not isinstance(column, u.Quantity) or column.unit == u.dimensionless_unscaled:
            continue
        if not any(flat[name].tolist()):
            flat[name][:] = column.unit.to_string()
        wanted = _common(flat, name)
        if wanted is None:
            continue
        for members, power in groups:
            for member in members:
                found = table[old.get(member, member)] if old.get(member, member) in table.colnames else None
                if isinstance(found, u.Quantity):
                    if not found.unit.is_equivalent(wanted**power):
                        raise InputError(f"results: the unit {found.unit} of {member} conflicts with the {name} {wanted}")
                    flat[member] = np.array(found.to_value(wanted**power), float)
