"""One unit of the sky: its new rows and its orphans, joined with the objects that are known there."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ezarchive.association import scratch
from ezarchive.association.reading import BORDER_SHIFT
from ezarchive.association.units import View, spans
from ezarchive.store import files, grouping, ids, sites
from ezarchive.store.tree import Leaf
from ezarchive.store.version import Version

DATASETS = ("light_curve", "objects", "orphans", "sites")
"""What is read of the store."""

LATE = 1e9
"""The time (MJD) of what has none: after all else."""

_MJD_1970 = 40587
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_KEYS = ("_healpix_29", "ra", "dec", "catalog_id", "frame_id", "row", "mjd_mid", "night", "kind")


class DecideTask(NamedTuple):
    """A unit to be decided.

    Attributes
    ----------
    number : int
        Names the files.
    unit : Leaf
    folder : Path
        Where the rows go.
    new : tuple of Path
        Files of new rows in its view.
    version : Version
        The store as it is.
    radius, min_nights
        As of `grouping.decide`.
    aliases : ndarray of int64, shape (k, 2)
        Ids and what each is now; by the first.
    """

    number: int
    unit: Leaf
    folder: Path
    new: tuple[Path, ...]
    version: Version
    radius: float
    min_nights: int
    aliases: np.ndarray


class Decided(NamedTuple):
    """What became of the rows of a unit.

    Attributes
    ----------
    unit : Leaf
    rows : Path or None
        Rows with an object, as ``light_curve``.
    cells, counts : ndarray of int64
        Cells of order 12 in the ids of those objects, ascending, and how many rows each has.
    orphans : Path or None
        Rows without one, new and old.
    orphan_cells, orphan_counts : ndarray of int64
        Cells of order 12 that hold them, ascending, and how many.
    sites : Path or None
        New sites of objects.
    minted, ambiguous : ndarray of int64
    merged : ndarray of int64, shape (m, 2)
    pairs : ndarray of grouping.PAIR
        As of `grouping.Decision`.
    """

    unit: Leaf
    rows: Path | None
    cells: np.ndarray
    counts: np.ndarray
    orphans: Path | None
    orphan_cells: np.ndarray
    orphan_counts: np.ndarray
    sites: Path | None
    minted: np.ndarray
    ambiguous: np.ndarray
    merged: np.ndarray
    pairs: np.ndarray


def decide(task: DecideTask) -> Decided:
    """Decide a unit and write its rows anew."""
    view = View.of(task.unit)
    new, near = _new_rows(task, view)
    old, old_near = _orphans(task, view)
    counts = (sum(map(len, new)), len(old), len(near), len(old_near))
    mine = scratch.Rows.joined([*new, scratch.Rows(old)], "orphans")
    if not len(mine):
        return _nothing(task.unit)
    known = _known(task, view)
    rows = _rows([mine.select(_KEYS), scratch.coded(near), scratch.coded(old_near)], counts, view, task.radius)
    found = grouping.decide(
        rows, known, radius=task.radius, min_nights=task.min_nights, catalogs_of=_catalogs_of(task), taken=task.aliases[:, 0]
    )
    return _written(task, mine, found)


def _written(task: DecideTask, mine: scratch.Rows, found: grouping.Decision) -> Decided:
    object_id = found.object_id[: len(mine)]
    orphans = mine.take(object_id == 0).whole()
    taken = np.flatnonzero(object_id)
    keys = pa.table([object_id[taken], *mine.epochs(taken)], names=["object_id", "epoch", "row"])
    taken = taken[files.sort_order(keys, keys.column_names)]  # only the keys are sorted: the rows are moved once
    table = mine.take(taken).with_objects(object_id[taken])
    cells, counts = np.unique(ids.cell_12(object_id[taken]), return_counts=True)
    sited = pa.table({"site": found.sites[:, 0], "object_id": found.sites[:, 1]})
    names = (("rows", table), ("orphans", orphans), ("sites", sited))
    rows, alone, places = (_write(task, name, part) for name, part in names)
    lonely = np.unique(scratch.column(orphans, "_healpix_29") >> BORDER_SHIFT, return_counts=True)
    return Decided(task.unit, rows, cells, counts, alone, *lonely, places, found.minted, found.ambiguous, found.merged, found.pairs)


def _nothing(unit: Leaf) -> Decided:
    none = np.empty(0, np.int64)
    return Decided(unit, None, none, none, None, none, none, None, none, none, none.reshape(0, 2), np.empty(0, grouping.PAIR))


def _write(task: DecideTask, name: str, table: pa.Table | scratch.Rows) -> Path | None:
    if not len(table):
        return None
    path = task.folder / "decided" / f"{task.number:06d}.{name}.arrow"
    scratch.write(path, table)
    return path


def _new_rows(task: DecideTask, view: View) -> tuple[list[scratch.Rows], pa.Table]:
    """Return the new rows of the unit, and what must be known of those in the margin."""
    first, last = task.unit.cells
    inside, outside = [], []
    for path in task.new:
        rows = scratch.rows(path)
        places = rows.column("_healpix_29")
        start, stop = np.searchsorted(places, (first, last))
        inside.append(rows.slice(start, stop - start))
        outside.append(rows.select(_KEYS, spans(places, view.margin_low, view.margin_high)))
    return inside, _keys(outside)


def _orphans(task: DecideTask, view: View) -> tuple[pa.Table, pa.Table]:
    """Return the orphans of the unit, and what must be known of those in the margin."""
    first, last = task.unit.cells
    inside, outside = [], []
    for leaf in view.leaves(task.version.tree):
        if not task.version.rows("orphans", leaf):
            continue
        low, high = leaf.cells
        whole = low <= first and last <= high
        table = task.version.read("orphans", leaf, None if whole else _KEYS)
        places = scratch.column(table, "_healpix_29")
        if whole:
            start, stop = np.searchsorted(places, (first, last))
            inside.append(table.slice(start, stop - start))
        outside.append(table.select(_KEYS).take(pa.array(spans(places, view.margin_low, view.margin_high))))
    return scratch.joined(inside, "orphans"), _keys(outside)


def _keys(parts: list[pa.Table]) -> pa.Table:
    schema = pa.schema([files.schema("orphans").field(name) for name in _KEYS])
    parts = [scratch.coded(part) for part in parts if len(part)]
    return pa.concat_tables(parts).unify_dictionaries() if parts else scratch.coded(schema.empty_table())


def _rows(parts: list[pa.Table], counts: tuple[int, int, int, int], view: View, radius: float) -> grouping.Rows:
    table = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    new, old, near, old_near = counts
    places = scratch.column(table, "_healpix_29")
    mjd = table["mjd_mid"].fill_null(LATE).to_numpy()
    return grouping.Rows(
        healpix_29=places,
        **{name: scratch.column(table, name) for name in ("ra", "dec", "catalog_id", "frame_id", "row")},
        mjd_mid=np.where(np.isfinite(mjd), mjd, LATE),
        night=_nights(table["night"], mjd),
        forced=pc.equal(table["kind"].cast(pa.string()), "forced").to_numpy(),
        old=np.repeat([False, True, False, True], (new, old, near, old_near)),
        inside=np.repeat([True, False], (new + old, near + old_near)),
        rim=sites.on_rim(places, view.low, view.high, radius),
    )


def _nights(column: pa.ChunkedArray, mjd: np.ndarray) -> np.ndarray:
    """Return the numbers of nights; a row without one has that of its time."""
    number = np.floor(np.where(np.isfinite(mjd), mjd, -1)).astype(np.int32)
    coded = column.combine_chunks()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) and coded.num_chunks else coded
    if not len(column):
        return number
    names = coded.dictionary.to_pylist()
    days = np.array([_day(name) for name in names] or [0], np.int64)
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.where(codes >= 0, days[codes], number).astype(np.int32)


def _day(name: str | None) -> int:
    """Return a number for a night: the MJD of a date; of another name (which is below zero), one that hardly any other name has."""
    if name is None or not _DATE.fullmatch(name):
        return -2 - (zlib.crc32((name or "").encode()) >> 1)
    return int(np.datetime64(name, "D").astype(np.int64)) + _MJD_1970


def _known(task: DecideTask, view: View) -> grouping.Known:
    """Return the objects with a site in view, under their present ids."""
    leaves = view.leaves(task.version.tree)
    tables = [task.version.read("sites", leaf) for leaf in leaves if task.version.rows("sites", leaf)]
    if not tables:
        return grouping.Known.none()
    table = pa.concat_tables(tables)
    site, owner = scratch.column(table, "site"), scratch.column(table, "object_id")
    seen = view.holds(sites.healpix_29(site))
    pairs = np.unique(np.stack([site[seen], present(owner[seen], task.aliases)], axis=1), axis=0).reshape(-1, 2)
    site, owner = pairs[:, 0], pairs[:, 1]
    distinct = np.unique(owner)
    ra, dec = ids.place(distinct)
    first, ambiguous = np.full(len(distinct), LATE), np.zeros(len(distinct), bool)
    names = ("object_id", "ra", "dec", "mjd_first", "ambiguous")
    for leaf in leaves:
        found = task.version.read("objects", leaf, names, distinct)
        at = np.searchsorted(distinct, scratch.column(found, "object_id"))
        ra[at], dec[at] = scratch.column(found, "ra"), scratch.column(found, "dec")
        first[at] = found["mjd_first"].fill_null(LATE).to_numpy()
        ambiguous[at] = found["ambiguous"].fill_null(False).to_numpy()
    rim = sites.on_rim(sites.healpix_29(site), view.low, view.high, task.radius)
    return grouping.Known(distinct, ra, dec, ambiguous, first, site, owner, rim)


def present(object_id: np.ndarray, aliases: np.ndarray) -> np.ndarray:
    """Return what ids are now.

    Parameters
    ----------
    object_id : ndarray of int64, shape (n,)
    aliases : ndarray of int64, shape (k, 2)
        Old and present ids, by the first.
    """
    if not len(aliases):
        return object_id
    at = np.minimum(np.searchsorted(aliases[:, 0], object_id), len(aliases) - 1)
    return np.where(aliases[at, 0] == object_id, aliases[at, 1], object_id)


def _catalogs_of(task: DecideTask) -> grouping.CatalogsOf:
    """Return the function that tells which catalogs have detections of objects."""

    def look_up(object_id: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = []
        wanted = np.unique(object_id)
        places = task.version.tree.index_of(wanted >> 1)
        for index in np.unique(places).tolist():
            chosen = wanted[places == index]
            leaf = task.version.tree.leaves[index]
            table = task.version.read("light_curve", leaf, ("object_id", "catalog_id", "kind"), chosen)
            parts.append(table.filter(pc.equal(table["kind"], "detection")))
        table = pa.concat_tables(parts) if parts else files.schema("light_curve").empty_table()
        return scratch.column(table, "object_id"), scratch.column(table, "catalog_id")

    return look_up
