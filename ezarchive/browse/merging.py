"""One table of the objects in several catalogs: a row an object, a column for each catalog and key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable
from astropy.utils.masked import Masked

from ezarchive.browse.catalog import Catalog
from ezarchive.browse.selection import plain_number
from ezarchive.catalogs.merge import group
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.plots.common import numbers
from ezarchive.sky import from_vectors, unit_vectors

DATA_KEYS = ("MAGSKY_AUTO", "MAGSKYERR_AUTO", "MAG_AUTO", "MAGERR_AUTO", "FLUX_AUTO", "FLUXERR_AUTO", "MAGSKY_APER", "MAGSKYERR_APER",
             "MAG_APER", "MAGERR_APER", "FLAGS")  # fmt: skip
"""Columns that `merge` takes over unless told otherwise, as far as any catalog has them."""

JOIN_TYPES = ("outer", "inner")


def merge(
    catalogs: Sequence[Catalog], max_distance_arcsec: Any, keys: tuple[str, str], data_keys: Iterable[str] | str | None, join_type: str
) -> tuple[QTable, dict[int, Any]]:
    """Merge catalogs; `CatalogSet.merge_catalogs` tells the rest."""
    if join_type not in JOIN_TYPES:
        raise InputError(f"join_type={join_type!r}: must be one of {', '.join(JOIN_TYPES)}")
    distance = plain_number("max_distance_arcsec", max_distance_arcsec, "arcsec")
    if isinstance(distance, bool) or not isinstance(distance, (int, float, np.number)):
        raise InputError(f"max_distance_arcsec={max_distance_arcsec!r}: must be a number of arcsec, or an angle")
    tables = [item.target_data for item in catalogs]
    places = [_places(item, table, keys) for item, table in zip(catalogs, tables, strict=True)]
    kept = [np.flatnonzero(np.isfinite(ra) & np.isfinite(dec)) for ra, dec in places]
    owner = np.repeat(np.arange(len(tables)), [len(rows) for rows in kept])
    ra, dec = (np.concatenate([place[axis][rows] for place, rows in zip(places, kept, strict=True)] or [[]]) for axis in (0, 1))
    labels = group(ra, dec, owner, float(distance))
    made = _objects(ra, dec, labels)
    for number, (table, rows) in enumerate(zip(tables, kept, strict=True)):
        place = np.full(len(made), -1)
        place[labels[owner == number]] = rows
        for key in _keys(tables, data_keys):
            made[f"{key}_idx{number}"] = _spread(table, tables, key, place)
    made.meta["without_position"] = sum(len(place[0]) - len(rows) for place, rows in zip(places, kept, strict=True))
    if join_type == "inner":
        made = made[np.asarray(made["n_detections"]) == len(tables)]
    return made, {number: item.info for number, item in enumerate(catalogs)}


def _places(item: Catalog, table: QTable, keys: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
    for key in keys:
        if key not in table.colnames and len(table):
            raise InputError(f"{item!r}: lacks the column {key!r}; ra_key and dec_key must name its sky coordinates, degrees")
    return tuple(numbers(table[key]) if key in table.colnames else np.zeros(0) for key in keys)


def _objects(ra: np.ndarray, dec: np.ndarray, labels: np.ndarray) -> QTable:
    n = int(labels.max()) + 1 if len(labels) else 0
    made = QTable()
    if n:
        vectors = np.atleast_2d(unit_vectors(ra, dec))
        mean_ra, mean_dec = from_vectors(np.stack([np.bincount(labels, weights=axis, minlength=n) for axis in vectors.T], axis=1))
    else:
        mean_ra = mean_dec = np.zeros(0)
    made["ra"], made["dec"] = u.Quantity(mean_ra, u.deg), u.Quantity(mean_dec, u.deg)
    made["ra"].info.description = made["dec"].info.description = "mean of the detections, ICRS"
    made["n_detections"] = np.bincount(labels, minlength=n).astype(np.int32)
    made["n_detections"].info.description = "catalogs with the object"
    made["coord"] = SkyCoord(made["ra"], made["dec"])
    return made


def _keys(tables: Sequence[QTable], data_keys: Iterable[str] | str | None) -> list[str]:
    there = {name for table in tables for name in table.colnames}
    if data_keys is None:
        return [key for key in DATA_KEYS if key in there]
    keys = [data_keys] if isinstance(data_keys, str) else list(data_keys)
    for key in keys:
        if key not in there and any(len(table.colnames) for table in tables):
            raise UnknownNameError("data_keys", key, there)
    return keys


def _spread(table: QTable, tables: Sequence[QTable], key: str, place: np.ndarray) -> Any:
    """Return a column of a catalog, one value an object, masked where the catalog has none."""
    source = table if key in table.colnames else next(other for other in tables if key in other.colnames)
    column = source[key]
    missing = place < 0
    if source is not table:
        missing = np.ones(len(place), bool)
    plain = np.asarray(getattr(getattr(column, "unmasked", column), "value", np.ma.getdata(column)))
    mask = np.broadcast_to(getattr(column, "mask", False), plain.shape)
    values = np.zeros(len(place), plain.dtype)
    values[~missing] = plain[place[~missing]]
    hidden = missing.copy()
    hidden[~missing] |= mask[place[~missing]]
    unit = getattr(column, "unit", None)
    if unit is not None and values.dtype.kind == "f":
        return Masked(u.Quantity(values, unit), mask=hidden)
    return MaskedColumn(values, mask=hidden)
