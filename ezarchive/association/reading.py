"""The rows of new catalogs: read by the SQL engine, given their place on the sky, and laid out along it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ezarchive import sky
from ezarchive.association import scratch
from ezarchive.association.sources import Sources
from ezarchive.catalogs.sql import Engine
from ezarchive.columns import LIGHT_CURVE, ORPHAN
from ezarchive.config import SQLSettings
from ezarchive.errors import CatalogError
from ezarchive.store import files
from ezarchive.store.compact import calibrated
from ezarchive.store.tree import BORDER_ORDER, CELL_ORDER

TASK_ROWS = 300_000
"""Rows that are read at once, about."""

TASK_CATALOGS = 500
BORDER_SHIFT = 2 * (CELL_ORDER - BORDER_ORDER)

_FRAME_ORDER = 7
_ENGINE_GB = 0.6
_NEVER = 1e9
_ALL = tuple(column.name for column in ORPHAN if column.name in {other.name for other in LIGHT_CURVE})


class ReadTask(NamedTuple):
    """Catalogs to be read together."""

    number: int
    home: Path
    folder: Path
    frames: pa.Table
    catalogs: pa.Table
    zero_points: pa.Table
    facts: pa.Table
    aperture: float


class Read(NamedTuple):
    """What was read: files of `ORPHAN` rows sorted by place, and what is in them.

    Attributes
    ----------
    placed : Path or None
        Rows with a position.
    unplaced : Path or None
        Rows without one.
    cells, rows : ndarray of int64
        Cells of order 12 that hold placed rows, ascending, and how many.
    catalog_id, counts : ndarray of int64
        Catalogs that were read and all the rows of each.
    failed : tuple of (int, str)
        Catalogs whose file is missing, torn or of another number of rows than the database counts, and what is wrong.
    """

    placed: Path | None
    unplaced: Path | None
    cells: np.ndarray
    rows: np.ndarray
    catalog_id: np.ndarray
    counts: np.ndarray
    failed: tuple[tuple[int, str], ...]


def tasks(sources: Sources, home: Path, folder: Path, aperture: float) -> Iterator[ReadTask]:
    """Yield the catalogs that are to be added in parts that lie together on the sky.

    Parameters
    ----------
    sources : Sources
    home : Path
        The archive's folder.
    folder : Path
        Where the rows go.
    aperture : float
        Diameter in arcsec.
    """
    links = sources.links_of(sources.add)
    for number, ids in enumerate(_parts(links)):
        chosen = pa.array(ids, pa.int64())
        catalogs = sources.catalogs.filter(pc.is_in(sources.catalogs["catalog_id"], chosen))
        frame_ids = catalogs["frame_id"].combine_chunks()
        yield ReadTask(
            number, home, folder,
            sources.frames.filter(pc.is_in(sources.frames["frame_id"], frame_ids)),
            catalogs,
            sources.zero_points.filter(pc.is_in(sources.zero_points["frame_id"], frame_ids)),
            sources.facts_of(ids), aperture,
        )  # fmt: skip


def _parts(links: pa.Table) -> Iterator[np.ndarray]:
    if not len(links):
        return
    ids, rows = scratch.column(links, "catalog_id"), links["n_rows"].fill_null(0).to_numpy()
    ra, dec = (links[name].fill_null(np.nan).to_numpy() for name in ("frame_ra", "frame_dec"))
    known = np.isfinite(ra) & np.isfinite(dec)
    cell = np.full(len(ids), -1, np.int64)
    cell[known] = sky.cell_of(ra[known], dec[known], _FRAME_ORDER)
    order = np.lexsort((ids, links["mjd_mid"].fill_null(_NEVER).to_numpy(), cell))
    start = count = 0
    for place, index in enumerate(order):
        if place > start and (count + rows[index] > TASK_ROWS or place - start >= TASK_CATALOGS):
            yield np.sort(ids[order[start:place]])
            start, count = place, 0
        count += rows[index]
    yield np.sort(ids[order[start:]])


def read(task: ReadTask) -> Read:
    """Read catalogs and write their rows along the sky; a file that cannot be read does not keep the others away."""
    failed: list[tuple[int, str]] = []
    try:
        table = _rows(task, task.catalogs)
    except CatalogError:
        table = pa.concat_tables(_one_by_one(task, failed))
    table = scratch.coded(_without_miscounted(task, table, failed))
    positioned = pc.and_(pc.is_finite(table["ra"]), pc.less_equal(pc.abs(table["dec"]), 90)).fill_null(False)
    lost = table.filter(pc.invert(positioned))
    placed = table.filter(positioned) if len(lost) else table
    cells = sky.cell_of(scratch.column(placed, "ra"), scratch.column(placed, "dec"), CELL_ORDER)
    placed = placed.append_column("_healpix_29", pa.array(cells))
    order = files.sort_order(placed, ("_healpix_29", "catalog_id", "row"))
    cells, placed = cells[order], placed.take(pa.array(order))
    lost = lost.append_column("_healpix_29", pa.nulls(len(lost), pa.int64()))
    paths = [_write(task, name, part) for name, part in (("placed", placed), ("unplaced", lost))]
    found, counts = np.unique(cells >> BORDER_SHIFT, return_counts=True)
    catalogs = np.setdiff1d(scratch.column(task.catalogs, "catalog_id"), [number for number, _ in failed])
    rows = np.bincount(np.searchsorted(catalogs, scratch.column(table, "catalog_id")), minlength=len(catalogs))
    return Read(*paths, found, counts, catalogs, rows, tuple(failed))


def _rows(task: ReadTask, catalogs: pa.Table) -> pa.Table:
    limits = SQLSettings(memory_gb=_ENGINE_GB, timeout_seconds=1e6)
    with Engine(task.frames, catalogs, task.home, limits, aperture=task.aperture, zero_points=task.zero_points) as engine:
        return engine.query(f"SELECT {', '.join(_names(task))} FROM light_curve").to_arrow()


def _names(task: ReadTask) -> tuple[str, ...]:
    """Return the columns that are read: all where a catalog is without fluxes, from which the others would follow."""
    return _ALL if task.facts["per"].null_count else scratch.OWN


def _one_by_one(task: ReadTask, failed: list[tuple[int, str]]) -> Iterator[pa.Table]:
    yield _rows(task, task.catalogs.slice(0, 0))
    for place, number in enumerate(task.catalogs["catalog_id"].to_pylist()):
        try:
            yield _rows(task, task.catalogs.slice(place, 1))
        except CatalogError as err:
            failed.append((number, str(err)))


def _without_miscounted(task: ReadTask, table: pa.Table, failed: list[tuple[int, str]]) -> pa.Table:
    """Leave out the rows of catalogs of which the database counts others."""
    numbers = task.catalogs["catalog_id"].to_numpy()
    order, known = np.argsort(numbers), {number for number, _ in failed}
    found = np.bincount(np.searchsorted(numbers[order], scratch.column(table, "catalog_id")), minlength=len(numbers))
    wrong = []
    for place, rows in zip(order.tolist(), found.tolist(), strict=True):
        number, wanted = int(numbers[place]), task.catalogs["n_rows"][place].as_py()
        if number not in known and rows != wanted:
            wrong.append(number)
            failed.append((number, f"its file has {rows} rows, must have {wanted}; `ezarchive verify` lists all that are damaged"))
    return table.filter(pc.invert(pc.is_in(table["catalog_id"], pa.array(wrong, pa.int64())))) if wrong else table


def _write(task: ReadTask, name: str, table: pa.Table) -> Path | None:
    if not len(table):
        return None
    path = task.folder / "read" / f"{task.number:06d}.{name}.arrow"
    rows = files.conform(table, "orphans", (*_names(task), "_healpix_29"))
    own = rows.column_names == [*scratch.OWN, "_healpix_29"]
    scratch.write(path, scratch.Rows(rows, task.facts) if own else calibrated(rows, task.facts))
    return path
