"""Opening databases: versions, reading only, and writers that wait for each other."""

from __future__ import annotations

import re
import threading
import time

import pytest
import sqlalchemy as sa

from ezarchive.database import engine as engines
from ezarchive.database import ingest
from ezarchive.database.models import SCHEMA_VERSION, archive_meta
from ezarchive.database.session import Database, check_version
from ezarchive.errors import ConfigError, DatabaseError, LockedError, SchemaTooNewError, SchemaTooOldError
from ezarchive.frames.record import Frame


class TestCreate:
    def test_makes_an_archive_that_opens(self, empty_url):
        with Database.create(empty_url) as database, database.connect() as conn:
            assert conn.execute(sa.select(archive_meta.c.value).where(archive_meta.c.key == "schema_version")).scalar() == SCHEMA_VERSION

    def test_does_not_touch_an_archive_with_roots(self, url, database):
        with database.begin() as conn:
            ingest.upsert_root(conn, "scidata", "/data", "science")
        with pytest.raises(DatabaseError, match="holds an archive already; must be empty"):
            Database.create(url)

    def test_goes_on_where_it_was_stopped(self, url):
        Database.create(url).dispose()

    def test_makes_the_folder(self, tmp_path):
        Database.create(f"sqlite:///{tmp_path}/new/folder/a.db").dispose()
        assert (tmp_path / "new/folder/a.db").is_file()


class TestVersions:
    @staticmethod
    def set_meta(url, **values):
        with Database.open(url) as database, database.begin() as conn:
            for key, value in values.items():
                conn.execute(sa.update(archive_meta).where(archive_meta.c.key == key).values(value=value))

    def test_a_newer_minor_version_is_read_and_not_written(self, url):
        self.set_meta(url, schema_version="1.99")
        with pytest.raises(SchemaTooNewError, match=r"schema is version 1\.99, this ezarchive's is .*; it can be read \(write=False\)"):
            Database.open(url)
        with Database.open(url, write=False) as database, database.connect() as conn:
            assert conn.execute(sa.text("SELECT count(*) FROM frame")).scalar() == 0

    def test_a_newer_minor_version_may_say_that_we_cannot_read_it(self, url):
        self.set_meta(url, schema_version="1.99", reader_version="1.98")
        with pytest.raises(SchemaTooNewError, match="a newer ezarchive must be installed"):
            Database.open(url, write=False)

    def test_a_newer_major_version_is_refused(self, url):
        self.set_meta(url, schema_version="2.0")
        for write in (True, False):
            with pytest.raises(SchemaTooNewError, match=r"version 2\.0.*a newer ezarchive must be installed"):
                Database.open(url, write=write)

    def test_an_older_version_is_refused(self, url):
        self.set_meta(url, schema_version="0.9")
        for write in (True, False):
            with pytest.raises(SchemaTooOldError, match=r"version 0\.9.*`ezarchive migrate` brings it up to date"):
                Database.open(url, write=write)

    @pytest.mark.pure
    def test_versions_are_numbers_and_not_texts(self, monkeypatch):
        monkeypatch.setattr("ezarchive.database.session.SCHEMA_VERSION", "1.10")
        check_version({"schema_version": "1.10"}, write=True, name="x")
        with pytest.raises(SchemaTooOldError, match=r"version 1\.9"):
            check_version({"schema_version": "1.9"}, write=False, name="x")


class TestReadingOnly:
    def test_begin_is_refused(self, url):
        with Database.open(url, write=False) as database:
            assert "reading only" in repr(database)
            with pytest.raises(DatabaseError, match="opened for reading only"), database.begin():
                pass

    def test_so_is_a_write_behind_its_back(self, url):
        with Database.open(url, write=False) as database, database.connect() as conn:
            with pytest.raises(sa.exc.DBAPIError, match="read.?only"):
                conn.execute(sa.text("DELETE FROM archive_meta"))


class TestWhatCannotBeOpened:
    def test_no_file(self, tmp_path):
        with pytest.raises(DatabaseError, match=r"a\.db: no such file"):
            Database.open(f"sqlite:///{tmp_path}/a.db")
        assert not list(tmp_path.iterdir())

    def test_no_database(self, tmp_path):
        path = tmp_path / "a.db"
        path.write_text("SIMPLE  = T" * 1000)
        with pytest.raises(DatabaseError, match=r"a\.db: file is not a database"):
            Database.open(f"sqlite:///{path}")

    def test_no_archive(self, empty_url):
        if empty_url.startswith("sqlite"):
            engine = engines.make_engine(engines.parse_url(empty_url))
            with engine.begin() as conn:
                conn.exec_driver_sql("CREATE TABLE other (id INTEGER)")
            engine.dispose()
        with pytest.raises(DatabaseError, match="holds no archive"):
            Database.open(empty_url)

    def test_no_server(self, tmp_path):
        with pytest.raises(DatabaseError, match=r"database postgresql://me:\*\*\*@/x.*: connection"):
            Database.open(f"postgresql://me:secret@/x?host={tmp_path}")

    @pytest.mark.parametrize("url", ["mysql://me@host/x", "sqlite://", "sqlite:///:memory:", "not a url", "/path/a.db"])
    def test_no_url_of_ours(self, url):
        with pytest.raises(ConfigError, match="database url: "):
            Database.open(url)

    def test_the_password_is_never_shown(self):
        assert "secret" not in engines.shown(engines.parse_url("postgresql://me:secret@host/x"))
        assert re.fullmatch(r"postgresql://me:\*\*\*@host/x", engines.shown(engines.parse_url("postgresql://me:secret@host/x")))


class TestTransactions:
    def test_an_error_rolls_back(self, database):
        with pytest.raises(ZeroDivisionError, match="division"), database.begin() as conn:
            ingest.upsert_root(conn, "scidata", "/data", "science")
            1 / 0  # noqa: B018
        with database.connect() as conn:
            assert conn.execute(sa.text("SELECT count(*) FROM root")).scalar() == 0

    def test_a_reader_sees_one_state(self, database):
        with database.connect() as reader:
            assert reader.execute(sa.text("SELECT count(*) FROM root")).scalar() == 0
            with database.begin() as conn:
                ingest.upsert_root(conn, "scidata", "/data", "science")
            assert reader.execute(sa.text("SELECT count(*) FROM root")).scalar() == 0

    def test_foreign_keys_hold(self, database):
        with pytest.raises(sa.exc.IntegrityError, match=r"(?i)foreign key"), database.begin() as conn:
            ingest.link(conn, [(77, 78, 0)])

    def test_sqlite_is_set_up(self, sqlite_url):
        with Database.open(sqlite_url) as database, database.connect() as conn:
            found = {name: conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys", "synchronous")}
        assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}

    def test_optimize_counts_the_rows(self, database):
        with database.begin() as conn:
            for number in range(30):
                ingest.upsert_root(conn, f"{number}", "/data", "science")
        database.optimize()
        counts = {
            "sqlite": "SELECT substr(stat, 1, 2) FROM sqlite_stat1 WHERE tbl = 'root'",
            "postgresql": "SELECT CAST(reltuples AS TEXT) FROM pg_class WHERE oid = CAST('root' AS regclass)",
        }
        with database.connect() as conn:
            assert conn.execute(sa.text(counts[database.dialect])).scalar() == "30"

    def test_the_message_of_a_full_disk_is_ours(self, sqlite_url):
        with Database.open(sqlite_url) as database:
            with pytest.raises(DatabaseError, match="database or disk is full"), database.begin() as conn:
                pages = conn.exec_driver_sql("PRAGMA page_count").scalar()
                conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
                for number in range(1000):
                    ingest.upsert_root(conn, f"{number}" * 500, "/data", "science")


class TestTwoWriters:
    def test_a_second_writer_waits_for_its_turn(self, database):
        entered = threading.Event()

        def first():
            with database.begin() as conn:
                ingest.upsert_root(conn, "one", "/one", "science")
                entered.set()
                time.sleep(0.3)

        thread = threading.Thread(target=first)
        thread.start()
        entered.wait()
        with database.begin() as conn:
            ingest.upsert_root(conn, "two", "/two", "science")
        thread.join()
        with database.connect() as conn:
            assert set(conn.execute(sa.text("SELECT name FROM root")).scalars()) == {"one", "two"}

    def test_one_that_waits_too_long_says_so(self, sqlite_url, monkeypatch):
        monkeypatch.setattr(engines, "BUSY_SECONDS", 0.2)
        with Database.open(sqlite_url) as one, Database.open(sqlite_url) as two, one.begin():
            with pytest.raises(LockedError, match=r"archive\.db: another process has been writing for 0\.2 s"), two.begin():
                pass

    @pytest.mark.slow
    @pytest.mark.timeout(120)
    def test_many_small_transactions_of_several_writers_all_arrive(self, url):
        errors: list[Exception] = []

        def work(worker: int) -> None:
            try:
                with Database.open(url) as database:
                    for number in range(15):
                        frame = Frame(objname=f"T{number % 3}", telname="one", night="2025-01-01", filter=f"f{number % 2}", exptime=1.0)
                        with database.begin() as conn:
                            root = ingest.upsert_root(conn, "scidata", "/data", "science")
                            (file_id,) = ingest.upsert_files(conn, root, [(f"{worker}-{number}".encode(), 1, 1, 1)])
                            (frame_id,) = ingest.insert_frames(conn, [(frame, [number], b"x")])
                            ingest.link(conn, [(frame_id, file_id, 0)])
                            ingest.refresh(conn, [frame_id])
            except Exception as err:  # noqa: BLE001  told to the main thread
                errors.append(err)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        with Database.open(url) as database, database.connect() as conn:
            assert conn.execute(sa.text("SELECT count(*), count(DISTINCT frame_id) FROM frame")).one() == (60, 60)
            assert conn.execute(sa.text("SELECT count(*) FROM filter")).scalar() == 2
            counted = conn.execute(sa.text("SELECT count(*), sum(n), sum(exptime) FROM rollup")).one()
            assert counted == (6, 60, 60.0)
