"""Small pieces of SQL that several modules need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement, FunctionElement

T = TypeVar("T")

CHUNK = 1000
"""How many rows go into one statement."""


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yield the items in lists of at most ``size``."""
    listed: Sequence[T] = items if isinstance(items, (list, tuple)) else list(items)
    for start in range(0, len(listed), size):
        yield list(listed[start : start + size])


def in_ids(column: ColumnElement[Any], ids: Iterable[int]) -> ColumnElement[bool]:
    """Return ``column IN (ids)`` with the numbers written into the statement: parameters are limited in number."""
    values = [int(number) for number in ids]
    return column.in_(sa.bindparam("ids", values, type_=sa.BigInteger, expanding=True, literal_execute=True, unique=True))


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
