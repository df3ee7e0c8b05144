"""Questions over the database and the catalogs together: SQL, and the light curve of a place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from astropy.table import QTable

from ezarchive import sky
from ezarchive.catalogs import lightcurve
from ezarchive.catalogs.result import QueryResult
from ezarchive.catalogs.sql import Engine
from ezarchive.database import queries
from ezarchive.errors import InputError

if TYPE_CHECKING:
    from ezarchive.archive import Archive

DEFAULT_APERTURE = 5.0
"""Diameter in arcsec of the aperture that light curves use unless told otherwise."""


def sql(
    archive: Archive,
    query: str,
    parameters: Sequence[Any] | None = None,
    *,
    aperture: float = DEFAULT_APERTURE,
    method: str | None = None,
    run: int | None = None,
) -> QueryResult:
    """Answer a SQL query (DuckDB's dialect; reading only).

    Parameters
    ----------
    archive : Archive
    query : str
        One SELECT over the views ``frames``, ``catalogs``, ``measurements`` and ``light_curve`` (columns: ``data_layout.md``).
    parameters : sequence, optional
        Values for ``?`` in the query.
    aperture : float
        Diameter in arcsec of the aperture behind ``light_curve``.
    method : str, optional
        Only catalogs of this method.
    run : int, optional
        The catalogs of this run instead of each frame's current one.

    Returns
    -------
    QueryResult

    Raises
    ------
    SQLError
        If the query is refused (not a SELECT, reads other files), wrong, or over its limits of memory or time.

    Examples
    --------
    ``archive.sql("SELECT mjd_mid, mag, mag_err FROM light_curve WHERE filter = 'm600' ORDER BY mjd_mid")``
    """
    return _engine(archive, aperture=aperture, method=method, run=run).query(query, parameters)


def light_curve(
    archive: Archive,
    position: Any,
    radius: Any = "2 arcsec",
    *,
    aperture: float = DEFAULT_APERTURE,
    filter: str | Sequence[str] | None = None,
    telname: str | Sequence[str] | None = None,
    method: str | None = None,
    run: int | None = None,
) -> QTable:
    """Return the light curve at a position: the nearest source on every frame that covers it.

    Parameters
    ----------
    archive : Archive
    position : SkyCoord, (ra, dec) in degrees, or str
        ICRS; a string as ``"21:45:00 -77:15:44"`` or ``"326.25 -77.26"``.
    radius : Quantity or str
        Largest separation, with its unit.
    aperture : float
        Diameter in arcsec; catalogs without such an aperture have no rows here.
    filter, telname : str or sequence of str, optional
        Only these (globs allowed).
    method : str, optional
        Only catalogs of this method.
    run : int, optional
        The catalogs of this run instead of each frame's current one.

    Returns
    -------
    QTable
        ``columns.LIGHT_CURVE`` with units, then ``separation`` (arcsec) and ``n_within`` (how many other sources of the frame lay
        within the radius); sorted by time. A frame without a source there has no row.

    Raises
    ------
    InputError
        If the position cannot be read, or the radius has no unit or is not positive.
    UnknownNameError
        If a filter or telescope does not exist.
    """
    ra, dec = sky.parse_position(position)
    radius_deg = sky.parse_angle(radius)
    if not 0 < radius_deg <= 1:
        raise InputError(f"radius={radius!r}: must be more than 0 and at most 1 degree")
    names = {key: _listed(value) for key, value in (("filter", filter), ("telname", telname)) if value is not None}
    with archive.database.connect() as conn:
        wanted = queries.FrameQuery(names=names, cone=(ra, dec, radius_deg), available=False)
        frame_ids = [frame.frame_id for frame in queries.search(conn, wanted)]
    engine = _engine(archive, aperture=aperture, method=method, run=run, frame_ids=frame_ids)
    return lightcurve.light_curve(engine, ra, dec, radius_deg, aperture=aperture)


def _listed(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _engine(archive: Archive, *, aperture: float, method: str | None, run: int | None, frame_ids: list[int] | None = None) -> Engine:
    with archive.database.connect() as conn:
        frames = queries.frames_table(conn, frame_ids=frame_ids)
        catalogs = queries.catalogs_table(conn, frame_ids=frame_ids, method=method, run_id=run)
    return Engine(frames, catalogs, archive.home, archive.settings.sql, aperture=aperture)
