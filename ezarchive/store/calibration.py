"""Magnitudes and calibrated fluxes of stored rows, from their fluxes and the zero points of their catalogs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

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
    of = {name: _floats(known[name])[place] for name in CALIBRATION.names[1:]}
    new = _calibrated_values({name: _floats(table[name]) for name in _CALIBRATED_FROM}, of)
    for name, values in new.items():
        index = table.column_names.index(name)
        kind = table.schema.field(name).type
        kept = values if hit.all() else np.where(hit, values, _floats(table[name]))
        table = table.set_column(index, name, pa.array(kept, mask=np.isnan(kept)).cast(kind))
    return table


_CALIBRATED_FROM = ("flux", "flux_err", "flux_limit", "mag", "mag_err", "flux_ujy", "flux_ujy_err", "mag_limit", "zero_point")


def _calibrated_values(row: Mapping[str, np.ndarray], of: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the calibrated columns; NaN where there is none."""
    shift = of["zero_point"] - row["zero_point"]
    lost = np.isnan(of["per"])
    with np.errstate(divide="ignore", invalid="ignore"):
        flux = np.where(row["flux"] > 0, row["flux"], np.nan)
        limit = np.where(row["flux_limit"] > 0, row["flux_limit"], np.nan)
        factor = of["per"] * 10 ** ((AB_MICROJANSKY - of["zero_point_ab"]) / 2.5)
        scale = np.where(np.isnan(of["zero_point_ab"]), np.nan, 10 ** (-shift / 2.5))
        mag_limit = of["zero_point"] - 2.5 * np.log10(limit * of["per"])
        mag_limit = np.where(lost, row["mag_limit"] + shift, mag_limit)
        return {
            "mag": np.where(lost, row["mag"] + shift, of["zero_point"] - 2.5 * np.log10(flux * of["per"])),
            "mag_err": np.where(lost, row["mag_err"] + 0 * shift, MAG_PER_RELATIVE_ERROR * row["flux_err"] / flux + 0 * of["zero_point"]),
            "flux_ujy": np.where(lost, row["flux_ujy"] * scale, row["flux"] * factor),
            "flux_ujy_err": np.where(lost, row["flux_ujy_err"] * scale, row["flux_err"] * factor),
            "mag_limit": np.where(np.isnan(mag_limit), of["mag_limit"], mag_limit),
            "zero_point": of["zero_point"],
            "zero_point_err": of["zero_point_err"],
        }


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.float64()).fill_null(np.nan).to_numpy()
