"""The light curve of one position: the nearest source on every frame."""

from __future__ import annotations

from collections.abc import Sequence

import astropy.units as u
import numpy as np
from astropy.utils.masked import Masked

from ezarchive.catalogs.curvetable import FORMATS, LightCurveTable
from ezarchive.catalogs.result import QueryResult
from ezarchive.catalogs.sql import Engine
from ezarchive.columns import LIGHT_CURVE
from ezarchive.errors import InputError

_FIRST = ("mjd_mid", "filter", "telname", "flux", "flux_err", "mag", "mag_err", "snr", "flags", "frame_id")
"""The columns that people look at, which come first in the table."""

_COLUMNS = ", ".join(f'lc."{column.name}"' for column in LIGHT_CURVE)

# A small box in declination lets DuckDB skip rows by their statistics; it is right at the poles too. The cone itself is what prunes files.
_QUERY = f"""
WITH near AS (
    SELECT {_COLUMNS}, angular_separation(lc.ra, lc.dec, $ra, $dec) * 3600 AS separation
    FROM light_curve lc
    WHERE angular_separation(lc.ra, lc.dec, $ra, $dec) <= $radius AND lc.dec BETWEEN $low AND $high {{more}}
)
SELECT near.*, count(*) OVER (PARTITION BY near.catalog_id) - 1 AS n_within FROM near LEFT JOIN catalogs c USING (catalog_id)
QUALIFY row_number() OVER (PARTITION BY near.frame_id, c.method ORDER BY separation, near.run_id DESC, "row") = 1
ORDER BY mjd_mid NULLS LAST, near.frame_id, near.catalog_id
"""


OBJECT_QUERY = f"""
SELECT {_COLUMNS}, angular_separation(lc.ra, lc.dec, $ra, $dec) * 3600 AS separation, CAST(NULL AS BIGINT) AS n_within
FROM light_curve lc WHERE lc.object_id = $object_id
ORDER BY lc.mjd_mid NULLS LAST, lc.frame_id, lc.catalog_id
"""
"""All measurements of an object, for `as_curve`."""


def light_curve(
    engine: Engine,
    ra: float,
    dec: float,
    radius_deg: float,
    *,
    aperture: float | None = None,
    filters: Sequence[str] | None = None,
    kind: str | None = None,
) -> LightCurveTable:
    """Return the light curve of a position.

    On each frame (and for each method that measured it) the source nearest to the position counts, if one lies within the radius; of two
    lists of targets that both hold it, the newer measurement.

    Parameters
    ----------
    engine : Engine
        Of the archive.
    ra, dec : float
        ICRS, degrees; any right ascension, RA 0 and the poles included.
    radius_deg : float
        Radius of the search, degrees.
    aperture : float, optional
        Diameter in arcsec; the engine's own by default. Of no account where the engine is for ellipses.
    filters : sequence of str, optional
        Only these filters.
    kind : str, optional
        Only ``detection`` or ``forced``.

    Returns
    -------
    LightCurveTable
        The columns of ``columns.LIGHT_CURVE`` (time, filter, telescope, flux and magnitude first) with units, masked where NULL,
        then ``separation`` (arcsec) from the position and ``n_within``, how many other sources of the same frame lay within the
        radius. Sorted by ``mjd_mid`` (MJD UTC). ``meta`` holds
        ``ra``, ``dec``, ``radius``, ``aperture`` (None: ellipses) and ``notes``.

    Raises
    ------
    InputError
        If the position, the radius or the aperture is none.
    CatalogError
        If a catalog's file is missing or torn.
    """
    _check_position(ra, dec, radius_deg)
    values = {
        "ra": float(ra) % 360,
        "dec": float(dec),
        "radius": float(radius_deg),
        # A hair wider than the cone: rounding must not lose what lies on its rim.
        "low": dec - radius_deg - 1e-9,
        "high": dec + radius_deg + 1e-9,
    }
    more = ""
    if filters is not None:
        names = [filters] if isinstance(filters, str) else list(filters)
        more += f" AND lc.filter IN ({', '.join(f'$f{n}' for n in range(len(names))) or 'NULL'})"
        values |= {f"f{n}": name for n, name in enumerate(names)}
    if kind is not None:
        more += " AND lc.kind = $kind"
        values["kind"] = kind
    diameter = engine.aperture if aperture is None else float(aperture)
    found = engine.query(_QUERY.format(more=more), values, aperture=diameter)
    table = as_curve(found, ra, dec, None if engine.ellipses else diameter)
    table.meta["radius"] = u.Quantity(radius_deg * 3600, u.arcsec)
    return table


def as_curve(found: QueryResult, ra: float, dec: float, aperture: float | None) -> LightCurveTable:
    """Return the rows of a query as a light curve.

    Parameters
    ----------
    found : QueryResult
        The columns of ``columns.LIGHT_CURVE``, ``separation`` and ``n_within``.
    ra, dec : float
        Of the source, ICRS degrees.
    aperture : float or None
        Diameter, arcsec; None of ellipses.

    Returns
    -------
    LightCurveTable
        ``meta`` holds ``ra``, ``dec``, ``aperture`` and ``notes``.
    """
    table = arranged(found)
    table.meta.update(
        ra=u.Quantity(ra, u.deg),
        dec=u.Quantity(dec, u.deg),
        aperture=None if aperture is None else u.Quantity(aperture, u.arcsec),
        notes=found.notes,
    )
    return table


def arranged(found: QueryResult) -> LightCurveTable:
    """Return rows of a query with what people look at in front."""
    table = LightCurveTable(found.to_table(), copy=False)
    separation = table["separation"]
    mask = getattr(separation, "mask", None)
    values = u.Quantity(np.asarray(getattr(separation, "unmasked", np.ma.getdata(separation)), dtype=float), u.arcsec)
    table["separation"] = values if mask is None else Masked(values, mask=mask)
    table = table[[*_FIRST, *(name for name in table.colnames if name not in _FIRST)]]
    describe(table)
    return table


def describe(table: LightCurveTable) -> None:
    """Say what columns beside those of ``columns.LIGHT_CURVE`` mean, and with how many digits all are printed."""
    table["separation"].info.description = "distance from the position"
    table["n_within"].info.description = "other sources of the same frame within the radius"
    for name, digits in FORMATS.items():
        if name in table.colnames:
            table[name].info.format = digits


def _check_position(ra: float, dec: float, radius_deg: float) -> None:
    if not (np.isfinite(ra) and np.isfinite(dec) and abs(dec) <= 90):
        raise InputError(f"position ({ra}, {dec}): must be finite ICRS degrees, with a declination from -90 to 90")
    if not 0 < radius_deg <= 180:
        raise InputError(f"radius {radius_deg} deg: must be above 0, and 180 at the most")
