"""The SQL engines of an archive: made over its database and its light-curve store, and kept from one question to the next."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from ezarchive import sky
from ezarchive.catalogs.sources import SCHEMAS, Asked, conform
from ezarchive.catalogs.sql import Engine
from ezarchive.catalogs.stored import Stored
from ezarchive.catalogs.views import ELLIPTICAL
from ezarchive.columns import DEFAULT_APERTURE
from ezarchive.database import apertures, comparisons, runs, stores, tables, zeropoints
from ezarchive.errors import EzarchiveError, StoreError, UnknownNameError
from ezarchive.store.version import Version

if TYPE_CHECKING:
    from ezarchive.archive import Archive

KEPT = 4
"""Engines that an archive keeps: for different apertures, methods and runs."""

_TRIES = 5
_OF_PARENTS: list[Any] = []
"""Engines of the process that this one was forked from: without DuckDB's threads, which no fork takes along, none can answer or end."""
_Answer = TypeVar("_Answer")


class _OutdatedError(EzarchiveError):
    """The database has changed since the engine began to read it."""


class Engines:
    """The engines that an archive keeps as long as its database stays the same; for use by several threads, and after a fork."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Any, ...], Engine] = OrderedDict()

    def get(self, archive: Archive, *, aperture: float, method: str | None, run: int | None) -> Engine:
        """Return an engine for the present state of the database.

        Raises
        ------
        UnknownNameError
            If there is no such run, or no run of the method.
        StoreError
            If the light-curve store cannot be read.
        """
        self._leave_parent()
        with self._lock:
            with archive.database.connect() as conn:
                key = (stores.changes(conn), aperture, method, run)
                if key not in self._kept:
                    for old in [old for old in self._kept if old[0] != key[0]]:
                        del self._kept[old]
                    self._kept[key] = _lazy(archive, conn, *key)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                # It is closed when the last who uses it is done.
                self._kept.popitem(last=False)
            return self._kept[key]

    def clear(self) -> None:
        """Forget all of them."""
        self._leave_parent()
        with self._lock:
            self._kept.clear()

    def _leave_parent(self) -> None:
        """Begin anew in a process that was forked."""
        if self._process != os.getpid():
            _OF_PARENTS.append(self._kept)
            self._begin()


def ask(
    archive: Archive,
    question: Callable[[Engine], _Answer],
    *,
    aperture: Any = DEFAULT_APERTURE,
    method: str | None = None,
    run: int | None = None,
) -> _Answer:
    """Put a question to an engine of an archive.

    Parameters
    ----------
    archive : Archive
    question : callable
        Is given the engine and asks it; again, if the database changes meanwhile.
    aperture : float, Quantity or str
        Diameter of the apertures in ``light_curve``; a number counts arcsec.
    method : str, optional
        Only catalogs of this method.
    run : int, optional
        The catalogs of this run instead of each frame's current one.

    Returns
    -------
    object
        What `question` returns.

    Raises
    ------
    UnknownNameError
        If there is no such run, or no run of the method.
    """
    diameter = arcsec("aperture", aperture)
    for left in reversed(range(_TRIES)):
        engine = archive.engines.get(archive, aperture=diameter, method=method, run=run)
        try:
            return question(engine)
        except _OutdatedError:
            if not left:
                break
        except StoreError:  # a version is removed when two others have been published while it was read
            if not left or archive.engines.get(archive, aperture=diameter, method=method, run=run) is engine:
                raise
    with closing(of_frames(archive, None, aperture=aperture, method=method, run=run)) as engine:
        return question(engine)


def of_frames(
    archive: Archive,
    frame_ids: Sequence[int] | None,
    *,
    aperture: Any = DEFAULT_APERTURE,
    method: str | None = None,
    run: int | None = None,
) -> Engine:
    """Return an engine over the catalogs of some frames (None: of all) as they are now, which the caller closes; without the store.

    Raises
    ------
    UnknownNameError
        If there is no such run, or no run of the method.
    """
    diameter = arcsec("aperture", aperture)
    with archive.database.connect() as conn:
        ellipses = _ellipses(conn, method, run)
        frames = tables.frames_table(conn, frame_ids=frame_ids, replaced=run is not None)
        catalogs = tables.catalogs_table(conn, frame_ids=frame_ids, method=method, run_id=run)
        others = {
            "zero_points": zeropoints.zero_points_table(conn, frame_ids=frame_ids),
            "image_fits": comparisons.image_fits_table(conn, frame_ids=frame_ids),
            "anchors": comparisons.anchors_table(conn),
            "aperture_photometry": apertures.photometry_table(conn),
        }
    return Engine(frames, catalogs, archive.home, archive.settings.sql, aperture=diameter, ellipses=ellipses, **others)


def arcsec(name: str, value: Any) -> float:
    """Return an angle in arcsec; a number counts arcsec.

    Raises
    ------
    InputError
        If it is none; the message has the argument's name.
    """
    plain = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return float(value) if plain else sky.parse_angle(value, name) * 3600


def _lazy(archive: Archive, conn: Any, changes: int, aperture: float, method: str | None, run: int | None) -> Engine:
    read = partial(_read, archive, changes, method, run)
    return Engine.over(
        Asked(_SCHEMAS, read),
        archive.home,
        archive.settings.sql,
        aperture=aperture,
        ellipses=_ellipses(conn, method, run),
        stored=_stored(archive, conn),
        from_store=method is None and run is None,
        limits_of=partial(_limits_of, archive, method, run),
    )


def _read(
    archive: Archive, changes: int, method: str | None, run: int | None, table: str, columns: Sequence[str], frame_ids: Sequence[int] | None
) -> pa.Table:
    with archive.database.connect() as conn:
        if stores.changes(conn) != changes:
            raise _OutdatedError("the database has changed")
        if table == "frames":
            return tables.frames_table(conn, frame_ids=frame_ids, columns=columns, replaced=run is not None)
        if table == "catalogs":
            return tables.catalogs_table(conn, frame_ids=frame_ids, columns=columns, method=method, run_id=run)
        if table == "anchors":
            return comparisons.anchors_table(conn).select(list(columns))
        if table == "aperture_photometry":
            return apertures.photometry_table(conn).select(list(columns))
        rows = zeropoints.zero_points_table if table == "zero_points" else comparisons.image_fits_table
        return rows(conn, frame_ids=frame_ids).select(list(columns))


def _limits_of(
    archive: Archive, method: str | None, run: int | None, ra: float, dec: float, seen: Sequence[int], aperture: float
) -> pa.Table:
    from ezarchive.lightcurves.limits import non_detections  # noqa: PLC0415  a verb, needed by few

    return non_detections(archive, ra, dec, seen, aperture=aperture, method=method, run=run)


def _stored(archive: Archive, conn: Any) -> Stored | None:
    number = stores.current(conn)
    if number is None:
        return None
    version = Version.open(archive.home, number)
    made = max((row["created"] for row in stores.versions(conn) if row["kind"] != "compact"), default=0.0)
    # Zero points that are newer than the store: until they are in it, the rows of their frames come from the frames' own catalogs.
    renewed = tables.catalogs_table(conn, frame_ids=zeropoints.changed_since(conn, made), columns=["catalog_id", "frame_id"])
    missing = tables.places_of_catalogs(conn, stores.missing(conn))
    pending = pa.concat_tables([missing, renewed]).group_by(["catalog_id", "frame_id"]).aggregate([])
    left_out = pa.array(np.union1d(np.array(stores.stale(conn), np.int64), renewed["catalog_id"].to_numpy()), pa.int64())
    return Stored(version, float(version.parameters.get("aperture", archive.settings.associate.aperture)), pending, left_out)


def _ellipses(conn: Any, method: str | None, run: int | None) -> bool:
    """Tell whether the catalogs of a method or a run are of ellipses; there must be such a run."""
    if method is None and run is None:
        return False
    known = runs.list_runs(conn)
    methods = {row["method"] for row in known}
    if method is not None and known and method not in methods:
        raise UnknownNameError("method", str(method), methods)
    numbers = {row["run_id"]: row["method"] for row in known if method is None or row["method"] == method}
    if run is not None and run not in numbers:
        raise UnknownNameError("run", str(run), {str(number) for number in numbers})
    return ELLIPTICAL in (method, numbers.get(run))


_FIELDS = {
    "frames": tables.FRAME_FIELDS,
    "catalogs": tables.CATALOG_FIELDS,
    "zero_points": zeropoints.ZERO_POINT_FIELDS,
    "image_fits": comparisons.IMAGE_FIT_FIELDS,
    "anchors": comparisons.ANCHOR_FIELDS,
    "aperture_photometry": apertures.PHOTOMETRY_FIELDS,
}
_SCHEMAS = {
    table: conform({name: pa.array([], kind) for name, kind in fields.items()}, SCHEMAS[table], table).schema
    for table, fields in _FIELDS.items()
}
