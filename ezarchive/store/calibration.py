"""Magnitudes and calibrated fluxes of stored rows, from their fluxes and the zero points of their catalogs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ezarchive.magnitudes import AB_MICROJANSKY, MAG_PER_RELATIVE_ERROR

CALIBRATION = pa.schema([
    ("catalog_id", pa.int64()), ("per", pa.float64()), ("zero_point", pa.float64()), ("zero_point_err", pa.float64()),
    ("zero_point_ab", pa.float64()), ("mag_limit", pa.float64()),
])  # fmt: skip
"""What is known of a catalog's calibration: ``per`` is what its fluxes were divided by, ``zero_point`` is the magnitude of 1 stored unit
per exposure, ``zero_point_ab`` the same in AB (NULL where it is not known), ``mag_limit`` the 5-sigma limit of its frame."""


def calibrated(table: pa.Table, calibration: pa.Table) -> pa.Table:
    """Return rows with the calibration of their catalogs.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns of ``columns.STORE`` or ``columns.ORPHAN``; it is not changed.
    calibration : pyarrow.Table
        `CALIBRATION`, one row a catalog. Rows of catalogs that are not in it stay as they are.

    Returns
    -------
    pyarrow.Table
        With ``mag mag_err flux_ujy flux_ujy_err mag_limit zero_point zero_point_err`` made anew.

    Notes
    -----
    With F = flux per: mag = zero_point - 2.5 log10 F and mag_err = 1.0857 flux_err / flux where F > 0; flux_ujy = F
    10^((23.9 - zero_point_ab) / 2.5); mag_limit = zero_point - 2.5 log10(flux_limit per), or else the frame's. All of it follows from
    what is stored, in float64: calibrating twice is the same as once.

    Where ``per`` is not known there is no flux, and magnitudes are shifted by the difference of the zero points.
    """
    catalog = table["catalog_id"].to_numpy()
    known = calibration.select(CALIBRATION.names).cast(CALIBRATION).sort_by("catalog_id")
    numbers = known["catalog_id"].to_numpy()
    place = np.minimum(np.searchsorted(numbers, catalog), max(len(numbers) - 1, 0))
    hit = numbers[place] == catalog if len(numbers) else np.zeros(len(catalog), bool)
    if not hit.any():
        return table
    of = {name: _floats(known[name]) for name in CALIBRATION.names[1:]}
    new = from_fluxes(table, of, place)
    lost = np.isnan(of["per"])[place]
    if lost.any():
        new |= _shifted({name: _floats(table[name]) for name in _SHIFTED}, of, place, lost, new)
    for name, values in new.items():
        index = table.column_names.index(name)
        kept = values if hit.all() else np.where(hit, values, _floats(table[name]))
        table = table.set_column(index, name, nullable(kept, table.schema.field(name).type))
    return table


_SHIFTED = ("mag", "mag_err", "flux_ujy", "flux_ujy_err", "mag_limit", "zero_point")


def from_fluxes(table: pa.Table, of: Mapping[str, NDArray[np.float64]], place: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return the calibrated columns of rows, made of their fluxes.

    Parameters
    ----------
    table : pyarrow.Table
        With ``flux flux_err flux_limit``.
    of : mapping
        The columns of `CALIBRATION` but the first, NaN for NULL.
    place : ndarray of int64, shape (n,)
        Where each row's catalog is in them.

    Returns
    -------
    dict
        Name -> ndarray of float64, shape (n,); NaN where there is none. Without ``per`` there is but the zero point and its limit.
    """
    flux, err, limit = (_floats(table[name]) for name in ("flux", "flux_err", "flux_limit"))
    zero_point, per = of["zero_point"][place], of["per"][place]
    with np.errstate(divide="ignore", invalid="ignore"):
        positive = np.where(flux > 0, flux, np.nan)
        factor = (of["per"] * 10 ** ((AB_MICROJANSKY - of["zero_point_ab"]) / 2.5))[place]
        mag_limit = zero_point - 2.5 * np.log10(np.where(limit > 0, limit, np.nan) * per)
        return {
            "mag": zero_point - 2.5 * np.log10(positive * per),
            "mag_err": MAG_PER_RELATIVE_ERROR * err / positive + 0 * zero_point,
            "flux_ujy": flux * factor,
            "flux_ujy_err": err * factor,
            "mag_limit": np.where(np.isnan(mag_limit), of["mag_limit"][place], mag_limit),
            "zero_point": zero_point,
            "zero_point_err": of["zero_point_err"][place],
        }


def nullable(values: NDArray[np.float64], kind: pa.DataType) -> pa.Array:
    """Return numbers as a column, NULL where they are NaN."""
    return pa.array(values, mask=np.isnan(values)).cast(kind)


def _shifted(
    row: Mapping[str, np.ndarray], of: Mapping[str, np.ndarray], place: np.ndarray, lost: np.ndarray, new: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the calibrated columns with those of catalogs without ``per`` made of what they were."""
    shift = of["zero_point"][place] - row["zero_point"]
    scale = np.where(np.isnan(of["zero_point_ab"][place]), np.nan, 10 ** (-shift / 2.5))
    mag_limit = row["mag_limit"] + shift
    made = {
        "mag": row["mag"] + shift,
        "mag_err": row["mag_err"] + 0 * shift,
        "flux_ujy": row["flux_ujy"] * scale,
        "flux_ujy_err": row["flux_ujy_err"] * scale,
        "mag_limit": np.where(np.isnan(mag_limit), of["mag_limit"][place], mag_limit),
    }
    return {name: np.where(lost, values, new[name]) for name, values in made.items()}


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.float64()).fill_null(np.nan).to_numpy()
