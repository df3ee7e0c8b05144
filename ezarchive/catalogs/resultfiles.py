"""Results of queries as files: CSV and JSON as they print, Parquet, VOTable, ECSV and FITS with units and meanings where they are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ezarchive.catalogs import export
from ezarchive.catalogs.metadata import ARROW_TYPES, column_metadata
from ezarchive.columns import Column, lookup
from ezarchive.errors import InputError
from ezarchive.files import atomic_write

if TYPE_CHECKING:
    from ezarchive.catalogs.result import QueryResult

FORMATS = ("csv", "json", "parquet", "votable", "ecsv", "fits")
"""What a result can be written as."""

SUFFIXES = {**export.FORMATS, ".json": "json", ".votable": "votable"}
"""Suffix of a file -> format."""


def write_result(result: QueryResult, path: Path | str, form: str | None = None) -> Path:
    """Write a result to a file, whole or not at all; one that is there is replaced.

    Parameters
    ----------
    result : QueryResult
    path : path
    form : str, optional
        One of `FORMATS`; by default what the suffix says.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    InputError
        If the format is none of these, or the suffix says nothing.
    """
    path = Path(path)
    found = export.chosen_format(path, form, FORMATS, SUFFIXES)
    with atomic_write(path) as stream:
        stream.write(rendered(result, found))
    return path


def rendered(result: QueryResult, form: str) -> bytes:
    """Return a result as the content of a file.

    Parameters
    ----------
    result : QueryResult
    form : str
        One of `FORMATS`.
    """
    if form == "csv":
        return result.to_csv().encode()
    if form == "json":
        return result.to_json().encode()
    if form == "parquet":
        return _parquet(result.to_arrow())
    table = result.to_table()
    notes = {f"NOTE{place}": note for place, note in enumerate(result.notes, 1)}
    return export.content(table, form, notes)


def _parquet(table: pa.Table) -> bytes:
    columns = [_described(field) for field in table.schema]
    known = [column for column in columns if column is not None]
    if len(known) == len(columns):  # of lists and other nested values no reader of this metadata knows the type
        texts = (table[column.name] for column in known if column.dtype == "str")
        lengths = tuple(max(pc.max(pc.utf8_length(text)).as_py() or 1, 1) for text in texts)
        table = table.replace_schema_metadata(column_metadata(tuple(known), lengths))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _described(field: pa.Field) -> Column | None:
    dtypes = {kind: name for name, kind in ARROW_TYPES.items()}
    if field.type not in dtypes:
        return None
    try:
        column: Any = lookup(field.name)
    except InputError:
        column = Column(field.name, "", None, "", "")
    return column._replace(name=field.name, dtype=dtypes[field.type])
