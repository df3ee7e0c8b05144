"""Small pieces of SQL that several modules need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement, FunctionElement

from ezarchive.database.engine import BINARY

T = TypeVar("T")

CHUNK = 1000
"""How many rows go into one statement."""

_FEW = 20


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yield the items in lists of at most ``size``."""
    listed: Sequence[T] = items if isinstance(items, (list, tuple)) else list(items)
    for start in range(0, len(listed), size):
        yield list(listed[start : start + size])


def in_ids(column: ColumnElement[Any], ids: Iterable[int]) -> ColumnElement[bool]:
    """Return ``column IN (ids)``; many numbers are written into the statement, because parameters are limited in number."""
    values = [int(number) for number in ids]
    written = len(values) > _FEW
    return column.in_(sa.bindparam("ids", values, type_=sa.BigInteger, expanding=True, literal_execute=written, unique=True))


def replace_rows(conn: sa.Connection, table: sa.Table, rows: Sequence[Any], values: Callable[[Any], dict[str, Any]]) -> None:
    """Put rows of one run in the place of those that it had of the same frames.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    table : sqlalchemy.Table
        With ``run_id`` and ``frame_id``.
    rows : sequence
        All of one run, all of a frame together; each with ``run_id`` and ``frame_id``.
    values : callable
        Gives the columns of a row.
    """
    for part in chunks(rows):
        same = sa.and_(table.c.run_id == part[0].run_id, in_ids(table.c.frame_id, {row.frame_id for row in part}))
        conn.execute(sa.delete(table).where(same))
    for part in chunks(rows):
        conn.execute(sa.insert(table), [values(row) for row in part])


def plain_rows(conn: sa.Connection, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
    """Return rows as the driver's own tuples, at half the time of SQLAlchemy's; truth values are numbers on SQLite."""
    with conn.execute(statement, execution_options={BINARY: True}) as result:
        return result.cursor.fetchall()


def reserve_ids(conn: sa.Connection, column: sa.Column[int], n: int) -> list[int]:
    """Return the next ``n`` numbers of an id, in rising order; the caller uses them in this transaction."""
    if conn.dialect.name == "postgresql":
        sequence = sa.func.pg_get_serial_sequence(column.table.name, column.name)
        numbers = sa.select(sa.func.nextval(sa.cast(sequence, postgresql.REGCLASS))).select_from(sa.func.generate_series(1, n))
        return list(conn.execute(numbers).scalars())
    # No row is ever deleted, so no number comes twice; the transaction keeps other writers out.
    last = conn.execute(sa.select(sa.func.max(column))).scalar() or 0
    return list(range(last + 1, last + 1 + n))


def insert_many(conn: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert many plain rows, in the fastest way that the database has: COPY on PostgreSQL, `executemany` on SQLite.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    table : sqlalchemy.Table
    columns : sequence of str
        What the rows hold, in their order.
    rows : iterable of sequences
        Values as the driver takes them: no numpy numbers.
    """
    quoted = conn.dialect.identifier_preparer
    listed = ", ".join(quoted.quote(name) for name in columns)
    name = quoted.format_table(table)
    if conn.dialect.name == "postgresql":
        _copy(conn, f"COPY {name} ({listed}) FROM STDIN", rows)
        return
    values = [tuple(row) for row in rows]
    if values:
        conn.exec_driver_sql(f"INSERT INTO {name} ({listed}) VALUES ({', '.join('?' * len(columns))})", values)


def _copy(conn: sa.Connection, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    driver, dbapi = conn.connection.driver_connection, conn.dialect.dbapi
    assert driver is not None
    assert dbapi is not None
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(tuple(row))
    except dbapi.Error as err:
        # The driver was called directly: its errors become SQLAlchemy's, as those of any other statement.
        raise sa.exc.DBAPIError.instance(statement, None, err, dbapi.Error, dialect=conn.dialect) from err


class bytes_hold(FunctionElement[bool]):  # noqa: N801  a SQL function
    """Whether the first bytes hold the second ones somewhere."""

    type = sa.Boolean()
    inherit_cache = True
    name = "bytes_hold"


@compiles(bytes_hold, "sqlite")
def _bytes_hold_sqlite(element: bytes_hold, compiler: SQLCompiler, **kw: Any) -> str:
    whole, part = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"instr({whole}, {part}) > 0"


@compiles(bytes_hold, "postgresql")
def _bytes_hold_postgresql(element: bytes_hold, compiler: SQLCompiler, **kw: Any) -> str:
    whole, part = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"position({part} in {whole}) > 0"
