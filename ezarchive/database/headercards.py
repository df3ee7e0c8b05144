"""The headers of many frames, as they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from ezarchive.database.models import frame_header
from ezarchive.database.parts import chunks, in_ids, plain_rows


def packed_headers(conn: sa.Connection, frame_ids: Iterable[int]) -> Iterator[list[tuple[int, bytes]]]:
    """Yield frame_id and header of frames, some hundred at a time, so that those of a whole archive need no memory.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    frame_ids : iterable of int

    Yields
    ------
    list of (int, bytes)
        In no order. The header is zlib of its raw cards; a frame whose header is not kept is left out.
    """
    for part in chunks(frame_ids):
        yield plain_rows(conn, sa.select(frame_header.c.frame_id, frame_header.c.cards).where(in_ids(frame_header.c.frame_id, part)))
