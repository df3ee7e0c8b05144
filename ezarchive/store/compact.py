"""Make one file of a leaf's light curves again, leave out what was withdrawn, and calibrate anew.

The files of a leaf are each sorted by object. They are read side by side in steps of object ids that hold about `STEP_ROWS` rows, so
that memory does not grow with the leaf.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ezarchive import pool
from ezarchive.errors import StoreError
from ezarchive.store import files, ids
from ezarchive.store.build import Builder
from ezarchive.store.calibration import CALIBRATION, calibrated
from ezarchive.store.tree import Leaf
from ezarchive.store.version import Version, groups_with, object_bounds
from ezarchive.store.writer import Change, Writer

STEP_ROWS = 200_000
"""Rows that are merged at once, about."""

BYTES_EACH = 0.7e9
"""Memory that one leaf takes, however many rows it has."""


FEW_ROWS = 5_000_000
"""Rows that are written before other processes have started."""


class Counts(NamedTuple):
    """What became of a leaf's rows."""

    leaf: Leaf
    rows_in: int
    dropped: int
    """Of withdrawn catalogs."""
    moved_out: int
    """Of objects that are now another one, in another leaf."""
    moved_in: int
    """Of objects of other leaves that are now one of this."""
    rows_out: int


class _Task(NamedTuple):
    version: Version
    leaf: Leaf
    writer: Writer
    drop_catalogs: tuple[int, ...]
    relabel: NDArray[np.int64]
    calibration: pa.Table | None


def compact(
    builder: Builder,
    leaves: Iterable[Leaf] | None = None,
    *,
    drop_catalogs: Collection[int] = (),
    relabel: Mapping[int, int] | NDArray[np.int64] | None = None,
    calibration: pa.Table | None = None,
    workers: int | None = None,
    memory_gb: float | None = None,
) -> list[Counts]:
    """Write the light curves of leaves anew, each as one file.

    Parameters
    ----------
    builder : Builder
        The version that is being made; what it holds now is read, and replaced when all leaves are done.
    leaves : iterable of Leaf, optional
        By default those of several files, and those that one of the other arguments concerns.
    drop_catalogs : collection of int
        Catalogs whose rows are left out.
    relabel : mapping, or ndarray of int64 of shape (m, 2), optional
        Ids and what each is now. Rows move to the leaf of the new id; leaves between which rows move are done together, whether they
        are in `leaves` or not.
    calibration : pyarrow.Table, optional
        `CALIBRATION` of catalogs whose rows are calibrated anew, see `calibrated`.
    workers : int, optional
        Processes; by default one a core, as memory allows, and this one alone for few rows.
    memory_gb : float, optional
        Memory for all of them together.

    Returns
    -------
    list of Counts
        One of each leaf, in order.

    Raises
    ------
    StoreError
        If a file is missing or torn, or a row would be lost.
    """
    version, pairs = builder.current(), _pairs(relabel)
    dropped = tuple(sorted(set(drop_catalogs)))
    chosen = set(_concerned(version, dropped, pairs, calibration) if leaves is None else leaves)
    tasks = [
        _Task(_part(version, leaf, own), leaf, builder.writer, dropped, own, calibration)
        for leaf in _closed(version, chosen, pairs)
        for own in [_own(version, leaf, pairs)]
    ]
    count = min(pool.worker_count(workers, bytes_each=BYTES_EACH, memory_gb=memory_gb), max(len(tasks), 1))
    if workers is None and sum(version.rows("light_curve", task.leaf) for task in tasks) < FEW_ROWS:
        count = 1
    found: list[tuple[tuple[Change, ...], Counts]] = []
    for _, result in pool.run(_compact_task, tasks, count):
        if isinstance(result, Exception):
            raise result
        found.append(result)
    counts = sorted((item for _, item in found), key=lambda item: item.leaf.cells)
    if sum(item.moved_in for item in counts) != sum(item.moved_out for item in counts):
        raise StoreError(
            f"light curves: {sum(c.moved_out for c in counts)} rows left their leaves, but {sum(c.moved_in for c in counts)} arrived"
        )
    for changes, _ in found:  # not before: another leaf may have had to read what these replace
        builder.apply(changes)
    return counts


def compact_leaf(
    version: Version,
    leaf: Leaf,
    writer: Writer,
    *,
    drop_catalogs: Collection[int] = (),
    relabel: Mapping[int, int] | NDArray[np.int64] | None = None,
    calibration: pa.Table | None = None,
) -> tuple[tuple[Change, ...], Counts]:
    """Write the light curves of one leaf anew, as one file.

    Where `relabel` moves rows to another leaf, that one must be compacted from the same `version` with the same arguments, and no
    change be applied before both are done; `compact` sees to that.

    Parameters
    ----------
    version : Version
        What is read, that of `Builder.current`.
    leaf : Leaf
    writer : Writer
        Of the version that is being made.
    drop_catalogs, relabel, calibration
        As of `compact`.

    Returns
    -------
    changes : tuple of Change
        For `Builder.apply`.
    counts : Counts

    Raises
    ------
    StoreError
        If a file is missing or torn, or a row would be lost.
    """
    merge = _Merge(version, leaf, np.array(sorted(drop_catalogs), np.int64), _pairs(relabel), calibration)
    changes = writer.rewrite(leaf, merge.tables())
    written = sum(file.rows for change in changes if change.place.dataset == "light_curve" for file in change.files)
    counts = Counts(leaf, version.rows("light_curve", leaf), merge.dropped, merge.moved_out, merge.moved_in, written)
    if counts.rows_out != counts.rows_in - counts.dropped - counts.moved_out + counts.moved_in:
        raise StoreError(f"light curves of leaf {tuple(leaf)}: rows in and out are not the same, {counts}")
    return changes, counts


class _Source:
    """Rows of one file, or of a table, in the order of their objects; read as far as is asked for."""

    def __init__(self, path: Path | None, stream: object, table: pa.Table | None = None) -> None:
        self._path, self._stream = path, stream
        self._groups: list[tuple[int, int]] = []
        self.bounds: list[tuple[int, int]] = []
        """The largest id and the number of rows of each part."""
        self._waiting = [] if table is None else [table]
        if stream is not None:
            low, high = object_bounds(stream)
            rows = [stream.metadata.row_group(group).num_rows for group in range(len(low))]
            self.bounds = list(zip(high.tolist(), rows, strict=True))
            self._groups = list(enumerate(low.tolist()))

    def until(self, last: int) -> list[pa.Table]:
        """Return the rows of objects up to this id that were not returned before."""
        ready = [group for group, low in self._groups if low <= last]
        self._groups = self._groups[len(ready) :]
        parts = [*self._waiting, *([files.read_groups(self._stream, self._path, [group]) for group in ready])]
        self._waiting, found = [], []
        for part in parts:
            count = int(np.searchsorted(part["object_id"].to_numpy(), last, side="right"))
            found += [part.slice(0, count)] if count else []
            self._waiting += [part.slice(count)] if count < len(part) else []
        return found


class _Merge:
    """The rows of a leaf's files in one order, as tables of about `STEP_ROWS` rows; counts what it leaves out."""

    def __init__(
        self, version: Version, leaf: Leaf, drop: NDArray[np.int64], pairs: NDArray[np.int64], calibration: pa.Table | None
    ) -> None:
        self.version, self.leaf, self.drop, self.calibration = version, leaf, drop, calibration
        first, last = leaf.range
        self._pairs = pairs
        self._leaving = pa.array(pairs[(pairs[:, 0] >= first) & (pairs[:, 0] < last), 0])
        self.dropped = self.moved_out = self.moved_in = 0

    def tables(self) -> Iterator[pa.Table]:
        """Yield the tables."""
        arriving = self._arriving()
        with ExitStack() as stack:
            sources = []
            for file in self.version.files_of("light_curve", self.leaf):
                path = self.version.folder / file.path
                sources.append(_Source(path, stack.enter_context(files.open_file(path))))
            for last in _steps(sources):
                parts = [self._kept(part) for source in sources for part in source.until(last)]
                parts += arriving.until(last)
                table = self._finished([part for part in parts if len(part)])
                if table is not None:
                    yield table

    def _kept(self, table: pa.Table) -> pa.Table:
        """Leave out the rows of objects that are another one now: they arrive as that."""
        if not len(self._leaving):
            return table
        gone = pc.is_in(table["object_id"], self._leaving)
        return table.filter(pc.invert(gone)) if pc.any(gone).as_py() else table

    def _finished(self, parts: list[pa.Table]) -> pa.Table | None:
        if not parts:
            return None
        table = pa.concat_tables(parts)
        if len(self.drop):
            gone = pc.is_in(table["catalog_id"], pa.array(self.drop))
            self.dropped += pc.sum(gone).as_py() or 0
            table = table.filter(pc.invert(gone))
        if self.calibration is not None:
            table = calibrated(table, self.calibration)
        table = table.unify_dictionaries().combine_chunks()
        order = files.sort_order(table, files.ORDERS["light_curve"])
        return table if (order[1:] > order[:-1]).all() else table.take(pa.array(order))

    def _arriving(self) -> _Source:
        """Return the rows that change their object, those of this leaf as well, and count those that change the leaf."""
        first, last = self.leaf.range
        new_here = (self._pairs[:, 1] >= first) & (self._pairs[:, 1] < last)
        olds, news = self._pairs[new_here, 0], self._pairs[new_here, 1]
        own = (self._pairs[:, 0] >= first) & (self._pairs[:, 0] < last)
        self.moved_out = sum(len(part) for part in self._rows_of(self.leaf, self._pairs[own & ~new_here, 0], ["object_id"]))
        parts = []
        for leaf in {self.version.tree.leaf_of(old) for old in olds.tolist()}:
            low, high = leaf.range
            inside = (olds >= low) & (olds < high)
            for part in self._rows_of(leaf, olds[inside]):
                self.moved_in += len(part) if leaf != self.leaf else 0
                parts.append(_relabelled(part, olds[inside], news[inside]))
        if not parts:
            return _Source(None, None)
        table = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
        return _Source(None, None, table.take(pa.array(files.sort_order(table, files.ORDERS["light_curve"]))))

    def _rows_of(self, leaf: Leaf, chosen: NDArray[np.int64], columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        if not len(chosen):
            return
        for file in self.version.files_of("light_curve", leaf):
            path = self.version.folder / file.path
            with files.open_file(path) as stream:
                table = files.read_groups(stream, path, groups_with(stream, np.sort(chosen)), columns)
            yield table.filter(pc.is_in(table["object_id"], pa.array(chosen)))


def _steps(sources: Iterable[_Source]) -> list[int]:
    """Return object ids up to which `STEP_ROWS` rows at a time lie, about; the last one is above all."""
    bounds = sorted(bound for source in sources for bound in source.bounds)
    steps, rows = [], 0
    for high, count in bounds:
        rows += count
        if rows >= STEP_ROWS:
            steps.append(high)
            rows = 0
    return [*steps, np.iinfo(np.int64).max]


def _relabelled(table: pa.Table, olds: NDArray[np.int64], news: NDArray[np.int64]) -> pa.Table:
    """Return rows with their new objects, and these objects' places."""
    order = np.argsort(olds)
    new = news[order][np.searchsorted(olds[order], table["object_id"].to_numpy())]
    ra, dec = ids.place(new)
    values = {"object_id": new, "object_ra": ra, "object_dec": dec, "_healpix_29": ids.healpix_29(new)}
    for name, column in values.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(column))
    return table


def _pairs(relabel: Mapping[int, int] | NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return old and new ids, shape (m, 2); chains are followed to their end."""
    if relabel is None:
        return np.empty((0, 2), np.int64)
    pairs = list(relabel.items()) if isinstance(relabel, Mapping) else np.asarray(relabel, np.int64).reshape(-1, 2).tolist()
    known = {int(old): int(new) for old, new in pairs if old != new}
    found = []
    for old, new in sorted(known.items()):
        seen = {old}
        while new in known:
            if new in seen:
                raise StoreError(f"aliases: the ids {sorted(seen)} stand for each other, one of them must be an object")
            seen.add(new)
            new = known[new]
        found.append((old, new))
    return np.array(found, np.int64).reshape(-1, 2)


def _concerned(version: Version, dropped: Sequence[int], pairs: NDArray[np.int64], calibration: pa.Table | None) -> set[Leaf]:
    """Return the leaves of several files, and those whose rows change."""
    catalogs = set(dropped) | set([] if calibration is None else calibration["catalog_id"].to_pylist())
    several = {place.leaf for place, stored in version.files.items() if place.dataset == "light_curve" and len(stored) > 1}
    return several | set(version.leaves_with(catalogs)) | {version.tree.leaf_of(old) for old in pairs[:, 0].tolist()}


def _closed(version: Version, leaves: set[Leaf], pairs: NDArray[np.int64]) -> list[Leaf]:
    """Return these leaves and all between which rows move, that have rows, in order."""
    ends = [(version.tree.leaf_of(old), version.tree.leaf_of(new)) for old, new in pairs.tolist()]
    moves = {(one, other) for one, other in ends if one != other}
    found = set(leaves)
    while more := {leaf for move in moves if found & set(move) for leaf in move} - found:
        found |= more
    arriving = {other for one, other in moves if one in found}
    return sorted((leaf for leaf in found if version.rows("light_curve", leaf) or leaf in arriving), key=lambda leaf: leaf.cells)


def _own(version: Version, leaf: Leaf, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pairs of which either id lies in a leaf."""
    low, high = leaf.range
    return pairs[((pairs >= low) & (pairs < high)).any(axis=1)]


def _part(version: Version, leaf: Leaf, pairs: NDArray[np.int64]) -> Version:
    """Return a version that knows only the files which a leaf's rows come from: quick to send."""
    sources = {leaf} | {version.tree.leaf_of(old) for old in pairs[:, 0].tolist()}
    kept = {place: stored for place, stored in version.files.items() if place.dataset == "light_curve" and place.leaf in sources}
    return Version(version.folder, version.number, {}, version.tree, kept)


def _compact_task(task: _Task) -> tuple[tuple[Change, ...], Counts]:
    return compact_leaf(
        task.version, task.leaf, task.writer, drop_catalogs=task.drop_catalogs, relabel=task.relabel, calibration=task.calibration
    )


__all__ = ["CALIBRATION", "Counts", "calibrated", "compact", "compact_leaf"]
