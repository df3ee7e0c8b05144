"""Zero points of frames: rows that `calibrate` writes, and those that count for catalogs and light curves.

Of a frame and a method of detection the newest run that calibrated it counts; older ones stay. What a withdrawn run made, or was made of
its catalogs, does not count.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from ezarchive.database.models import catalog, current_run, frame_file, recipe, run, zero_point
from ezarchive.database.parts import chunks, in_ids, plain_rows, replace_rows
from ezarchive.database.rows import clean_float, now
from ezarchive.database.runs import canonical_json
from ezarchive.magnitudes import SAME_APERTURE, ZeroPoint

ZERO_POINT_FIELDS: dict[str, pa.DataType] = {
    "frame_id": pa.int64(),
    "catalog_id": pa.int64(),
    "run_id": pa.int64(),
    "method": pa.string(),
    "measure": pa.string(),
    "aperture": pa.float64(),
    "value": pa.float64(),
    "error": pa.float64(),
    "scatter": pa.float64(),
    "n_stars": pa.int64(),
    "system": pa.string(),
    "ab_offset": pa.float64(),
    "depth": pa.float64(),
    "colour_term": pa.float64(),
    "colour_term_err": pa.float64(),
    "colour_pivot": pa.float64(),
    "magnitude_slope": pa.float64(),
    "magnitude_slope_err": pa.float64(),
}
"""Columns of `zero_points_table`."""


class NewZeroPoint(NamedTuple):
    """A zero point to be recorded; the columns of the table ``zero_point``, ``details`` as plain values."""

    frame_id: int
    catalog_id: int
    run_id: int
    method: str
    measure: str
    aperture: float | None
    value: float
    error: float | None
    scatter: float | None
    n_stars: int
    system: str | None
    ab_offset: float | None
    depth: float | None = None
    colour_term: float | None = None
    colour_term_err: float | None = None
    colour_pivot: float | None = None
    magnitude_slope: float | None = None
    magnitude_slope_err: float | None = None
    details: Mapping[str, Any] | None = None


_NUMBERS = [name for name, kind in ZERO_POINT_FIELDS.items() if kind == pa.float64()]


def add_zero_points(conn: sa.Connection, rows: Sequence[NewZeroPoint]) -> None:
    """Record zero points of one run; those that it had of the same frames are replaced.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    rows : sequence of NewZeroPoint
        All of a frame together. A number that is not finite becomes NULL.
    """
    replace_rows(conn, zero_point, rows, _values)


def _values(row: NewZeroPoint) -> dict[str, Any]:
    values = row._asdict() | {"created": now(), "n_stars": int(row.n_stars)}
    values |= {name: clean_float(values[name]) for name in _NUMBERS}
    return values | {"details": None if row.details is None else canonical_json(row.details)}


def catalog_column(name: str) -> sa.ColumnElement[Any]:
    """Return a column of ``catalog``; its depth with the newest zero point that its own stars gave, else as it was measured."""
    if name != "depth":
        return catalog.c[name]
    size = catalog.c.depth_aperture
    same = (zero_point.c.catalog_id == catalog.c.catalog_id, zero_point.c.measure == "APER")
    near = sa.func.abs(zero_point.c.aperture - size) <= SAME_APERTURE * size
    newest = sa.select(zero_point.c.depth).where(*same, near, _counts(zero_point)).order_by(zero_point.c.run_id.desc()).limit(1)
    return sa.func.coalesce(newest.correlate(catalog).scalar_subquery(), catalog.c.depth).label("depth")


def calibrated(conn: sa.Connection, recipe_id: int, catalog_ids: Iterable[int]) -> set[int]:
    """Return those of the catalogs that have zero points of this recipe, of whatever run."""
    done: set[int] = set()
    for part in chunks(catalog_ids):
        query = sa.select(zero_point.c.catalog_id).join(run, run.c.run_id == zero_point.c.run_id)
        done.update(
            conn.execute(query.where(run.c.recipe_id == recipe_id, in_ids(zero_point.c.catalog_id, part), _counts(zero_point))).scalars()
        )
    return done


def uncalibrated(conn: sa.Connection, recipe_id: int, method: str) -> tuple[list[int], int]:
    """Return the catalogs of a method that count and have no zero points of this recipe, and how many catalogs count.

    Returns
    -------
    frame_ids : list of int
        Whose catalogs these are, in rising order.
    total : int
    """
    made = sa.select(zero_point.c.catalog_id).join(run, run.c.run_id == zero_point.c.run_id).where(run.c.recipe_id == recipe_id)
    done = made.where(_counts(zero_point), zero_point.c.catalog_id == current_run.c.catalog_id).correlate(current_run).exists()
    held = sa.exists().where(frame_file.c.frame_id == current_run.c.frame_id)
    query = sa.select(current_run.c.frame_id).where(current_run.c.method == method, held)
    total = conn.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    return list(conn.execute(query.where(~done).order_by(current_run.c.frame_id)).scalars()), total


def of_frames(conn: sa.Connection, frame_ids: Iterable[int], *, method: str | None = None) -> dict[int, list[ZeroPoint]]:
    """Return the zero points that count for frames.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    frame_ids : iterable of int
    method : str, optional
        Of the catalog that they are for: zero points made of catalogs of that method come first, then the others, the newest first.

    Returns
    -------
    dict
        frame_id -> zero points, for ``catalogs.calibrated.add_zero_points``; a frame that was not calibrated has none. ``AUTO`` of another
        method is left out where a ``method`` of detection is given: its ellipses are others. (So are those of another ``kron_factor``: a
        frame that is measured anew with one must be calibrated anew.)
    """
    names = ("frame_id", "method", "run_id", *ZeroPoint._fields)
    found: dict[int, list[tuple[Any, ...]]] = {}
    for part in chunks(frame_ids):
        statement = _current().with_only_columns(*(zero_point.c[name] for name in names)).where(in_ids(zero_point.c.frame_id, part))
        for row in conn.execute(statement.order_by(zero_point.c.zero_point_id)):
            found.setdefault(row.frame_id, []).append(tuple(row))
    strict = method in _DETECTION
    return {
        frame_id: [
            ZeroPoint(*row[3:])._replace(error=math.nan if row[6] is None else row[6])
            for row in sorted(rows, key=lambda row: (row[1] != method, -row[2]))
            if not (strict and row[3] == "AUTO" and row[1] != method)
        ]
        for frame_id, rows in found.items()
    }


_DETECTION = ("sex", "photutils")


def zero_points_table(conn: sa.Connection, *, frame_ids: Iterable[int] | None = None) -> pa.Table:
    """Return the zero points that count, as an Arrow table, by frame.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    frame_ids : iterable of int, optional
        Only of these frames.

    Returns
    -------
    pyarrow.Table
        Columns `ZERO_POINT_FIELDS`.
    """
    statement = _current().with_only_columns(*(zero_point.c[name] for name in ZERO_POINT_FIELDS))
    statement = statement.where(sa.exists().where(frame_file.c.frame_id == zero_point.c.frame_id))
    statement = statement.order_by(zero_point.c.frame_id, zero_point.c.zero_point_id)
    parts = [statement] if frame_ids is None else [statement.where(in_ids(zero_point.c.frame_id, part)) for part in chunks(frame_ids)]
    pieces = [_piece(plain_rows(conn, part)) for part in parts]
    return pa.concat_tables(pieces) if pieces else _piece([])


def details(conn: sa.Connection, run_id: int, frame_id: int) -> list[dict[str, Any]]:
    """Return the zero points that a run made of a frame, with all that is recorded of them."""
    query = sa.select(zero_point).where(zero_point.c.run_id == run_id, zero_point.c.frame_id == frame_id)
    rows = [dict(row) for row in conn.execute(query.order_by(zero_point.c.zero_point_id)).mappings()]
    return [row | {"details": None if row["details"] is None else json.loads(row["details"])} for row in rows]


def changed_since(conn: sa.Connection, since: float) -> list[int]:
    """Return the frames whose zero points may be others than at some time.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    since : float
        Time of the database's columns ``created``.

    Returns
    -------
    list of int
        ``frame_id`` in rising order: of zero points made since, and of those that count no more because a run was withdrawn since.
    """
    later = sa.or_(run.c.ended.is_(None), run.c.ended > since, run.c.withdrawn > since)
    run_ids = list(conn.execute(sa.select(run.c.run_id).where(later)).scalars())
    withdrawn = list(conn.execute(sa.select(run.c.run_id).where(run.c.withdrawn > since)).scalars())
    made = sa.select(zero_point.c.frame_id).distinct().where(zero_point.c.created > since)
    queries = [made.where(in_ids(zero_point.c.run_id, part)) for part in chunks(run_ids)]
    stars = sa.select(zero_point.c.frame_id).distinct().join(catalog, catalog.c.catalog_id == zero_point.c.catalog_id)
    for part in chunks(withdrawn):
        queries.append(stars.where(sa.or_(in_ids(zero_point.c.run_id, part), in_ids(catalog.c.run_id, part))))
    return sorted({frame_id for query in queries for frame_id in conn.execute(query).scalars()})


def recipe_of(conn: sa.Connection, run_id: int) -> dict[str, Any] | None:
    """Return the parameters of a run that calibrated, None if there is no such run."""
    query = sa.select(recipe.c.parameters).join(run, run.c.recipe_id == recipe.c.recipe_id)
    text = conn.execute(query.where(run.c.run_id == run_id, recipe.c.method == "calibrate")).scalar()
    return None if text is None else json.loads(text)


def _current() -> sa.Select[Any]:
    """Select from the zero points of each frame and method those of the newest run."""
    # Correlated: for each frame one step into the index.
    other = zero_point.alias()
    same = sa.and_(other.c.frame_id == zero_point.c.frame_id, other.c.method == zero_point.c.method)
    newest = sa.select(sa.func.max(other.c.run_id)).where(same, _counts(other)).correlate(zero_point).scalar_subquery()
    return sa.select(zero_point).where(zero_point.c.run_id == newest, _counts(zero_point))


def _counts(rows: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return whether neither the run that made a zero point nor the one that measured its stars is withdrawn."""
    gone = run.alias()
    measured_by = sa.select(catalog.c.run_id).where(catalog.c.catalog_id == rows.c.catalog_id).correlate(rows).scalar_subquery()
    either = sa.or_(gone.c.run_id == rows.c.run_id, gone.c.run_id == measured_by)
    of_withdrawn = sa.exists().where(gone.c.withdrawn.is_not(None), either).correlate(rows)
    # Asked once: most archives have no withdrawn run.
    any_withdrawn = sa.exists().where(run.alias().c.withdrawn.is_not(None))
    return sa.or_(~any_withdrawn, ~of_withdrawn)


def _piece(rows: Sequence[Sequence[Any]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(ZERO_POINT_FIELDS)
    arrays = [pa.array(values, type=kind) for values, kind in zip(columns, ZERO_POINT_FIELDS.values(), strict=True)]
    return pa.table(arrays, schema=pa.schema(ZERO_POINT_FIELDS.items()))
