"""The table of sources, made column by column from ``columns.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import astropy.units as u
import numpy as np
from astropy.table import MaskedColumn, QTable

from ezarchive import columns, magnitudes
from ezarchive.columns import Column
from ezarchive.photometry.aperture import ApertureSums


def build(values: Mapping[str, np.ndarray], apertures: Sequence[ApertureSums], diameters: Sequence[float]) -> QTable:
    """Make the table of sources.

    Parameters
    ----------
    values : mapping of str to ndarray, shape (n,)
        Columns of ``columns.SOURCE``; NUMBER, SNR, magnitudes and axis ratios are made here from the others.
    apertures : sequence of ApertureSums
        In the order of their suffixes.
    diameters : sequence of float
        Theirs, pixels.

    Returns
    -------
    QTable
        All columns of ``columns.SOURCE`` and ``columns.aperture(i)``, with units, types and descriptions.
    """
    values = dict(values) | _derived(values)
    named: dict[str, tuple[Column, np.ndarray]] = {column.name: (column, values[column.name]) for column in columns.SOURCE}
    for index, (sums, diameter) in enumerate(zip(apertures, diameters, strict=True)):
        for column, item in zip(columns.aperture(index), _aperture_values(sums, diameter), strict=True):
            named[column.name] = (column, item)
    table = QTable({name: _column(column, item) for name, (column, item) in named.items()}, copy=False)
    for name, (column, _) in named.items():
        table[name].info.description = column.description
    return table


def _derived(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    flux, err, a, b = (np.asarray(values[name], float) for name in ("FLUX_AUTO", "FLUXERR_AUTO", "A_IMAGE", "B_IMAGE"))
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "NUMBER": np.arange(1, len(flux) + 1),
            "MAG_AUTO": magnitudes.flux_to_mag(flux),
            "MAGERR_AUTO": magnitudes.mag_error(flux, err),
            "SNR": np.where(err > 0, flux / err, np.nan),
            "ELONGATION": np.where(b > 0, a / b, np.nan),
            "ELLIPTICITY": np.where(a > 0, 1 - b / a, np.nan),
        }


def _aperture_values(sums: ApertureSums, diameter: float) -> tuple[np.ndarray, ...]:
    """Return the values in the order of ``columns.APERTURE``."""
    return (
        sums.flux,
        sums.flux_err,
        magnitudes.flux_to_mag(sums.flux),
        magnitudes.mag_error(sums.flux, sums.flux_err),
        sums.sky_sigma,
        magnitudes.upper_limit(sums.sky_sigma, 5),
        magnitudes.upper_limit(sums.sky_sigma, 3),
        sums.area,
        np.full(len(sums.flux), np.pi * diameter**2 / 4),
        np.full(len(sums.flux), diameter),
        sums.flags,
    )


def _column(column: Column, item: np.ndarray) -> u.Quantity | MaskedColumn | np.ndarray:
    if np.ma.isMaskedArray(item):
        # Only integers: a missing float is NaN.
        return MaskedColumn(item.astype(column.dtype))
    array = np.asarray(item).astype(column.dtype)
    return array if column.unit is None else u.Quantity(array, column.unit, dtype=array.dtype, copy=False)
