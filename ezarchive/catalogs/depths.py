"""How deep each catalog is in an aperture: zero point, limit, exposure; what a place without a source is worth."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from ezarchive import magnitudes, sky
from ezarchive.catalogs import views
from ezarchive.catalogs.parquet import read_columns
from ezarchive.columns import suffix

_FWHM = 2 * np.sqrt(2 * np.log(2))
_NEAREST = 50
"""Sources around a place whose noise is that of the place."""


def depths(frames: pa.Table, catalogs: pa.Table, zero_points: pa.Table, diameter: float) -> pa.Table:
    """Return catalogs with the zero point and the limit of one aperture, as the view ``light_curve`` has them.

    Parameters
    ----------
    frames : pyarrow.Table
        With ``frame_id``, ``telname``, ``filter`` and the columns of ``columns.FRAME``.
    catalogs : pyarrow.Table
        With the columns of ``views.CATALOGS_SCHEMA`` and ``apertures``.
    zero_points : pyarrow.Table
        Columns of ``views.ZERO_POINTS_SCHEMA``.
    diameter : float
        Of the aperture, arcsec.

    Returns
    -------
    pyarrow.Table
        One row a catalog that has such an aperture, by ``catalog_id``: what ``views.LINKS`` selects, among it ``per`` (what fluxes are
        divided by), ``zero_point``, ``zero_point_err`` and ``mag_limit`` (5 sigma; NULL where it is not known).

    Raises
    ------
    InputError
        If the diameter is none.
    """
    placed = views.placed(catalogs, diameter)
    placed = placed.filter(pc.is_valid(placed["place"]))
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.register("frames", frames)
        connection.register("_placed", placed)
        connection.register("_fitting", views.fitting(placed, zero_points))
        connection.register("_rates", views.rates(frames))
        return connection.sql(views.LINKS).to_arrow_table()


def noise_at(path: Path, place: int, ra: float, dec: float) -> float:
    """Return the noise of the sky in an aperture at a place of a frame, by the sources around it.

    Parameters
    ----------
    path : Path
        The catalog.
    place : int
        Of the aperture, from 0.
    ra, dec : float
        ICRS, degrees.

    Returns
    -------
    float
        Median of SKYSIG_APER of the 50 nearest sources, counts per exposure; NaN where the catalog does not tell it.

    Raises
    ------
    CatalogError
        If the file is missing or torn.
    """
    names = ("ALPHA_J2000", "DELTA_J2000", f"SKYSIG_APER{suffix(place)}")
    found = read_columns(path, names)
    if len(found) < len(names):
        return np.nan
    ras, decs, noise = (found[name] for name in names)
    good = np.isfinite(ras) & np.isfinite(decs) & (noise > 0)
    if not good.any():
        return np.nan
    ras, decs, noise = ras[good], decs[good], noise[good]
    away = sky.separation(ras, decs, ra, dec)
    nearest = np.argsort(away, kind="stable")[:_NEAREST]
    return float(np.median(noise[nearest]))


def with_limits(links: pa.Table, home: Path, ra: float, dec: float, factors: NDArray[np.float64]) -> pa.Table:
    """Add the limit as a flux, and find the limits that the frames do not tell in the noise of the sources around a place.

    Parameters
    ----------
    links : pyarrow.Table
        Of `depths`.
    home : Path
        The archive's folder.
    ra, dec : float
        ICRS, degrees.
    factors : ndarray, one a row
        Of `search_factor`; below 1 or NaN: the search was as deep as 5 sigma.

    Returns
    -------
    pyarrow.Table
        With ``flux_limit`` (per second, of the stored unit: 5 sigma, or what the search needed), and ``mag_limit`` where there is a zero
        point. A file is opened only for a catalog without ``mag_limit``.

    Raises
    ------
    CatalogError
        If such a file is missing or torn.
    """
    limit, zero_point, per = (_floats(links[name]) for name in ("mag_limit", "zero_point", "per"))
    flux = magnitudes.mag_to_flux(limit, zero_point) / per
    for row in np.flatnonzero(np.isnan(limit)):
        noise = noise_at(home / links["path"][row].as_py(), links["place"][row].as_py(), ra, dec)
        limit[row] = magnitudes.upper_limit(noise, 5, zero_point[row])
        flux[row] = 5 * noise / per[row]
    brighter = np.fmax(factors, 1.0)
    limit, flux = limit - magnitudes.POGSON * np.log10(brighter), flux * brighter
    links = links.set_column(links.column_names.index("mag_limit"), "mag_limit", _column(limit))
    return links.append_column("flux_limit", _column(flux))


def search_factor(
    threshold: ArrayLike, min_area: ArrayLike, fwhm: ArrayLike, diameter: ArrayLike, *, smoothed: ArrayLike = True
) -> NDArray[np.float64]:
    """Return how much brighter than 5 sigma in an aperture a star must be for a search of pixels above a threshold to find it.

    Parameters
    ----------
    threshold : array_like
        Of the search, in units of the noise of a pixel.
    min_area : array_like
        Pixels that must lie above it.
    fwhm : array_like
        Of stars, pixels.
    diameter : array_like
        Of the aperture, pixels.
    smoothed : array_like of bool
        Whether the image was smoothed with the 3x3 pyramid before the search (the threshold counts the noise before it).

    Returns
    -------
    ndarray
        Flux in the aperture of the faintest star that is found, over 5 times the noise of the sky in the aperture; below 1 for a search
        that goes deeper; NaN where a number is missing.

    Notes
    -----
    Of a Gaussian star of flux F and variance v, smoothed by a kernel of variance k, the pixels above T sigma fill an area of
    2 pi (v + k) ln(F / (2 pi (v + k) T sigma)); it is found if that is the least area or more. The pyramid [1 2 1] / 4 has k = 1/2.
    """
    variance = (np.asarray(fwhm, float) / _FWHM) ** 2
    spread = 2 * np.pi * (variance + np.where(smoothed, 0.5, 0.0))
    radius = np.asarray(diameter, float) / 2
    with np.errstate(all="ignore"):
        total = np.asarray(threshold, float) * spread * np.exp(np.asarray(min_area, float) / spread)
        inside = -np.expm1(-(radius**2) / (2 * variance))
        return total * inside / (5 * np.sqrt(np.pi) * radius)


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(pc.cast(column, pa.float64()), np.nan).to_numpy().copy()


def _column(values: np.ndarray) -> pa.Array:
    return pa.array(values, pa.float64(), mask=~np.isfinite(values))
