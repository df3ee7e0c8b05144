"""What a user is told when DuckDB gives up: a limit, a damaged file, or what is wrong with the query."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa

from ezarchive.catalogs.parquet import read_catalog, read_provenance
from ezarchive.catalogs.sandbox import shortened
from ezarchive.config import SQLSettings
from ezarchive.errors import CatalogError, EzarchiveError, SQLError, StoreError
from ezarchive.store.paths import store_folder

_OF = ("path", "frame_id")
# Of a damaged page DuckDB sometimes says no more than that a protocol was violated: an error without a class of its own.
_OF_FILES = (duckdb.Error, duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException)


def explained(err: duckdb.Error, limits: SQLSettings, home: Path, read: Iterable[pa.Table]) -> EzarchiveError:
    """Return the error that a user can act on.

    Parameters
    ----------
    err : duckdb.Error
    limits : SQLSettings
    home : Path
        The archive's folder.
    read : iterable of pyarrow.Table
        ``path`` and ``frame_id`` of the catalogs that were opened.
    """
    if isinstance(err, duckdb.InterruptException):
        limit = f"{limits.timeout_seconds:g} s"
        return SQLError(f"SQL: stopped after {limit} (timeout_seconds in [sql]); ask for less, or for fewer frames")
    if isinstance(err, duckdb.OutOfMemoryException):
        return too_much(limits)
    store = str(store_folder(home))
    if type(err) in _OF_FILES and store in str(err):
        return StoreError(f"{store}: cannot be read: {str(err).splitlines()[0]}; `ezarchive associate HOME --rebuild` makes it anew")
    if type(err) in _OF_FILES:
        found = _damaged(str(err), home, read, deep=type(err) is duckdb.Error)
        if found is not None:
            return found
    return SQLError(shortened(err))


def too_much(limits: SQLSettings) -> SQLError:
    """Return the error of a query that outgrows its memory."""
    return SQLError(f"SQL: needs more than {limits.memory_gb:g} GB (memory_gb in [sql]); ask for less, or for fewer columns")


def _damaged(message: str, home: Path, read: Iterable[pa.Table], *, deep: bool) -> CatalogError | None:
    """Return which catalog is the cause of an error, if one is; `deep`: read every row."""
    files = [(str(home / path), frame) for rows in read for path, frame in zip(*(rows[k].to_pylist() for k in _OF), strict=True)]
    named = [item for item in files if item[0] in message]
    for path, frame_id in named or files:
        try:
            (read_catalog if deep or named else read_provenance)(path)
        except CatalogError as found:
            return CatalogError(f"{found} (catalog of frame {frame_id}); `ezarchive verify` lists all that are damaged")
    if named:
        path, frame_id = named[0]
        return CatalogError(f"{path}: cannot be read (catalog of frame {frame_id}): {message.splitlines()[0]}")
    return None
