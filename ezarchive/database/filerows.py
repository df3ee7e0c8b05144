"""Roots, files, and which frame lies in which file: what the indexer writes about the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import sqlalchemy as sa

from ezarchive.database.models import FILE_STATES, ROOT_KINDS, file, frame_file, root
from ezarchive.database.names import insert
from ezarchive.database.parts import chunks, in_ids
from ezarchive.database.rows import as_path, now
from ezarchive.errors import InputError, near_misses


class Signature(NamedTuple):
    """A file as it was when it was last looked at; an unchanged one need not be read again."""

    file_id: int
    relpath: bytes
    size: int
    mtime_ns: int
    inode: int
    state: str


class FileRow(NamedTuple):
    """A file to be written; ``state`` is one of ``models.FILE_STATES``."""

    relpath: bytes
    size: int
    mtime_ns: int
    inode: int
    state: str = "ok"


class Linked(NamedTuple):
    """A frame in a file."""

    frame_id: int
    file_id: int
    hdu: int


def upsert_root(conn: sa.Connection, name: str, uri: str, kind: str) -> int:
    """Write a data root, or its new place.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    name, uri : str
        Its name and its folder.
    kind : str
        One of ``models.ROOT_KINDS``.

    Returns
    -------
    int
        root_id.
    """
    if kind not in ROOT_KINDS:
        raise InputError(f"kind {kind!r}: {near_misses(kind, ROOT_KINDS)}")
    values = {"uri": str(uri), "kind": kind, "online": True}
    statement = insert(conn, root).values(name=name, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
    return conn.execute(sa.select(root.c.root_id).where(root.c.name == name)).scalar_one()


def root_ids(conn: sa.Connection) -> dict[str, int]:
    """Return the data roots of the database: name -> root_id."""
    return {name: root_id for root_id, name in conn.execute(sa.select(root.c.root_id, root.c.name))}


def set_online(conn: sa.Connection, root_id: int, online: bool) -> None:  # noqa: FBT001
    """Record whether a root can be reached."""
    conn.execute(sa.update(root).where(root.c.root_id == root_id).values(online=online))


def touch_seen(conn: sa.Connection, root_id: int, when: float | None = None) -> None:
    """Record that the whole root has been walked: every file in it that is not missing was seen (MJD UTC; now by default).

    It is one number of the root and not one of each file, because a night should not write ten million rows to say that
    nothing happened. It belongs at the end of a walk, after `set_file_state`.
    """
    conn.execute(sa.update(root).where(root.c.root_id == root_id).values(seen=now() if when is None else when, online=True))


def signatures(conn: sa.Connection, root_id: int) -> Iterator[Signature]:
    """Yield the files of a root in the order of their paths' bytes.

    They come in a stream: ``conn`` must not commit until it ends, so writes need a connection of their own.
    """
    c = file.c
    query = sa.select(c.file_id, c.relpath, c.size, c.mtime_ns, c.inode, c.state).where(c.root_id == root_id).order_by(c.relpath)
    with conn.execute(query.execution_options(yield_per=10_000)) as result:
        for part in result.partitions():
            yield from map(Signature._make, part)


def upsert_files(conn: sa.Connection, root_id: int, rows: Iterable[FileRow | tuple]) -> list[int]:
    """Write files as they were found: new ones are added, known paths get the new signature and state.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    root_id : int
    rows : iterable of FileRow
        Or tuples in its order. Of two rows with one path the last one counts.

    Returns
    -------
    list of int
        file_id, in the order of ``rows``.
    """
    when = now()
    listed = [FileRow(*row) for row in rows]
    for row in listed:
        _check_state(row.state)
    unique = {row.relpath: row for row in listed}
    ids: dict[bytes, int] = {}
    for part in chunks(unique.values()):
        values = [{**row._asdict(), "root_id": root_id, "first_seen": when, "last_seen": when} for row in part]
        statement = insert(conn, file)
        new = {name: statement.excluded[name] for name in ("size", "mtime_ns", "inode", "state", "last_seen")}
        statement = statement.on_conflict_do_update(index_elements=["root_id", "relpath"], set_=new)
        found = conn.execute(statement.returning(file.c.relpath, file.c.file_id), values)
        ids.update((bytes(relpath), file_id) for relpath, file_id in found)
    return [ids[row.relpath] for row in listed]


def move_files(conn: sa.Connection, root_id: int, moves: Mapping[int, FileRow]) -> None:
    """Give files that were moved their new path and signature; their frames stay with them.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    root_id : int
        The root that they lie in now.
    moves : mapping
        file_id -> where and how it lies now. A row that was known under the new path must hold no frame any more; it goes.
    """
    when = now()
    for part in chunks(moves.items()):
        taken = sa.and_(file.c.root_id == root_id, file.c.relpath.in_([row.relpath for _, row in part]))
        conn.execute(sa.delete(file).where(taken, ~in_ids(file.c.file_id, moves)))
        # Paths of their own first: a may have become b while b became c. No file has a path with NUL.
        first = sa.update(file).where(file.c.file_id == sa.bindparam("b_file_id")).values(relpath=sa.bindparam("b_relpath"))
        conn.execute(first, [{"b_file_id": file_id, "b_relpath": b"\0%d" % file_id} for file_id, _ in part])
        then = sa.update(file).where(file.c.file_id == sa.bindparam("b_file_id"))
        rows = [{"b_file_id": file_id, **row._asdict(), "root_id": root_id, "last_seen": when} for file_id, row in part]
        conn.execute(then, rows)


def set_file_state(conn: sa.Connection, file_ids: Iterable[int], state: str) -> list[int]:
    """Set the state of files.

    A missing file's ``last_seen`` becomes the time at which its root was last walked as a whole.

    Returns
    -------
    list of int
        Frames in them; `ingest.refresh` comes next.
    """
    _check_state(state)
    ids = list(file_ids)
    walked = sa.select(root.c.seen).where(root.c.root_id == file.c.root_id).scalar_subquery()
    seen = sa.func.coalesce(walked, file.c.last_seen)
    later = sa.case((seen > file.c.last_seen, seen), else_=file.c.last_seen)
    values = {"state": state, "last_seen": later if state == "missing" else now()}
    for part in chunks(ids):
        changes = sa.update(file).where(in_ids(file.c.file_id, part), file.c.state != state)
        conn.execute(changes.values(values))
    return frames_in(conn, ids)


def link(conn: sa.Connection, links: Iterable[tuple[int, int, int]]) -> None:
    """Record which frame lies in which file, as (frame_id, file_id, hdu); `ingest.refresh` comes next."""
    statement = insert(conn, frame_file)
    statement = statement.on_conflict_do_update(index_elements=["file_id", "hdu"], set_={"frame_id": statement.excluded.frame_id})
    for part in chunks(links):
        conn.execute(statement, [{"frame_id": frame_id, "file_id": file_id, "hdu": hdu} for frame_id, file_id, hdu in part])


def unlink_files(conn: sa.Connection, file_ids: Iterable[int]) -> list[int]:
    """Forget which frames lie in these files.

    Returns
    -------
    list of int
        The frames that lay in them; `ingest.refresh` comes next.
    """
    ids = list(file_ids)
    touched = frames_in(conn, ids)
    for part in chunks(ids):
        conn.execute(sa.delete(frame_file).where(in_ids(frame_file.c.file_id, part)))
    return touched


def links(conn: sa.Connection, file_ids: Iterable[int]) -> dict[int, set[tuple[int, int]]]:
    """Return the (frame_id, hdu) that each file holds; files without frames are left out."""
    found: dict[int, set[tuple[int, int]]] = {}
    for part in chunks(file_ids):
        query = sa.select(frame_file.c.file_id, frame_file.c.frame_id, frame_file.c.hdu).where(in_ids(frame_file.c.file_id, part))
        for file_id, frame_id, hdu in conn.execute(query):
            found.setdefault(file_id, set()).add((frame_id, hdu))
    return found


def frames_in(conn: sa.Connection, file_ids: Iterable[int]) -> list[int]:
    """Return the frames in these files, sorted."""
    return sorted({frame_id for held in links(conn, file_ids).values() for frame_id, _ in held})


def find_by_name(conn: sa.Connection, root_id: int, folder: bytes, name: bytes) -> list[Linked]:
    """Return the frames in the file of this name and folder, by HDU; none if there is no such file.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    root_id : int
    folder, name : bytes
        The folder relative to the root, ``b""`` for the root itself; the file's name.
    """
    relpath = as_path(folder).rstrip(b"/") + b"/" + as_path(name) if folder else as_path(name)
    query = (
        sa.select(frame_file.c.frame_id, frame_file.c.file_id, frame_file.c.hdu)
        .join(file, file.c.file_id == frame_file.c.file_id)
        .where(file.c.root_id == root_id, file.c.relpath == relpath)
        .order_by(frame_file.c.hdu)
    )
    return [Linked(*row) for row in conn.execute(query)]


def _check_state(state: str) -> None:
    if state not in FILE_STATES:
        raise InputError(f"state {state!r}: {near_misses(state, FILE_STATES)}")
