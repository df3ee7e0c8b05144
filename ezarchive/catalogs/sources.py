"""Where the database's tables (`SCHEMAS`) come from: given whole, or asked for column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ezarchive.catalogs import views
from ezarchive.catalogs.compared import ANCHORS_SCHEMA, IMAGE_FITS_SCHEMA
from ezarchive.catalogs.looked import APERTURE_PHOTOMETRY_SCHEMA
from ezarchive.catalogs.metadata import ARROW_TYPES
from ezarchive.columns import Column
from ezarchive.errors import InputError

Rows = pa.Table | Mapping[str, Sequence[Any]]
Read = Callable[[str, Sequence[str], Sequence[int] | None], pa.Table]
"""Reads a table: its name, columns, and the frames (None: all) -> rows, always in the same order."""

APERTURES = pa.list_(pa.float64())

SCHEMAS = {
    "frames": views.FRAMES_SCHEMA,
    "catalogs": views.CATALOGS_SCHEMA,
    "zero_points": views.ZERO_POINTS_SCHEMA,
    "image_fits": IMAGE_FITS_SCHEMA,
    "anchors": ANCHORS_SCHEMA,
    "aperture_photometry": APERTURE_PHOTOMETRY_SCHEMA,
}
"""The database's tables, and the columns that each has at least."""


class Source(Protocol):
    """The tables of an archive."""

    def names(self, table: str) -> Sequence[str]:
        """Return the columns of a table."""

    def empty(self, table: str) -> pa.Table:
        """Return a table without rows, with all its columns."""

    def read(self, table: str, columns: Iterable[str], frame_ids: Sequence[int] | None = None) -> pa.Table:
        """Return some columns of a table, of all rows or those of some frames."""


class Given:
    """Tables that are given whole.

    Parameters
    ----------
    frames, catalogs, zero_points, **others : pyarrow.Table or mapping of lists
        Those of `SCHEMAS`, as of `sql.Engine`; columns that are promised and absent are NULL, a table that is absent has no rows.

    Raises
    ------
    InputError
        If a column is of another type than the views promise.
    """

    def __init__(self, frames: Rows, catalogs: Rows, zero_points: Rows, **others: Rows) -> None:
        tables = {"frames": frames, "catalogs": catalogs, "zero_points": zero_points, **others}
        self._tables = {name: conform(tables.get(name, {}), schema, name) for name, schema in SCHEMAS.items()}
        self._tables["catalogs"] = _with_apertures(self._tables["catalogs"])

    def names(self, table: str) -> Sequence[str]:
        """Return the columns of a table."""
        return self._tables[table].column_names

    def empty(self, table: str) -> pa.Table:
        """Return a table without rows, with all its columns."""
        return self._tables[table].slice(0, 0)

    def read(self, table: str, columns: Iterable[str], frame_ids: Sequence[int] | None = None) -> pa.Table:
        """Return some columns of a table, of all rows or those of some frames."""
        rows = self._tables[table]
        if frame_ids is not None:
            rows = rows.filter(pc.is_in(rows["frame_id"], pa.array(frame_ids, pa.int64())))
        return rows.select(list(columns))


class Asked:
    """Tables that are read when and as far as they are needed; whole columns are kept.

    Parameters
    ----------
    schemas : mapping
        Table -> columns and their types.
    read : callable
        Reads rows (`Read`). It must give the same rows each time, and raise an error when it no longer can.
    """

    def __init__(self, schemas: Mapping[str, pa.Schema], read: Read) -> None:
        self._schemas, self._read = schemas, read
        self._kept: dict[str, dict[str, pa.ChunkedArray]] = {}

    def names(self, table: str) -> Sequence[str]:
        """Return the columns of a table."""
        return self._schemas[table].names

    def empty(self, table: str) -> pa.Table:
        """Return a table without rows, with all its columns."""
        return self._schemas[table].empty_table()

    def read(self, table: str, columns: Iterable[str], frame_ids: Sequence[int] | None = None) -> pa.Table:
        """Return some columns of a table, of all rows or those of some frames."""
        wanted = list(columns)
        if frame_ids is not None:
            return self._read(table, wanted, frame_ids)
        kept = self._kept.setdefault(table, {})
        if missing := [name for name in wanted if name not in kept]:
            rows = self._read(table, missing, None)
            kept.update(zip(missing, rows.columns, strict=True))
        return pa.table({name: kept[name] for name in wanted})


def conform(rows: Rows, schema: Sequence[Column], label: str) -> pa.Table:
    """Give a table the columns that its view promises, with their types.

    Raises
    ------
    InputError
        If a column cannot be of its type.
    """
    given = dict(zip(rows.column_names, rows.columns, strict=True)) if isinstance(rows, pa.Table) else dict(rows)
    n = len(next(iter(given.values()))) if given else 0
    arrays: dict[str, Any] = {}
    for column in schema:
        target = ARROW_TYPES[column.dtype]
        values = given.pop(column.name, None)
        try:
            if values is None:
                arrays[column.name] = pa.nulls(n, target)
            else:
                arrays[column.name] = values.cast(target) if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, target)
        except (pa.ArrowException, TypeError, ValueError) as err:
            raise InputError(f"{label}: column {column.name!r} must be {column.dtype}: {err}") from err
    return pa.table({**arrays, **given})


def _with_apertures(catalogs: pa.Table) -> pa.Table:
    if "apertures" not in catalogs.column_names:
        return catalogs.append_column("apertures", pa.nulls(len(catalogs), APERTURES))
    place = catalogs.column_names.index("apertures")
    return catalogs.set_column(place, "apertures", catalogs["apertures"].cast(APERTURES))
