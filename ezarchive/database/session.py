"""`Database`: an engine, short transactions, and the rule about versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from ezarchive.database import migrate
from ezarchive.database.engine import IMMEDIATE, make_engine, parse_url, shown, translated
from ezarchive.database.models import SCHEMA_VERSION, archive_meta, root
from ezarchive.errors import DatabaseError, SchemaTooNewError, SchemaTooOldError


class Database:
    """The database of an archive.

    Made by `Database.create` and `Database.open`. Every unit of work is one transaction: ``with database.begin() as conn`` to write,
    ``with database.connect() as conn`` to read.

    Attributes
    ----------
    engine : sqlalchemy.Engine
    write : bool
        False: opened for reading only.
    """

    def __init__(self, engine: sa.Engine, *, write: bool = True) -> None:
        self.engine, self.write = engine, write

    @classmethod
    def create(cls, url: str | sa.URL) -> Database:
        """Make the tables in an empty database and open it.

        Parameters
        ----------
        url : str
            ``sqlite:////absolute/path.db`` or ``postgresql://user@host/name``.

        Returns
        -------
        Database

        Raises
        ------
        DatabaseError
            If there is an archive in it already, or it cannot be reached.
        ConfigError
            If the URL is not one of these.
        """
        url = parse_url(url)
        if url.get_backend_name() == "sqlite":
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = make_engine(url)
        try:
            with translated(url), engine.connect() as conn:
                # Tables alone are no archive: they may be left by a `create` that was stopped.
                if sa.inspect(conn).has_table("archive_meta") and conn.execute(sa.select(root.c.root_id).limit(1)).first():
                    raise DatabaseError(f"database {shown(url)}: holds an archive already; must be empty")
            with translated(url):
                migrate.upgrade(engine)
        finally:
            engine.dispose()
        return cls.open(url)

    @classmethod
    def open(cls, url: str | sa.URL, *, write: bool = True) -> Database:
        """Open the database of an archive.

        Parameters
        ----------
        url : str
            As of `create`.
        write : bool
            False opens it for reading only, which also works with one made by a newer ezarchive of the same major version.

        Returns
        -------
        Database

        Raises
        ------
        SchemaTooNewError, SchemaTooOldError
            If its version does not fit.
        DatabaseError
            If there is none, or it cannot be reached.
        """
        url = parse_url(url)
        if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
            raise DatabaseError(f"database {url.database}: no such file")
        engine = make_engine(url, write=write)
        try:
            with translated(url), engine.connect() as conn:
                check_version(_read_meta(conn, url), write=write, name=shown(url))
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, write=write)

    @property
    def dialect(self) -> str:
        """``"sqlite"`` or ``"postgresql"``."""
        return self.engine.dialect.name

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Open a transaction that writes; it is committed at the end of the block, or rolled back by an error.

        One that has written something counts up ``changes`` in ``archive_meta`` (`stores.changes`).

        Raises
        ------
        LockedError
            If another process has been writing for ``engine.BUSY_SECONDS``.
        DatabaseError
            If the database was opened for reading, is full or has gone.
        """
        if not self.write:
            raise DatabaseError(f"database {shown(self.engine.url)}: opened for reading only")
        with translated(self.engine.url), self.engine.connect() as conn:
            with conn.execution_options(**{IMMEDIATE: True}).begin():
                before = _written(conn)
                yield conn
                # The last statement: whoever waits for this row holds nothing back that its owner needs.
                if before is None or _written(conn) != before:
                    conn.exec_driver_sql(_CHANGED[self.dialect])

    def connect(self) -> sa.Connection:
        """Return a connection for reading, a context manager; it sees one state of the database as long as it is open."""
        with translated(self.engine.url):
            conn = self.engine.connect()
            # SQLite always does so.
            return conn.execution_options(isolation_level="REPEATABLE READ") if self.dialect == "postgresql" else conn

    def optimize(self) -> None:
        """Renew the statistics that the query planner goes by; worth it after thousands of rows have come."""
        with self.begin() as conn:
            if self.dialect == "sqlite":
                # A sample of each index is enough, and takes the same time however many rows there are.
                conn.exec_driver_sql("PRAGMA analysis_limit = 1000")
            conn.exec_driver_sql("ANALYZE")

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exc: object) -> None:
        self.dispose()

    def __repr__(self) -> str:
        return f"<Database {shown(self.engine.url)}{'' if self.write else ' (reading only)'}>"


def check_version(meta: dict[str, str], *, write: bool, name: str) -> None:
    """Compare the version of a database with that of this code.

    Parameters
    ----------
    meta : dict
        Table ``archive_meta``.
    write : bool
        Whether it is to be written.
    name : str
        The database, for messages.

    Raises
    ------
    SchemaTooOldError
        If it is older: it must be migrated, whether to read or to write.
    SchemaTooNewError
        If it is newer, and is to be written, or is of another major version, or says that this code cannot read it.
    """
    found, ours = _version(meta["schema_version"]), _version(SCHEMA_VERSION)
    text = f"database {name}: its schema is version {meta['schema_version']}, this ezarchive's is {SCHEMA_VERSION}"
    if found < ours:
        raise SchemaTooOldError(f"{text}; `ezarchive migrate` brings it up to date")
    if found == ours:
        return
    readable = found[0] == ours[0] and _version(meta.get("reader_version", meta["schema_version"])) <= ours
    if not readable:
        raise SchemaTooNewError(f"{text}; a newer ezarchive must be installed")
    if write:
        raise SchemaTooNewError(f"{text}; it can be read (write=False) but not written; a newer ezarchive must be installed")


_COUNT_UP = "UPDATE archive_meta SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE key = 'changes'"
# A transaction of PostgreSQL has a number as soon as it has written.
_CHANGED = {"sqlite": _COUNT_UP, "postgresql": f"{_COUNT_UP} AND pg_current_xact_id_if_assigned() IS NOT NULL"}


def _written(conn: sa.Connection) -> int | None:
    """Return how many rows a connection of SQLite has written; None of another database."""
    return getattr(conn.connection.driver_connection, "total_changes", None)


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor or 0)


def _read_meta(conn: sa.Connection, url: sa.URL) -> dict[str, str]:
    if not sa.inspect(conn).has_table("archive_meta"):
        raise DatabaseError(f"database {shown(url)}: holds no archive (no table archive_meta)")
    return dict(conn.execute(sa.select(archive_meta.c.key, archive_meta.c.value)).all())
