"""The quarantine."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from ezarchive.database import ingest, queries
from ezarchive.frames.record import Frame


@pytest.fixture
def conn(world):
    world.add(Frame(), Frame())
    with world.database.begin() as conn:
        yield conn


def test_a_failure_is_counted_and_a_success_resolves_it(conn):
    for code in ("truncated", "empty"):
        ingest.add_quarantine(conn, 1, b"a/b\xff\n.fits", "index", code, "why\0")
    (row,) = queries.quarantine(conn)
    assert {key: row[key] for key in ("root", "relpath", "path", "frame_id", "stage", "code", "message", "tries", "resolved")} == {
        "root": "scidata", "relpath": "a/b\udcff\n.fits", "path": "/data/sci/a/b\udcff\n.fits", "frame_id": None, "stage": "index",
        "code": "empty", "message": "why\\x00", "tries": 2, "resolved": None,
    }  # fmt: skip
    assert row["first_seen"] <= row["last_seen"]
    assert ingest.resolve_quarantine(conn, 1, [b"a/b\xff\n.fits", b"other"], "measure") == 0
    assert ingest.resolve_quarantine(conn, 1, ["a/b\udcff\n.fits", b"other"], "index") == 1
    assert ingest.resolve_quarantine(conn, 1, ["a/b\udcff\n.fits"], "index") == 0
    assert queries.quarantine(conn) == []
    assert [entry["resolved"] is None for entry in queries.quarantine(conn, resolved=True)] == [False]
    ingest.add_quarantine(conn, 1, b"a/b\xff\n.fits", "index", "empty", "again")
    assert [(entry["tries"], entry["message"]) for entry in queries.quarantine(conn)] == [(3, "again")]


def test_stages_roots_and_frames_are_kept_apart(conn):
    for root, stage, frame in ((1, "index", None), (1, "measure", 1), (1, "measure", 2), (2, "index", None), (None, "measure", 1)):
        ingest.add_quarantine(conn, root, None if root is None else "a.fits", stage, "x", "y", frame_id=frame)
    assert len(queries.quarantine(conn)) == 5
    assert [entry["frame_id"] for entry in queries.quarantine(conn, root="calib")] == [None]
    assert ingest.resolve_quarantine(conn, 1, ["a.fits"], "measure", frame_ids=[2]) == 1
    left = {(entry["root"], entry["stage"], entry["frame_id"]) for entry in queries.quarantine(conn)}
    assert left == {("scidata", "index", None), ("scidata", "measure", 1), ("calib", "index", None), (None, "measure", 1)}


def test_the_latest_comes_first(conn):
    for name in ("a", "b", "a"):
        ingest.add_quarantine(conn, 1, name, "index", "x", "y")
    conn.execute(sa.text("UPDATE quarantine SET last_seen = tries"))
    assert [entry["relpath"] for entry in queries.quarantine(conn)] == ["a", "b"]
