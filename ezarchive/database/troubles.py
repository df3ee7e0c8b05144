"""The quarantine: what could not be read or measured, with its reason; a later success resolves the entry."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from ezarchive.database.models import quarantine as table
from ezarchive.database.parts import chunks, in_ids
from ezarchive.database.rows import as_path, clean_text, now

Relpath = bytes | str | os.PathLike[str]


def add_quarantine(
    conn: sa.Connection,
    root_id: int | None,
    relpath: Relpath | None,
    stage: str,
    code: str,
    message: str,
    frame_id: int | None = None,
) -> None:
    """Record a failure; one that is known is counted, and is open again if it had been resolved.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    root_id : int or None
        None where the frame lies in no file at present.
    relpath : bytes, str or None
        Relative to the root.
    stage : str
        ``index``, ``measure`` or ``forced``.
    code : str
        Stable and short, of ``FrameError`` or ``MeasurementError``.
    message : str
        For people.
    frame_id : int, optional
        The frame, where there is one.
    """
    when = now()
    path = None if relpath is None else as_path(relpath)
    facts = {"code": clean_text(code) or "", "message": clean_text(message) or "", "last_seen": when, "resolved": None}
    same = sa.and_(_same(table.c.root_id, root_id), _same(table.c.relpath, path), table.c.stage == stage, _same(table.c.frame_id, frame_id))
    updated = conn.execute(sa.update(table).where(same).values(tries=table.c.tries + 1, **facts))
    if not updated.rowcount:
        row = {"root_id": root_id, "relpath": path, "stage": stage, "frame_id": frame_id, "tries": 1, "first_seen": when, **facts}
        conn.execute(sa.insert(table).values(row))


def resolve_quarantine(
    conn: sa.Connection,
    root_id: int | None,
    relpaths: Iterable[Relpath],
    stage: str,
    *,
    frame_ids: Iterable[int] | None = None,
) -> int:
    """Mark entries as resolved.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    root_id : int or None
    relpaths : iterable of bytes or str
        Files that are good now.
    stage : str
        The stage in which they are.
    frame_ids : iterable of int, optional
        Only entries of these frames: of a file with several HDUs one may be good and another one not.

    Returns
    -------
    int
        How many entries were open.
    """
    open_ones = [_same(table.c.root_id, root_id), table.c.stage == stage, table.c.resolved.is_(None)]
    if frame_ids is not None:
        open_ones.append(in_ids(table.c.frame_id, frame_ids))
    count = 0
    for part in chunks(as_path(relpath) for relpath in relpaths):
        statement = sa.update(table).where(*open_ones, table.c.relpath.in_(part)).values(resolved=now())
        count += conn.execute(statement).rowcount
    return count


def resolve_frames(conn: sa.Connection, frame_ids: Iterable[int], stage: str) -> None:
    """Mark every open entry of some frames as resolved, under whatever path they lay when they failed."""
    for part in chunks(frame_ids):
        of_frames = sa.and_(in_ids(table.c.frame_id, part), table.c.stage == stage, table.c.resolved.is_(None))
        conn.execute(sa.update(table).where(of_frames).values(resolved=now()))


def _same(column: sa.Column[Any], value: Any) -> sa.ColumnElement[bool]:
    return column.is_(None) if value is None else column == value
