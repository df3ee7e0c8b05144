"""Which frames a list of positions may lie on."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from ezarchive.database.models import frame, frame_cell
from ezarchive.database.parts import chunks, in_ids


def touching(conn: sa.Connection, cells: Iterable[int], kind: str = "science") -> list[int]:
    """Return the frames of a kind that can be read at present and whose footprint touches any of some cells.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    cells : iterable of int
        HEALPix NESTED of the order that frames are filed under (`ezarchive.sky.CELL_ORDER`).
    kind : str
        Of the frames.

    Returns
    -------
    list of int
        frame_id, rising.
    """
    found: set[int] = set()
    for part in chunks(cells):
        query = sa.select(frame_cell.c.frame_id).join(frame, frame.c.frame_id == frame_cell.c.frame_id).distinct()
        query = query.where(in_ids(frame_cell.c.cell, part), frame.c.kind == kind, frame.c.file_id.is_not(None))
        found.update(conn.execute(query).scalars())
    return sorted(found)
