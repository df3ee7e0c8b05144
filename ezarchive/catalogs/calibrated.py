"""Calibrated magnitudes beside instrumental ones: what a zero point adds to a catalog when it is read.

A zero point belongs to one way of measuring: to ``AUTO``, or to a circular aperture of one size. It is found by that size, never by the
suffix of a column; a measurement without a zero point of its own gets no calibrated columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable, Table
from astropy.utils.masked import Masked

from ezarchive import magnitudes
from ezarchive.columns import CALIBRATED, calibrated, suffix
from ezarchive.frames.record import Frame
from ezarchive.magnitudes import SAME_APERTURE, ZeroPoint

_STEMS = tuple(column.name.removesuffix("AUTO") for column in CALIBRATED)


def add_zero_points(table: Table, zero_points: Iterable[ZeroPoint], apertures: Sequence[float | None] = ()) -> QTable:
    """Return a catalog with the columns that zero points add.

    Parameters
    ----------
    table : Table
        A catalog, as `parquet.read_catalog` gives it. It is not changed.
    zero_points : iterable of ZeroPoint
        Those of the catalog's frame (`of_frame`, ``database.zeropoints``); of several for the same measurement the first counts.
    apertures : sequence of float or None
        Diameters of the circular apertures in arcsec, in the order of the suffixes; None where there is no scale.

    Returns
    -------
    QTable
        A new table with the columns of ``columns.calibrated`` for every measurement that has a zero point, after its own columns.
        ``meta["zero_points"]`` maps each calibrated measurement to its `ZeroPoint` as a dict, ``meta["without_zero_point"]`` lists the
        others.

    Notes
    -----
    MAGSKY = ZP - 2.5 log10 FLUX; MAGSKYERR^2 = MAGERR^2 + ZPERR^2; ULnSKY = ZP - 2.5 log10(n SKYSIG_APER); FLUXUJY =
    FLUX 10^((23.9 - ZP_AB) / 2.5). A zero point of a diameter within 1 % of an aperture's is taken as its own, the nearest first. The
    fluxes of ``ELIP`` are calibrated with the zero point of ``AUTO``: both are meant to hold all light, and no star is measured in
    another source's ellipse; light that falls outside the ellipse is not corrected for. Colour terms are not applied: a catalog holds
    no colours.
    """
    known = list(zero_points)
    result = QTable(table, copy=True)
    # What another zero point had added must not stay beside the new one.
    result.remove_columns([name for name in result.colnames if name.startswith(_STEMS)])
    found, without = {}, []
    for measure, diameter in _measures(result, apertures):
        zero_point = find(known, measure, diameter)
        if zero_point is None:
            without.append(measure)
            continue
        _add(result, measure, zero_point)
        found[measure] = zero_point._asdict()
    result.meta["zero_points"] = found
    result.meta["without_zero_point"] = without
    return result


def find(zero_points: Iterable[ZeroPoint], measure: str, diameter: float | None = None) -> ZeroPoint | None:
    """Return the zero point of a measurement, None if there is none.

    Parameters
    ----------
    zero_points : iterable of ZeroPoint
    measure : str
        ``AUTO``, ``ELIP``, or ``APER`` with any suffix.
    diameter : float, optional
        Of the circular aperture, arcsec.
    """
    if not measure.startswith("APER"):
        return next((zero_point for zero_point in zero_points if zero_point.measure == "AUTO"), None)
    if diameter is None:
        return None
    near = [
        zero_point for zero_point in zero_points
        if zero_point.measure == "APER" and zero_point.aperture is not None
        and abs(zero_point.aperture - diameter) <= SAME_APERTURE * diameter
    ]  # fmt: skip
    return min(near, key=lambda zero_point: abs(zero_point.aperture - diameter), default=None)


def of_frame(frame: Frame | None, stored: Iterable[ZeroPoint] = ()) -> list[ZeroPoint]:
    """Return the zero points of a frame: the stored ones first, then that of its header.

    Parameters
    ----------
    frame : Frame or None
    stored : iterable of ZeroPoint
        Those in the database.

    Returns
    -------
    list of ZeroPoint
        That of the header is left out where its aperture is not known, or a stored one has the same.
    """
    known = list(stored)
    if frame is None or frame.zero_point is None or frame.zero_point_aperture is None:
        return known
    if find(known, "APER", frame.zero_point_aperture) is not None:
        return known
    error = np.nan if frame.zero_point_err is None else frame.zero_point_err
    offset = 0.0 if (frame.zero_point_system or "").upper() == "AB" else None
    return [*known, ZeroPoint("APER", frame.zero_point_aperture, frame.zero_point, error, frame.zero_point_system, offset)]


def _measures(table: QTable, apertures: Sequence[float | None]) -> list[tuple[str, float | None]]:
    """Return the measurements that a table holds, with the diameters of those that have one."""
    candidates = [("AUTO", None), *((f"APER{suffix(index)}", diameter) for index, diameter in enumerate(apertures)), ("ELIP", None)]
    return [(measure, diameter) for measure, diameter in candidates if f"FLUX_{measure}" in table.colnames]


def _add(table: QTable, measure: str, zero_point: ZeroPoint) -> None:
    flux, error = _values(table, f"FLUX_{measure}"), _values(table, f"FLUXERR_{measure}")
    sky = _values(table, f"SKYSIG_{measure}")
    value, factor = zero_point.value, magnitudes.flux_to_ujy(1.0, zero_point.ab)
    values = {
        "MAGSKY": magnitudes.flux_to_mag(flux, value),
        "MAGSKYERR": np.hypot(magnitudes.mag_error(flux, error), zero_point.error),
        "FLUXUJY": flux * factor,
        "FLUXUJYERR": error * factor,
        "UL5SKY": magnitudes.upper_limit(sky, 5, value),
        "UL3SKY": magnitudes.upper_limit(sky, 3, value),
        "ZP": np.full(len(table), value),
        "ZPERR": np.full(len(table), zero_point.error),
    }
    place = _after(table, measure)
    for column in calibrated(measure):
        quantity = u.Quantity(values[column.name.removesuffix(f"_{measure}")], column.unit)
        missing = np.isnan(quantity.value)
        table.add_column(Masked(quantity, mask=missing) if missing.any() else quantity, name=column.name, index=place)
        table[column.name].info.description = column.description
        table[column.name].info.meta = {"ucd": column.ucd}
        place += 1


def _after(table: QTable, measure: str) -> int:
    """Return the place behind the last column of a measurement."""
    return 1 + max(place for place, name in enumerate(table.colnames) if name.endswith(f"_{measure}"))


def _values(table: QTable, name: str) -> np.ndarray:
    """Return a column as floats, NaN where it is missing or there is no such column."""
    if name not in table.colnames:
        return np.full(len(table), np.nan)
    column: Any = table[name]
    mask = getattr(column, "mask", None)
    bare = getattr(column, "unmasked", column)
    array = np.array(np.ma.getdata(getattr(bare, "value", bare)), dtype=float)
    if mask is not None:
        array[np.broadcast_to(mask, array.shape)] = np.nan
    return array
