"""What the indexer writes: frames with their names, cells and headers, and what follows from a change.

A batch is one transaction: `upsert_files`, `insert_frames`, `link`, then `refresh` of every frame that was touched. Nothing is ever
deleted because a file is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from ezarchive.database.filerows import (
    FileRow,
    Linked,
    Signature,
    find_by_name,
    frames_in,
    link,
    links,
    move_files,
    set_file_state,
    set_online,
    signatures,
    touch_seen,
    unlink_files,
    upsert_files,
    upsert_root,
)
from ezarchive.database.models import NAME_IDS, file, frame, frame_cell, frame_file, frame_header, rollup, telescope
from ezarchive.database.names import get_or_create
from ezarchive.database.parts import chunks, in_ids, insert_many, reserve_ids
from ezarchive.database.rows import frame_row
from ezarchive.database.troubles import add_quarantine, resolve_quarantine
from ezarchive.frames.record import Frame

__all__ = [
    "FileRow",
    "KnownFile",
    "KnownFrame",
    "Linked",
    "Signature",
    "add_quarantine",
    "find_by_name",
    "frames_in",
    "frames_with_hash",
    "insert_frames",
    "link",
    "links",
    "move_files",
    "rebuild_rollup",
    "refresh",
    "resolve_quarantine",
    "set_data_hash",
    "set_file_state",
    "set_online",
    "set_parent",
    "signatures",
    "touch_seen",
    "unlink_files",
    "update_frames",
    "upsert_files",
    "upsert_root",
]

_GROUP = ("night", "telescope_id", "target_id", "filter_id")
_ROLLED = ("kind", "night", *NAME_IDS.values())

# Any number, the same in every ezarchive: one transaction at a time counts frames.
_ROLLUP_LOCK = 0x657A6172


class KnownFile(NamedTuple):
    """A file that holds a known frame."""

    file_id: int
    root_id: int
    relpath: bytes
    hdu: int
    state: str
    size: int
    mtime_ns: int
    inode: int


class KnownFrame(NamedTuple):
    """A frame of the archive, as far as it takes to recognise it."""

    frame_id: int
    kind: str
    data_sample: str | None
    data_hash: str | None
    naxis1: int
    naxis2: int
    files: tuple[KnownFile, ...]


def frames_with_hash(conn: sa.Connection, header_hashes: Iterable[str]) -> dict[str, list[KnownFrame]]:
    """Return the known frames with these header hashes, by hash, each with every file that holds it.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    header_hashes : iterable of str

    Returns
    -------
    dict of str to list of KnownFrame
        Sorted by frame_id; a hash that no frame has is left out.
    """
    c = frame.c
    rows: list[Any] = []
    for part in chunks(set(header_hashes)):
        query = sa.select(c.header_hash, c.frame_id, c.kind, c.data_sample, c.data_hash, c.naxis1, c.naxis2)
        rows += conn.execute(query.where(c.header_hash.in_(part)))
    files: dict[int, list[KnownFile]] = {}
    f = file.c
    for part in chunks([row.frame_id for row in rows]):
        query = (
            sa.select(frame_file.c.frame_id, f.file_id, f.root_id, f.relpath, frame_file.c.hdu, f.state, f.size, f.mtime_ns, f.inode)
            .join(file, f.file_id == frame_file.c.file_id)
            .where(in_ids(frame_file.c.frame_id, part))
            .order_by(f.root_id, f.relpath, frame_file.c.hdu)
        )
        for frame_id, *known in conn.execute(query):
            files.setdefault(frame_id, []).append(KnownFile(*known))
    found: dict[str, list[KnownFrame]] = {}
    for header_hash, frame_id, *facts in sorted(rows, key=lambda row: row.frame_id):
        found.setdefault(header_hash, []).append(KnownFrame(frame_id, *facts, files=tuple(files.get(frame_id, ()))))
    return found


def insert_frames(conn: sa.Connection, items: Iterable[tuple[Frame, Sequence[int], bytes | None]]) -> list[int]:
    """Add new frames; names that are new are added too.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    items : iterable of (Frame, cells, cards)
        Record, HEALPix cells of its footprint (int64, order ``sky.CELL_ORDER``), zlib of its raw card bytes or None.

    Returns
    -------
    list of int
        frame_id, in the order of ``items``. `link` and `refresh` come next.
    """
    listed = list(items)
    name_ids = _name_ids(conn, [record for record, _, _ in listed])
    if not listed:
        return []
    ids = reserve_ids(conn, frame.c.frame_id, len(listed))
    rows = [{"frame_id": frame_id, **frame_row(item[0], numbers)} for frame_id, item, numbers in zip(ids, listed, name_ids, strict=True)]
    insert_many(conn, frame, list(rows[0]), (row.values() for row in rows))
    _write_around(conn, [(frame_id, cells, cards) for frame_id, (_, cells, cards) in zip(ids, listed, strict=True)])
    return ids


def update_frames(conn: sa.Connection, items: Iterable[tuple[int, Frame, Sequence[int], bytes | None]]) -> None:
    """Write frames anew whose header was read again (the path gave other fields, or the rules for reading have changed).

    Parameters
    ----------
    conn : sqlalchemy.Connection
    items : iterable of (frame_id, Frame, cells, cards)
        As of `insert_frames`; parent and data hash stay.
    """
    listed = list(items)
    if not listed:
        return
    ids = [frame_id for frame_id, *_ in listed]
    groups = _groups(conn, ids)
    name_ids = _name_ids(conn, [record for _, record, _, _ in listed])
    rows = []
    for (frame_id, record, _, _), numbers in zip(listed, name_ids, strict=True):
        row = {"b_frame_id": frame_id, **frame_row(record, numbers)}
        rows.append({key: value for key, value in row.items() if key not in ("parent_id", "data_hash")})
    conn.execute(sa.update(frame).where(frame.c.frame_id == sa.bindparam("b_frame_id")), rows)
    for part in chunks(ids):
        conn.execute(sa.delete(frame_cell).where(in_ids(frame_cell.c.frame_id, part)))
        conn.execute(sa.delete(frame_header).where(in_ids(frame_header.c.frame_id, part)))
    _write_around(conn, [(frame_id, cells, cards) for frame_id, _, cells, cards in listed])
    _recount(conn, groups | _groups(conn, ids))


def set_data_hash(conn: sa.Connection, hashes: Mapping[int, str]) -> None:
    """Record the hashes of data units, by frame_id."""
    statement = sa.update(frame).where(frame.c.frame_id == sa.bindparam("b_frame_id")).values(data_hash=sa.bindparam("b_hash"))
    for part in chunks(hashes.items()):
        conn.execute(statement, [{"b_frame_id": frame_id, "b_hash": data_hash} for frame_id, data_hash in part])


def set_parent(conn: sa.Connection, parents: Mapping[int, int | None]) -> None:
    """Record the frame that each frame was made from, by frame_id."""
    statement = sa.update(frame).where(frame.c.frame_id == sa.bindparam("b_frame_id")).values(parent_id=sa.bindparam("b_parent"))
    for part in chunks(parents.items()):
        conn.execute(statement, [{"b_frame_id": frame_id, "b_parent": parent_id} for frame_id, parent_id in part])


def refresh(conn: sa.Connection, frame_ids: Iterable[int]) -> None:
    """Bring up to date what follows from files and links: the copy that each frame is read from, and the counts.

    The copy is the first, by root and path, of those in state ``ok``; a frame without one is not offered. The counts are made anew
    for every night, telescope, target and filter that a frame belongs to, so they cannot drift.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    frame_ids : iterable of int
        Frames that were added, linked or unlinked, or whose files changed their state.
    """
    ids = sorted(set(frame_ids))
    for part in chunks(ids):
        conn.execute(
            sa.update(frame)
            .where(in_ids(frame.c.frame_id, part))
            .values(file_id=_first_copy(frame_file.c.file_id), hdu=_first_copy(frame_file.c.hdu))
        )
    _recount(conn, _groups(conn, ids))


def rebuild_rollup(conn: sa.Connection) -> None:
    """Count every frame anew."""
    _lock_rollup(conn)
    conn.execute(sa.delete(rollup))
    _count_where(conn, sa.true())


def _first_copy(column: sa.Column[Any]) -> sa.ScalarSelect[Any]:
    return (
        sa.select(column)
        .join(file, file.c.file_id == frame_file.c.file_id)
        .where(frame_file.c.frame_id == frame.c.frame_id, file.c.state == "ok")
        .order_by(file.c.root_id, file.c.relpath, frame_file.c.hdu)
        .limit(1)
        .correlate(frame)
        .scalar_subquery()
    )


def _groups(conn: sa.Connection, frame_ids: Iterable[int]) -> set[tuple[Any, ...]]:
    """Return the (night, telescope, target, filter) of frames."""
    found: set[tuple[Any, ...]] = set()
    for part in chunks(frame_ids):
        query = sa.select(*(frame.c[name] for name in _GROUP)).where(in_ids(frame.c.frame_id, part)).distinct()
        found.update(tuple(row) for row in conn.execute(query))
    return found


def _recount(conn: sa.Connection, groups: Iterable[tuple[Any, ...]]) -> None:
    _lock_rollup(conn)
    by_nulls: dict[tuple[bool, ...], list[tuple[Any, ...]]] = {}
    for group in groups:
        by_nulls.setdefault(tuple(value is None for value in group), []).append(group)
    for nulls, members in by_nulls.items():
        for part in chunks(members, 200):
            conn.execute(sa.delete(rollup).where(_of_groups(rollup, nulls, part)))
            _count_where(conn, _of_groups(frame, nulls, part))


def _of_groups(table: sa.Table, nulls: tuple[bool, ...], groups: list[tuple[Any, ...]]) -> sa.ColumnElement[bool]:
    """Return the condition that a row is of one of the groups, which all lack the same values.

    (An equality that takes NULL for a value does not use an index on PostgreSQL.)
    """
    known = [table.c[name] for name, null in zip(_GROUP, nulls, strict=True) if not null]
    conditions = [table.c[name].is_(None) for name, null in zip(_GROUP, nulls, strict=True) if null]
    if known:
        values = [tuple(value for value in group if value is not None) for group in groups]
        conditions.append(sa.tuple_(*known).in_(values))
    return sa.and_(*conditions)


def _count_where(conn: sa.Connection, condition: sa.ColumnElement[bool]) -> None:
    keys = (file.c.root_id, *(frame.c[name] for name in _ROLLED))
    counts = (
        sa.select(*keys, sa.func.count(), sa.func.coalesce(sa.func.sum(frame.c.exptime), 0.0))
        .join(file, file.c.file_id == frame.c.file_id)
        .where(condition)
        .group_by(*keys)
    )
    conn.execute(sa.insert(rollup).from_select(["root_id", *_ROLLED, "n", "exptime"], counts))


def _lock_rollup(conn: sa.Connection) -> None:
    # On SQLite the transaction itself keeps others out.
    if conn.dialect.name == "postgresql":
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_ROLLUP_LOCK)))


def _name_ids(conn: sa.Connection, records: Sequence[Frame]) -> list[dict[str, int | None]]:
    """Return the ids of the names of each record, by column."""
    found = {what: get_or_create(conn, what, {getattr(record, what) for record in records}) for what in NAME_IDS}
    ids = [{column: found[what].get(getattr(record, what)) for what, column in NAME_IDS.items()} for record in records]
    _place_telescopes(conn, ids)
    return ids


def _place_telescopes(conn: sa.Connection, ids: Sequence[Mapping[str, int | None]]) -> None:
    """Record the site of telescopes that have none yet: the one where they are first seen."""
    sites = {row["telescope_id"]: row["site_id"] for row in reversed(ids) if row["telescope_id"] and row["site_id"]}
    if not sites:
        return
    query = sa.select(telescope.c.telescope_id).where(telescope.c.telescope_id.in_(sites), telescope.c.site_id.is_(None))
    for telescope_id in conn.execute(query).scalars().all():
        conn.execute(sa.update(telescope).where(telescope.c.telescope_id == telescope_id).values(site_id=sites[telescope_id]))


def _write_around(conn: sa.Connection, items: Sequence[tuple[int, Sequence[int], bytes | None]]) -> None:
    """Write the cells and headers of frames."""
    # In the order of the primary key, which is that of the pages on disk.
    cells = sorted({(int(cell), frame_id) for frame_id, numbers, _ in items for cell in numbers})
    insert_many(conn, frame_cell, ("cell", "frame_id"), cells)
    insert_many(conn, frame_header, ("frame_id", "cards"), [(frame_id, cards) for frame_id, _, cards in items if cards is not None])
