"""Headers of many frames, as they are stored."""

from __future__ import annotations

import zlib

from ezarchive.database import ingest
from ezarchive.database.headercards import packed_headers
from ezarchive.frames.record import Frame


def test_many_headers_in_pieces(database):
    packed = [None if k % 7 == 0 else zlib.compress(f"N       = {k}".encode().ljust(80)) for k in range(2500)]
    with database.begin() as conn:
        ids = ingest.insert_frames(conn, [(Frame(header_hash=f"{k:032x}"), (), one) for k, one in enumerate(packed)])
    with database.connect() as conn:
        parts = list(packed_headers(conn, ids))
        some = [row for part in packed_headers(conn, iter(ids[1:4])) for row in part]
    found = {frame_id: bytes(cards) for part in parts for frame_id, cards in part}
    assert len(parts) == 3
    assert found == {frame_id: one for frame_id, one in zip(ids, packed, strict=True) if one is not None}
    assert sorted(frame_id for frame_id, _ in some) == ids[1:4]
    assert isinstance(zlib.decompress(some[0][1]), bytes)
