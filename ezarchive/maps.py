"""Maps of frames in the archive's home: backgrounds, noise and masks; one ``.npz`` each and a row that names it.

::

    maps/<run>/<observatory>/<telkey>/<objname>/<telname>/<filter>/<frame stem>.<frame_id>.<kind>.npz

What is in a file is told in ``images.mapfile``. A worker of a batch calls `write_map`, its driver `record_maps`; `save_map` does both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ezarchive.catalogs.paths import map_path
from ezarchive.columns import NAMES
from ezarchive.database import queries, runs
from ezarchive.database.session import Database
from ezarchive.errors import FrameError, InputError
from ezarchive.files import atomic_write, sha256_file
from ezarchive.frames.record import Frame
from ezarchive.images.image import Image
from ezarchive.images.mapfile import MapLike, pack, read_map
from ezarchive.images.skin import MAP_KINDS

KINDS = MAP_KINDS
"""Kinds of stored maps."""

_PACKAGES = ("ezarchive", "numpy", "sep")


class Handle(Protocol):
    """An archive as `save_map` needs it (`browse.handle.ArchiveHandle`)."""

    home: Path

    def writing(self) -> AbstractContextManager[Database]:
        """Give the database opened for writing."""
        ...


class StoredMap(NamedTuple):
    """A map's file that is whole on disk; ``path`` is relative to the home."""

    frame_id: int
    kind: str
    path: str
    run_id: int
    size: int
    sha256: str


def write_map(home: Path, run_id: int, frame: Frame, kind: str, value: MapLike | np.ndarray, provenance: Mapping[str, Any]) -> StoredMap:
    """Write the file of a map, whole or not at all; it needs no database.

    Parameters
    ----------
    home : Path
        The archive's folder.
    run_id : int
        The run it belongs to.
    frame : Frame
        A frame of that archive.
    kind : str
        One of `KINDS`.
    value : MeshBackground, Mask, PixelMap, PropagatedNoise, SourceNoise or array
        The map.
    provenance : mapping
        How and of what it was made, plain values; kept in the file with frame and run.

    Returns
    -------
    StoredMap
        For `record_maps`.

    Raises
    ------
    InputError
        If the kind is unknown, or the frame not one of an archive.
    """
    _check(frame, kind)
    names = {column.name: getattr(frame, column.name) for column in NAMES}
    relative = str(map_path(run_id, frame.frame_id, kind, names=names, relpath=frame.relpath))
    path = home / relative
    with atomic_write(path) as stream:
        stream.write(pack(value, {**provenance, "frame_id": frame.frame_id, "run_id": run_id}))
    return StoredMap(frame.frame_id, kind, relative, run_id, path.stat().st_size, sha256_file(path))


def record_maps(conn: Any, stored: Iterable[StoredMap]) -> None:
    """Name maps in the database, in the caller's transaction; their files must be whole on disk."""
    runs.add_products(conn, [item._asdict() for item in stored])


def save_map(
    handle: Handle,
    frame: Frame,
    kind: str,
    value: MapLike | np.ndarray,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Any] | None = None,
) -> Path:
    """Write a map and record it as a run of its own; the file is whole on disk before the row that names it.

    Parameters
    ----------
    handle : ArchiveHandle
    frame, kind, value
        As of `write_map`.
    parameters : mapping
        How it was made, plain values; they make the recipe of the run.
    inputs : mapping, optional
        What it was made from (hashes of masks, ids of master frames); kept in the file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the kind is unknown, or the frame not one of an archive.
    """
    _check(frame, kind)
    versions = {name: version(name) for name in _PACKAGES}
    with handle.writing() as database:
        with database.begin() as conn:
            run_id = runs.open_run(conn, runs.get_recipe(conn, kind, parameters, []), versions).run_id
        provenance = {"parameters": dict(parameters), "versions": versions, "inputs": dict(inputs or {})}
        stored = write_map(handle.home, run_id, frame, kind, value, provenance)
        with database.begin() as conn:
            record_maps(conn, [stored])
            runs.close_run(conn, run_id, {"n_maps": 1})
    return handle.home / stored.path


def load_map(home: Path, database: Database, frame_id: int, kind: str, run_id: int | None = None) -> MapLike | None:
    """Return the newest stored map of a frame, None where there is none.

    Parameters
    ----------
    home : Path
        The archive's folder.
    database : Database
        Open for reading at least.
    frame_id : int
        The frame.
    kind : str
        One of `KINDS`.
    run_id : int, optional
        Only that of this run.

    Raises
    ------
    FrameError
        ``vanished`` or ``bad_map``, if the file that a row names is not there or damaged; ``changed`` if a master that it leans on has
        other pixels than it had.
    """
    with database.connect() as conn:
        rows = [row for row in queries.products(conn, [frame_id], kind) if run_id is None or row.run_id == run_id]
    if not rows:
        return None
    return read_map(home / max(rows, key=lambda row: row.product_id).path, lambda other: _open_frame(database, other))


def _open_frame(database: Database, frame_id: int) -> Image:
    with database.connect() as conn:
        found = queries.frames_by_id(conn, [frame_id])
    if not found or found[0].path is None:
        raise FrameError("vanished", f"frame {frame_id}: a map leans on it, but none of its files can be read; calculate the map again")
    return Image(found[0].path, found[0].hdu, frame=found[0])


def _check(frame: Frame, kind: str) -> None:
    if kind not in KINDS:
        raise InputError(f"kind={kind!r}: must be one of {', '.join(KINDS)}")
    if frame.frame_id is None:
        raise InputError("save=True: the image must be a frame of an archive, this one has no frame_id")
