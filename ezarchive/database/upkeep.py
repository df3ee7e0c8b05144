"""What one run of the indexer leaves for the next (folders it could not enter, children without parent), and what `verify` compares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from ezarchive.database.filerows import Signature
from ezarchive.database.models import archive_meta, file, frame, frame_file, product, quarantine
from ezarchive.database.names import insert

PARENT = "parent"
"""Key of a frame's ``origin`` with the name of the file that it was made from, in the same folder."""

_UNFINISHED = "index_unfinished"


class Child(NamedTuple):
    """A frame whose parent has not been found, and where it lies."""

    frame_id: int
    root_id: int
    relpath: bytes
    hdu: int
    parent_name: str


def without_parent(conn: sa.Connection) -> Iterator[Child]:
    """Yield the frames that were made from a frame which was not there."""
    query = (
        sa.select(frame.c.frame_id, file.c.root_id, file.c.relpath, frame.c.hdu, frame.c.origin)
        .join(file, file.c.file_id == frame.c.file_id)
        .where(frame.c.parent_id.is_(None), frame.c.origin.contains(json.dumps(PARENT)))
        .order_by(frame.c.frame_id)
    )
    for *place, origin in conn.execute(query):
        name = json.loads(origin).get(PARENT)
        if isinstance(name, str):
            yield Child(*place, name)


def signatures_after(conn: sa.Connection, root_id: int, relpath: bytes | None, limit: int) -> list[Signature]:
    """Return the next files of a root in the order of their paths' bytes.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    root_id : int
    relpath : bytes or None
        Only those after this path.
    limit : int
        How many at the most.
    """
    c = file.c
    query = sa.select(*(c[name] for name in Signature._fields)).where(c.root_id == root_id).order_by(c.relpath).limit(limit)
    if relpath is not None:
        query = query.where(c.relpath > relpath)
    return [Signature._make(row) for row in conn.execute(query)]


def open_paths(conn: sa.Connection, root_id: int, stage: str) -> set[bytes]:
    """Return the paths of a root with an open entry of this stage in the quarantine."""
    c = quarantine.c
    query = sa.select(c.relpath).where(c.root_id == root_id, c.stage == stage, c.resolved.is_(None), c.relpath.is_not(None))
    return {bytes(relpath) for relpath in conn.execute(query).scalars()}


def set_unfinished(conn: sa.Connection, unfinished: bool) -> bool:  # noqa: FBT001
    """Record that a run has begun, or has come to its end.

    Returns
    -------
    bool
        What had been recorded before: True if the last run did not end.
    """
    c = archive_meta.c
    before = conn.execute(sa.select(c.value).where(c.key == _UNFINISHED)).scalar()
    if unfinished:
        conn.execute(insert(conn, archive_meta).values(key=_UNFINISHED, value="1").on_conflict_do_nothing())
    else:
        conn.execute(sa.delete(archive_meta).where(c.key == _UNFINISHED))
    return before is not None


class Copy(NamedTuple):
    """A frame in a file that is there, and the hash of its data unit if that has been made."""

    file_id: int
    relpath: bytes
    hdu: int
    frame_id: int
    data_hash: str | None


def copies(conn: sa.Connection, root_id: int) -> list[Copy]:
    """Return what lies in the files of a root that are in state ``ok``, by path and HDU."""
    query = (
        sa.select(file.c.file_id, file.c.relpath, frame_file.c.hdu, frame.c.frame_id, frame.c.data_hash)
        .join(frame_file, frame_file.c.file_id == file.c.file_id)
        .join(frame, frame.c.frame_id == frame_file.c.frame_id)
        .where(file.c.root_id == root_id, file.c.state == "ok")
        .order_by(file.c.relpath, frame_file.c.hdu)
    )
    return [Copy(*row) for row in conn.execute(query)]


def product_files(conn: sa.Connection) -> list[tuple[str, str | None]]:
    """Return path (relative to the home) and SHA-256 of every map and mask that was made."""
    query = sa.select(product.c.path, product.c.sha256).order_by(product.c.path)
    return [(path, sha256) for path, sha256 in conn.execute(query)]
