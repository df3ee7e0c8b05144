"""Questions over the database and the catalogs together: SQL, runs, what failed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from astropy.table import QTable
from astropy.utils.masked import Masked

from ezarchive import engines
from ezarchive.catalogs.result import QueryResult
from ezarchive.columns import DEFAULT_APERTURE
from ezarchive.database import audit, runs

if TYPE_CHECKING:
    from ezarchive.archive import Archive

QUARANTINE_COLUMNS = ("root", "relpath", "frame_id", "stage", "code", "message", "tries", "first_seen", "last_seen", "resolved")
RUN_COLUMNS = (
    "run_id",
    "method",
    "started",
    "ended",
    "withdrawn",
    "n_catalogs",
    "n_pinned",
    "counts",
    "versions",
    "parameters",
    "apertures",
)


def sql(
    archive: Archive,
    query: str,
    parameters: Sequence[Any] | None = None,
    *,
    aperture: Any = DEFAULT_APERTURE,
    method: str | None = None,
    run: int | None = None,
) -> QueryResult:
    """Answer a SQL query (DuckDB's dialect; reading only).

    Parameters
    ----------
    archive : Archive
    query : str
        One SELECT over the views ``frames``, ``catalogs``, ``zero_points``, ``image_fits``, ``anchors``, ``aperture_photometry``,
        ``measurements``, ``light_curve`` and, after ``associate``, ``objects``, ``object_filters``, ``ambiguous``, ``aliases`` (columns:
        ``data_layout.md``). In its FROM there may be ``cone(ra, dec, radius_arcsec)``: objects, nearest first, with ``separation`` in
        arcsec; ``lc(object_id)``: a light curve; and ``upper_limits(object_id)``: the frames that were searched there and show nothing.
    parameters : sequence or mapping, optional
        Values for ``?`` in the query, or for ``$name``.
    aperture : float, Quantity or str
        Diameter of the aperture behind ``light_curve``; a number counts arcsec. Of no account for ellipses.
    method : str, optional
        Only catalogs of this method. ``light_curve`` is of circles of one diameter; with ``"elliptical"`` (or a ``run`` of that method) it
        is of the ellipses, which it leaves out else.
    run : int, optional
        The catalogs of this run instead of each frame's current one.

    Returns
    -------
    QueryResult

    Raises
    ------
    SQLError
        If the query is refused (not a SELECT, reads other files), wrong, or over its limits of memory or time.
    UnknownNameError
        If there is no such run, or no run of the method.

    Examples
    --------
    ``archive.sql("SELECT mjd_mid, mag, mag_err FROM light_curve WHERE filter = 'm600' ORDER BY mjd_mid")``
    """
    return engines.ask(archive, lambda engine: engine.query(query, parameters), aperture=aperture, method=method, run=run)


def quarantine(archive: Archive, *, resolved: bool = False) -> QueryResult:
    """Return what could not be read or measured, and why.

    Parameters
    ----------
    archive : Archive
    resolved : bool
        Also what a later success resolved.

    Returns
    -------
    QueryResult
        The latest first.
    """
    with archive.database.connect() as conn:
        return _rows(audit.quarantine(conn, resolved), QUARANTINE_COLUMNS)


def run_list(archive: Archive) -> QueryResult:
    """Return every run of measurement: recipe, versions, times, counts; the newest first."""
    with archive.database.connect() as conn:
        return _rows(runs.list_runs(conn), RUN_COLUMNS)


def as_result(table: QTable) -> QueryResult:
    """Return a table as a result that prints and exports like that of a query; units are dropped, NaN and masked values are NULL."""
    arrays = {name: np.ma.masked_invalid(column) if column.dtype.kind == "f" else np.ma.asarray(column) for name, column in _plain(table)}
    made = pa.table({name: pa.array(array.tolist()) for name, array in arrays.items()})
    formats = {name: table[name].info.format for name in table.colnames if table[name].info.format}
    return QueryResult(made, notes=table.meta.get("notes", ()), formats=formats)


def _plain(table: QTable) -> Iterator[tuple[str, Any]]:
    for name in table.colnames:
        column = table[name]
        if isinstance(column, Masked):
            yield name, np.ma.array(np.asarray(column.unmasked), mask=column.mask)
        else:
            yield name, getattr(column, "value", column)


def _rows(rows: list[dict[str, Any]], names: Sequence[str]) -> QueryResult:
    plain = [{name: json.dumps(row[name]) if isinstance(row[name], (dict, list)) else row[name] for name in names} for row in rows]
    return QueryResult(pa.table({name: pa.array([row[name] for row in plain]) for name in names}))


_engine, _arcsec = engines.of_frames, engines.arcsec
