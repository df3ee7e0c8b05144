"""Lists for people: frames, quarantine, missing files, counts; each a list of dictionaries with plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from ezarchive.database import models
from ezarchive.database.models import NAME_IDS, NAME_TABLES, file, frame, frame_file, root
from ezarchive.database.rows import as_text
from ezarchive.errors import UnknownNameError
from ezarchive.frames.record import Frame

LIST_COLUMNS = (
    "frame_id", "kind", "objname", "telname", "filter", "night", "date_obs", "mjd_mid", "exptime", "seeing", "depth", "ra", "dec", "wcs_ok",
    "quality", "path", "hdu",
)  # fmt: skip
"""What `list_frames` shows of a frame."""


def list_frames(frames: Sequence[Frame], columns: Sequence[str] = LIST_COLUMNS) -> list[dict[str, Any]]:
    """Return frames as dictionaries.

    Raises
    ------
    UnknownNameError
        If a column is no field of `Frame`.
    """
    fields = Frame.__dataclass_fields__
    for name in columns:
        if name not in fields:
            raise UnknownNameError("column", name, fields)
    return [{name: getattr(frame, name) for name in columns} for frame in frames]


def quarantine(conn: sa.Connection, resolved: bool = False, *, root: str | None = None) -> list[dict[str, Any]]:  # noqa: FBT001, FBT002
    """Return what could not be read or measured, the latest first.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    resolved : bool
        True: also entries that a later success resolved.
    root : str, optional
        Only of this data root.

    Returns
    -------
    list of dict
        root, relpath, path, frame_id, stage, code, message, tries, first_seen, last_seen, resolved (MJD UTC).
    """
    q, r = models.quarantine.c, models.root.c
    query = sa.select(
        r.name.label("root"), q.relpath, r.uri, q.frame_id, q.stage, q.code, q.message, q.tries, q.first_seen, q.last_seen, q.resolved
    ).outerjoin_from(models.quarantine, models.root, r.root_id == q.root_id)
    if not resolved:
        query = query.where(q.resolved.is_(None))
    if root is not None:
        query = query.where(r.name == root)
    rows = conn.execute(query.order_by(q.last_seen.desc(), q.quarantine_id.desc()))
    return [_with_path(row) for row in rows.mappings()]


def missing(conn: sa.Connection, *, root: str | None = None) -> list[dict[str, Any]]:
    """Return the files that are not where they were, by root and path.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    root : str, optional
        Only of this data root.

    Returns
    -------
    list of dict
        root, relpath, path, file_id, size, last_seen (MJD UTC), n_frames (frames that lay in it), n_lost (those of them that no other
        file holds at present).
    """
    r = models.root.c
    counts = (
        sa.select(
            frame_file.c.file_id,
            sa.func.count().label("n_frames"),
            sa.func.sum(sa.case((frame.c.file_id.is_(None), 1), else_=0)).label("n_lost"),
        )
        .join(frame, frame.c.frame_id == frame_file.c.frame_id)
        .join(file, file.c.file_id == frame_file.c.file_id)
        .where(file.c.state == "missing")
        .group_by(frame_file.c.file_id)
        .subquery()
    )
    zero = sa.literal(0)
    query = (
        sa.select(
            r.name.label("root"), file.c.relpath, r.uri, file.c.file_id, file.c.size, file.c.last_seen,
            sa.func.coalesce(counts.c.n_frames, zero).label("n_frames"), sa.func.coalesce(counts.c.n_lost, zero).label("n_lost"),
        )
        .join(models.root, r.root_id == file.c.root_id)
        .outerjoin(counts, counts.c.file_id == file.c.file_id)
        .where(file.c.state == "missing")
        .order_by(r.name, file.c.relpath)
    )  # fmt: skip
    if root is not None:
        query = query.where(r.name == root)
    return [_with_path(row) for row in conn.execute(query).mappings()]


def _with_path(row: Any) -> dict[str, Any]:
    """Return a row with its path as text, relative and whole, in place of bytes and the root's folder."""
    relpath = as_text(row["relpath"])
    path = None if relpath is None or row["uri"] is None else f"{row['uri'].rstrip('/')}/{relpath}"
    plain = {key: value for key, value in row.items() if key not in ("relpath", "uri", "root")}
    return {"root": row["root"], "relpath": relpath, "path": path, **plain}


ROLLUP_COLUMNS = ("root", "kind", "night", *NAME_IDS)
"""What `rollup` can group by."""


def rollup(conn: sa.Connection, by: Sequence[str] = ROLLUP_COLUMNS) -> list[dict[str, Any]]:
    """Return how many frames there are that can be read, and their exposure.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    by : sequence of str
        Any of `ROLLUP_COLUMNS`; the counts of the others are added up.

    Returns
    -------
    list of dict
        The columns asked for, ``n``, ``exptime`` (seconds); sorted, None last.

    Raises
    ------
    UnknownNameError
        If a column is none of them.
    """
    for name in by:
        if name not in ROLLUP_COLUMNS:
            raise UnknownNameError("column", name, ROLLUP_COLUMNS)
    table = models.rollup
    joined: Any = table
    columns = []
    for name in by:
        if name in NAME_TABLES:
            other = NAME_TABLES[name]
            joined = joined.outerjoin(other, other.c[NAME_IDS[name]] == table.c[NAME_IDS[name]])
            columns.append(other.c.name.label(name))
        elif name == "root":
            joined = joined.join(root, root.c.root_id == table.c.root_id)
            columns.append(root.c.name.label(name))
        else:
            columns.append(table.c[name])
    sums = (sa.func.sum(table.c.n).label("n"), sa.func.sum(table.c.exptime).label("exptime"))
    query = sa.select(*columns, *sums).select_from(joined).group_by(*columns)
    rows = [{**row, "n": int(row["n"] or 0), "exptime": row["exptime"] or 0.0} for row in conn.execute(query).mappings()]
    return sorted(rows, key=lambda row: [(row[name] is None, row[name] or "") for name in by])
