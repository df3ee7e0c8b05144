"""The tables of forced photometry, made column by column from ``columns.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import MaskedColumn, QTable
from astropy.wcs import WCS

from ezarchive import columns, magnitudes, sky
from ezarchive.columns import Column
from ezarchive.errors import InputError
from ezarchive.photometry.forcedsums import Measured, Result
from ezarchive.sky import ellipses
from ezarchive.sky.ellipses import Ellipses

_HEALPIX_ORDER = 29


def position_values(
    x: np.ndarray,
    y: np.ndarray,
    found: Result,
    *,
    wcs: WCS | None,
    world: tuple[np.ndarray, np.ndarray] | None,
    ids: Sequence[Any] | None,
    sky_source: str,
) -> dict[str, np.ndarray]:
    """Return the columns of ``columns.FORCED``.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        0-based pixels.
    found : Result
    wcs, world, ids, sky_source
        As of ``forced.circular``.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        BACKGROUND is the level of the background, or where there is none that of the ring of the first aperture; with both, their sum.

    Raises
    ------
    InputError
        If identifiers or sky positions are not as many as the pixel positions.
    """
    n = len(x)
    ra, dec = _sky_positions(x, y, wcs, world)
    known = np.isfinite(ra) & np.isfinite(dec)
    cells = np.zeros(n, np.int64)
    if known.any():
        cells[known] = sky.cell_of(ra[known], dec[known], _HEALPIX_ORDER)
    level, sigma = found.sky, found.sigma
    if found.apertures:
        first = found.apertures[0]
        level = np.where(np.isnan(level), first.ring, level + np.nan_to_num(first.ring))
        sigma = np.where(np.isnan(sigma), first.ring_sigma, sigma)
    return {
        "_healpix_29": np.ma.array(cells, mask=~known),
        "NUMBER": np.arange(1, n + 1),
        "target_id": _identifiers(ids, n),
        "X_IMAGE": x,
        "Y_IMAGE": y,
        "X_WORLD": ra,
        "Y_WORLD": dec,
        "ALPHA_J2000": ra.copy(),
        "DELTA_J2000": dec.copy(),
        "BACKGROUND": level,
        "SKYSIG": sigma,
        "sky_source": np.full(n, sky_source),
    }


Named = dict[Column, np.ndarray]
"""Columns in their order, each in its unit, not yet a table."""


def circular_columns(values: Mapping[str, np.ndarray], found: Result, diameters: Sequence[float], *, ring: bool) -> Named:
    """Return the columns of circles: ``columns.FORCED``, and ``aperture(i)`` (and ``annulus(i)``) for each of the diameters (pixels)."""
    named = {column: values[column.name] for column in columns.FORCED}
    for index, (one, diameter) in enumerate(zip(found.apertures, diameters, strict=True)):
        size = np.full(len(one.flux), diameter)
        measured = measured_columns(one) | {"NPIX_NOM": np.pi * size**2 / 4, "PIXSIZE": size}
        for plain, column in zip(columns.APERTURE, columns.aperture(index), strict=True):
            named[column] = measured[plain.name.removesuffix("_APER")]
        if ring:
            named |= dict(zip(columns.annulus(index), (one.ring, one.ring_err, one.ring_pixels), strict=True))
    return named


def elliptical_columns(
    values: Mapping[str, np.ndarray], found: Result, shapes: Ellipses, jacobian: np.ndarray | None, *, ring: bool
) -> Named:
    """Return the columns of ellipses: ``columns.FORCED``, ``columns.ELLIPSE`` (and ``columns.ELLIPSE_ANNULUS``)."""
    (one,) = found.apertures
    missing = np.full(len(shapes.a), np.nan)
    a, b, angle = (missing, missing, missing) if jacobian is None else ellipses.on_sky(shapes, jacobian)
    measured = {f"{name}_ELIP": item for name, item in measured_columns(one).items()}
    measured |= {
        "SMA_IMAGE": shapes.a, "SMI_IMAGE": shapes.b, "THETA_IMAGE": shapes.theta,
        "SMA_WORLD": a, "SMI_WORLD": b, "THETA_SKY": angle,
        "NPIX_NOM_ELIP": shapes.area,
        "BACKGROUND_ELIP": one.ring, "BACKGROUNDERR_ELIP": one.ring_err, "NPIX_ANNULUS_ELIP": one.ring_pixels,
    }  # fmt: skip
    listed = (*columns.ELLIPSE, *columns.ELLIPSE_ANNULUS) if ring else columns.ELLIPSE
    return {column: values[column.name] for column in columns.FORCED} | {column: measured[column.name] for column in listed}


def measured_columns(one: Measured) -> dict[str, np.ndarray]:
    """Return the columns that circles and ellipses have in common, by the stems of their names."""
    return {
        "FLUX": one.flux,
        "FLUXERR": one.flux_err,
        "MAG": magnitudes.flux_to_mag(one.flux),
        "MAGERR": magnitudes.mag_error(one.flux, one.flux_err),
        "SKYSIG": one.sky_sigma,
        "UL5": magnitudes.upper_limit(one.sky_sigma, 5),
        "UL3": magnitudes.upper_limit(one.sky_sigma, 3),
        "NPIX": one.area,
        "FLAGS": one.flags,
    }


def _sky_positions(
    x: np.ndarray, y: np.ndarray, wcs: WCS | None, world: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    if world is not None:
        ra, dec = (np.atleast_1d(np.array(value, float)) for value in world)
        if ra.shape != x.shape or dec.shape != x.shape:
            raise InputError(f"world: must hold two arrays as long as x and y ({len(x)}), found shapes {ra.shape} and {dec.shape}")
        return ra, dec
    ra, dec = np.full(len(x), np.nan), np.full(len(x), np.nan)
    finite = np.isfinite(x) & np.isfinite(y)
    if wcs is not None and finite.any():
        ra[finite], dec[finite] = sky.pixel_to_icrs(wcs, x[finite], y[finite])
    return ra, dec


def _identifiers(ids: Sequence[Any] | None, n: int) -> np.ndarray:
    if ids is None:
        return np.arange(n).astype(str)
    listed = [ids] if isinstance(ids, str) else ids
    if len(listed) != n:
        raise InputError(f"ids: must be as many as positions ({n}), found {len(listed)}")
    return np.array([one.decode() if isinstance(one, bytes) else str(one) for one in listed], dtype=str)


def as_table(named: Named) -> QTable:
    """Make a table with units and descriptions of columns; for a single row that takes longer than to measure it."""
    table = QTable({column.name: _column(column, item) for column, item in named.items()}, copy=False)
    for column in named:
        table[column.name].info.description = column.description
    return table


def _column(column: Column, item: np.ndarray) -> u.Quantity | MaskedColumn | np.ndarray:
    if np.ma.isMaskedArray(item):
        # Only integers: a missing float is NaN.
        return MaskedColumn(item.astype(column.dtype))
    if column.dtype == "str":
        return np.asarray(item)
    array = np.asarray(item).astype(column.dtype, copy=False)
    return array if column.unit is None else u.Quantity(array, _unit(column.unit), dtype=array.dtype, copy=False)


@lru_cache(maxsize=64)
def _unit(text: str) -> u.UnitBase:
    """Read a unit; for a table of one row that would take most of the time."""
    return u.Unit(text)
