"""Summaries of objects whose rows have changed, and the datasets ``objects`` and ``object_filters`` made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ezarchive.association import scratch
from ezarchive.association.reading import BORDER_SHIFT
from ezarchive.association.units import part_of
from ezarchive.store import files, summary
from ezarchive.store.build import Change, Writer
from ezarchive.store.tree import Leaf
from ezarchive.store.version import Version

DATASETS = ("objects", "object_filters")
CHUNK_ROWS = 500_000
"""Rows that are summarised at once, about."""


class SummaryTask(NamedTuple):
    """Objects with ids of a leaf, to be summarised; `objects` None: all of them."""

    leaf: Leaf
    folder: Path
    version: Version
    objects: np.ndarray | None
    ambiguous: np.ndarray


class Summary(NamedTuple):
    """Files of the summaries, and the cells of order 12 that hold the objects' means."""

    leaf: Leaf
    paths: tuple[Path, ...]
    cells: np.ndarray
    objects: np.ndarray | None


def summarise(task: SummaryTask) -> Summary:
    """Summarise objects of a leaf and write what was found to the folder of the task."""
    ids = np.unique(scratch.column(task.version.read("light_curve", task.leaf, ["object_id"], task.objects), "object_id"))
    made: list[tuple[pa.Table, ...]] = []
    for part in _parts(task.version, task.leaf, ids):
        light_curve = task.version.read("light_curve", task.leaf, summary.COLUMNS, part)
        made.append(summary.summarise(light_curve, task.ambiguous))
    paths = []
    for name, tables in zip(DATASETS, zip(*made, strict=True) if made else ((), ()), strict=True):
        path = task.folder / "summaries" / f"{task.leaf.order}-{task.leaf.pixel}.{name}.arrow"
        scratch.write(path, scratch.joined(list(tables), name))
        paths.append(path)
    cells = np.unique(scratch.column(scratch.read(paths[0]), "_healpix_29") >> BORDER_SHIFT)
    return Summary(task.leaf, tuple(paths), cells, task.objects)


def _parts(version: Version, leaf: Leaf, ids: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the objects in parts of about `CHUNK_ROWS` rows, by the mean number of each."""
    if len(ids):
        rows = version.rows("light_curve", leaf)
        count = max(1, min(len(ids), -(-rows // CHUNK_ROWS)))
        yield from np.array_split(ids, count)


def tasks(version: Version, folder: Path, touched: Mapping[Leaf, np.ndarray | None], ambiguous: np.ndarray) -> Iterator[SummaryTask]:
    """Yield the leaves with objects to be summarised.

    Parameters
    ----------
    version : Version
        The store with all light curves.
    folder : Path
    touched : mapping
        Leaf -> ids of objects whose rows have changed (also of those that have none any more); None: all.
    ambiguous : ndarray of int64
        Objects that are marked now; those that were stay so.
    """
    for leaf, objects in touched.items():
        marked = np.union1d(ambiguous, _ambiguous(version, leaf))
        yield SummaryTask(leaf, folder, part_of(version, [leaf], ("light_curve",)), objects, marked)


def _ambiguous(version: Version, leaf: Leaf) -> np.ndarray:
    """Return the objects with ids of a leaf that are marked ambiguous; their means may lie beside it."""
    found = []
    for path in version.paths("objects", [leaf.range]):
        table = files.read(path, ["object_id", "ambiguous"])
        found.append(scratch.column(scratch.take(table, table["ambiguous"].fill_null(False).to_numpy()), "object_id"))
    return np.concatenate(found) if found else np.empty(0, np.int64)


class FileTask(NamedTuple):
    """A leaf whose summaries are to be written."""

    leaf: Leaf
    writer: Writer
    version: Version
    summaries: tuple[Summary, ...]


def file_tasks(version: Version, writer: Writer, summaries: Iterable[Summary]) -> Iterator[FileTask]:
    """Yield the leaves that hold the mean of an object that was summarised, now or before."""
    made = list(summaries)
    for leaf in version.tree.leaves:
        low, high = (cell >> BORDER_SHIFT for cell in leaf.cells)
        strays = np.array([cell for file in version.files_of("objects", leaf) for cell in file.strays], np.int64)
        chosen = [one for one in made if _meets(one, leaf, low, high, strays)]
        if chosen:
            yield FileTask(leaf, writer, part_of(version, [leaf], DATASETS), tuple(chosen))


def _meets(one: Summary, leaf: Leaf, low: int, high: int, strays: np.ndarray) -> bool:
    first, last = (cell >> BORDER_SHIFT for cell in one.leaf.cells)
    here = ((one.cells >= low) & (one.cells < high)).any()
    return bool(one.leaf == leaf or here or ((strays >= first) & (strays < last)).any())


def file(task: FileTask) -> tuple[Change, ...]:
    """Write the summaries whose means lie in a leaf; those of objects that did not change stay."""
    changes: list[Change] = []
    low, high = task.leaf.cells
    for place, dataset in enumerate(DATASETS):
        stored = task.version.read(dataset, task.leaf)
        parts = [scratch.take(stored, ~_replaced(scratch.column(stored, "object_id"), task.summaries))]
        for one in task.summaries:
            table = scratch.read(one.paths[place])
            cells = scratch.column(table, "_healpix_29")
            parts.append(scratch.take(table, (cells >= low) & (cells < high)))
        table = scratch.joined(parts, dataset)
        if len(stored) or len(table):
            changes += task.writer.replace(task.leaf, dataset, table)
    return tuple(changes)


def _replaced(object_id: np.ndarray, summaries: tuple[Summary, ...]) -> np.ndarray:
    gone = np.zeros(len(object_id), bool)
    for one in summaries:
        first, last = one.leaf.range
        gone |= (object_id >= first) & (object_id < last) if one.objects is None else np.isin(object_id, one.objects)
    return gone
