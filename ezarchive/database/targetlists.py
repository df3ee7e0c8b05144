"""Lists of targets of forced photometry: one row a list, the positions themselves in a file of the home."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from ezarchive.database.models import target_list
from ezarchive.database.names import insert
from ezarchive.database.rows import now


class TargetList(NamedTuple):
    """A list that is stored; ``hash`` is of ids and positions, ``path`` relative to the archive's home, ``sha256`` of the file."""

    hash: str
    name: str | None
    path: str
    n_rows: int
    sha256: str


def add(conn: sa.Connection, listed: TargetList) -> None:
    """Record a list whose file lies on disk; one that is known gets the name and file anew."""
    values = listed._asdict()
    statement = insert(conn, target_list).values(created=now(), **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["hash"], set_=values))


def find(conn: sa.Connection, digest: str) -> TargetList | None:
    """Return a list by its hash, None if it is not known."""
    row = conn.execute(_LISTS.where(target_list.c.hash == digest)).one_or_none()
    return None if row is None else TargetList(*row)


def every(conn: sa.Connection) -> list[TargetList]:
    """Return every list, the oldest first."""
    return [TargetList(*row) for row in conn.execute(_LISTS.order_by(target_list.c.created, target_list.c.hash))]


_LISTS = sa.select(*(target_list.c[name] for name in TargetList._fields))
