"""`QueryResult`: the rows that a query gave, and what they can become."""

from __future__ import annotations

import functools
import html
import json
import math
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.table import Column as TableColumn
from astropy.table import MaskedColumn, QTable
from astropy.utils.masked import Masked

from ezarchive.catalogs.resultfiles import write_result
from ezarchive.columns import Column, lookup
from ezarchive.errors import InputError

SHOWN_ROWS = 20
MAX_WIDTH = 160
MAX_CELL = 40
MISSING = "NULL"


class QueryResult:
    """A table of rows, as a query gave them.

    It prints as a table, iterates over named tuples, and has a length. Missing values are None in rows.

    Parameters
    ----------
    table : pyarrow.Table
        The rows. A column name that comes twice gets a suffix (``mag``, ``mag_1``).
    notes : sequence of str
        What a reader must know about the rows; printed below them.
    formats : mapping, optional
        How many digits of a column are printed, as ``{"mag": ".4f"}``; the values keep all of theirs.

    Examples
    --------
    >>> result = QueryResult(pa.table({"filter": ["m600", "m625"], "n": [3, None]}))
    >>> result
    filter     n
    ------  ----
    m600       3
    m625    NULL
    (2 rows)
    >>> [row.filter for row in result]
    ['m600', 'm625']
    """

    def __init__(self, table: pa.Table, *, notes: Sequence[str] = (), formats: Mapping[str, str] | None = None) -> None:
        names = table.column_names
        self._table = _plain_types(table if len(set(names)) == len(names) else table.rename_columns(_unique(names)))
        self.notes = tuple(notes)
        self.formats = dict(formats or {})

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._table.column_names)

    def __len__(self) -> int:
        return self._table.num_rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        row = self._row
        for batch in self._table.to_batches(max_chunksize=4096):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield row(*values)

    def __getitem__(self, key: int | slice | str) -> Any:
        """Return one row by its place, a result of some rows by a slice, or one column (as in `to_table`) by its name."""
        if isinstance(key, slice):
            return QueryResult(self._table.take(pa.array(range(len(self))[key], pa.int64())), notes=self.notes, formats=self.formats)
        if not isinstance(key, (int, np.integer, str)):
            raise InputError(f"index {key!r}: must be the place of a row, a slice, or the name of a column")
        if isinstance(key, str):
            if key not in self.columns:
                raise InputError(f"column {key!r}: must be one of {', '.join(self.columns)}")
            return _to_column(self._table[key], _spec(key, lookup))
        place = key + len(self) if key < 0 else key
        if not 0 <= place < len(self):
            raise IndexError(f"row {key}: must be within the {len(self)} rows")
        return self._row(*(column[place].as_py() for column in self._table.columns))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_row"}  # a class made here cannot be pickled

    @functools.cached_property
    def _row(self) -> type:
        return namedtuple("Row", self.columns, rename=True)  # noqa: PYI024 (the fields are known at run time only)

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a data frame."""
        return self._table.to_pandas()

    def to_table(self) -> QTable:
        """Return the rows as a QTable.

        A column that has the name of one of ``columns`` has its unit and meaning; columns with missing values are masked.
        """
        return arrow_to_qtable(self._table, lookup)

    def to_csv(self) -> str:
        """Return the rows as CSV with a header line; missing values are empty."""
        lines = (",".join(_csv_cell(value, alone=len(row) == 1) for value in row) for row in (self.columns, *self))
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """Return the rows as a JSON list with one object a row; missing, NaN and infinite values are null."""
        names = self.columns
        rows = ({name: _json_value(value) for name, value in zip(names, row, strict=True)} for row in self)
        lines = ",\n ".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows)
        return f"[{lines}]\n"

    def write(self, path: Path | str, format: str | None = None) -> Path:
        """Write the rows to a file, whole or not at all.

        Parameters
        ----------
        path : path
            Its suffix says the format: ``.csv``, ``.json``, ``.parquet``, ``.vot`` or ``.xml``, ``.ecsv``, ``.fits``.
        format : str, optional
            One of ``csv``, ``json``, ``parquet``, ``votable``, ``ecsv``, ``fits``, whatever the suffix.

        Returns
        -------
        Path
            ``path``.

        Raises
        ------
        InputError
            If the format is none of these, or the suffix says nothing.
        """
        return write_result(self, path, format)

    def to_text(self, *, max_rows: int | None = None, max_width: int | None = None) -> str:
        """Return the rows as an aligned table.

        Parameters
        ----------
        max_rows, max_width : int, optional
            Longer tables show their first rows, wider ones their first columns, and say so. None: everything.

        Returns
        -------
        str
            Without a newline at the end.
        """
        shown = len(self) if max_rows is None else min(max_rows, len(self))
        blocks, hidden = _fit([_cells(name, column, self.formats.get(name)) for name, column in self._head(shown)], max_width)
        lines = ["  ".join(cells).rstrip() for cells in zip(*blocks, strict=True)] if blocks else []
        return "\n".join([*lines, self._summary(shown, hidden), *self.notes])

    def __repr__(self) -> str:
        return self.to_text(max_rows=SHOWN_ROWS, max_width=MAX_WIDTH)

    def _repr_html_(self) -> str:
        shown = min(SHOWN_ROWS, len(self))
        head = list(self._head(shown))
        titles = "".join(f"<th>{html.escape(name)}</th>" for name, _ in head)
        rows = zip(*([_cell(value, self.formats.get(name)) for value in column.to_pylist()] for name, column in head), strict=True)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        below = "".join(f"<p>{html.escape(text)}</p>" for text in (self._summary(shown, 0), *self.notes))
        return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>{below}"

    def _head(self, rows: int) -> Iterator[tuple[str, pa.ChunkedArray]]:
        head = self._table.slice(0, rows)
        return zip(head.column_names, head.columns, strict=True)

    def _summary(self, shown: int, hidden: int) -> str:
        text = f"{len(self)} row{'' if len(self) == 1 else 's'}"
        if shown < len(self):
            text += f", the first {shown} shown"
        if hidden:
            text += f"; {hidden} more column{'' if hidden == 1 else 's'}: {', '.join(self.columns[-hidden:])}"
        return f"({text})"


def arrow_to_qtable(table: pa.Table, find: Callable[[str], Column]) -> QTable:
    """Return an Arrow table as a QTable.

    Parameters
    ----------
    table : pyarrow.Table
        Missing values are NULL.
    find : callable
        Gives the `Column` of a name, or raises InputError; it knows units and meanings.

    Returns
    -------
    QTable
        Types are kept. Columns with a unit are Quantity; those with missing values are masked.
    """
    result = QTable()
    for name, column in zip(table.column_names, table.columns, strict=True):
        spec = _spec(name, find)
        result[name] = _to_column(column, spec)
        if spec is not None:
            result[name].info.description = spec.description
            result[name].info.meta = {"ucd": spec.ucd} if spec.ucd else None
    return result


def _spec(name: str, find: Callable[[str], Column]) -> Column | None:
    try:
        return find(name)
    except InputError:
        return None


def _to_column(column: pa.ChunkedArray, spec: Column | None) -> Any:
    values, mask = _to_numpy(column)
    unit = None if spec is None or spec.unit is None or values.dtype.kind not in "iuf" else u.Unit(spec.unit)
    if unit is not None:
        quantity = u.Quantity(values, unit, dtype=values.dtype, copy=False)
        return quantity if mask is None else Masked(quantity, mask=mask)
    return TableColumn(values) if mask is None else MaskedColumn(values, mask=mask)


def _to_numpy(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray | None]:
    array = column.combine_chunks()
    mask = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    kind = array.type
    if pa.types.is_floating(kind):
        values = array.to_numpy(zero_copy_only=False)  # NULL becomes NaN under the mask
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        values = array.fill_null(0 if pa.types.is_integer(kind) else False).to_numpy(zero_copy_only=False)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = np.array(["" if text is None else text for text in array.to_pylist()], dtype=None if len(array) else "U1")
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        values = array.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
    else:
        values = np.empty(len(array), dtype=object)
        values[:] = array.to_pylist()
    return np.array(values), mask


def _plain_types(table: pa.Table) -> pa.Table:
    """Turn decimals, which SQL makes of ``1.5`` and of sums of integers, into int64 or float64."""
    for place, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            target = pa.float64()
            if field.type.scale == 0 and _fits_int64(table.column(place)):
                target = pa.int64()
            table = table.set_column(place, field.name, table.column(place).cast(target, safe=False))
        elif pa.types.is_null(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.int32()))
    return table


def _fits_int64(column: pa.ChunkedArray) -> bool:
    return all(value is None or abs(value) < 2**63 for value in column.to_pylist())


def _unique(names: Sequence[str]) -> list[str]:
    result: list[str] = []
    for name in names:
        new, n = name, 0
        while new in result or (n and new in names):
            n += 1
            new = f"{name}_{n}"
        result.append(new)
    return result


def _cell(value: Any, form: str | None = None) -> str:
    if value is None:
        return MISSING
    if isinstance(value, float):
        return format(value, form or ".11g")
    text = str(value).replace("\n", " ")
    if len(text) <= MAX_CELL:
        return text
    # Of a path the end tells most.
    return "..." + text[3 - MAX_CELL :] if text.startswith("/") else text[: MAX_CELL - 3] + "..."


def _cells(name: str, column: pa.ChunkedArray, form: str | None) -> list[str]:
    cells = [_cell(value, form) for value in column.to_pylist()]
    width = max([len(name), *map(len, cells)])
    kind = column.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return [cell.rjust(width) if number else cell.ljust(width) for cell in (name, "-" * width, *cells)]


def _fit(blocks: list[list[str]], max_width: int | None) -> tuple[list[list[str]], int]:
    used = 0
    for place, block in enumerate(blocks):
        used += len(block[0]) + (2 if place else 0)
        if max_width is not None and used > max_width and place:
            return blocks[:place], len(blocks) - place
    return blocks, 0


def _csv_cell(value: Any, *, alone: bool) -> str:
    """Quote as RFC 4180 says (`csv` leaves a lone carriage return bare); an empty line would be no row."""
    text = "" if value is None else str(value)
    quoted = any(mark in text for mark in ',"\r\n') or (alone and not text)
    return '"' + text.replace('"', '""') + '"' if quoted else text


def _json_value(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
