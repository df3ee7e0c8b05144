"""What became of the ids of a store that is made anew: each stays an id, or becomes an alias of the object that has most of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from cdshealpix import nested

from ezarchive.association import identities, scratch
from ezarchive.association.deciding import present
from ezarchive.association.units import part_of, spans
from ezarchive.errors import StoreError
from ezarchive.store import ids
from ezarchive.store.tree import BORDER_ORDER, Leaf
from ezarchive.store.version import Version

_COLUMNS = ("object_id", "catalog_id", "row")


class LineageTask(NamedTuple):
    """Objects of a leaf that are no objects any more, and those around them that there are now."""

    before: Version
    leaf: Leaf
    lost: np.ndarray
    after: Version
    near: np.ndarray


class Lineage(NamedTuple):
    """Aliases, shape (k, 2), by the first; and what of the store before could not be read."""

    aliases: np.ndarray
    unread: tuple[str, ...]


Run = Callable[[Callable[[Any], Any], Iterable[Any], str], Iterable[Any]]
"""Yields what a function makes of each task."""


def before(home: Path, number: int) -> Version | str:
    """Return the version that was published, or why it cannot be read."""
    try:
        return Version.open(home, number)
    except StoreError as err:
        return str(err)


def follow(before: Version | str | None, after: Version, run: Run) -> Lineage:
    """Find what the ids of a store are in one that was made anew.

    Parameters
    ----------
    before : Version or str or None
        The store that was published; a text says why it cannot be read.
    after : Version
        The new one, with all rows and objects.
    run : callable
        Takes a function, its tasks, and what it is called.

    Returns
    -------
    Lineage
        Ids that are objects of the new store stay what they are. Another one is an alias of the object that has most of its rows (of
        two with equally many that with the lower id); without any it is in no alias. Aliases of before lead to what their objects
        are now. A file that cannot be read (making the store anew is what is done then) leaves out its objects.
    """
    if not isinstance(before, Version):
        return Lineage(np.empty((0, 2), np.int64), () if before is None else (before,))
    unread: list[str] = []
    known, now = _objects(before, unread), _objects(after, [])
    tasks = list(_tasks(before, after, np.setdiff1d(known, now), now))
    parts = [np.empty((0, 2), np.int64)]
    for found in run(trace, tasks, "ids"):
        parts += [found] if isinstance(found, np.ndarray) else []
        unread += [found] if isinstance(found, str) else []
    new = np.concatenate(parts)
    new = new[np.argsort(new[:, 0])]
    old = identities.pairs_of(_aliases(before, unread))
    old = old[~np.isin(old[:, 0], np.append(now, new[:, 0]))]
    aliases = np.concatenate([np.stack([old[:, 0], present(old[:, 1], new)], axis=1), new])
    return Lineage(aliases[np.argsort(aliases[:, 0])], tuple(sorted(set(unread))))


def trace(task: LineageTask) -> np.ndarray | str:
    """Return old and new ids of the objects of a task, shape (k, 2), or why its files cannot be read."""
    try:
        old = task.before.read("light_curve", task.leaf, _COLUMNS, task.lost)
    except StoreError as err:
        return str(err)
    parts = []
    places = task.after.tree.index_of(task.near >> 1)
    for index in np.unique(places).tolist():
        new = task.after.read("light_curve", task.after.tree.leaves[index], _COLUMNS, task.near[places == index])
        both = old.join(new.rename_columns(["new_id", *_COLUMNS[1:]]), list(_COLUMNS[1:]), join_type="inner")
        parts.append(both.group_by(["object_id", "new_id"]).aggregate([([], "count_all")]))
    if not parts:
        return np.empty((0, 2), np.int64)
    table = pa.concat_tables(parts)
    one, other, count = (scratch.column(table, name) for name in ("object_id", "new_id", "count_all"))
    order = np.lexsort((other, -count, one))
    one, first = np.unique(one[order], return_index=True)
    return np.stack([one, other[order][first]], axis=1)


def _tasks(before: Version, after: Version, lost: np.ndarray, now: np.ndarray) -> Iterator[LineageTask]:
    places, cells = before.tree.index_of(lost >> 1), ids.cell_12(now)
    for index in np.unique(places).tolist():
        leaf, mine = before.tree.leaves[index], lost[places == index]
        around = _around(ids.cell_12(mine))
        near = now[spans(cells, around, around + 1)]
        leaves = {after.tree.leaves[place] for place in np.unique(after.tree.index_of(near >> 1)).tolist()}
        yield LineageTask(part_of(before, [leaf], ("light_curve",)), leaf, mine, part_of(after, leaves, ("light_curve",)), near)


def _around(cells: np.ndarray) -> np.ndarray:
    """Return cells of order 12 and two rings of others around each: rows lie within the margin of the ids of their objects."""
    for _ in range(2):
        found = nested.neighbours(np.unique(cells).astype(np.uint64), np.uint8(BORDER_ORDER), num_threads=1).astype(np.int64)
        cells = found[found >= 0]
    return np.unique(cells)


def _objects(version: Version, unread: list[str]) -> np.ndarray:
    found = [np.empty(0, np.int64)]
    for leaf in version.leaves("objects"):
        try:
            found.append(scratch.column(version.read("objects", leaf, ["object_id"]), "object_id"))
        except StoreError as err:
            unread.append(str(err))
    return np.unique(np.concatenate(found))


def _aliases(version: Version, unread: list[str]) -> pa.Table:
    try:
        return version.aliases()
    except StoreError as err:
        unread.append(str(err))
        return Version.none(version.folder).aliases()


__all__ = ["Lineage", "LineageTask", "before", "follow", "trace"]
