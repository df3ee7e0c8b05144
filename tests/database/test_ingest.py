"""Frames written by the indexer, the copy they are read from, and the counts that follow."""

from __future__ import annotations

import random
import zlib
from collections import defaultdict

import pytest
import sqlalchemy as sa

from ezarchive.database import ingest, queries
from ezarchive.frames.record import Frame


def available(world) -> dict[int, tuple[str, str] | None]:
    """Return frame -> (root, path) of its copy, as the rules say: the first by root and path among files that are there."""
    rows = world.rows(
        "SELECT l.frame_id, f.root_id, f.relpath, r.name FROM frame_file l JOIN file f ON f.file_id = l.file_id "
        "JOIN root r ON r.root_id = f.root_id WHERE f.state = 'ok'"
    )
    found: dict[int, tuple] = {}
    for frame_id, root_id, relpath, name in rows:
        found[frame_id] = min(found.get(frame_id, (10**9,)), (root_id, bytes(relpath), name))
    return {frame_id: (place[2], place[1]) for frame_id, place in found.items()}


def brute_rollup(world) -> dict[tuple, tuple[int, float]]:
    """Return the counts, frame by frame."""
    counts: dict[tuple, list] = defaultdict(lambda: [0, 0.0])
    for frame_id, (root, _) in available(world).items():
        frame = world.frames[frame_id]
        key = (root, frame.kind, frame.night, frame.observatory, frame.telname, frame.telkey, frame.filter, frame.objname)
        counts[key][0] += 1
        counts[key][1] += frame.exptime or 0.0
    return {key: (n, pytest.approx(exptime)) for key, (n, exptime) in counts.items()}


def stored_rollup(world) -> dict[tuple, tuple[int, float]]:
    names = ("root", "kind", "night", "observatory", "telname", "telkey", "filter", "objname")
    with world.database.connect() as conn:
        rows = queries.rollup(conn)
        assert conn.execute(sa.text("SELECT count(*) FROM rollup")).scalar() == len(rows), "two rows for one group"
    return {tuple(row[name] for name in names): (row["n"], row["exptime"]) for row in rows}


def random_frame(rng: random.Random) -> Frame:
    def one_of(*values):
        return rng.choice([None, *values])

    return Frame(
        kind=rng.choice(["science", "reference", "dark"]), night=one_of("2025-01-01", "2025-01-02"), observatory=one_of("7DT", "LCO"),
        telname=one_of("7DT01", "7DT02"), telkey=one_of("a", "b"), filter=one_of("r", "m600"), objname=one_of("T1", "T2"),
        exptime=one_of(10.0, 100.0),
    )  # fmt: skip


class TestInsert:
    def test_ids_follow_the_order_of_the_frames(self, world):
        ids = world.add(*(Frame(exptime=float(number)) for number in range(1200)))
        assert ids == sorted(ids)
        with world.database.connect() as conn:
            assert [frame.exptime for frame in queries.frames_by_id(conn, ids)] == [float(number) for number in range(1200)]
        more = world.add(Frame())
        assert more[0] > ids[-1]

    def test_nothing_is_nothing(self, world):
        with world.database.begin() as conn:
            assert ingest.insert_frames(conn, []) == []
            ingest.refresh(conn, [])

    def test_header_and_origin_are_kept_apart(self, world):
        cards = b"SIMPLE  =                    T".ljust(80) + b"END".ljust(80)
        with world.database.begin() as conn:
            a, b = ingest.insert_frames(conn, [(Frame(origin={"gain": "header:EGAIN"}), [], zlib.compress(cards)), (Frame(), [], None)])
        with world.database.connect() as conn:
            assert queries.header_cards(conn, a) == cards
            assert queries.header_cards(conn, b) is None
            assert queries.origin(conn, a) == {"gain": "header:EGAIN"}
            assert queries.origin(conn, b) == queries.origin(conn, 999) == {}

    def test_cells_may_be_numpy_numbers_and_come_twice(self, world, footprint):
        world.add(Frame(**footprint(10, 10)))
        with world.database.begin() as conn:
            (frame_id,) = ingest.insert_frames(conn, [(Frame(), [3, 1, 3], None)])
        assert world.rows(f"SELECT cell FROM frame_cell WHERE frame_id = {frame_id} ORDER BY cell") == [(1,), (3,)]

    def test_a_telescope_stands_where_it_is_first_seen(self, world):
        world.add(Frame(telname="one"))
        world.add(Frame(telname="one", observatory="A"), Frame(telname="one", observatory="B"), Frame(telname="two", observatory="B"))
        world.add(Frame(telname="two", observatory="A"))
        query = "SELECT t.name, s.name FROM telescope t JOIN site s ON s.site_id = t.site_id ORDER BY 1"
        assert world.rows(query) == [("one", "A"), ("two", "B")]
        assert sorted(frame.observatory or "" for frame in world.search()) == ["", "A", "A", "B", "B"]

    def test_no_row_stays_of_a_batch_that_failed(self, world):
        with pytest.raises(sa.exc.IntegrityError, match="(?i)constraint"), world.database.begin() as conn:
            ingest.insert_frames(conn, [(Frame(objname="T1"), [], None), (Frame(kind="nonsense"), [], None)])
        assert world.rows("SELECT count(*) FROM frame") == world.rows("SELECT count(*) FROM target") == [(0,)]


class TestKnown:
    def test_frames_are_found_by_header_hash_with_all_their_files(self, world):
        a, b, c = world.add(Frame(header_hash="h1", data_sample="s", naxis1=3, naxis2=4), Frame(header_hash="h1"), Frame(header_hash="h2"))
        with world.database.begin() as conn:
            (copy,) = ingest.upsert_files(conn, world.roots["calib"], [(b"copy.fits", 9, 8, 7)])
            ingest.link(conn, [(a, copy, 2)])
            ingest.set_data_hash(conn, {a: "full"})
            found = ingest.frames_with_hash(conn, ["h1", "h2", "h3"])
        assert {key: [frame.frame_id for frame in frames] for key, frames in found.items()} == {"h1": [a, b], "h2": [c]}
        known = found["h1"][0]
        assert known[:6] == (a, "science", "s", "full", 3, 4)
        assert [(file.relpath, file.hdu, file.state, file.size, file.mtime_ns, file.inode) for file in known.files] == [
            (b"f0000.fits", 0, "ok", 2880, 10**18, 0), (b"copy.fits", 2, "ok", 9, 8, 7),
        ]  # fmt: skip

    def test_parents(self, world):
        a, b = world.add(Frame(), Frame(kind="mask"))
        with world.database.begin() as conn:
            ingest.set_parent(conn, {b: a})
        with world.database.connect() as conn:
            assert [frame.frame_id for frame in queries.children(conn, [a])] == [b]
            assert queries.children(conn, [a], ["errormap"]) == []


class TestRefresh:
    def test_the_first_copy_that_is_there_is_read(self, world):
        (a,) = world.add(Frame(), names=["b.fits"])
        with world.database.begin() as conn:
            first, other = ingest.upsert_files(conn, world.roots["scidata"], [(b"a.fits", 1, 1, 1), (b"c.fits", 1, 1, 1)])
            (far,) = ingest.upsert_files(conn, world.roots["calib"], [(b"0.fits", 1, 1, 1)])
            ingest.link(conn, [(a, first, 3), (a, other, 0), (a, far, 0)])
            ingest.refresh(conn, [a])
        (own,) = world.rows(f"SELECT file_id FROM frame_file WHERE frame_id = {a} AND file_id NOT IN ({first}, {other}, {far})")[0]
        places = []
        for file_ids in ([], [first], [other], [own], [far]):
            with world.database.begin() as conn:
                ingest.refresh(conn, ingest.set_file_state(conn, file_ids, "missing"))
            places += [(frame.root, frame.relpath, frame.hdu) for frame in world.search()] or [None]
        scidata = [("scidata", "a.fits", 3), ("scidata", "b.fits", 0), ("scidata", "b.fits", 0)]
        assert places == [*scidata, ("calib", "0.fits", 0), None]
        assert [frame.path for frame in world.search(available=False)] == [None]

    def test_counts_are_those_of_a_brute_force_count_whatever_happens(self, world):
        rng = random.Random(7)
        world.add(*(random_frame(rng) for _ in range(60)))
        world.add(*(random_frame(rng) for _ in range(20)), root="calib")
        assert stored_rollup(world) == brute_rollup(world)
        files = [file_id for (file_id,) in world.rows("SELECT file_id FROM file")]
        for _ in range(25):
            chosen = rng.sample(files, rng.randint(1, 12))
            with world.database.begin() as conn:
                what = rng.randrange(3)
                if what == 0:
                    touched = ingest.set_file_state(conn, chosen, rng.choice(["ok", "missing", "corrupt", "waiting"]))
                elif what == 1:
                    touched = ingest.unlink_files(conn, chosen)
                else:
                    ids = rng.sample(list(world.frames), len(chosen))
                    touched = ingest.unlink_files(conn, chosen) + ids
                    ingest.link(conn, [(frame_id, file_id, 0) for frame_id, file_id in zip(ids, chosen, strict=True)])
                ingest.refresh(conn, touched)
            assert stored_rollup(world) == brute_rollup(world)
        found = {frame.frame_id: (frame.root, frame.relpath.encode()) for frame in world.search()}
        assert found == available(world)
        before = stored_rollup(world)
        with world.database.begin() as conn:
            conn.execute(sa.text("UPDATE rollup SET n = 99"))
            ingest.rebuild_rollup(conn)
        assert stored_rollup(world) == before


class TestUpdate:
    def test_a_frame_is_written_anew_and_counted_anew(self, world, footprint):
        a, b = world.add(Frame(objname="T1", night="2025-01-01", **footprint(10, 10)), Frame(objname="T1", night="2025-01-01"))
        new = Frame(objname="T2", night="2025-01-02", header_hash="new", origin={"x": "y"}, **footprint(50, 50))
        with world.database.begin() as conn:
            ingest.set_parent(conn, {a: b})
            ingest.set_data_hash(conn, {a: "data"})
            ingest.update_frames(conn, [(a, new, [5, 6], b"cards")])
            ingest.update_frames(conn, [])
        world.frames[a] = new
        assert stored_rollup(world) == brute_rollup(world)
        with world.database.connect() as conn:
            (found,) = queries.frames_by_id(conn, [a])
            assert (found.objname, found.night, found.ra, found.parent_id, found.data_hash) == ("T2", "2025-01-02", 50.0, b, "data")
            assert queries.origin(conn, a) == {"x": "y"}
        assert world.rows(f"SELECT cell FROM frame_cell WHERE frame_id = {a} ORDER BY cell") == [(5,), (6,)]
