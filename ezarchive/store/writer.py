"""Write files of a version of the store that is being made, in this process or another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.store import files, sites
from ezarchive.store.files import StoredFile
from ezarchive.store.paths import HATS_DATASETS, UNPLACED, file_path
from ezarchive.store.tree import Leaf
from ezarchive.store.version import Place


class Change(NamedTuple):
    """What a `Writer` did to the files of one place."""

    place: Place
    replaces: bool
    """Whether the files take the place of all that were there; else they come after them."""
    files: tuple[StoredFile, ...]
    """Empty, with `replaces`: the place has no rows any more."""


class Writer(NamedTuple):
    """Writes files of a version that is being made; picklable, for use in other processes.

    No two processes may write to one place at a time.
    """

    folder: Path
    number: int

    def add(self, leaf: Leaf, light_curve: pa.Table) -> tuple[Change, ...]:
        """Write new rows of a leaf's light curves as a file of their own.

        Parameters
        ----------
        leaf : Leaf
        light_curve : pyarrow.Table
            ``columns.STORE``, in any order; ids of this leaf. Without rows nothing is done.

        Returns
        -------
        tuple of Change
            For `Builder.apply`.

        Raises
        ------
        InputError
            If a column is missing or does not fit, or an object belongs to another leaf.
        """
        return self.write("light_curve", leaf, light_curve, replaces=False)

    def replace(self, leaf: Leaf | None, dataset: str, table: pa.Table) -> tuple[Change, ...]:
        """Write all rows that a leaf has of a dataset, in any order; without rows its files go.

        Raises
        ------
        InputError
            As of `add`.
        """
        return self.write(dataset, leaf, table, replaces=True)

    def add_unplaced(self, table: pa.Table) -> tuple[Change, ...]:
        """Write new rows without a position as a file of their own."""
        return self.write(UNPLACED, None, table, replaces=False)

    def rewrite(self, leaf: Leaf, light_curve: Iterable[pa.Table]) -> tuple[Change, ...]:
        """Write all light curves of a leaf, given one after the other in the order of ``files.ORDERS``; memory holds one table at a time.

        Raises
        ------
        InputError
            As of `add`, and if the rows are not in order.
        """
        return self.stream(leaf, light_curve, replaces=True)

    def stream(self, leaf: Leaf, light_curve: Iterable[pa.Table], *, replaces: bool) -> tuple[Change, ...]:
        """Write sorted light curves, in place of a leaf's files or beside them, as `rewrite` does."""
        counts: dict[int, int] = {}
        cells: dict[int, int] = {}
        path = self._free("light_curve", leaf)
        rows = files.write(self.folder / path, _watched(light_curve, leaf, counts, cells), "light_curve")
        stored = () if not rows else (self._describe(path, "light_curve", (), tuple(sorted(cells.items()))),)
        change = (Change(Place("light_curve", leaf), replaces, stored),) if rows or replaces else ()
        return (*change, *self._contents(leaf, counts, replaces=replaces))

    def write(self, dataset: str, leaf: Leaf | None, table: pa.Table, *, replaces: bool) -> tuple[Change, ...]:
        """Write rows of any dataset, in place of a leaf's files or beside them."""
        path = self._free(dataset, leaf)
        table = files.conform(table, dataset)
        if not len(table):
            empty = (Change(Place(dataset, leaf), True, ()),) if replaces else ()
            return (*empty, *(self._contents(leaf, {}, replaces=True) if replaces and dataset == "light_curve" else ()))
        order = files.sort_order(table, files.ORDERS[dataset])
        if (order[1:] < order[:-1]).any():
            table = table.take(pa.array(order))
        strays, cells = _whereabouts(table, dataset, leaf)
        files.write(self.folder / path, [table], dataset)
        change = Change(Place(dataset, leaf), replaces, (self._describe(path, dataset, strays, tuple(cells.items())),))
        if dataset != "light_curve":
            return (change,)
        counts: dict[int, int] = {}
        _count(counts, table["catalog_id"].to_numpy())
        return (change, *self._contents(leaf, counts, replaces=replaces))

    def _contents(self, leaf: Leaf | None, counts: Mapping[int, int], *, replaces: bool) -> tuple[Change, ...]:
        """Write which catalogs a leaf's new file has rows of."""
        if not counts:
            return (Change(Place("contents", leaf), True, ()),) if replaces else ()
        ids = np.array(sorted(counts), np.int64)
        table = pa.table({"catalog_id": ids, "rows": np.array([counts[number] for number in ids.tolist()], np.int64)})
        path = self._free("contents", leaf)
        files.write(self.folder / path, [table], "contents")
        return (Change(Place("contents", leaf), replaces, (self._describe(path, "contents"),)),)

    def _describe(self, path: str, dataset: str, strays: tuple[int, ...] = (), cells: tuple[tuple[int, int], ...] = ()) -> StoredFile:
        return files.describe(self.folder / path, path, dataset)._replace(strays=strays, cells=cells)

    def _free(self, dataset: str, leaf: Leaf | None) -> str:
        more = 0
        while (self.folder / file_path(dataset, leaf, self.number, more)).exists():
            more += 1
        return file_path(dataset, leaf, self.number, more)


def cells_of(table: pa.Table, dataset: str) -> NDArray[np.int64] | None:
    """Return the order-29 cells that say in which leaf rows of a dataset belong; None of one without leaves."""
    if dataset in HATS_DATASETS:
        return table["_healpix_29"].to_numpy()
    return sites.healpix_29(table["site"].to_numpy()) if dataset == "sites" else None


def _whereabouts(table: pa.Table, dataset: str, leaf: Leaf | None) -> tuple[tuple[int, ...], dict[int, int]]:
    """Return the strays among the rows and how many rows lie in each cell of the map.

    Raises
    ------
    InputError
        If a row belongs to another leaf.
    """
    cells = cells_of(table, dataset)
    if cells is None or leaf is None:
        return (), {}
    low, high = leaf.cells
    if len(cells) and (cells.min() < low or cells.max() >= high):
        where = "site" if dataset == "sites" else "_healpix_29"
        raise InputError(f"table of {dataset}: column {where!r} must lie in the leaf {tuple(leaf)}, found {cells.min()} to {cells.max()}")
    counts: dict[int, int] = {}
    if dataset in HATS_DATASETS:
        _count(counts, cells >> 2 * (29 - files.MAP_ORDER))
    strays: tuple[int, ...] = ()
    if dataset in ("objects", "object_filters"):
        ids = table["object_id"].to_numpy()
        first, last = leaf.range
        strays = tuple(np.unique(ids[(ids < first) | (ids >= last)] >> 35).tolist())
    return strays, dict(sorted(counts.items()))


def _count(counts: dict[int, int], values: NDArray[np.int64]) -> None:
    """Add to the counts how often each value occurs."""
    found, numbers = np.unique(values, return_counts=True)
    for value, number in zip(found.tolist(), numbers.tolist(), strict=True):
        counts[value] = counts.get(value, 0) + number


def _watched(tables: Iterable[pa.Table], leaf: Leaf, counts: dict[int, int], cells: dict[int, int]) -> Iterator[pa.Table]:
    """Pass tables on, check their places and order, and count."""
    last = -1
    for table in tables:
        if not len(table):
            continue
        _, found = _whereabouts(table, "light_curve", leaf)
        for cell, rows in found.items():
            cells[cell] = cells.get(cell, 0) + rows
        ids = table["object_id"].to_numpy()
        if ids[0] < last or not files.is_sorted(table, files.ORDERS["light_curve"]):
            raise InputError(f"light curves of leaf {tuple(leaf)}: must come sorted by {', '.join(files.ORDERS['light_curve'])}")
        last = int(ids[-1])
        _count(counts, table["catalog_id"].to_numpy())
        yield table
