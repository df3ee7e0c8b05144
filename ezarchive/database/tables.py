"""Frames and catalogs as Arrow tables, for SQL over them (DuckDB); made in pieces, so that a million rows fit in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from ezarchive import columns
from ezarchive.database.models import NAME_IDS, NAME_TABLES, catalog, current_run, file, frame, frame_file, root
from ezarchive.database.parts import chunks, in_ids, plain_rows
from ezarchive.database.zeropoints import catalog_column
from ezarchive.errors import UnknownNameError

_PIECE = 10_000

_ARROW = {
    "bool": pa.bool_(), "int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64(), "float32": pa.float64(), "float64": pa.float64(),
    "str": pa.string(),
}  # fmt: skip

FRAME_FIELDS: dict[str, pa.DataType] = {
    "frame_id": pa.int64(),
    "parent_id": pa.int64(),
    **{column.name: pa.string() for column in columns.NAMES},
    **{column.name: _ARROW[column.dtype] for column in columns.FRAME},
    "root": pa.string(),
    "path": pa.string(),
    "hdu": pa.int32(),
}
"""Columns of `frames_table`."""

CATALOG_FIELDS: dict[str, pa.DataType] = {
    "catalog_id": pa.int64(),
    "frame_id": pa.int64(),
    "run_id": pa.int64(),
    "method": pa.string(),
    "path": pa.string(),
    "n_rows": pa.int64(),
    "sha256": pa.string(),
    "seeing": pa.float64(),
    "depth": pa.float64(),
    "depth_aperture": pa.float64(),
    "apertures": pa.list_(pa.float64()),
}
"""Columns of `catalogs_table`."""


def frames_table(
    conn: sa.Connection,
    *,
    frame_ids: Iterable[int] | None = None,
    columns: Sequence[str] | None = None,
    replaced: bool = False,
) -> pa.Table:
    """Return frames as an Arrow table, by frame_id.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    frame_ids : iterable of int, optional
        Only these; also frames that cannot be read at present.
    columns : sequence of str, optional
        Of `FRAME_FIELDS`; all by default. The fewer the faster: of a million frames all columns take about ten seconds.
    replaced : bool
        Also frames that no file holds any more because other content took their place (those of missing files are there in any case).

    Returns
    -------
    pyarrow.Table
        ``path`` is the whole path, NULL where the frame cannot be read at present.

    Raises
    ------
    UnknownNameError
        If a column does not exist.
    """
    chosen = _checked(columns, FRAME_FIELDS)
    read = {name: _source(name) for name in chosen if name not in ("path", "root")}
    placed = {"path", "root"} & set(chosen)
    if placed:
        read |= {"root": file.c.root_id, "path": file.c.relpath}
    statement = sa.select(*(column.label(f"c{place}") for place, column in enumerate(read.values()))).select_from(frame)
    if placed:
        statement = statement.outerjoin(file, file.c.file_id == frame.c.file_id)
    if not replaced:
        statement = statement.where(_held(frame.c.frame_id))
    lookups = {name: _lookup(conn, name) for name in chosen if name in NAME_TABLES}
    places = conn.execute(sa.select(root.c.root_id, root.c.name, root.c.uri))
    roots = {number: (name, uri.rstrip("/") + "/") for number, name, uri in places}
    pieces: dict[str, list[pa.Array]] = {name: [] for name in chosen}
    for rows in _pieces(conn, statement, (frame.c.frame_id,), frame_ids):
        values = dict(zip(read, zip(*rows, strict=True), strict=True))
        for name in chosen:
            pieces[name].append(_array(name, values, lookups, roots))
    schema = pa.schema([(name, FRAME_FIELDS[name]) for name in chosen])
    return pa.table([pa.chunked_array(pieces[name], type=FRAME_FIELDS[name]) for name in chosen], schema=schema)


def catalogs_table(
    conn: sa.Connection,
    *,
    frame_ids: Iterable[int] | None = None,
    columns: Sequence[str] | None = None,
    method: str | None = None,
    run_id: int | None = None,
    current: bool = True,
) -> pa.Table:
    """Return catalogs as an Arrow table, by frame and run; arguments as of `queries.catalogs`.

    Parameters
    ----------
    conn, frame_ids, method, run_id, current
        As of `queries.catalogs`.
    columns : sequence of str, optional
        Of `CATALOG_FIELDS`; all by default. The fewer the faster.

    Returns
    -------
    pyarrow.Table
        ``path`` is relative to the archive's home, ``apertures`` a list of diameters in arcsec. Current catalogs of frames that were
        replaced (`frames_table`) are left out: an exposure that was reduced anew counts once.

    Raises
    ------
    UnknownNameError
        If a column does not exist.
    """
    chosen = {name: CATALOG_FIELDS[name] for name in _checked(columns, CATALOG_FIELDS)}
    statement = sa.select(*(catalog_column(name) for name in chosen))
    if run_id is not None:
        statement = statement.where(catalog.c.run_id == run_id)
    elif current:
        statement = statement.join(current_run, current_run.c.catalog_id == catalog.c.catalog_id).where(_held(catalog.c.frame_id))
    if method is not None:
        statement = statement.where(catalog.c.method == method)
    pieces: dict[str, list[pa.Array]] = {name: [] for name in chosen}
    for rows in _pieces(conn, statement, (catalog.c.frame_id, catalog.c.run_id), frame_ids):
        for (name, kind), values in zip(chosen.items(), zip(*rows, strict=True), strict=True):
            pieces[name].append(_lists(values) if name == "apertures" else pa.array(values, type=kind))
    arrays = [pa.chunked_array(pieces[name], type=kind) for name, kind in chosen.items()]
    return pa.table(arrays, schema=pa.schema(chosen.items()))


def places_of_catalogs(conn: sa.Connection, catalog_ids: Iterable[int]) -> pa.Table:
    """Return ``catalog_id`` and ``frame_id`` of catalogs, by catalog."""
    rows: list[Any] = []
    for part in chunks(sorted({int(given) for given in catalog_ids})):
        rows += plain_rows(conn, sa.select(catalog.c.catalog_id, catalog.c.frame_id).where(in_ids(catalog.c.catalog_id, part)))
    rows = sorted(tuple(row) for row in rows)
    return pa.table({name: pa.array([row[place] for row in rows], pa.int64()) for place, name in enumerate(("catalog_id", "frame_id"))})


def _checked(columns: Sequence[str] | None, fields: Mapping[str, pa.DataType]) -> list[str]:
    chosen = list(fields if columns is None else columns)
    for name in chosen:
        if name not in fields:
            raise UnknownNameError("column", name, fields)
    return chosen


def _source(name: str) -> sa.ColumnElement[Any]:
    return frame.c[NAME_IDS.get(name, name)]


def _lookup(conn: sa.Connection, what: str) -> dict[int, str]:
    table = NAME_TABLES[what]
    return dict(conn.execute(sa.select(table.c[NAME_IDS[what]], table.c.name)).all())


def _held(frame_id: sa.Column[int]) -> sa.ColumnElement[bool]:
    """Whether some file, there or missing, holds the frame."""
    return sa.exists().where(frame_file.c.frame_id == frame_id)


def _pieces(
    conn: sa.Connection, statement: sa.Select[Any], order: Sequence[sa.Column[int]], frame_ids: Iterable[int] | None
) -> Iterator[Sequence[Any]]:
    """Yield the rows, many at a time, in an order that begins with frame_id."""
    statement, number = statement.order_by(*order), order[0]
    if frame_ids is not None:
        parts = (statement.where(in_ids(number, part)) for part in chunks(sorted({int(given) for given in frame_ids})))
    else:
        first, last = conn.execute(sa.select(sa.func.min(number), sa.func.max(number))).one()
        starts = () if first is None else range(first, last + 1, _PIECE)
        parts = (statement.where(number.between(start, start + _PIECE - 1)) for start in starts)
    for part in parts:
        if rows := plain_rows(conn, part):
            yield rows


def _array(name: str, values: dict[str, Sequence[Any]], lookups: dict[str, dict[int, str]], roots: dict[int, tuple[str, str]]) -> pa.Array:
    if name in lookups:
        return _labels(values[name], lookups[name])
    if name == "root":
        return _labels(values["root"], {number: label for number, (label, _) in roots.items()})
    if name == "path":
        folders = _labels(values["root"], {number: uri for number, (_, uri) in roots.items()})
        return pc.binary_join_element_wise(folders, _relpaths(values["path"]), "")
    if pa.types.is_boolean(FRAME_FIELDS[name]):
        # SQLite has numbers for them.
        return pa.array([None if value is None else bool(value) for value in values[name]], type=pa.bool_())
    return pa.array(values[name], type=FRAME_FIELDS[name])


def _labels(numbers: Sequence[int | None], names: dict[int, str]) -> pa.Array:
    """Return the names of ids; each is converted once, however many rows have it."""
    places = pc.index_in(pa.array(numbers, type=pa.int64()), value_set=pa.array(list(names), type=pa.int64()))
    return pa.array(list(names.values()), type=pa.string()).take(places)


def _relpaths(values: Sequence[bytes | None]) -> pa.Array:
    whole = pa.array(values, type=pa.binary())
    try:
        return whole.cast(pa.string())
    except pa.ArrowInvalid:
        # Arrow's text is UTF-8 only; a byte that is none is shown as \xff.
        return pa.array([None if value is None else value.decode("utf-8", "backslashreplace") for value in values], type=pa.string())


def _lists(values: Sequence[str]) -> pa.Array:
    """Return lists of diameters; there are few different ones, so each text is read once."""
    places = {text: place for place, text in enumerate(dict.fromkeys(values))}
    lists = pa.array([json.loads(text) for text in places], type=pa.list_(pa.float64()))
    return lists.take(pa.array([places[text] for text in values], type=pa.int32()))
