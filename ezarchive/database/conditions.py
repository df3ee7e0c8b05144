"""`FrameQuery`: a question about frames, and the SQL it becomes.

Names become ids first, in small tables, so that the question to ``frame`` is one of numbers that its indexes answer. A place becomes
HEALPix cells for the same reason; the exact test of footprints comes after the rows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase, translate
from itertools import compress
from typing import Any

import numpy as np
import sqlalchemy as sa

from ezarchive import columns, sky
from ezarchive.database.models import NAME_IDS, file, frame, frame_cell, frame_file, rollup, root
from ezarchive.database.names import is_glob, resolve
from ezarchive.database.parts import bytes_hold, in_ids
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.frames.record import KINDS

NAME_KEYS = ("observatory", "telkey", "telname", "objname", "filter", "imgtype", "night", "object_raw")
"""What `FrameQuery.names` may hold."""

LARGE_CONE = 20.0
"""Degrees. A larger cone touches so many cells that listing them saves nothing."""

_COLUMNS = {column.name: column for column in columns.FRAME}


@dataclass(frozen=True, kw_only=True)
class FrameQuery:
    """A question about frames; the conditions add up.

    Attributes
    ----------
    root : str or None
        Name of a data root.
    kinds : tuple of str or None
        Any of these kinds.
    names : mapping
        Key of `NAME_KEYS` -> values, each an exact name or a glob; any of them. No value at all: no frame.
    ranges : mapping
        Column of ``columns.FRAME`` -> (lowest, highest), inclusive; None for an open end. A frame without a value is not found.
    cone : tuple or None
        (ra, dec, radius), ICRS degrees: the footprint meets the cone.
    point : bool
        The footprint contains the centre of ``cone`` instead, whatever its radius.
    pattern : str or None
        Glob on the file name; with a ``/`` in it, on the path below the root.
    mjd : tuple or None
        First and last `mjd_mid`, inclusive, None for an open end.
    available : bool
        Only frames that can be read at present.
    limit : int or None
        At most so many, the first in time.
    """

    root: str | None = None
    kinds: tuple[str, ...] | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    cone: tuple[float, float, float] | None = None
    point: bool = False
    pattern: str | None = None
    mjd: tuple[float | None, float | None] | None = None
    available: bool = True
    limit: int | None = None

    @property
    def of_rollup(self) -> bool:
        """Whether the counts by night, telescope, filter and target can answer it."""
        others = self.ranges or self.cone or self.pattern or self.mjd or self.limit is not None
        return self.available and not others and "object_raw" not in self.names


class Names:
    """The names, kinds and root of a query, resolved: conditions on any table that has their columns.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    query : FrameQuery

    Raises
    ------
    UnknownNameError
        If a key, a kind, a root or an exact name does not exist.
    """

    def __init__(self, conn: sa.Connection, query: FrameQuery) -> None:
        self._available = query.available
        self._values: dict[str, list[Any] | None] = {}
        for key, values in query.names.items():
            if key not in NAME_KEYS:
                raise UnknownNameError("name", key, NAME_KEYS)
            self._values[key] = None if "*" in values else _resolved(conn, key, values)
        self._kinds = None if query.kinds is None else _kinds("kind", query.kinds)
        self._root = None if query.root is None else root_id(conn, query.root)

    def on(self, table: sa.Table, *, without: str | None = None) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on ``frame`` or ``rollup``, those of one key left out if asked."""
        places = {"imgtype": "kind", **NAME_IDS}
        found = [self.of(key, table.c[places.get(key, key)]) for key in self._values if key != without]
        if self._kinds is not None:
            found.append(table.c.kind.in_(self._kinds))
        if self._root is not None:
            found.append(table.c.root_id == self._root if table is rollup else _in_root(self._root, available=self._available))
        return found

    def of(self, key: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Return the condition that a column, of ids or of texts, is of the names asked for under a key."""
        if key not in self._values:
            return sa.true()
        values = self._values[key]
        if values is None:
            return column.is_not(None)
        return in_ids(column, values) if key in NAME_IDS else column.in_(values)


def _resolved(conn: sa.Connection, key: str, values: Sequence[str]) -> list[Any] | None:
    """Return ids or texts; None for any."""
    if key in NAME_IDS:
        return sorted(resolve(conn, key, values))
    if key == "imgtype":
        return _kinds(key, values)
    if key == "night":
        return _nights(conn, values)
    # Globs on the raw name are tested by `keep`.
    return None if any(is_glob(value) for value in values) else list(values)


def frame_conditions(conn: sa.Connection, query: FrameQuery) -> list[sa.ColumnElement[bool]]:
    """Return every condition that SQL can test; of a place and a file name that is a little less than the whole.

    Raises
    ------
    UnknownNameError
        As `Names`, and if a range is of an unknown column.
    InputError
        If the cone is none.
    """
    found = Names(conn, query).on(frame)
    for name, (low, high) in query.ranges.items():
        if name not in _COLUMNS:
            raise UnknownNameError("column", name, _COLUMNS)
        found += _between(frame.c[name], low, high)
    if query.mjd is not None:
        found += _between(frame.c.mjd_mid, *query.mjd)
    if query.available:
        found.append(frame.c.file_id.is_not(None))
    if query.cone is not None:
        found.append(_near(query))
    if query.pattern is not None:
        literal = max(re.split(r"\[!?\]?[^\]]*\]|[*?\[]", query.pattern), key=len)
        found.append(file.c.relpath.is_not(None))
        if literal:
            found.append(bytes_hold(file.c.relpath, os.fsencode(literal)))
    return found


def root_id(conn: sa.Connection, name: str) -> int:
    """Return the id of a data root.

    Raises
    ------
    UnknownNameError
        If there is no root of that name.
    """
    found = dict(conn.execute(sa.select(root.c.name, root.c.root_id)).all())
    if name not in found:
        raise UnknownNameError("root", name, found)
    return found[name]


def tested(query: FrameQuery) -> list[sa.ColumnElement[Any]]:
    """Return the columns that `keep` looks at; none if SQL tests everything."""
    found: list[sa.ColumnElement[Any]] = []
    if query.pattern is not None:
        found.append(file.c.relpath)
    if any(is_glob(value) for value in query.names.get("object_raw", ())):
        found.append(frame.c.object_raw)
    if query.cone is not None:
        found.append(frame.c.s_region)
    return found


def keep(query: FrameQuery, rows: Sequence[Any], columns: Sequence[Any]) -> Sequence[Any]:
    """Return the rows that pass what SQL cannot test.

    Parameters
    ----------
    query : FrameQuery
    rows : sequence of tuples
    columns : sequence of columns
        What the rows hold, in their order; `tested` is part of it.
    """
    place = {column.name: number for number, column in enumerate(columns)}
    if query.pattern is not None:
        matches, at, whole = re.compile(translate(query.pattern)).match, place["relpath"], "/" in query.pattern
        rows = [row for row in rows if matches(os.fsdecode(row[at] if whole else row[at].rpartition(b"/")[2]))]
    if any(is_glob(value) for value in query.names.get("object_raw", ())):
        at = place["object_raw"]
        rows = [row for row in rows if any(fnmatchcase(row[at] or "", value) for value in query.names["object_raw"])]
    return rows if query.cone is None else _meeting(query, rows, place["s_region"])


def _meeting(query: FrameQuery, rows: Sequence[Any], at: int) -> list[Any]:
    """Return the rows whose footprint, at this place, contains the point or meets the cone."""
    assert query.cone is not None
    ra, dec, radius = query.cone
    rows = [row for row in rows if row[at] is not None]
    if not rows:
        return []
    outlines = parse_regions([row[at] for row in rows])
    good = sky.polygons_contain(outlines, ra, dec) if query.point else sky.polygons_meet_cone(outlines, ra, dec, radius)
    return list(compress(rows, good.tolist()))


def parse_regions(texts: Sequence[str]) -> list[np.ndarray]:
    """Return the vertices (n, 2) of many footprints, ICRS degrees; one pass over all numbers is faster than one a footprint."""
    parts = [text.split()[2:] for text in texts]
    numbers = np.array([number for part in parts for number in part], dtype=float)
    sizes = {len(part) for part in parts}
    if len(sizes) == 1:
        return list(numbers.reshape(len(parts), -1, 2))
    return np.split(numbers.reshape(-1, 2), np.cumsum([len(part) // 2 for part in parts])[:-1])


def _near(query: FrameQuery) -> sa.ColumnElement[bool]:
    assert query.cone is not None
    ra, dec, radius = (float(value) for value in query.cone)
    if not (np.isfinite([ra, dec, radius]).all() and -90 <= dec <= 90 and 0 <= radius <= 180):
        raise InputError(f"cone {query.cone}: must be (ra, dec, radius) in degrees, |dec| <= 90, radius 0 to 180")
    if query.point or radius == 0:
        cells = np.atleast_1d(sky.cell_of(ra, dec, sky.CELL_ORDER))
    elif radius <= LARGE_CONE:
        cells = sky.cells_of_cone(ra, dec, radius, sky.CELL_ORDER)
    else:
        return frame.c.s_region.is_not(None)
    return frame.c.frame_id.in_(sa.select(frame_cell.c.frame_id).where(in_ids(frame_cell.c.cell, cells)))


def _between(column: sa.ColumnElement[Any], low: Any, high: Any) -> list[sa.ColumnElement[bool]]:
    ends = [end if end is None or isinstance(end, str) else sa.literal(float(end), sa.Double) for end in (low, high)]
    found = [] if low is None else [column >= ends[0]]
    return found if high is None else [*found, column <= ends[1]]


def _in_root(number: int, *, available: bool) -> sa.ColumnElement[bool]:
    if available:
        return file.c.root_id == number
    lost = sa.select(frame_file.c.frame_id).join(file, file.c.file_id == frame_file.c.file_id).where(file.c.root_id == number)
    return sa.or_(file.c.root_id == number, sa.and_(frame.c.file_id.is_(None), frame.c.frame_id.in_(lost)))


def _kinds(what: str, values: Sequence[str]) -> list[str]:
    for value in values:
        if value not in KINDS and not is_glob(value):
            raise UnknownNameError(what, value, KINDS)
    return [kind for kind in KINDS if any(fnmatchcase(kind, value) for value in values)]


def _nights(conn: sa.Connection, values: Sequence[str]) -> list[str]:
    if not any(is_glob(value) for value in values):
        return sorted(values)
    return [night for night in distinct_nights(conn, frame) if any(fnmatchcase(night, value) for value in values)]


def distinct_nights(conn: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> list[str]:
    """Return the nights in ``frame`` or ``rollup``, sorted: one step of its index for each, not one for each row."""
    first = sa.select(sa.func.min(table.c.night).label("night")).where(*where).cte("nights", recursive=True)
    following = sa.select(sa.func.min(table.c.night)).where(table.c.night > first.c.night, *where).scalar_subquery()
    nights = first.union_all(sa.select(following).where(first.c.night.is_not(None)))
    return list(conn.execute(sa.select(nights.c.night).where(nights.c.night.is_not(None))).scalars())
