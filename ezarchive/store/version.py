"""One version of the light-curve store on disk: which files it has, and how to read them.

A published version never changes. Its manifest names every file with its rows, size and hash; nothing is found by listing folders.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ezarchive.errors import InputError, StoreError
from ezarchive.store import files
from ezarchive.store.files import StoredFile
from ezarchive.store.paths import LEAF_DATASETS, MANIFEST, TABLES, UNPLACED, store_folder, version_folder
from ezarchive.store.tree import Leaf, Tree, leaves_from

FORMAT_VERSION = 1
"""Version of the manifest; a store of a newer one is not read."""

_STRAY_SHIFT = 2 * (29 - 12) + 1


class Place(NamedTuple):
    """Where files belong: the dataset and the leaf; None for the leafless ``unplaced`` and the tables."""

    dataset: str
    leaf: Leaf | None


@dataclass(frozen=True, eq=False)
class Version:
    """A version of the store.

    Attributes
    ----------
    folder : Path
        ``HOME/store/<number>``, or the hidden folder of one that is being made.
    number : int
        0 of a store that does not exist yet.
    parameters : mapping
        What it was made with: plain JSON values.
    tree : Tree
        Its leaves.
    files : mapping
        `Place` -> tuple of `StoredFile`, in the order in which they were written. Places without rows are not in it.
    """

    folder: Path
    number: int
    parameters: Mapping[str, Any]
    tree: Tree
    files: Mapping[Place, tuple[StoredFile, ...]] = field(default_factory=dict)

    @classmethod
    def none(cls, home: Path | str) -> Version:
        """Return the version before the first: the 12 base pixels, and no file."""
        return cls(version_folder(home, 0), 0, {}, Tree.base())

    @classmethod
    def open(cls, home: Path | str, number: int) -> Version:
        """Open a published version; its manifest alone is read.

        Parameters
        ----------
        home : path
            The archive's folder.
        number : int
            As the pointer row of the database says; 0 is `none`.

        Returns
        -------
        Version

        Raises
        ------
        StoreError
            If it does not exist, its manifest is damaged, or it was made by a newer ezarchive.
        """
        if number == 0:
            return cls.none(home)
        folder = version_folder(home, number)
        return cls._of_manifest(folder, number, _manifest(folder / MANIFEST))

    @classmethod
    def _of_manifest(cls, folder: Path, number: int, manifest: Mapping[str, Any]) -> Version:
        path = folder / MANIFEST
        if manifest.get("format") != FORMAT_VERSION or manifest.get("number") != number:
            found = f"format {manifest.get('format')!r}, number {manifest.get('number')!r}"
            raise StoreError(
                f"{path}: must be of format {FORMAT_VERSION} and number {number}, found {found}; a newer ezarchive made it, or it was moved"
            )
        try:
            tree = leaves_from(manifest["leaves"])
            found = {
                Place(entry["dataset"], None if entry["leaf"] is None else Leaf(*entry["leaf"])): tuple(map(_stored_file, entry["files"]))
                for entry in manifest["files"]
            }
            return cls(folder, number, manifest["parameters"], tree, found)
        except (KeyError, TypeError, ValueError) as err:
            raise StoreError(f"{path}: is damaged ({err!r}); `ezarchive associate HOME --rebuild` makes the store anew") from err

    def manifest(self) -> dict[str, Any]:
        """Return what ``manifest.json`` holds: plain JSON values, equal for equal versions."""
        entries = [
            {"dataset": place.dataset, "leaf": None if place.leaf is None else list(place.leaf), "files": [_entry(file) for file in stored]}
            for place, stored in sorted(self.files.items(), key=lambda item: (item[0].dataset, item[0].leaf or ()))
        ]
        return {
            "format": FORMAT_VERSION,
            "number": self.number,
            "parameters": dict(self.parameters),
            "leaves": [list(leaf) for leaf in self.tree.leaves],
            "totals": self.totals,
            "files": entries,
        }

    @cached_property
    def totals(self) -> dict[str, int]:
        """Rows of each dataset and table, by name."""
        names = (*LEAF_DATASETS, UNPLACED, *TABLES)
        found = dict.fromkeys(names, 0)
        for place, stored in self.files.items():
            found[place.dataset] += sum(file.rows for file in stored)
        return found

    def leaves(self, dataset: str) -> tuple[Leaf, ...]:
        """Return the leaves that have rows of a dataset, in order."""
        return tuple(leaf for leaf in self.tree.leaves if Place(dataset, leaf) in self.files)

    def rows(self, dataset: str, leaf: Leaf | None = None) -> int:
        """Return how many rows a leaf has of a dataset; of ``unplaced``, without a leaf."""
        return sum(file.rows for file in self.files.get(Place(dataset, leaf), ()))

    def files_of(self, dataset: str, leaf: Leaf | None = None) -> tuple[StoredFile, ...]:
        """Return the files that a leaf has of a dataset, in the order in which they were written."""
        return self.files.get(Place(dataset, leaf), ())

    def paths(self, dataset: str, ranges: Iterable[tuple[int, int]] | None = None) -> list[Path]:
        """Return the files of a dataset, all or those that may hold some objects.

        Parameters
        ----------
        dataset : str
            ``light_curve``, ``objects``, ``object_filters``, ``orphans``, ``sites``, ``contents`` or ``unplaced``.
        ranges : iterable of (int, int), optional
            Object ids, from the first to before the second. Files of objects are those where the objects' means lie, wherever they were
            founded; files of orphans those that hold positions in these ranges' cells.

        Returns
        -------
        list of Path
            In the order of the leaves.

        Raises
        ------
        InputError
            If there is no such dataset.
        """
        if dataset not in (*LEAF_DATASETS, UNPLACED):
            raise InputError(f"dataset {dataset!r}: must be one of {', '.join((*LEAF_DATASETS, UNPLACED))}")
        index = self._index(dataset)
        if ranges is None or dataset == UNPLACED:
            return [self.folder / file.path for file in index.files]
        return [self.folder / index.files[place].path for place in np.flatnonzero(index.meets(ranges))]

    def _index(self, dataset: str) -> _Index:
        if dataset not in self._indexes:
            leaves = self.tree.leaves if dataset != UNPLACED else (None,)
            self._indexes[dataset] = _Index.of([(leaf, file) for leaf in leaves for file in self.files.get(Place(dataset, leaf), ())])
        return self._indexes[dataset]

    @cached_property
    def _indexes(self) -> dict[str, _Index]:
        return {}

    def read(
        self, dataset: str, leaf: Leaf | None = None, columns: Sequence[str] | None = None, ids: Iterable[int] | None = None
    ) -> pa.Table:
        """Read the rows of a leaf.

        Parameters
        ----------
        dataset : str
            As of `paths`.
        leaf : Leaf or None
            None for ``unplaced``.
        columns : sequence of str, optional
            Some of the dataset's columns; all by default.
        ids : iterable of int, optional
            Only rows of these objects; row groups without any are not read.

        Returns
        -------
        pyarrow.Table
            In the dataset's order (``files.ORDERS``), whatever number of files it comes from; empty where there are no rows.

        Raises
        ------
        StoreError
            If a file is missing or torn.
        """
        wanted = list(files.schema(dataset).names) if columns is None else list(columns)
        order = files.ORDERS[dataset]
        stored = self.files_of(dataset, leaf)
        needed = wanted + [
            name for name in (*order, "object_id") if name not in wanted and (len(stored) > 1 or (name == "object_id" and ids is not None))
        ]
        needed = [name for name in needed if name in files.schema(dataset).names]
        chosen = None if ids is None else np.unique(np.fromiter(ids, np.int64))
        parts = [_read_file(self.folder / file.path, needed, chosen) for file in stored]
        if not parts:
            return pa.table({name: pa.array([], files.schema(dataset).field(name).type) for name in wanted})
        table = pa.concat_tables(parts)
        if len(parts) > 1:
            table = table.take(pa.array(files.sort_order(table, order)))
        return table.select(wanted)

    def aliases(self) -> pa.Table:
        """Return ``columns.ALIAS``: ids that were published, and what each is now; sorted by ``old_id``."""
        return self._table("aliases")

    def ambiguous(self) -> pa.Table:
        """Return ``columns.AMBIGUOUS``: the recorded pairs."""
        return self._table("ambiguous")

    def conservation(self) -> pa.Table:
        """Return for each catalog in the store its rows and where they are: ``catalog_id rows light_curve orphans unplaced``."""
        return self._table("conservation")

    def _table(self, name: str) -> pa.Table:
        stored = self.files.get(Place(name, None), ())
        return files.read(self.folder / stored[0].path) if stored else files.schema(name).empty_table()

    def leaves_with(self, catalog_ids: Iterable[int]) -> tuple[Leaf, ...]:
        """Return the leaves whose light curves hold rows of any of these catalogs, in order."""
        ids = pa.array(np.fromiter(catalog_ids, np.int64))
        return tuple(
            leaf for leaf in self.leaves("contents")
            if len(ids) and pc.any(pc.is_in(self.read("contents", leaf, ["catalog_id"])["catalog_id"], ids)).as_py()
        )  # fmt: skip

    def check(self, *, hashes: bool = False) -> list[str]:
        """Return what is wrong with the files on disk: one line for each that is missing, or of another size or (`hashes`) content."""
        wrong = []
        for stored in self.files.values():
            for file in stored:
                path = self.folder / file.path
                size = path.stat().st_size if path.is_file() else None
                if size != file.nbytes:
                    wrong.append(f"{path}: must have {file.nbytes} bytes, {'is missing' if size is None else f'found {size}'}")
                elif hashes and files.sha256_file(path) != file.sha256:
                    wrong.append(f"{path}: its content is not that of its hash {file.sha256}")
        return sorted(wrong)


def published(home: Path | str) -> list[int]:
    """Return the numbers of the versions on disk, in order; one that the database does not name may be a leftover."""
    folder = store_folder(home)
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir())


class _Index(NamedTuple):
    """What says which files may hold an object: the ids of their leaves, and the strays."""

    files: tuple[StoredFile, ...]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    stray: NDArray[np.int64]
    stray_file: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Sequence[tuple[Leaf | None, StoredFile]]) -> _Index:
        spans = np.array([(0, 0) if leaf is None else leaf.range for leaf, _ in pairs], np.int64).reshape(-1, 2)
        strays = np.array([(cell, place) for place, (_, file) in enumerate(pairs) for cell in file.strays], np.int64).reshape(-1, 2)
        strays = strays[np.argsort(strays[:, 0], kind="stable")]
        return cls(tuple(file for _, file in pairs), spans[:, 0], spans[:, 1], strays[:, 0], strays[:, 1])

    def meets(self, ranges: Iterable[tuple[int, int]]) -> NDArray[np.bool_]:
        found = np.zeros(len(self.files), bool)
        for low, high in ranges:
            if high > low:
                found |= (self.low < high) & (self.high > low)
                first, last = np.searchsorted(self.stray, [low >> _STRAY_SHIFT, ((high - 1) >> _STRAY_SHIFT) + 1])
                found[self.stray_file[first:last]] = True
        return found


def _manifest(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as err:
        raise StoreError(
            f"{path}: is missing, the light-curve store cannot be read; `ezarchive associate HOME --rebuild` makes it anew"
        ) from err
    except (OSError, ValueError) as err:
        raise StoreError(f"{path}: is damaged ({err}); `ezarchive associate HOME --rebuild` makes the store anew") from err
    if not isinstance(found, dict):
        raise StoreError(f"{path}: is damaged (no JSON object); `ezarchive associate HOME --rebuild` makes the store anew")
    return found


def _entry(file: StoredFile) -> dict[str, Any]:
    entry = {"path": file.path, "rows": file.rows, "nbytes": file.nbytes, "sha256": file.sha256}
    if file.strays:
        entry["strays"] = list(file.strays)
    if file.cells:
        entry["cells"] = [list(pair) for pair in file.cells]
    return entry


def _stored_file(entry: Mapping[str, Any]) -> StoredFile:
    cells = tuple((int(cell), int(rows)) for cell, rows in entry.get("cells", ()))
    return StoredFile(entry["path"], entry["rows"], entry["nbytes"], entry["sha256"], tuple(entry.get("strays", ())), cells)


def _read_file(path: Path, columns: Sequence[str], ids: NDArray[np.int64] | None) -> pa.Table:
    if ids is None:
        return files.read(path, columns)
    with files.open_file(path) as stream:
        table = files.read_groups(stream, path, groups_with(stream, ids), columns)
    return files.decoded(table.filter(pc.is_in(table["object_id"], pa.array(ids))))


def groups_with(stream: Any, ids: NDArray[np.int64]) -> list[int]:
    """Return the row groups of a file sorted by object that may hold any of these (sorted) objects."""
    low, high = object_bounds(stream)
    return np.flatnonzero(np.searchsorted(ids, low, "left") < np.searchsorted(ids, high, "right")).tolist()


def groups_between(stream: Any, first: int, last: int) -> list[int]:
    """Return the row groups of a file sorted by object that may hold ids from the first to before the last."""
    low, high = object_bounds(stream)
    return np.flatnonzero((high >= first) & (low < last)).tolist()


def object_bounds(stream: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the least and the largest object id of each row group of an open file."""
    column = stream.schema_arrow.get_field_index("object_id")
    found = [stream.metadata.row_group(group).column(column).statistics for group in range(stream.metadata.num_row_groups)]
    return np.array([item.min for item in found], np.int64), np.array([item.max for item in found], np.int64)
