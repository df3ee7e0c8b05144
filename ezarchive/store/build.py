"""Make a version of the store: nothing of it is seen before it is published.

A `Builder` works in a hidden folder that begins as hard links to all files of the version before (copies where links fail). Files
are written by a `Writer`, which is small and can be sent to other processes; what it wrote comes back as a `Change`, and `Builder.apply`
takes it over. `Builder.publish` writes manifest and HATS metadata, makes all durable, and renames the folder.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from ezarchive.errors import InputError, StoreError
from ezarchive.files import is_temporary, make_folder, sync_files, sync_folder, temporary_name
from ezarchive.store import files, hats, margins
from ezarchive.store.files import StoredFile
from ezarchive.store.paths import HATS_DATASETS, MANIFEST, MARGIN, store_folder, version_folder
from ezarchive.store.tree import MAX_ORDER, Leaf, Tree
from ezarchive.store.version import Place, Version, groups_between, published
from ezarchive.store.writer import Change, Writer, cells_of


class Builder:
    """A version that is being made; use it in a ``with`` block, at whose end what is not published is gone.

    Parameters
    ----------
    home : path
        The archive's folder.
    previous : Version
        What it begins as.
    number : int
        Of the new version: higher than `previous`, and named by no row of the database. A folder of this number that is there already
        is a leftover, which `publish` replaces.
    parameters : mapping
        Plain JSON values for the manifest.
    tree : Tree, optional
        The leaves to begin with, for a version that begins empty; those of `previous` by default.

    Raises
    ------
    InputError
        If the number is not higher, or `tree` is given where there are files.
    """

    def __init__(
        self, home: Path | str, previous: Version, number: int, parameters: Mapping[str, Any], *, tree: Tree | None = None
    ) -> None:
        if number <= previous.number:
            raise InputError(f"number {number!r}: must be higher than that of the version before, {previous.number}")
        if tree is not None and previous.files:
            raise InputError("tree: can be given for a version that begins without files only; divide() changes it")
        self.home, self.previous, self.number = Path(home), previous, number
        self.parameters = dict(parameters)
        self.tree = previous.tree if tree is None else tree
        self.folder = store_folder(home) / temporary_name(str(number))
        self._files: dict[Place, tuple[StoredFile, ...]] = dict(previous.files)
        self._published = False

    def __enter__(self) -> Self:
        make_folder(self.folder)
        for stored in self._files.values():
            for file in stored:
                _link(self.previous.folder / file.path, self.folder / file.path)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if not self._published:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def writer(self) -> Writer:
        """What writes into this version, here or in another process."""
        return Writer(self.folder, self.number)

    def current(self) -> Version:
        """Return the version as it stands, with all that was applied; it can be read, and sent to other processes."""
        return Version(self.folder, self.number, self.parameters, self.tree, dict(self._files))

    def apply(self, changes: Iterable[Change]) -> None:
        """Take over what a `Writer` wrote.

        Raises
        ------
        InputError
            If a place is of no leaf of the tree.
        """
        for change in changes:
            if change.place.leaf is not None and change.place.leaf not in self.tree:
                raise InputError(f"change of {change.place}: must be of a leaf of the tree")
            before = self._files.get(change.place, ())
            if change.replaces:
                self._drop(before)
                before = ()
            if before or change.files:
                self._files[change.place] = (*before, *change.files)
            else:
                self._files.pop(change.place, None)

    def add(self, leaf: Leaf, light_curve: pa.Table) -> None:
        """Add rows to a leaf's light curves, as a file of their own (`Writer.add`)."""
        self.apply(self.writer.add(leaf, light_curve))

    def replace(self, leaf: Leaf | None, dataset: str, table: pa.Table) -> None:
        """Replace all rows that a leaf has of a dataset (`Writer.replace`)."""
        self.apply(self.writer.replace(leaf, dataset, table))

    def rewrite(self, leaf: Leaf, light_curve: Iterable[pa.Table]) -> None:
        """Replace a leaf's light curves by sorted rows (`Writer.rewrite`)."""
        self.apply(self.writer.rewrite(leaf, light_curve))

    def unplaced(self, table: pa.Table) -> None:
        """Add rows without a position, as a file of their own; ``replace(None, "unplaced", table)`` replaces all of them."""
        self.apply(self.writer.add_unplaced(table))

    def set_aliases(self, table: pa.Table) -> None:
        """Replace the table of aliases, ``columns.ALIAS``."""
        self._set("aliases", table)

    def set_ambiguous(self, table: pa.Table) -> None:
        """Replace the recorded pairs, ``columns.AMBIGUOUS``."""
        self._set("ambiguous", table)

    def set_conservation(self, table: pa.Table) -> None:
        """Replace the counts of each catalog: ``catalog_id rows light_curve orphans unplaced``."""
        self._set("conservation", table)

    def divide(self, leaf: Leaf) -> tuple[Leaf, Leaf, Leaf, Leaf]:
        """Divide a leaf in four, and all its files with it; memory holds one child's light curves at a time at the most.

        Raises
        ------
        InputError
            If it is no leaf of the tree, or of order 12 already.
        """
        self.tree, children = self.tree.split(leaf), leaf.children()
        for dataset in (*HATS_DATASETS, "sites"):
            stored = self._files.pop(Place(dataset, leaf), ())
            for child in children:
                for file in stored:  # file by file, so that what was written apart stays apart
                    self.apply(self._part(self.folder / file.path, dataset, child))
            self._drop(stored)
        for dataset in ("contents", MARGIN):  # made with the parts, and anew when it is published
            self._drop(self._files.pop(Place(dataset, leaf), ()))
        return children

    def _part(self, path: Path, dataset: str, child: Leaf) -> tuple[Change, ...]:
        parts = _of_leaf(path, dataset, child)
        if dataset == "light_curve":
            return self.writer.stream(child, parts, replaces=False)
        return self.writer.write(dataset, child, pa.concat_tables([files.schema(dataset).empty_table(), *parts]), replaces=False)

    def too_large(self, rows_per_partition: int) -> list[Leaf]:
        """Return the leaves with more rows of light curves that can be divided, in order."""
        current = self.current()
        return [leaf for leaf in self.tree.leaves if leaf.order < MAX_ORDER and current.rows("light_curve", leaf) > rows_per_partition]

    def publish(self) -> Version:
        """Write what describes the version, make it durable, and give it its name.

        Returns
        -------
        Version
            The published one. What names it, the pointer row in the database, is the caller's to write after this.
        """
        self.apply(margins.renewed(self.current(), self.previous, self.writer))
        version = self.current()
        for dataset in (*HATS_DATASETS, MARGIN):
            hats.write(version, dataset)
        hats.write_collection(version)
        text = json.dumps(version.manifest(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        (self.folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
        _remove_empty(self.folder)
        sync_files([path for path in sorted(self.folder.rglob("*")) if path.is_file()])
        for folder in sorted(path for path in self.folder.rglob("*") if path.is_dir()):
            sync_folder(folder)
        sync_folder(self.folder)
        final = version_folder(self.home, self.number)
        _clear(final)
        self.folder.rename(final)
        self._published = True
        sync_folder(final.parent)
        return Version.open(self.home, self.number)

    def _set(self, name: str, table: pa.Table) -> None:
        place, path = Place(name, None), f"{name}.parquet"
        self._drop(self._files.pop(place, ()))
        table = files.conform(table, name)
        if len(table):
            table = table.take(pa.array(files.sort_order(table, files.ORDERS[name])))
            files.write(self.folder / path, [table], name)
            self._files[place] = (files.describe(self.folder / path, path, name),)

    def _drop(self, stored: Iterable[StoredFile]) -> None:
        for file in stored:
            (self.folder / file.path).unlink()


def clean(home: Path | str, keep: Container[int] = ()) -> list[Path]:
    """Remove what interrupted builders left, and all versions but some; for the holder of the lock alone.

    Parameters
    ----------
    home : path
        The archive's folder.
    keep : container of int
        Versions that stay: the published one, and those that a reader may still be at.

    Returns
    -------
    list of Path
        What was removed.
    """
    folder = store_folder(home)
    if not folder.is_dir():
        return []
    removed = [path for path in sorted(folder.iterdir()) if is_temporary(path.name)]
    removed += [version_folder(home, number) for number in published(home) if number not in keep]
    for path in removed:
        _clear(path)
    return removed


def _clear(path: Path) -> None:
    """Remove a folder; its name is gone at once."""
    if path.is_dir():
        hidden = path if is_temporary(path.name) else path.with_name(temporary_name(path.name))
        if hidden != path:
            path.rename(hidden)
        shutil.rmtree(hidden)


def _remove_empty(folder: Path) -> None:
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError as err:
        raise StoreError(f"{source}: is missing from the light-curve store; `ezarchive associate HOME --rebuild` makes it anew") from err
    except OSError:  # no hard links here (some network and FAT file systems), or too many of this file
        shutil.copyfile(source, target)


def _of_leaf(path: Path, dataset: str, leaf: Leaf) -> Iterator[pa.Table]:
    """Yield the rows of one file that lie in a leaf."""
    low, high = leaf.cells
    with files.open_file(path) as stream:
        groups = range(stream.metadata.num_row_groups)
        for group in groups if dataset != "light_curve" else groups_between(stream, *leaf.range):
            table = files.read_groups(stream, path, [group])
            cells = cells_of(table, dataset)
            inside = (cells >= low) & (cells < high)
            if inside.any():
                yield table if inside.all() and dataset == "light_curve" else files.decoded(table.filter(pa.array(inside)))


__all__ = ["Builder", "Change", "Writer", "clean"]
