"""Forced photometry of one frame in a worker: cutouts -> apertures -> a Parquet catalog that names its frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ezarchive import columns
from ezarchive.catalogs import parquet
from ezarchive.driver import check_versions
from ezarchive.errors import CatalogError
from ezarchive.files import sha256_file
from ezarchive.frames.record import Frame
from ezarchive.images.background import MeshBackground
from ezarchive.images.image import Image
from ezarchive.images.mapfile import read_map
from ezarchive.measure import Done, saturation_of
from ezarchive.positions import Axes, PositionOptions, Surroundings, measure_positions
from ezarchive.targets import Targets


@dataclass(frozen=True, kw_only=True)
class ForcedTask:
    """One frame and its targets, with all that a worker needs; paths are relative to the home.

    ``durable`` as of `ezarchive.files.atomic_write`.
    """

    frame: Frame
    run_id: int
    home: Path
    relpath: str
    targets: Targets
    axes: Axes | None
    options: PositionOptions
    provenance: Mapping[str, Any]
    mesh: str | None
    catalog: str | None
    seeing: float | None
    saturation_origin: str | None
    durable: bool = True


def forced_frame(task: ForcedTask) -> Done:
    """Measure the targets of one frame and write their catalog; a whole one that is there already is taken over.

    Parameters
    ----------
    task : ForcedTask

    Returns
    -------
    Done

    Raises
    ------
    FrameError, MeasurementError, OSError
        If the frame or its mesh cannot be read, or the catalog not be written; ``versions`` if this process has other libraries than the
        run was begun with.
    """
    check_versions(task.provenance["versions"])
    path, frame = task.home / task.relpath, task.frame
    identity = {"header_hash": frame.header_hash, "data_sample": frame.data_sample, "mesh": task.mesh, **task.provenance}
    adopted = _adopted(path, identity)
    if adopted is not None:
        return adopted
    sky = None if task.mesh is None else read_map(task.home / task.mesh)
    around = Surroundings(
        background=sky,
        noise=sky if isinstance(sky, MeshBackground) else None,
        neighbours=None if task.catalog is None or not task.options.neighbours else _sources(task.home / task.catalog),
        seeing=task.seeing if frame.seeing is None else frame.seeing,
        saturation=saturation_of(frame, task.options.saturation_level, task.saturation_origin),
    )
    options = task.options
    found = measure_positions(Image(frame.path, frame.hdu, frame=frame), task.targets, options, around, axes=task.axes)
    link = {column.name: getattr(frame, column.name, None) for column in columns.CATALOG_LINK} | {"run_id": task.run_id}
    summary = {"apertures": list(found.apertures)}
    named = {column.name: values for column, values in found.columns.items()}
    written = parquet.write_catalog(path, named, link=link, provenance={**identity, **summary}, durable=task.durable)
    return Done(rows=written.rows, sha256=written.sha256, seeing=None, depth=None, depth_aperture=None, apertures=found.apertures)


def _adopted(path: Path, identity: Mapping[str, Any]) -> Done | None:
    """Return what a whole catalog of the same frame, recipe and sky says, None if there is none."""
    if not path.exists():
        return None
    try:
        found = parquet.read_provenance(path)
        rows = len(parquet.read_catalog(path))
    except CatalogError:
        return None
    if any(found.get(key) != value for key, value in identity.items()):
        return None
    apertures = tuple(found["apertures"])
    return Done(rows=rows, sha256=sha256_file(path), seeing=None, depth=None, depth_aperture=None, apertures=apertures)


def _sources(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the positions of the sources of a catalog; None where its file has gone, which `verify` reports."""
    try:
        table = pq.read_table(path, columns=["X_IMAGE", "Y_IMAGE"], partitioning=None)
    except (OSError, pa.ArrowException):
        return None
    return table["X_IMAGE"].to_numpy(), table["Y_IMAGE"].to_numpy()
