"""Versions of the light-curve store, the one that readers take, and which catalogs it holds; which runs are withdrawn.

A version is a folder ``HOME/store/<number>`` that never changes once `publish` has named it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from ezarchive.database.models import (
    STORE_KINDS,
    archive_meta,
    catalog,
    current_run,
    frame_file,
    store_catalog,
    store_pointer,
    store_version,
)
from ezarchive.database.names import insert
from ezarchive.database.parts import chunks, in_ids, plain_rows
from ezarchive.database.rows import now
from ezarchive.database.runs import canonical_json
from ezarchive.errors import InputError

POINTER = "light_curve"
"""Name of the row of ``store_pointer`` that says which version readers take."""

COUNTS = ("n_light_curve", "n_objects", "n_orphans")
"""What is counted of a version."""

STORED_FIELDS: dict[str, pa.DataType] = {"catalog_id": pa.int64(), "n_rows": pa.int64(), "calibration": pa.string()}
"""Columns of `stored`."""


class StoredCatalog(NamedTuple):
    """A catalog in the store: how many of its rows went there, and a hash of the zero points that they were calibrated with."""

    catalog_id: int
    n_rows: int
    calibration: str


def changes(conn: sa.Connection) -> int:
    """Return a number that is another one after each transaction that wrote anything: what was read stays true while it stays."""
    # As text: it is asked before each question of SQL, and to make a statement of objects takes longer than to answer it.
    return int(conn.exec_driver_sql(f"SELECT value FROM {archive_meta.name} WHERE key = 'changes'").scalar_one())


def current(conn: sa.Connection) -> int | None:
    """Return the number of the version that readers take; None before the first one."""
    return conn.execute(sa.select(store_pointer.c.number).where(store_pointer.c.name == POINTER)).scalar()


def publish(
    conn: sa.Connection,
    number: int,
    kind: str,
    counts: Mapping[str, int],
    parameters: Mapping[str, Any],
    added: Sequence[StoredCatalog | tuple[int, int, str]] = (),
    removed: Iterable[int] = (),
    *,
    as_of: float | None = None,
) -> None:
    """Make readers take a version that lies whole on disk, and record what has changed in it.

    Parameters
    ----------
    conn : sqlalchemy.Connection
        Of ``Database.begin()``: all of it, or nothing, is committed.
    number : int
        Of its folder; larger than that of every version before.
    kind : str
        What made it: one of ``models.STORE_KINDS``.
    counts : mapping
        `COUNTS`: rows with an object, objects, rows without one.
    parameters : mapping
        What it was made with: radius, nights, aperture ...
    added : sequence of StoredCatalog
        Catalogs that it holds and its predecessor did not, or with other zero points.
    removed : iterable of int
        Ids of catalogs that it does not hold any more. One may be in both: it is replaced.
    as_of : float, optional
        When the database was looked at to make it, MJD UTC, its ``created``: what has changed since is not in it. Now by default.

    Raises
    ------
    InputError
        If the number is not larger than every other one, or ``kind`` or ``counts`` are not as they must be.
    """
    if kind not in STORE_KINDS:
        raise InputError(f"kind {kind!r}: must be one of {', '.join(STORE_KINDS)}")
    if absent := [name for name in COUNTS if name not in counts]:
        raise InputError(f"counts: {', '.join(absent)} missing; must hold {', '.join(COUNTS)}")
    last = conn.execute(sa.select(sa.func.max(store_version.c.number))).scalar()
    if number <= (last or 0):
        raise InputError(f"number {number}: must be larger than {last or 0}, the newest version of the store")
    values: dict[str, Any] = {name: int(counts[name]) for name in COUNTS}
    values |= {"number": number, "created": now() if as_of is None else as_of, "kind": kind, "parameters": canonical_json(parameters)}
    conn.execute(sa.insert(store_version).values(**values))
    pointer = insert(conn, store_pointer).values(name=POINTER, number=number)
    conn.execute(pointer.on_conflict_do_update(index_elements=["name"], set_={"number": number}))
    for part in chunks(removed):
        conn.execute(sa.delete(store_catalog).where(in_ids(store_catalog.c.catalog_id, part)))
    statement = insert(conn, store_catalog)
    new = {name: statement.excluded[name] for name in ("n_rows", "calibration", "number")}
    statement = statement.on_conflict_do_update(index_elements=["catalog_id"], set_=new)
    for part in chunks(StoredCatalog(*row) for row in added):
        conn.execute(statement, [{**row._asdict(), "number": number} for row in part])


def versions(conn: sa.Connection) -> list[dict[str, Any]]:
    """Return every version that was published, the newest first: columns of ``store_version``."""
    return [dict(row) for row in conn.execute(sa.select(store_version).order_by(store_version.c.number.desc())).mappings()]


def stored(conn: sa.Connection) -> pa.Table:
    """Return the catalogs that the store holds, by catalog_id.

    Returns
    -------
    pyarrow.Table
        Columns `STORED_FIELDS`; fields of `StoredCatalog`.
    """
    found = plain_rows(conn, sa.select(*(store_catalog.c[name] for name in STORED_FIELDS)).order_by(store_catalog.c.catalog_id))
    values = list(zip(*found, strict=True)) if found else [()] * len(STORED_FIELDS)
    arrays = [pa.array(each, type=kind) for each, kind in zip(values, STORED_FIELDS.values(), strict=True)]
    return pa.table(arrays, names=list(STORED_FIELDS))


def missing(conn: sa.Connection, methods: Collection[str] | None = None) -> list[int]:
    """Return the ids of the catalogs that light curves use and the store does not hold, in rising order.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    methods : collection of str, optional
        Only catalogs of these methods.
    """
    query = sa.select(current_run.c.catalog_id).outerjoin(store_catalog, store_catalog.c.catalog_id == current_run.c.catalog_id)
    query = query.where(store_catalog.c.catalog_id.is_(None), sa.exists().where(frame_file.c.frame_id == current_run.c.frame_id))
    if methods is not None:
        query = query.where(current_run.c.method.in_(sorted(methods)))
    return [row[0] for row in plain_rows(conn, query.order_by(current_run.c.catalog_id))]


def stale(conn: sa.Connection) -> list[int]:
    """Return the ids of the catalogs that the store holds and light curves do not use any more, in rising order.

    Their frames were measured anew or replaced by other content, or their run was withdrawn.
    """
    used = sa.exists().where(current_run.c.catalog_id == store_catalog.c.catalog_id)
    held = sa.exists().where(frame_file.c.frame_id == catalog.c.frame_id, catalog.c.catalog_id == store_catalog.c.catalog_id)
    query = sa.select(store_catalog.c.catalog_id).where(~sa.and_(used, held)).order_by(store_catalog.c.catalog_id)
    return [row[0] for row in plain_rows(conn, query)]
