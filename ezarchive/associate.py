"""Join the measurements of all frames into objects, and keep the light-curve store: `associate` and `compact`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from ezarchive import pool
from ezarchive.association import conservation, deciding, dividing, identities, lineage, reading, scratch, sources, units, writing
from ezarchive.association import summaries as summing
from ezarchive.association.report import AssociateReport
from ezarchive.database import stores
from ezarchive.errors import ConfigError, StoreError
from ezarchive.files import Lock, make_folder, temporary_name
from ezarchive.store import build
from ezarchive.store import compact as compaction
from ezarchive.store.build import Builder
from ezarchive.store.paths import store_folder
from ezarchive.store.tree import Leaf
from ezarchive.store.version import Version, published
from ezarchive.warmup import is_compiled, warm_up_association

if TYPE_CHECKING:
    from ezarchive.archive import Archive

__all__ = ["AssociateReport", "associate", "compact"]

LOCK_NAME = ".associate.lock"
MEMORY_GB = 2.0
"""Memory of all processes together, unless another number is asked for."""

_BYTES_EACH = 0.8e9
_FEW_ROWS = 1_000_000
_MOST_FILES = 50
_FIXED = ("radius", "min_nights", "aperture")


def associate(
    archive: Archive,
    *,
    rebuild: bool = False,
    compact: bool | None = None,
    workers: int | None = None,
    memory_gb: float | None = None,
    progress: bool | None = None,
) -> AssociateReport:
    """Bring objects and light-curve store up to date with the catalogs.

    Parameters
    ----------
    archive : Archive
    rebuild : bool
        Make all of it anew, from the catalogs that light curves use: what comes out does not depend on what was done before, but for
        the aliases. Ids of objects are those of their first detections; an id of before that is none any more is an alias of the object
        that has most of its measurements.
    compact : bool, optional
        Make one file of every partition that has several (True), of none (False), or of those with more than ``compact_after`` in
        ``[associate]`` (the default).
    workers : int, optional
        Processes; by default the cores, as far as the memory reaches, and this one alone for little work.
    memory_gb : float, optional
        Memory that all of them may use together; 2 by default.
    progress : bool, optional
        Show a progress bar; by default on a terminal only.

    Returns
    -------
    AssociateReport
        Printed, it shows the check that every row of every catalog is in the store once.

    Raises
    ------
    ConfigError
        If radius, min_nights or aperture in ``[associate]`` are not those that the store was made with.
    StoreError
        If the store is damaged, or rows in were not rows out; nothing is published then.
    LockedError
        If another process is at it.

    Notes
    -----
    Nothing is seen of the work before its last step, which switches readers over to the new version in one transaction. A call that was
    stopped leaves the store as it was; the next one does it all again, with the same result. A catalog whose file is missing or torn is
    told in the report, and does not keep the others away.
    """
    started = time.monotonic()
    pool.worker_count(workers, memory_gb=memory_gb)
    with Lock(archive.home / LOCK_NAME, what="associate"):
        with archive.database.begin():  # one that cannot be written is told before the work
            pass
        with archive.database.connect() as conn:
            number = stores.current(conn) or 0
            stored = stores.stored(conn)
            found = sources.find(conn, archive.settings.associate.aperture, rebuild=rebuild)
        previous = Version.open(archive.home, number) if not rebuild else Version.none(archive.home)
        _check_parameters(archive, previous)
        build.clean(archive.home, _kept(archive.home, number))
        work = _Work(archive, previous, number + 1, found, workers, memory_gb, progress)
        if found.changes and not is_compiled("associate"):
            warm_up_association(verbose=progress is not False)  # else every worker would compile the same loops the first time
        work.before = lineage.before(archive.home, number) if rebuild else None
        crowded = work.crowded(previous, compact)
        if not (found.changes or crowded) and (not rebuild or not number):
            return _report(previous, found, time.monotonic() - started)
        removed = stored["catalog_id"].to_pylist() if rebuild else found.drop.tolist()
        version = work.run(compact, kind="rebuild" if rebuild else "associate", removed=removed)
        build.clean(archive.home, {number, *_kept(archive.home, version.number)})
    return _report(version, work.found, time.monotonic() - started, work)


def compact(
    archive: Archive, *, workers: int | None = None, memory_gb: float | None = None, progress: bool | None = None
) -> AssociateReport:
    """Make one file of every partition of the light-curve store that has several; nothing else changes.

    Parameters and errors as of `associate`.

    Returns
    -------
    AssociateReport
    """
    started = time.monotonic()
    pool.worker_count(workers, memory_gb=memory_gb)
    with Lock(archive.home / LOCK_NAME, what="compact"):
        with archive.database.begin() as conn:
            number = stores.current(conn) or 0
        previous = Version.open(archive.home, number)
        found = sources.Sources.none()
        build.clean(archive.home, _kept(archive.home, number))
        work = _Work(archive, previous, number + 1, found, workers, memory_gb, progress)
        if not work.crowded(previous, True):
            return _report(previous, found, time.monotonic() - started)
        version = work.run(True, kind="compact", removed=())
        build.clean(archive.home, {number, version.number})
    return _report(version, work.found, time.monotonic() - started, work)


def _kept(home: Path, number: int) -> set[int]:
    """Return the versions that stay: the one that readers take, and the one before it."""
    earlier = [other for other in published(home) if other < number]
    return {number, *earlier[-1:]}


def _check_parameters(archive: Archive, version: Version) -> None:
    settings = archive.settings.associate
    for name in _FIXED:
        made, wanted = version.parameters.get(name), getattr(settings, name)
        if version.number and made != wanted:
            raise ConfigError(
                f"[associate] {name} = {wanted!r}: the light-curve store was made with {made!r}; set that, or make the store anew with "
                "`ezarchive associate HOME --rebuild`"
            )


def _report(version: Version, found: sources.Sources, elapsed: float, work: _Work | None = None) -> AssociateReport:
    totals = version.totals
    table = version.conservation()
    done = {} if work is None else {
        "changed": version is not work.previous,
        "added": len(found.add), "withdrawn": len(found.drop), "recalibrated": len(found.recalibrate),
        "new": work.new, "merged": work.merged, "compacted": work.compacted, "failed": work.failed, "unread": work.unread,
    }  # fmt: skip
    return AssociateReport(
        version.number or None, without=found.without, catalogs=len(table), rows_in=sum(table["rows"].to_pylist()),
        light_curve=totals["light_curve"], orphans=totals["orphans"], unplaced=totals["unplaced"], objects=totals["objects"],
        ambiguous=totals["ambiguous"], elapsed=elapsed, **done,
    )  # fmt: skip


@dataclass
class _Work:
    """One new version on its way."""

    archive: Archive
    previous: Version
    number: int
    found: sources.Sources
    workers: int | None
    memory_gb: float | None
    progress: bool | None
    new: int = 0
    merged: int = 0
    compacted: int = 0
    failed: tuple[tuple[int, str], ...] = ()
    before: Version | str | None = None
    unread: tuple[str, ...] = ()
    touched: dict[Leaf, np.ndarray | None] = field(default_factory=dict)
    ambiguous: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    _team: pool.Team = field(init=False)

    def run(self, compact: bool | None, *, kind: str, removed: Iterable[int]) -> Version:
        """Make the version and switch readers over to it."""
        settings = self.archive.settings.associate
        parameters = {name: getattr(settings, name) for name in (*_FIXED, "rows_per_partition")}
        parameters = dict(self.previous.parameters) if kind == "compact" else parameters
        with Builder(self.archive.home, self.previous, self.number, parameters) as builder, self._folder() as folder:
            rows = self._conserved_before()
            self._leave_out(builder)
            read = list(self._run(reading.read, reading.tasks(self.found, self.archive.home, folder, settings.aperture), "read"))
            self._set_aside(read)
            if kind == "associate" and not (self.found.changes or self.crowded(self.previous, compact)):
                return self.previous
            counts = self._counted(read)
            self._associate(builder, read, folder)
            self._compact(builder, compact)
            self._summarise(builder, folder)
            if kind == "rebuild":
                found, self.unread = lineage.follow(self.before, builder.current(), self._run)
                builder.set_aliases(identities.alias_table(found))
            table = conservation.count(builder.current(), rows | counts)
            conservation.check(table)
            builder.set_conservation(table)
            version = builder.publish()
        totals = version.totals
        numbers = {"n_light_curve": totals["light_curve"], "n_objects": totals["objects"], "n_orphans": totals["orphans"]}
        added = self.found.added(rows | counts)
        with self.archive.database.begin() as conn:
            stores.publish(conn, self.number, kind, numbers, parameters, added, list(removed), as_of=self.found.as_of)
        return version

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """Give a hidden folder for what lies between the steps (a leftover is removed like a builder's) and processes that stay."""
        self._team = pool.Team(self._count())
        folder = store_folder(self.archive.home) / temporary_name("associate")
        make_folder(folder)
        try:
            yield folder
        finally:
            self._team.end()
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, function: Callable[[Any], Any], tasks: Iterable[Any], label: str) -> Iterator[Any]:
        """Yield what a function makes of each task, as they are done."""
        hidden = None if self.progress is None else not self.progress
        tasks = list(tasks)
        results = pool.run(function, tasks, max(1, min(self._count(), len(tasks))), team=self._team)
        try:
            for _, result in tqdm(results, desc=label, total=len(tasks), disable=hidden):
                if isinstance(result, Exception):
                    raise result
                yield result
        finally:
            results.close()

    def _count(self) -> int:
        """Return how many processes work: one where there is little to do."""
        if self.workers is None and sum(self.found.links_of(self.found.add)["n_rows"].to_pylist()) + self._old_rows() < _FEW_ROWS:
            return 1
        return pool.worker_count(self.workers, bytes_each=_BYTES_EACH, memory_gb=self.memory_gb or MEMORY_GB)

    def _old_rows(self) -> int:
        return self.previous.totals["light_curve"] if len(self.found.drop) or len(self.found.recalibrate) else 0

    def _conserved_before(self) -> dict[int, int]:
        table = self.previous.conservation()
        gone = set(self.found.drop.tolist())
        return {k: n for k, n in zip(table["catalog_id"].to_pylist(), table["rows"].to_pylist(), strict=True) if k not in gone}

    def _set_aside(self, read: list[reading.Read]) -> None:
        """Leave the catalogs that could not be read for another time."""
        self.failed = tuple(sorted(item for part in read for item in part.failed))
        self.found = self.found._replace(add=np.setdiff1d(self.found.add, [number for number, _ in self.failed]))
        if self.before is not None and self.failed and not len(self.found.add):
            raise StoreError(f"none of the {len(self.failed)} catalogs can be read, the store stays as it is; {self.failed[0][1]}")

    def _counted(self, read: list[reading.Read]) -> dict[int, int]:
        """Return the rows of each catalog that was read."""
        return {k: n for part in read for k, n in zip(part.catalog_id.tolist(), part.counts.tolist(), strict=True)}

    def _leave_out(self, builder: Builder) -> None:
        """Take the rows of withdrawn catalogs out of the store, and give new magnitudes to those that were calibrated anew."""
        drop, again = self.found.drop, self.found.recalibrate
        if not (len(drop) or len(again)) or not self.previous.files:
            return
        self._team.end()  # other processes work now, and memory is for as many as were asked for
        calibration = self.found.calibration_of(again)
        leaves = builder.current().leaves_with(np.union1d(drop, again).tolist())
        compaction.compact(
            builder,
            leaves,
            drop_catalogs=drop.tolist(),
            calibration=calibration,
            workers=self._count(),
            memory_gb=self.memory_gb or MEMORY_GB,
        )
        self.touched.update(dict.fromkeys(leaves))
        version = builder.current()
        for leaf in version.leaves("orphans"):
            builder.apply(writing.without(version, builder.writer, leaf, "orphans", drop, calibration))
        if version.rows("unplaced"):
            builder.apply(writing.without(version, builder.writer, None, "unplaced", drop, calibration))

    def _associate(self, builder: Builder, read: list[reading.Read], folder: Path) -> None:
        """Give the new rows to objects."""
        version = builder.current()
        before = identities.pairs_of(version.aliases())
        decided = self._decide(version, read, before, folder)
        aliases, merged = identities.followed(before, [one.merged for one in decided])
        decided = [_renamed(one, merged) for one in decided]
        ambiguous = deciding.present(np.unique(np.concatenate([np.empty(0, np.int64), *(one.ambiguous for one in decided)])), aliases)
        minted = np.unique(np.concatenate([np.empty(0, np.int64), *(one.minted for one in decided)]))
        self.new, self.merged = len(minted), len(merged)
        if len(merged):
            self._merge(builder, merged)
        dividing.divide(builder, decided, self.archive.settings.associate.rows_per_partition)
        self.touched = dividing.present_leaves(self.touched, builder)
        for written in self._run(writing.write, writing.tasks(builder.current(), builder.writer, decided, aliases), "write"):
            builder.apply(written.changes)
            self._touch(written.leaf, written.objects)
        others = np.union1d(ambiguous, merged.ravel())
        places = builder.tree.index_of(others >> 1)
        for index in np.unique(places).tolist():
            self._touch(builder.tree.leaves[index], others[places == index])
        withdrawn = tuple(leaf for leaf, objects in self.touched.items() if objects is None) if len(self.found.drop) else ()
        builder.apply(writing.renew_sites(builder.current(), builder.writer, withdrawn))
        self._unplaced(builder, [scratch.read(part.unplaced) for part in read if part.unplaced is not None])
        builder.set_aliases(identities.alias_table(aliases))
        builder.set_ambiguous(identities.ambiguous_table(version.ambiguous(), [one.pairs for one in decided], aliases))
        self.ambiguous = ambiguous

    def _decide(self, version: Version, read: list[reading.Read], aliases: np.ndarray, folder: Path) -> list[deciding.Decided]:
        settings = self.archive.settings.associate
        cells, rows = _totals(read)
        tasks = (
            deciding.DecideTask(
                number, unit, folder, tuple(part.placed for part in read if part.placed and view.holds_any(part.cells)),
                units.part_of(version, view.leaves(version.tree), deciding.DATASETS), settings.radius, settings.min_nights, aliases,
            )
            for number, unit in enumerate(units.units_of(version, cells, rows))
            for view in [units.View.of(unit)]
        )  # fmt: skip
        return sorted(self._run(deciding.decide, tasks, "associate"), key=lambda one: one.unit.cells)

    def _unplaced(self, builder: Builder, parts: list[pa.Table]) -> None:
        """Add the rows without a position; what nights have left behind is made one file now and then."""
        for part in parts:
            builder.unplaced(part)
        version = builder.current()
        if len(version.files_of("unplaced")) > _MOST_FILES and version.rows("unplaced") < _FEW_ROWS:
            builder.replace(None, "unplaced", version.read("unplaced"))

    def _merge(self, builder: Builder, merged: np.ndarray) -> None:
        """Give the stored rows of objects that are another one now to that one."""
        self._team.end()
        leaves = {builder.tree.leaf_of(old) for old in merged[:, 0].tolist()}
        compaction.compact(builder, leaves, relabel=merged, workers=self._count(), memory_gb=self.memory_gb or MEMORY_GB)

    def _touch(self, leaf: Leaf, objects: np.ndarray) -> None:
        """Remember objects whose rows have changed; None stands for all of a leaf."""
        before = self.touched.get(leaf, np.empty(0, np.int64))
        if before is not None and len(objects):
            self.touched[leaf] = np.union1d(before, objects)

    def crowded(self, version: Version, compact: bool | None) -> list[Leaf]:
        """Return the leaves whose files are to be made one."""
        allowed = self.archive.settings.associate.compact_after if compact is None else 1
        if compact is False:
            return []
        return [leaf for leaf in version.leaves("light_curve") if len(version.files_of("light_curve", leaf)) > allowed]

    def _compact(self, builder: Builder, compact: bool | None) -> None:
        leaves = self.crowded(builder.current(), compact)
        if leaves:
            self._team.end()
            compaction.compact(builder, leaves, workers=self._count(), memory_gb=self.memory_gb or MEMORY_GB)
        self.compacted = len(leaves)

    def _summarise(self, builder: Builder, folder: Path) -> None:
        """Make the summaries of objects whose rows have changed anew."""
        version = builder.current()
        tasks = summing.tasks(version, folder, self.touched, self.ambiguous)
        made = sorted(self._run(summing.summarise, tasks, "summarise"), key=lambda one: one.leaf.cells)
        for changes in self._run(summing.file, summing.file_tasks(version, builder.writer, made), "objects"):
            builder.apply(changes)


def _totals(read: list[reading.Read]) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of order 12 that hold new rows, and how many."""
    every = np.concatenate([np.empty(0, np.int64), *(part.cells for part in read)])
    cells, place = np.unique(every, return_inverse=True)
    rows = np.concatenate([np.empty(0, np.int64), *(part.rows for part in read)])
    return cells, np.bincount(place, weights=rows, minlength=len(cells)).astype(np.int64)


def _renamed(one: deciding.Decided, merged: np.ndarray) -> deciding.Decided:
    """Give the rows that a unit gave to an object the id that this has in the end."""
    found = writing.renamed(one.rows, merged) if len(merged) and one.rows is not None else None
    return one if found is None else one._replace(cells=found[0], counts=found[1])
