"""What was decided, written into the leaves of the store: new light curves, orphans and sites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ezarchive import sky
from ezarchive.association import deciding, scratch
from ezarchive.association.reading import BORDER_SHIFT
from ezarchive.association.units import part_of
from ezarchive.store import files, ids, sites
from ezarchive.store.build import Change, Writer
from ezarchive.store.compact import calibrated
from ezarchive.store.tree import Leaf, Tree
from ezarchive.store.version import Version

CHUNK_ROWS = 400_000
"""Rows that are sorted and written at once, about."""


class WriteTask(NamedTuple):
    """A leaf to be written.

    Attributes
    ----------
    leaf : Leaf
    writer : Writer
    version : Version
        The store as it is.
    units : tuple of Leaf
        Units that were decided and meet the leaf: all their orphans are given.
    rows, orphans, sites : tuple of Path
        Files of `deciding.Decided` that may hold some of the leaf.
    aliases : ndarray of int64, shape (k, 2)
    """

    leaf: Leaf
    writer: Writer
    version: Version
    units: tuple[Leaf, ...]
    rows: tuple[Path, ...]
    orphans: tuple[Path, ...]
    sites: tuple[Path, ...]
    aliases: np.ndarray


class Written(NamedTuple):
    """What a leaf has got: the changes of its files, and objects with new rows."""

    leaf: Leaf
    changes: tuple[Change, ...]
    objects: np.ndarray


def write(task: WriteTask) -> Written:
    """Write the new rows of a leaf; what was there stays as it is."""
    changes = list(_orphans(task))
    changes += _sites(task)
    sources = [scratch.rows(path) for path in task.rows]
    first, last = task.leaf.range
    found = [_between(rows.column("object_id"), first, last) for rows in sources]
    merged = np.sort(np.concatenate(found), kind="stable") if found else np.empty(0, np.int64)  # sorted runs: it merges them
    tables = _chunks(sources, [int(bound) for bound in _bounds(merged, last)], first)
    if len(merged) and not task.version.rows("light_curve", task.leaf):
        changes += task.writer.rewrite(task.leaf, tables)
    else:
        for table in tables:
            changes += task.writer.add(task.leaf, table)
    return Written(task.leaf, tuple(changes), merged[np.append(True, merged[1:] != merged[:-1])[: len(merged)]])


def _between(values: np.ndarray, low: int, high: int) -> np.ndarray:
    start, stop = np.searchsorted(values, (low, high))
    return values[start:stop]


def _bounds(object_id: np.ndarray, last: int) -> list[int]:
    """Return where chunks end: objects are not cut."""
    return [*np.unique(object_id[CHUNK_ROWS::CHUNK_ROWS]).tolist(), last] if len(object_id) else []


def _chunks(sources: list[scratch.Rows], bounds: list[int], low: int) -> Iterator[pa.Table]:
    """Yield the rows of sorted sources, merged, in parts that end before these ids."""
    for high in bounds:
        parts = []
        for rows in sources:
            start, stop = np.searchsorted(rows.column("object_id"), (low, high))
            parts += [rows.slice(start, stop - start)] if stop > start else []
        low = high
        if parts:
            rows = scratch.Rows.joined(parts, "light_curve")
            yield (rows if len(parts) == 1 else _sorted(rows)).whole()


def _sorted(rows: scratch.Rows) -> scratch.Rows:
    order = files.ORDERS["light_curve"]
    return rows.take(files.sort_order(rows.select(order), order))


def _orphans(task: WriteTask) -> tuple[Change, ...]:
    """Give the leaf the orphans of the units; those of other units stay."""
    if not task.units:
        return ()
    low, high = task.leaf.cells
    parts = []
    for path in task.orphans:
        table = scratch.read(path)
        places = scratch.column(table, "_healpix_29")
        parts.append(scratch.take(table, (places >= low) & (places < high)))
    stored = task.version.read("orphans", task.leaf)
    places = scratch.column(stored, "_healpix_29")
    kept = np.ones(len(stored), bool)
    for unit in task.units:
        first, last = unit.cells
        kept &= (places < first) | (places >= last)
    table = scratch.joined([scratch.take(stored, kept), *parts], "orphans")
    return task.writer.replace(task.leaf, "orphans", table) if len(stored) or len(table) else ()


def _sites(task: WriteTask) -> tuple[Change, ...]:
    """Add the new sites, and give all of them their present objects."""
    low, high = task.leaf.cells
    tables = [scratch.read(path) for path in task.sites]
    stored = task.version.read("sites", task.leaf)
    tables.append(stored)
    site, owner = (np.concatenate([scratch.column(table, name) for table in tables]) for name in ("site", "object_id"))
    places = sites.healpix_29(site)
    here = (places >= low) & (places < high)
    return _sites_changed(task.writer, task.leaf, stored, site[here], deciding.present(owner[here], task.aliases))


def _sites_changed(writer: Writer, leaf: Leaf, stored: pa.Table, site: np.ndarray, owner: np.ndarray) -> tuple[Change, ...]:
    pairs = np.unique(np.stack([site, owner], axis=1), axis=0).reshape(-1, 2)
    table = pa.table({"site": pairs[:, 0], "object_id": pairs[:, 1]})
    same = len(table) == len(stored) and table.equals(stored.select(table.column_names))
    return () if same else writer.replace(leaf, "sites", table)


def renamed(path: Path, aliases: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Give the rows of a file the present ids of their objects.

    Returns
    -------
    (ndarray, ndarray) or None
        Cells of order 12 in the ids and how many rows each has, as in `deciding.Decided`; None where nothing has changed.
    """
    rows = scratch.rows(path)
    old = rows.column("object_id")
    new = deciding.present(old, aliases)
    if (new == old).all():
        return None
    target = path.with_suffix(".renamed")
    scratch.write(target, _sorted(rows.with_objects(new)))
    target.replace(path)
    return tuple(np.unique(ids.cell_12(new), return_counts=True))


def without(
    version: Version, writer: Writer, leaf: Leaf | None, dataset: str, drop: np.ndarray, calibration: pa.Table
) -> tuple[Change, ...]:
    """Leave out rows of orphans or rows without a position whose catalogs were dropped, and calibrate others anew.

    Parameters
    ----------
    version : Version
        The store as it is.
    writer : Writer
    leaf : Leaf or None
    dataset : str
        ``orphans`` or ``unplaced``.
    drop : ndarray of int64
        Catalogs.
    calibration : pyarrow.Table
        ``compact.CALIBRATION`` of others.

    Returns
    -------
    tuple of Change
    """
    catalogs = version.read(dataset, leaf, ["catalog_id"])["catalog_id"]
    concerned = pa.array(np.union1d(drop, scratch.column(calibration, "catalog_id")))
    if not len(catalogs) or not pc.any(pc.is_in(catalogs, concerned)).as_py():
        return ()
    table = version.read(dataset, leaf)
    table = table.filter(pc.invert(pc.is_in(table["catalog_id"], pa.array(drop))))
    return writer.replace(leaf, dataset, calibrated(table, calibration))


def detected_sites(version: Version, leaf: Leaf) -> np.ndarray:
    """Return the sites of a leaf's light curves, as the grouping gives them.

    Returns
    -------
    ndarray of int64, shape (n, 2)
        Site and object; negative sites of forced rows.
    """
    table = version.read("light_curve", leaf, ("object_id", "ra", "dec", "kind"))
    cells = sky.cell_of(scratch.column(table, "ra"), scratch.column(table, "dec"), 29)
    site = sites.site_of(cells)
    forced = pc.equal(table["kind"], "forced").to_numpy()
    pairs = np.stack([np.where(forced, ~site, site), scratch.column(table, "object_id")], axis=1)
    return np.unique(pairs, axis=0).reshape(-1, 2)


def renew_sites(version: Version, writer: Writer, leaves: tuple[Leaf, ...]) -> Iterator[Change]:
    """Make the sites of the objects of leaves anew: rows were withdrawn there.

    Parameters
    ----------
    version : Version
        The store with all rows that remain.
    writer : Writer
    leaves : tuple of Leaf
        Whose objects are concerned; their sites may lie in leaves beside them.

    Yields
    ------
    Change
    """
    found = [detected_sites(version, leaf) for leaf in leaves]
    pairs = np.concatenate([*found, np.empty((0, 2), np.int64)])
    places = sites.healpix_29(pairs[:, 0])
    around = set(leaves)
    for leaf in leaves:
        around |= set(version.tree.neighbours(leaf))
    starts = _ranges(version.tree, leaves)
    for leaf in sorted(around, key=lambda item: item.cells):
        stored = version.read("sites", leaf)
        owner = scratch.column(stored, "object_id")
        others = ~np.isin(version.tree.index_of(owner >> 1), starts)
        here = (places >= leaf.cells[0]) & (places < leaf.cells[1])
        site = np.concatenate([scratch.column(stored, "site")[others], pairs[here, 0]])
        yield from _sites_changed(writer, leaf, stored, site, np.concatenate([owner[others], pairs[here, 1]]))


def _ranges(tree: Tree, leaves: tuple[Leaf, ...]) -> np.ndarray:
    return tree.index_of([leaf.cells[0] for leaf in leaves])


def tasks(version: Version, writer: Writer, decided: list[deciding.Decided], aliases: np.ndarray) -> Iterator[WriteTask]:
    """Yield every leaf that gets rows, orphans or sites.

    Parameters
    ----------
    version : Version
        The store as it is, its leaves divided already.
    writer : Writer
    decided : list of Decided
        Of all units, with present ids.
    aliases : ndarray of int64, shape (k, 2)
    """
    for leaf in version.tree.leaves:
        low, high = leaf.cells
        units = [one for one in decided if one.unit.cells[0] < high and low < one.unit.cells[1]]
        first, last = low >> BORDER_SHIFT, (high - 1) >> BORDER_SHIFT
        rows = [one.rows for one in decided if one.rows and ((one.cells >= first) & (one.cells <= last)).any()]
        if not units and not rows:
            continue
        yield WriteTask(
            leaf, writer, part_of(version, [leaf], ("light_curve", "orphans", "sites")), tuple(one.unit for one in units), tuple(rows),
            tuple(one.orphans for one in units if one.orphans), tuple(one.sites for one in units if one.sites), aliases,
        )  # fmt: skip
