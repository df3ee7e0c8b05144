"""Maps of frames in the archive's home: backgrounds and RMS maps as mesh nodes, masks as bits; one ``.npz`` each and a row that names it.

::

    maps/<run>/<observatory>/<telkey>/<objname>/<telname>/<filter>/<frame stem>.<frame_id>.<kind>.npz

A background and the RMS that belongs to it hold what ``MeshBackground.to_arrays`` gives; an RMS map from propagation holds ``map``, the
pixels; a mask ``bits`` (``numpy.packbits``) and ``shape``. All hold ``provenance``, JSON.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ezarchive.browse.handle import ArchiveHandle
from ezarchive.catalogs.paths import map_path
from ezarchive.columns import NAMES
from ezarchive.database import queries, runs
from ezarchive.errors import FrameError, InputError
from ezarchive.files import atomic_write, sha256_file
from ezarchive.frames.record import Frame
from ezarchive.images.background import MeshBackground

KINDS = ("background", "rms", "mask")
"""Kinds of stored maps."""

_PACKAGES = ("ezarchive", "numpy", "sep")


def save_map(
    handle: ArchiveHandle,
    frame: Frame,
    kind: str,
    value: MeshBackground | np.ndarray,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Any] | None = None,
) -> Path:
    """Write a map and record it; the file is whole on disk before the row that names it.

    Parameters
    ----------
    handle : ArchiveHandle
    frame : Frame
        A frame of that archive.
    kind : str
        One of `KINDS`.
    value : MeshBackground or ndarray
        A mesh, pixels (float), or a mask (bool).
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
    if kind not in KINDS:
        raise InputError(f"kind={kind!r}: must be one of {', '.join(KINDS)}")
    if frame.frame_id is None:
        raise InputError("save=True: the image must be a frame of an archive, this one has no frame_id")
    versions = {name: version(name) for name in _PACKAGES}
    names = {column.name: getattr(frame, column.name) for column in NAMES}
    with handle.writing() as database:
        with database.begin() as conn:
            run_id = runs.open_run(conn, runs.get_recipe(conn, kind, parameters, []), versions).run_id
        relative = str(map_path(run_id, frame.frame_id, kind, names=names, relpath=frame.relpath))
        path = handle.home / relative
        provenance = {"frame_id": frame.frame_id, "run_id": run_id, "parameters": dict(parameters), "versions": versions}
        with atomic_write(path) as stream:
            stream.write(_packed(value, {**provenance, "inputs": dict(inputs or {})}))
        with database.begin() as conn:
            runs.add_product(conn, frame.frame_id, kind, relative, run_id=run_id, size=path.stat().st_size, sha256=sha256_file(path))
            runs.close_run(conn, run_id, {"n_maps": 1})
    return path


def load_map(handle: ArchiveHandle, frame_id: int, kind: str) -> MeshBackground | np.ndarray | None:
    """Return the newest stored map of a frame, None where there is none.

    Raises
    ------
    FrameError
        ``vanished`` or ``bad_map``, if the file that a row names is not there or damaged.
    """
    with handle.database.connect() as conn:
        rows = queries.products(conn, [frame_id], kind)
    return read_map(handle.home / max(rows, key=lambda row: row.product_id).path) if rows else None


def read_map(path: Path) -> MeshBackground | np.ndarray:
    """Read a map.

    Raises
    ------
    FrameError
        ``vanished`` or ``bad_map``.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if name != "provenance"}
    except FileNotFoundError as err:
        raise FrameError("vanished", f"{path}: the archive names this map, but it is not there; calculate it again with save=True") from err
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as err:
        raise FrameError("bad_map", f"{path}: is no whole map: {err}") from err
    return _unpacked(arrays)


def pack_mask(mask: np.ndarray) -> dict[str, np.ndarray]:
    """Return a mask as bits and shape, an eighth of its size."""
    return {"bits": np.packbits(mask), "shape": np.array(mask.shape)}


def unpack_mask(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Undo `pack_mask`."""
    shape = tuple(int(size) for size in arrays["shape"])
    return np.unpackbits(arrays["bits"], count=int(np.prod(shape))).astype(bool).reshape(shape)


def _packed(value: MeshBackground | np.ndarray, provenance: Mapping[str, Any]) -> bytes:
    if isinstance(value, MeshBackground):
        arrays = value.to_arrays()
    else:
        arrays = pack_mask(value) if value.dtype == bool else {"map": value}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays, provenance=np.array(json.dumps(provenance, sort_keys=True)))
    return buffer.getvalue()


def _unpacked(arrays: Mapping[str, np.ndarray]) -> MeshBackground | np.ndarray:
    if "level_nodes" in arrays:
        return MeshBackground.from_arrays(arrays)
    return arrays["map"] if "map" in arrays else unpack_mask(arrays)
