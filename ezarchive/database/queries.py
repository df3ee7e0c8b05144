"""Questions about frames: which ones, how many, what names there are; and what belongs to them.

Every function takes a connection and reads. Answers are records (`Frame`, `CatalogRow`), lists of dictionaries for people, or Arrow
tables for DuckDB (`tables`).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from ezarchive.database.audit import list_frames, missing, quarantine, rollup
from ezarchive.database.conditions import FrameQuery, Names, distinct_nights, frame_conditions, keep, root_id, tested
from ezarchive.database.models import NAME_IDS, NAME_TABLES, catalog, current_run, file, frame, frame_header, product, root
from ezarchive.database.models import rollup as rollup_table
from ezarchive.database.names import is_glob
from ezarchive.database.parts import chunks, in_ids, plain_rows
from ezarchive.database.rows import DIMENSIONS, STORED, Labels
from ezarchive.database.runs import list_runs
from ezarchive.database.tables import catalogs_table, frames_table
from ezarchive.database.zeropoints import catalog_column
from ezarchive.errors import InputError
from ezarchive.frames.record import CALIBRATION_KINDS, KINDS, Frame

__all__ = [
    "CatalogRow",
    "FrameQuery",
    "ProductRow",
    "catalogs",
    "catalogs_table",
    "children",
    "count",
    "frames_by_id",
    "frames_table",
    "header_cards",
    "keys",
    "list_frames",
    "list_runs",
    "masters",
    "missing",
    "origin",
    "products",
    "quarantine",
    "rollup",
    "root_id",
    "search",
]

_ROW = (*(frame.c[name] for name in STORED), *(frame.c[NAME_IDS[name]] for name in DIMENSIONS), file.c.root_id, file.c.relpath, frame.c.hdu)
_FRAMES = sa.select(*_ROW).join(file, file.c.file_id == frame.c.file_id)
_FRAMES_AND_LOST = sa.select(*_ROW).outerjoin(file, file.c.file_id == frame.c.file_id)


def _label(place: int, what: str) -> sa.Select[Any]:
    table = NAME_TABLES[what]
    number = table.c[NAME_IDS[what]]
    wanted = sa.bindparam(what, type_=sa.BigInteger, expanding=True, literal_execute=True)
    return sa.select(sa.literal_column(str(place)).label("place"), number.label("id"), table.c.name).where(number.in_(wanted))


# Built once: making a statement costs more than running it.
_LABELS = sa.union_all(*(_label(place, what) for place, what in enumerate(DIMENSIONS)))
_ROOT_LABELS = sa.select(root.c.root_id, root.c.name, root.c.uri).where(root.c.root_id.in_(sa.bindparam("root_ids", expanding=True)))
_MJD_MID, _N_STORED = STORED.index("mjd_mid"), len(STORED)


class CatalogRow(NamedTuple):
    """A catalog: one Parquet file, of one frame and one run. ``apertures`` are diameters in arcsec, None where there is no scale."""

    catalog_id: int
    frame_id: int
    run_id: int
    method: str
    path: str
    n_rows: int
    sha256: str
    seeing: float | None
    depth: float | None
    depth_aperture: float | None
    apertures: tuple[float | None, ...]


class ProductRow(NamedTuple):
    """A map or mask of a frame in the archive's home; ``path`` is relative to it."""

    product_id: int
    frame_id: int
    kind: str
    path: str
    run_id: int | None
    size: int | None
    sha256: str | None


_EVERYTHING = 1 << 62


def search(conn: sa.Connection, query: FrameQuery) -> list[Frame]:
    """Return the frames that fulfil a query.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    query : FrameQuery

    Returns
    -------
    list of Frame
        In the order of `mjd_mid`, those without a time last, then of `frame_id`. ``path`` is that of the root and the relative path
        together. ``origin`` stays empty: `origin` reads it.

    Raises
    ------
    UnknownNameError
        If an exact name, a kind, a root or a column does not exist; the message names near misses.
    InputError
        If the cone is none.
    """
    statement = (_FRAMES if query.available else _FRAMES_AND_LOST).where(*frame_conditions(conn, query))
    if query.limit is not None and not tested(query):
        statement = statement.order_by(frame.c.mjd_mid.asc().nulls_last(), frame.c.frame_id).limit(query.limit)
    rows = sorted(keep(query, plain_rows(conn, statement), _ROW), key=_in_time)
    return _records(conn, rows[: query.limit])


def count(conn: sa.Connection, query: FrameQuery) -> int:
    """Return how many frames fulfil a query; from the counts by night where they can tell."""
    if query.of_rollup:
        statement = sa.select(sa.func.coalesce(sa.func.sum(rollup_table.c.n), 0)).where(*Names(conn, query).on(rollup_table))
        return int(conn.execute(statement).scalar_one())
    found = _narrow(conn, query, (frame.c.frame_id,)) if tested(query) else None
    if found is None:
        joined = frame.outerjoin(file, file.c.file_id == frame.c.file_id)
        statement = sa.select(sa.func.count()).select_from(joined).where(*frame_conditions(conn, query))
        number = int(conn.execute(statement).scalar_one())
    else:
        number = len(found)
    return number if query.limit is None else min(number, query.limit)


def keys(conn: sa.Connection, query: FrameQuery) -> dict[str, list[str]]:
    """Return the names that occur among the frames of a query.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    query : FrameQuery
        ``limit`` has no meaning here.

    Returns
    -------
    dict of str to list of str
        ``observatory``, ``telkey``, ``imgtype``, ``telname``, ``objname``, ``filter``, ``night``: sorted names.
    """
    order = ("observatory", "telkey", "imgtype", "telname", "objname", "filter", "night")
    found = _keys_of_rollup(conn, query) if query.of_rollup else _keys_of_frames(conn, query)
    return {key: found[key] for key in order}


def _keys_of_rollup(conn: sa.Connection, query: FrameQuery) -> dict[str, list[str]]:
    asked = Names(conn, query)
    found: dict[str, list[str]] = {}
    for what, column in NAME_IDS.items():
        table, others = NAME_TABLES[what], asked.on(rollup_table, without=what)
        # A probe of an index for each name; LIMIT keeps PostgreSQL from joining the whole table of counts instead.
        probe = sa.select(rollup_table.c.n).where(rollup_table.c[column] == table.c[column], *others).limit(1).scalar_subquery()
        statement = sa.select(table.c.name).where(asked.of(what, table.c[column]), probe.is_not(None))
        found[what] = sorted(conn.execute(statement).scalars())
    where = asked.on(rollup_table)
    groups = list(_groups(conn, where))
    found["imgtype"] = sorted({kind for _, kind in groups})
    if set(query.names) & set(NAME_IDS):
        # A step for each night could read every row of the name each time.
        nights = sa.select(rollup_table.c.night).where(*where)
        if not any(map(is_glob, query.names.get("objname", ("*",)))):
            # Of a target there are few rows, but DISTINCT would have SQLite go by the nights: the limit parts the two.
            of_target = nights.limit(_EVERYTHING).subquery()
            nights = sa.select(of_target.c.night)
        rows = conn.execute(nights.distinct()).scalars()
        found["night"] = sorted({night for night in rows if night is not None})
    else:
        # An index of root, kind and night answers each step at once.
        nights: set[str] = set()
        for number, kind in groups:
            nights |= set(distinct_nights(conn, rollup_table, rollup_table.c.root_id == number, rollup_table.c.kind == kind, *where))
        found["night"] = sorted(nights)
    return found


def _groups(conn: sa.Connection, where: Sequence[sa.ColumnElement[bool]]) -> Iterator[tuple[int, str]]:
    """Yield the roots and kinds that occur together in the counts."""
    columns = rollup_table.c
    for number in conn.execute(sa.select(root.c.root_id).order_by(root.c.root_id)).scalars().all():
        for kind in KINDS:
            probe = sa.select(columns.n).where(columns.root_id == number, columns.kind == kind, *where).limit(1)
            if conn.execute(probe).first() is not None:
                yield number, kind


def _keys_of_frames(conn: sa.Connection, query: FrameQuery) -> dict[str, list[str]]:
    columns = (*(frame.c[NAME_IDS[what]] for what in DIMENSIONS), frame.c.kind, frame.c.night)
    rows = _narrow(conn, query, columns)
    sets = [{row[place] for row in rows} - {None} for place in range(len(columns))]
    names = _names(conn, dict(zip(DIMENSIONS, sets, strict=False)))
    found = {what: sorted(names[what].values()) for what in DIMENSIONS}
    return {**found, "imgtype": sorted(sets[-2]), "night": sorted(sets[-1])}


def _narrow(conn: sa.Connection, query: FrameQuery, columns: Sequence[sa.ColumnElement[Any]]) -> Sequence[Any]:
    """Return only these columns (and those that are tested) of the frames of a query."""
    extra = [column for column in tested(query) if all(column is not other for other in columns)]
    statement = sa.select(*columns, *extra).outerjoin_from(frame, file, file.c.file_id == frame.c.file_id)
    return keep(query, plain_rows(conn, statement.where(*frame_conditions(conn, query))), [*columns, *extra])


def frames_by_id(conn: sa.Connection, ids: Iterable[int]) -> list[Frame]:
    """Return frames by their ids, in the order of the ids; also those that cannot be read at present (their path is None).

    An id that is not in the archive is left out.
    """
    listed = [int(number) for number in ids]
    rows = [row for part in chunks(listed) for row in plain_rows(conn, _FRAMES_AND_LOST.where(in_ids(frame.c.frame_id, part)))]
    found = {record.frame_id: record for record in _records(conn, rows)}
    return [found[number] for number in listed if number in found]


def _in_time(row: Any) -> tuple[bool, float, int]:
    mjd = row[_MJD_MID]
    return mjd is None, mjd or 0.0, row[0]


def _records(conn: sa.Connection, rows: Sequence[Any]) -> list[Frame]:
    if not rows:
        return []
    last = _N_STORED + len(DIMENSIONS)
    names = _names(conn, {what: {row[place] for row in rows} - {None} for place, what in enumerate(DIMENSIONS, _N_STORED)})
    roots = conn.execute(_ROOT_LABELS, {"root_ids": list({row[last] for row in rows} - {None})})
    return Labels(names, {number: (name, uri) for number, name, uri in roots}).frames(rows)


def _names(conn: sa.Connection, ids: dict[str, set[int]]) -> dict[str, dict[int, str]]:
    """Return the names behind ids, in one statement for all kinds of names."""
    found: dict[str, dict[int, str]] = {what: {} for what in DIMENSIONS}
    for place, number, name in conn.execute(_LABELS, {what: sorted(numbers) for what, numbers in ids.items()}):
        found[DIMENSIONS[place]][number] = name
    return found


def header_cards(conn: sa.Connection, frame_id: int) -> bytes | None:
    """Return the raw card bytes of a frame's header, a multiple of 80; None if headers are not kept."""
    packed = conn.execute(sa.select(frame_header.c.cards).where(frame_header.c.frame_id == frame_id)).scalar()
    return None if packed is None else zlib.decompress(packed)


def origin(conn: sa.Connection, frame_id: int) -> dict[str, str]:
    """Return where each field of a frame came from, and notes on disagreements (``Frame.origin``)."""
    text = conn.execute(sa.select(frame.c.origin).where(frame.c.frame_id == frame_id)).scalar()
    return {} if text is None else json.loads(text)


def origins(conn: sa.Connection, frame_ids: Iterable[int]) -> dict[int, dict[str, str]]:
    """Return `origin` of many frames, by their ids."""
    found: dict[int, dict[str, str]] = {}
    for part in chunks(frame_ids):
        rows = conn.execute(sa.select(frame.c.frame_id, frame.c.origin).where(in_ids(frame.c.frame_id, part)))
        found |= {frame_id: {} if text is None else json.loads(text) for frame_id, text in rows}
    return found


def catalogs(
    conn: sa.Connection,
    *,
    frame_ids: Iterable[int] | None = None,
    method: str | None = None,
    run_id: int | None = None,
    current: bool = True,
) -> list[CatalogRow]:
    """Return catalogs, by frame and run.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    frame_ids : iterable of int, optional
        Only of these frames.
    method : str, optional
        Only of this method.
    run_id : int, optional
        Those of this run, current or not.
    current : bool
        Only those that light curves use: one for each frame and method.
    """
    columns = [catalog_column(name) for name in CatalogRow._fields]
    statement = sa.select(*columns)
    if run_id is not None:
        statement = statement.where(catalog.c.run_id == run_id)
    elif current:
        statement = statement.join(current_run, current_run.c.catalog_id == catalog.c.catalog_id)
    if method is not None:
        statement = statement.where(catalog.c.method == method)
    parts = [statement] if frame_ids is None else [statement.where(in_ids(catalog.c.frame_id, part)) for part in chunks(frame_ids)]
    rows = sorted((row for part in parts for row in conn.execute(part)), key=lambda row: (row.frame_id, row.run_id))
    return [CatalogRow(*row[:-1], apertures=tuple(json.loads(row.apertures))) for row in rows]


def products(conn: sa.Connection, frame_ids: Iterable[int], kind: str | None = None) -> list[ProductRow]:
    """Return the maps and masks that ezarchive made of frames; those that lie in a data root are frames: `children`."""
    rows: list[ProductRow] = []
    for part in chunks(frame_ids):
        statement = sa.select(*(product.c[name] for name in ProductRow._fields)).where(in_ids(product.c.frame_id, part))
        if kind is not None:
            statement = statement.where(product.c.kind == kind)
        rows += (ProductRow(*row) for row in conn.execute(statement))
    return sorted(rows, key=lambda row: (row.frame_id, row.kind, row.path))


def children(conn: sa.Connection, frame_ids: Iterable[int], kinds: Sequence[str] | None = None) -> list[Frame]:
    """Return the frames that were made from these (error maps, masks, backgrounds, derived images), in time."""
    rows: list[Any] = []
    for part in chunks(frame_ids):
        statement = _FRAMES.where(in_ids(frame.c.parent_id, part))
        rows += plain_rows(conn, statement if kinds is None else statement.where(frame.c.kind.in_(kinds)))
    return _records(conn, sorted(rows, key=_in_time))


def masters(conn: sa.Connection, record: Frame, kind: str) -> list[Frame]:
    """Return the calibration frames that fit a frame, the nearest in time first.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    record : Frame
        With the same observatory, telkey and telname as the calibration (as far as the frame has them) and the same size.
    kind : str
        ``bias``, ``dark`` (of equal exposure time) or ``flat`` (of the same filter).

    Raises
    ------
    InputError
        If the kind is no calibration.
    """
    if kind not in CALIBRATION_KINDS:
        raise InputError(f"kind {kind!r}: must be one of {', '.join(CALIBRATION_KINDS)}")
    names = ["observatory", "telkey", "telname"] + (["filter"] if kind == "flat" else [])
    where = [frame.c.kind == kind, frame.c.naxis1 == record.naxis1, frame.c.naxis2 == record.naxis2]
    for what in names:
        name = getattr(record, what)
        if name is not None:
            table, column = NAME_TABLES[what], NAME_IDS[what]
            where.append(frame.c[column] == sa.select(table.c[column]).where(table.c.name == name).scalar_subquery())
    if kind == "dark":
        if record.exptime is None:
            return []
        slack = 0.001 * abs(record.exptime) + 0.001
        where.append(frame.c.exptime.between(record.exptime - slack, record.exptime + slack))
    found = _records(conn, plain_rows(conn, _FRAMES.where(*where)))
    return sorted(found, key=lambda other: (*_apart(record, other), other.frame_id))


def _apart(a: Frame, b: Frame) -> tuple[bool, float]:
    if a.mjd_mid is None or b.mjd_mid is None:
        return True, 0.0
    return False, abs(a.mjd_mid - b.mjd_mid)
