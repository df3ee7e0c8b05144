"""Small pieces of SQL."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.database.models import camera, file, frame
from ezarchive.database.parts import bytes_hold, chunks, in_ids, insert_many, reserve_ids
from ezarchive.frames.record import Frame


@pytest.mark.pure
@given(st.lists(st.integers()), st.integers(1, 7))
def test_chunks_are_the_items_in_short_lists(items, size):
    parts = list(chunks(iter(items), size))
    assert [item for part in parts for item in part] == items
    assert all(1 <= len(part) <= size for part in parts)


def test_more_ids_than_a_statement_has_parameters(world):
    (frame_id,) = world.add(Frame())
    with world.database.connect() as conn:
        query = sa.select(frame.c.frame_id).where(in_ids(frame.c.frame_id, range(100_000)))
        assert conn.execute(query).scalars().all() == [frame_id]
        assert conn.execute(sa.select(frame.c.frame_id).where(in_ids(frame.c.frame_id, []))).all() == []


@pytest.mark.parametrize("part", [b"\xff%_", b"'", b"\\", b"f00"])
def test_bytes_hold(world, part):
    world.add(Frame(), Frame(), Frame(), Frame(), names=[b"a\xff%_b", b"a'b", b"a\\b", b"f00.fits"])
    with world.database.connect() as conn:
        (found,) = conn.execute(sa.select(file.c.relpath).where(bytes_hold(file.c.relpath, part))).scalars()
    assert part in found


def test_reserved_ids_go_on_after_those_in_use(world):
    ids = world.add(Frame(), Frame())
    with world.database.begin() as conn:
        assert reserve_ids(conn, frame.c.frame_id, 3) == [ids[-1] + 1, ids[-1] + 2, ids[-1] + 3]


class TestInsertMany:
    def test_no_rows(self, database):
        with database.begin() as conn:
            insert_many(conn, camera, ("camera_id", "name"), [])

    def test_a_mistake_is_told_as_that_of_any_other_statement(self, database):
        with pytest.raises(sa.exc.IntegrityError, match="(?i)unique"), database.begin() as conn:
            insert_many(conn, camera, ("camera_id", "name"), [(1, "a"), (2, "a")])

    def test_any_text_and_bytes(self, database):
        rows = [(1, "tab\t newline\n \\N \\. 'quote' ✓"), (2, "\\x00")]
        with database.begin() as conn:
            insert_many(conn, camera, ("camera_id", "name"), rows)
            assert sorted(tuple(row) for row in conn.execute(sa.select(camera))) == rows
