"""Roots and files: signatures, states, moves."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from ezarchive.database import ingest
from ezarchive.database.ingest import FileRow, Linked
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame


@pytest.fixture
def root(database) -> int:
    with database.begin() as conn:
        return ingest.upsert_root(conn, "scidata", "/data", "science")


def signatures(database, root):
    with database.connect() as conn:
        return list(ingest.signatures(conn, root))


def upsert(database, root, *rows):
    with database.begin() as conn:
        return ingest.upsert_files(conn, root, rows)


class TestRoots:
    def test_a_moved_disk_is_one_update(self, database, root):
        with database.begin() as conn:
            assert ingest.upsert_root(conn, "scidata", "/elsewhere", "science") == root
            assert conn.execute(sa.text("SELECT name, uri, kind FROM root")).all() == [("scidata", "/elsewhere", "science")]

    def test_a_root_is_of_a_known_kind(self, database):
        with database.begin() as conn, pytest.raises(InputError, match=r"kind 'sciense': did you mean 'science'\?"):
            ingest.upsert_root(conn, "x", "/x", "sciense")

    def test_offline_and_seen_again(self, database, root):
        with database.begin() as conn:
            ingest.set_online(conn, root, False)
            assert not conn.execute(sa.text("SELECT online FROM root")).scalar()
            ingest.touch_seen(conn, root, 60000.5)
            assert conn.execute(sa.text("SELECT online, seen FROM root")).one() == (True, 60000.5)


class TestFiles:
    def test_come_back_in_the_order_of_their_bytes(self, database, root):
        names = [b"a/b.fits", b"a.fits", b"\xff\xfe.fits", "é.fits".encode(), b"a-b.fits", b"B.fits", b"new\nline '\".fits", b"a/b/c.fits"]
        ids = upsert(database, root, *((name, 1, 2, 3) for name in names))
        found = signatures(database, root)
        assert [row.relpath for row in found] == sorted(names)
        assert {row.relpath: row.file_id for row in found} == dict(zip(names, ids, strict=True))
        assert {type(row.relpath) for row in found} == {bytes}

    def test_numbers_of_any_size_survive(self, database, root):
        row = FileRow(b"a", 2**50, -(10**18), 2**64 - 1, "waiting")
        (file_id,) = upsert(database, root, row)
        (found,) = signatures(database, root)
        assert found == (file_id, *row)

    def test_a_known_path_keeps_its_id_and_first_seen(self, database, root):
        upsert(database, root, (b"a", 1, 2, 3))
        with database.begin() as conn:
            conn.execute(sa.text("UPDATE file SET first_seen = 1, last_seen = 1"))
        ids = upsert(database, root, (b"b", 1, 2, 3), (b"a", 5, 6, 7, "corrupt"), (b"b", 9, 9, 9))
        assert ids[0] == ids[2]
        with database.connect() as conn:
            query = "SELECT size, mtime_ns, inode, state, first_seen, last_seen > 60000 FROM file ORDER BY relpath"
            rows = conn.execute(sa.text(query)).all()
        assert rows[0] == (5, 6, 7, "corrupt", 1.0, True)
        assert rows[1][:4] == (9, 9, 9, "ok")

    def test_many_files_at_once(self, database, root):
        rows = [(b"%05d" % number, number, number, number) for number in range(2500)]
        ids = upsert(database, root, *rows)
        assert [(row.file_id, row.size) for row in signatures(database, root)] == [(file_id, number) for number, file_id in enumerate(ids)]

    def test_a_state_is_one_of_four(self, database, root):
        with pytest.raises(InputError, match=r"state 'mising': did you mean 'missing'"):
            upsert(database, root, (b"a", 1, 2, 3, "mising"))

    def test_a_missing_file_was_last_seen_when_its_root_was_walked(self, database, root):
        (file_id,) = upsert(database, root, (b"a", 1, 2, 3))
        with database.begin() as conn:
            ingest.touch_seen(conn, root, 99999.0)
            ingest.set_file_state(conn, [file_id], "missing")
            assert conn.execute(sa.text("SELECT state, last_seen FROM file")).one() == ("missing", 99999.0)
            ingest.touch_seen(conn, root, 99999.5)
            ingest.set_file_state(conn, [file_id], "missing")
            assert conn.execute(sa.text("SELECT last_seen FROM file")).scalar() == 99999.0


class TestLinks:
    def test_a_file_holds_several_frames_and_a_frame_lies_in_several_files(self, database, root):
        one, two = upsert(database, root, (b"a/one.fits", 1, 2, 3), (b"two.fits", 1, 2, 3))
        with database.begin() as conn:
            a, b = ingest.insert_frames(conn, [(Frame(), [], None), (Frame(), [], None)])
            ingest.link(conn, [(a, one, 0), (b, one, 1), (a, two, 0)])
            assert ingest.links(conn, [one, two, 99]) == {one: {(a, 0), (b, 1)}, two: {(a, 0)}}
            assert ingest.find_by_name(conn, root, b"a", b"one.fits") == [Linked(a, one, 0), Linked(b, one, 1)]
            assert ingest.find_by_name(conn, root, b"", b"two.fits") == [Linked(a, two, 0)]
            assert ingest.find_by_name(conn, root, b"", b"one.fits") == []
            assert ingest.set_file_state(conn, [one], "missing") == [a, b]
            assert ingest.unlink_files(conn, [one]) == [a, b]
            assert ingest.links(conn, [one, two]) == {two: {(a, 0)}}

    def test_a_place_holds_one_frame(self, database, root):
        (one,) = upsert(database, root, (b"one.fits", 1, 2, 3))
        with database.begin() as conn:
            a, b = ingest.insert_frames(conn, [(Frame(), [], None), (Frame(), [], None)])
            ingest.link(conn, [(a, one, 0)])
            ingest.link(conn, [(b, one, 0)])
            assert ingest.links(conn, [one]) == {one: {(b, 0)}}


class TestMoves:
    def test_a_chain_and_a_swap(self, database, root):
        a, b, c, d = upsert(database, root, *((name, 1, 2, 3) for name in (b"a", b"b", b"c", b"d")))
        with database.begin() as conn:
            ingest.move_files(
                conn, root, {a: FileRow(b"b", 1, 2, 3), b: FileRow(b"e", 1, 2, 3), c: FileRow(b"d", 1, 2, 3), d: FileRow(b"c", 7, 8, 9)}
            )
        found = [(row.relpath, row.file_id, row.size) for row in signatures(database, root)]
        assert found == [(b"b", a, 1), (b"c", d, 7), (b"d", c, 1), (b"e", b, 1)]

    def test_a_row_without_frames_makes_room(self, database, root):
        a, _ = upsert(database, root, (b"a", 1, 2, 3), (b"b", 5, 5, 5, "corrupt"))
        with database.begin() as conn:
            ingest.move_files(conn, root, {a: FileRow(b"b", 1, 2, 3)})
        assert [(row.relpath, row.file_id, row.state) for row in signatures(database, root)] == [(b"b", a, "ok")]

    def test_into_another_root(self, database, root):
        (a,) = upsert(database, root, (b"a", 1, 2, 3))
        with database.begin() as conn:
            other = ingest.upsert_root(conn, "other", "/other", "science")
            ingest.move_files(conn, other, {a: FileRow(b"a", 1, 2, 3)})
        assert signatures(database, root) == []
        assert [row.file_id for row in signatures(database, other)] == [a]
