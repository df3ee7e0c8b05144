"""Engines: URLs checked, connections set up, and what the world does to a database turned into our errors."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, OperationalError

from ezarchive.errors import ConfigError, DatabaseError, LockedError

BUSY_SECONDS = 30
"""How long a writer waits for another one."""

IMMEDIATE = "ezarchive_immediate"
"""Execution option of a connection whose transaction writes."""

_OF_PARENTS: list[Any] = []
"""Connections of the process that this one was forked from, which only it may use or close."""

BINARY = "ezarchive_binary"
"""Execution option of a statement whose rows PostgreSQL is to send as numbers and not as their digits."""


def parse_url(url: str | sa.URL) -> sa.URL:
    """Return a checked URL, with the driver that we use.

    Raises
    ------
    ConfigError
        If it is no URL, or of another database, or SQLite in memory.
    """
    try:
        made = sa.make_url(url)
        backend = made.get_backend_name()
    except ArgumentError as err:
        raise ConfigError("database url: cannot be read; must be sqlite:////path.db or postgresql://user@host/name") from err
    if backend == "sqlite":
        if made.database in (None, "", ":memory:"):
            raise ConfigError("database url: SQLite needs a file, as sqlite:////path/archive.db")
        return made.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        return made.set(drivername="postgresql+psycopg")
    raise ConfigError(f"database url: {backend!r} is not supported; must be sqlite:////path.db or postgresql://user@host/name")


def make_engine(url: sa.URL, *, write: bool = True) -> sa.Engine:
    """Return an engine whose connections are set up as ours must be.

    Parameters
    ----------
    url : sqlalchemy.URL
        Of `parse_url`.
    write : bool
        False: the connections refuse to write.

    Raises
    ------
    DatabaseError
        If the driver for PostgreSQL is not installed.
    """
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database))
        if not write and not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists():
            # Reading a WAL database means making files beside it. Who may not do that, while nobody writes, reads the file as it stands.
            engine = sa.create_engine(url, creator=lambda: _connect_immutable(path))
        else:
            engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        sa.event.listen(engine, "connect", _set_up_sqlite if write else _set_up_sqlite_reader)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return _of_one_process(engine)
    settings = {
        "jit": "off",  # costs 100 ms a query here and gains nothing
        "random_page_cost": "1.1",  # the default is for turning disks: it prefers reading a table whole to using its index
        "timezone": "UTC",
        "lock_timeout": f"{BUSY_SECONDS}s",
        "default_transaction_read_only": "off" if write else "on",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    try:
        engine = sa.create_engine(url, connect_args={"options": options, "connect_timeout": 10}, pool_pre_ping=True)
    except ImportError as err:
        raise DatabaseError(f"database {shown(url)}: needs psycopg 3: pip install 'ezarchive[postgresql]'") from err
    sa.event.listen(engine, "before_cursor_execute", _ask_for_binary)
    return _of_one_process(engine)


def _of_one_process(engine: sa.Engine) -> sa.Engine:
    """Make connections anew in a process that was forked; SQLAlchemy's own recipe, but that those of the parent are not even closed."""
    sa.event.listen(engine, "connect", _remember_process)
    sa.event.listen(engine, "checkout", _refuse_parents)
    return engine


def shown(url: sa.URL) -> str:
    """Return a URL as a user knows it, without its password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.render_as_string(hide_password=True).replace("+psycopg", "", 1)


@contextmanager
def translated(url: sa.URL) -> Iterator[None]:
    """Turn what the world does to a database into our errors; mistakes of the code (a broken constraint) stay what they are."""
    try:
        yield
    except OperationalError as err:
        if "database is locked" in str(err.orig) or "lock timeout" in str(err.orig):
            raise LockedError(f"database {shown(url)}: another process has been writing for {BUSY_SECONDS} s") from err
        raise DatabaseError(f"database {shown(url)}: {_first_line(err)}") from err
    except DBAPIError as err:
        if "not a database" in str(err.orig) or "malformed" in str(err.orig):
            raise DatabaseError(f"database {shown(url)}: {_first_line(err)}") from err
        raise


def _first_line(err: DBAPIError) -> str:
    return str(err.orig).strip().partition("\n")[0]


def _remember_process(connection: Any, record: Any) -> None:
    record.info["process"] = os.getpid()


def _refuse_parents(connection: Any, record: Any, proxy: Any) -> None:
    if record.info["process"] != os.getpid():
        _OF_PARENTS.append(connection)
        record.dbapi_connection = proxy.dbapi_connection = None
        raise DisconnectionError("the connection is the parent process's")


def _connect_immutable(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _set_up_sqlite(connection: Any, record: object) -> None:
    # sqlite3 would begin transactions by its own rules; `_begin_sqlite` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # FULL: a commit survives a power failure. Batches are large, so its fsync is not felt.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA cache_size = -65536")
    cursor.execute("PRAGMA temp_store = MEMORY")
    cursor.close()


def _set_up_sqlite_reader(connection: Any, record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.execute("PRAGMA cache_size = -65536")
    cursor.execute("PRAGMA temp_store = MEMORY")
    cursor.close()


def _begin_sqlite(conn: sa.Connection) -> None:
    # A transaction that reads first and writes later can fail at once when another one writes in between: writers queue at the start.
    conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get(IMMEDIATE) else "BEGIN")


def _ask_for_binary(conn: sa.Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:  # noqa: FBT001
    if context is not None and context.execution_options.get(BINARY):
        cursor.format = 1
