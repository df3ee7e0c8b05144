"""Bring a database to the schema of this ezarchive, step by step (Alembic; the steps are in ``schema/versions``).

SQLite cannot alter most of a table: Alembic's batch mode makes a new one, copies the rows and drops the old one. With foreign keys
switched on, dropping the old table deletes the rows that point at it wherever the key says ON DELETE CASCADE, without a word. So
`upgrade` switches them off on its connection, checks every reference afterwards, and compares the number of rows of every table; if
either is wrong nothing is committed. ``schema/env.py`` refuses to run any other way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DatabaseError as EngineError

from ezarchive.database.engine import make_engine, parse_url
from ezarchive.errors import MigrationError

if TYPE_CHECKING:
    from ezarchive.database.session import Database

_PACKAGE = Path(__file__).resolve().parents[1]


def scripts() -> Path:
    """Return the folder of the migration scripts: inside the installed package, or ``schema/`` of a checkout.

    Raises
    ------
    MigrationError
        If there is none.
    """
    for folder in (_PACKAGE / "_schema", _PACKAGE.parent / "schema"):
        if (folder / "env.py").is_file():
            return folder
    raise MigrationError(f"{_PACKAGE}: holds no _schema/env.py; the installation is incomplete")


def head(folder: Path | None = None) -> str:
    """Return the newest step, as ``"0001"``."""
    found = ScriptDirectory.from_config(_config(folder)).get_current_head()
    if found is None:
        raise MigrationError(f"{folder or scripts()}: holds no step")
    return found


def current(database: Database | sa.Engine | str) -> str | None:
    """Return the step that a database is at; None if it is empty."""
    with _engine(database) as engine, engine.connect() as conn:
        return MigrationContext.configure(conn).get_current_revision()


def upgrade(database: Database | sa.Engine | str, *, to: str = "head", folder: Path | None = None, backup: bool = True) -> None:
    """Bring a database to a newer step; does nothing if it is there.

    Parameters
    ----------
    database : Database, sqlalchemy.Engine or str
        A URL will do.
    to : str
        The step; the newest by default.
    folder : pathlib.Path, optional
        The scripts; `scripts` by default.
    backup : bool
        Of a SQLite database that holds anything, keep a copy beside it, named after the step that it was at.

    Raises
    ------
    MigrationError
        If a step fails, breaks a reference or loses rows. Nothing is changed then.
    """
    config = _config(folder)
    wanted = head(folder) if to == "head" else to
    with _engine(database) as engine:
        was = current(engine)
        if was == wanted:
            return
        if engine.dialect.name == "sqlite":
            if was is not None and backup:
                _back_up(engine, was)
            work = _upgrade_sqlite
        else:
            work = _upgrade_postgresql
        try:
            work(engine, config, to)
        except EngineError as err:
            raise MigrationError(f"migration from {was} to {wanted}: {err.orig}; nothing was changed") from err


def _upgrade_postgresql(engine: sa.Engine, config: Config, to: str) -> None:
    with engine.begin() as conn:
        _run(conn, config, to)


def _run(conn: sa.Connection, config: Config, to: str) -> None:
    before = _row_counts(conn)
    config.attributes["connection"] = conn
    command.upgrade(config, to)
    after = _row_counts(conn)
    for table, count in before.items():
        # A step may drop a table on purpose; one that remains keeps its rows.
        if table in after and after[table] < count and table != "alembic_version":
            raise MigrationError(f"table {table}: had {count} rows before the migration and {after[table]} after it; nothing was changed")


def _upgrade_sqlite(engine: sa.Engine, config: Config, to: str) -> None:
    with engine.connect() as conn:
        driver = conn.connection.driver_connection
        assert driver is not None
        # The switch is ignored within a transaction, so it comes before; the connection is thrown away at the end.
        driver.execute("PRAGMA foreign_keys = OFF")
        try:
            with conn.begin():
                _run(conn, config, to)
                broken = conn.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                if broken:
                    table, _, parent, _ = broken[0]
                    lost = f"{len(broken)} references (to {parent}) broke in the migration"
                    raise MigrationError(f"table {table}: {lost}; nothing was changed")
        finally:
            conn.invalidate()


def _row_counts(conn: sa.Connection) -> dict[str, int]:
    counts = {}
    for name in sa.inspect(conn).get_table_names():
        counts[name] = conn.execute(sa.select(sa.func.count()).select_from(sa.table(name))).scalar_one()
    return counts


def _back_up(engine: sa.Engine, step: str) -> None:
    path = Path(str(engine.url.database))
    copy = path.with_name(f"{path.name}.step-{step}.bak")
    copy.unlink(missing_ok=True)
    with engine.connect() as conn:
        driver = conn.connection.driver_connection
        assert driver is not None
        driver.execute("VACUUM INTO ?", (str(copy),))


@contextmanager
def _engine(database: Database | sa.Engine | str) -> Iterator[sa.Engine]:
    """Yield an engine that ends with the block if it was made for it."""
    if isinstance(database, sa.Engine):
        yield database
        return
    if not isinstance(database, (str, sa.URL)):
        yield database.engine
        return
    engine = make_engine(parse_url(database))
    try:
        yield engine
    finally:
        engine.dispose()


def _config(folder: Path | None = None) -> Config:
    config = Config()
    # The file format of Alembic's settings reads % as the start of a variable.
    config.set_main_option("script_location", str(folder or scripts()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
