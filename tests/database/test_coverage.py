"""Which frames cells touch, on both engines."""

from __future__ import annotations

from ezarchive import sky
from ezarchive.database import coverage
from ezarchive.frames.record import Frame


def test_frames_of_the_kind_that_are_there(world, footprint):
    here, there = footprint(10.0, 20.0, 0.2), footprint(200.0, -77.0, 0.2)
    one, two, dark = world.add(Frame(kind="science", **here), Frame(kind="science", **there), Frame(kind="reference", **here))
    cells = sky.cell_of([10.0, 200.0], [20.0, -77.0]).tolist()
    with world.database.connect() as conn:
        assert coverage.touching(conn, cells[:1]) == [one]
        assert coverage.touching(conn, cells) == [one, two]
        assert coverage.touching(conn, cells[:1], kind="reference") == [dark]
        assert coverage.touching(conn, []) == []
        assert coverage.touching(conn, [*range(1500), *cells]) == [one, two]
