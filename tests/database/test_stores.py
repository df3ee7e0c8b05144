"""Versions of the light-curve store, and which catalogs it holds."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from ezarchive.database import ingest, runs, stores, withdrawals
from ezarchive.database.session import Database
from ezarchive.database.stores import StoredCatalog
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame

COUNTS = {"n_light_curve": 10, "n_objects": 3, "n_orphans": 1}


@pytest.fixture
def conn(world):
    """A transaction in an archive of three frames; each has a catalog of `sex`, the first one of `circular` too: catalogs 1 to 4."""
    world.add(Frame(), Frame(), Frame())
    with world.database.begin() as conn:
        for method, frame_ids in (("sex", (1, 2, 3)), ("circular", (1,))):
            measure(conn, method, frame_ids)
        yield conn


def measure(conn, method, frame_ids, **parameters) -> int:
    run = runs.open_run(conn, runs.get_recipe(conn, method, parameters, []), {}).run_id
    rows = [runs.NewCatalog(number, run, method, f"{run}/{number}.parquet", 5, "a", apertures=(5.0,)) for number in frame_ids]
    runs.add_catalogs(conn, rows)
    runs.close_run(conn, run)
    return run


def publish(conn, number=1, kind="associate", added=(), removed=()):
    stores.publish(conn, number, kind, COUNTS, {"radius": 1.0}, added, removed)


class TestPublish:
    def test_before_the_first_there_is_none(self, conn):
        assert stores.current(conn) is None
        assert stores.versions(conn) == []
        assert stores.stored(conn).num_rows == 0
        assert stores.stored(conn).schema.names == ["catalog_id", "n_rows", "calibration"]
        assert stores.stale(conn) == []
        assert stores.missing(conn) == [1, 2, 3, 4]

    def test_readers_take_the_newest(self, conn):
        publish(conn)
        publish(conn, 2, "compact")
        assert stores.current(conn) == 2
        newest, oldest = stores.versions(conn)
        assert (newest["number"], newest["kind"], oldest["number"], oldest["kind"]) == (2, "compact", 1, "associate")
        assert {name: newest[name] for name in COUNTS} == COUNTS
        assert newest["parameters"] == '{"radius":1.0}'
        assert newest["created"] >= oldest["created"]

    def test_catalogs_come_change_and_go(self, conn):
        publish(conn, added=[StoredCatalog(1, 5, "a"), (2, 6, "b")])
        assert stores.stored(conn).to_pylist() == [
            {"catalog_id": 1, "n_rows": 5, "calibration": "a"},
            {"catalog_id": 2, "n_rows": 6, "calibration": "b"},
        ]
        assert stores.missing(conn) == [3, 4]
        publish(conn, 2, added=[(1, 5, "c"), (4, 2, "")], removed=[2])
        assert [tuple(row.values()) for row in stores.stored(conn).to_pylist()] == [(1, 5, "c"), (4, 2, "")]
        publish(conn, 3, "rebuild", added=[(3, 1, "")], removed=range(1, 5000))
        assert stores.stored(conn)["catalog_id"].to_pylist() == [3]

    def test_many_catalogs_at_once(self, world):
        ids = world.add(*(Frame() for _ in range(2500)))
        with world.database.begin() as conn:
            measure(conn, "sex", ids)
            publish(conn, added=[(number, 1, "x") for number in stores.missing(conn)])
            assert stores.stored(conn).num_rows == 2500
            assert stores.missing(conn) == stores.stale(conn) == []

    def test_an_error_leaves_the_version_before(self, world):
        world.add(Frame())
        with world.database.begin() as conn:
            measure(conn, "sex", [1])
            publish(conn, added=[(1, 5, "a")])
        with pytest.raises(sa.exc.IntegrityError, match=r"(?i)foreign key"), world.database.begin() as conn:
            publish(conn, 2, added=[(1, 5, "b"), (77, 5, "b")])
        with world.database.connect() as conn:
            assert stores.current(conn) == 1
            assert stores.stored(conn)["calibration"].to_pylist() == ["a"]

    @pytest.mark.parametrize("number", [1, 2, 0, -3])
    def test_a_number_is_larger_than_all_before(self, conn, number):
        publish(conn, 2)
        with pytest.raises(InputError, match=f"number {number}: must be larger than 2, the newest version of the store"):
            publish(conn, number)

    def test_the_kind_and_the_counts_are_checked(self, conn):
        with pytest.raises(InputError, match="kind 'other': must be one of associate, compact, rebuild"):
            publish(conn, 1, "other")
        with pytest.raises(InputError, match="counts: n_objects, n_orphans missing; must hold n_light_curve, n_objects, n_orphans"):
            stores.publish(conn, 1, "associate", {"n_light_curve": 1}, {})
        with pytest.raises(InputError, match="parameters"):
            stores.publish(conn, 1, "associate", COUNTS, {"radius": float("nan")})
        assert stores.current(conn) is None


class TestMissingAndStale:
    def test_only_of_the_methods_asked_for(self, conn):
        assert stores.missing(conn, ["circular"]) == [4]
        assert stores.missing(conn, {"sex", "photutils"}) == [1, 2, 3]
        assert stores.missing(conn, []) == []

    def test_a_newer_measurement_makes_the_old_one_stale(self, conn):
        publish(conn, added=[(number, 5, "") for number in (1, 2, 3, 4)])
        measure(conn, "sex", [2], sigma=3)
        assert stores.missing(conn) == [5]
        assert stores.stale(conn) == [2]

    def test_so_does_a_withdrawal_and_its_undoing(self, conn):
        publish(conn, added=[(number, 5, "") for number in (1, 2, 3, 4)])
        withdrawals.withdraw_run(conn, 1)
        assert (stores.missing(conn), stores.stale(conn)) == ([], [1, 2, 3])
        withdrawals.restore_run(conn, 1)
        assert (stores.missing(conn), stores.stale(conn)) == ([], [])

    def test_a_frame_that_no_file_holds_any_more_counts_no_more(self, conn):
        publish(conn, added=[(1, 5, ""), (3, 5, "")])
        conn.execute(sa.text("DELETE FROM frame_file WHERE frame_id IN (1, 2)"))
        assert (stores.missing(conn), stores.stale(conn)) == ([], [1])


class TestChanges:
    @staticmethod
    def read(database) -> int:
        with database.connect() as conn:
            return stores.changes(conn)

    def test_what_was_written_is_counted_and_reading_is_not(self, database):
        before = self.read(database)
        with database.begin() as conn:
            ingest.upsert_root(conn, "one", "/one", "science")
            ingest.upsert_root(conn, "two", "/two", "science")
        assert self.read(database) == before + 1
        with database.begin() as conn:
            conn.execute(sa.text("SELECT count(*) FROM root")).scalar()
        with database.begin():
            pass
        assert self.read(database) == before + 1
        with database.begin() as conn:
            ingest.upsert_root(conn, "three", "/three", "science")
        assert self.read(database) == before + 2

    def test_what_was_rolled_back_is_not(self, database):
        before = self.read(database)
        with pytest.raises(ZeroDivisionError, match="division"), database.begin() as conn:
            ingest.upsert_root(conn, "one", "/one", "science")
            1 / 0  # noqa: B018
        assert self.read(database) == before

    def test_an_open_reader_keeps_its_number(self, database):
        with database.connect() as reader:
            before = stores.changes(reader)
            with database.begin() as conn:
                ingest.upsert_root(conn, "one", "/one", "science")
            assert stores.changes(reader) == before
        assert self.read(database) == before + 1

    def test_several_writers_do_not_block_each_other(self, url):
        errors: list[Exception] = []

        def work(worker: int) -> None:
            try:
                with Database.open(url) as database:
                    for number in range(10):
                        with database.begin() as conn:
                            ingest.upsert_root(conn, f"{worker}-{number}", "/data", "science")
            except Exception as err:  # noqa: BLE001  told to the main thread
                errors.append(err)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        with Database.open(url) as database:
            assert self.read(database) == 40
