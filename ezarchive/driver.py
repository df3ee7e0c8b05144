"""The driver of a batch: tasks go out to workers, rows come into the database in groups, and only this process writes it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tqdm import tqdm

from ezarchive import maps, pool
from ezarchive.database import filerows, runs, troubles
from ezarchive.errors import CodedError, InputError, MeasurementError
from ezarchive.files import is_temporary, sync_files
from ezarchive.frames.record import Frame
from ezarchive.maps import StoredMap

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ezarchive.archive import Archive

PACKAGES = ("ezarchive", "astropy", "numpy", "sep", "pyarrow")
"""What a run records the versions of."""

_GROUP_FRAMES = 100
_GROUP_SECONDS = 2.0


class Task(Protocol):
    """What goes to a worker."""

    frame: Frame
    run_id: int
    relpath: str


class Done(Protocol):
    """What comes back."""

    rows: int
    sha256: str
    seeing: float | None
    depth: float | None
    depth_aperture: float | None
    apertures: tuple[float | None, ...]
    mesh: StoredMap | None


@dataclass(frozen=True)
class BatchReport:
    """What a batch did: counts of frames, and why some failed.

    ``failed`` lists ``(path, code, message)``; the same stands in the table ``quarantine`` (stage ``measure`` or ``forced``).
    """

    method: str
    run_id: int | None
    measured: int
    skipped: int
    failed: tuple[tuple[str, str, str], ...]
    sources: int
    elapsed: float
    frame_ids: tuple[int, ...] = field(default=(), repr=False)
    uncovered: int = 0
    """Frames that were given and cover no target of a list."""
    nowhere: int = 0
    """Targets of a list that lie on no frame."""

    @property
    def ok(self) -> bool:
        """Whether no frame failed."""
        return not self.failed

    def __str__(self) -> str:
        run = "no run" if self.run_id is None else f"run {self.run_id}"
        uncovered = f"{self.uncovered} without a target, " if self.uncovered else ""
        nowhere = f"{self.nowhere} targets on no frame; " if self.nowhere else ""
        first = (
            f"{self.method}: {self.measured} frames measured ({self.sources} sources), {self.skipped} already done, {uncovered}"
            f"{len(self.failed)} failed; {nowhere}{run}; {self.elapsed:.1f} s"
        )
        return "\n".join([first, *(f"  {path}: {code}: {message}" for path, code, message in self.failed)])


@dataclass(frozen=True)
class Crew:
    """Who does the work: processes of this machine or a Dask cluster (``client``), and how many tasks at once."""

    client: Any
    count: int


@contextmanager
def crew(executor: Any, workers: int | None, memory_gb: float | None, bytes_each: float, n_tasks: int) -> Iterator[Crew]:
    """Give the workers of a batch: as many as are asked for, as far as the memory reaches, and no more than there are tasks.

    Raises
    ------
    InputError
        If the memory that was asked for does not do for one task, or as `pool.connected`.
    """
    if memory_gb is not None and memory_gb * 1e9 < bytes_each:
        raise InputError(f"memory_gb={memory_gb}: must be at least {bytes_each / 1e9:.2f}, which one worker needs for the largest frame")
    with pool.connected(executor) as client:
        bounds = {"bytes_each": bytes_each, "memory_gb": memory_gb}
        count = pool.worker_count(workers, **bounds) if client is None else pool.cluster_count(client, workers, **bounds)
        yield Crew(client, max(1, min(count, n_tasks)))


@cache
def versions() -> dict[str, str]:
    """Return the versions that a run records."""
    return {name: version(name) for name in PACKAGES}


def check_versions(recorded: Mapping[str, str]) -> None:
    """Refuse to measure for a run that other versions began: what one run holds was made by one set.

    Raises
    ------
    MeasurementError
        ``versions``, if this process has others.
    """
    for name, wanted in recorded.items():
        if versions().get(name) != wanted:
            message = f"{name} {versions().get(name)}: the run was begun with {wanted}; workers must have the same"
            raise MeasurementError("versions", message)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of a batch that was killed; the lock says that nobody is writing them."""
    for place, _, names in os.walk(folder):
        for name in filter(is_temporary, names):
            (Path(place) / name).unlink(missing_ok=True)


class Driver:
    """The frames of one run on their way.

    Attributes
    ----------
    measured : list of int
        Frames whose catalog is in the database.
    failed : list of tuple
        Path, code and message.
    sources : int
        Rows of the catalogs.
    synced : bool
        Whether the workers make their files durable; else that is done here, before the rows that name them.
    """

    _files = True
    """Whether workers write a file for each frame."""

    def __init__(
        self, archive: Archive, run_id: int, method: str, *, targets: str = "", stage: str = "measure", synced: bool = True
    ) -> None:
        self.archive, self.run_id, self.method, self.targets, self.stage, self.synced = archive, run_id, method, targets, stage, synced
        self.measured: list[int] = []
        self.failed: list[tuple[str, str, str]] = []
        self.sources = 0
        self._waiting: list[tuple[Task, Done | Exception]] = []
        self._since = time.monotonic()

    def work(self, function: Callable[[Any], Any], tasks: Iterable[Task], total: int, team: Crew, progress: bool | None) -> None:
        """Have every task done, record what comes back, and close the run.

        When it is stopped (Ctrl-C) what has come back is recorded, and the run stays open for the next call to go on with.
        """
        hidden = None if progress is None else not progress
        results = pool.run(function, tasks, team.count, client=team.client)
        try:
            with tqdm(total=total, desc=self.stage, unit="frame", disable=hidden) as bar:
                for task, result in results:
                    self._take(task, result, shared=team.client is None)
                    bar.update()
        finally:
            results.close()
            self._record()
        with self.archive.database.begin() as conn:
            runs.close_run(conn, self.run_id, {"n_failed": len(self.failed)})

    def _take(self, task: Task, result: Done | Exception, *, shared: bool) -> None:
        written = self._files and not isinstance(result, Exception)
        if written and not shared and not (self.archive.home / task.relpath).exists():
            message = f"{task.relpath}: was written by a worker, but is not here; workers and driver must share {self.archive.home}"
            result = MeasurementError("not_shared", message)
        self._waiting.append((task, result))
        if len(self._waiting) >= _GROUP_FRAMES or time.monotonic() - self._since > _GROUP_SECONDS:
            self._record()

    def _record(self) -> None:
        """Record what is waiting, in one transaction."""
        good = [(task, result) for task, result in self._waiting if not isinstance(result, Exception)]
        bad = [(task, result) for task, result in self._waiting if isinstance(result, Exception)]
        self._waiting, self._since = [], time.monotonic()
        if not good and not bad:
            return
        failures = [self._failure(task, error) for task, error in bad]
        if not self.synced:  # the workers left it to be done for many files at once
            sync_files(self.archive.home / task.relpath for task, _ in good)
        with self.archive.database.begin() as conn:
            self._store(conn, good, [(task, code, message) for (task, _), (_, code, message) in zip(bad, failures, strict=True)])
            troubles.resolve_frames(conn, [task.frame.frame_id for task, _ in good], self.stage)
            roots = filerows.root_ids(conn) if bad else {}
            for (task, _), (_, code, message) in zip(bad, failures, strict=True):
                frame = task.frame
                troubles.add_quarantine(conn, roots.get(frame.root), frame.relpath, self.stage, code, message, frame.frame_id)
        self.failed += failures
        self.measured += [task.frame.frame_id for task, _ in good]
        self._count(good)

    def _store(self, conn: Connection, good: Sequence[tuple[Any, Any]], bad: Sequence[tuple[Any, str, str]]) -> None:  # noqa: ARG002
        """Store the results of tasks; of those that failed, with code and message, there is nothing to store but their quarantine."""
        maps.record_maps(conn, [result.mesh for _, result in good if result.mesh is not None])
        runs.add_catalogs(conn, [self._row(task, result) for task, result in good])

    def _count(self, good: Sequence[tuple[Any, Any]]) -> None:
        """Count what has been stored."""
        self.sources += sum(result.rows for _, result in good)

    def _row(self, task: Task, done: Done) -> runs.NewCatalog:
        return runs.NewCatalog(
            frame_id=task.frame.frame_id, run_id=self.run_id, method=self.method, path=task.relpath, n_rows=done.rows, sha256=done.sha256,
            seeing=done.seeing, depth=done.depth, depth_aperture=done.depth_aperture, apertures=done.apertures, targets=self.targets,
        )  # fmt: skip

    @staticmethod
    def _failure(task: Task, error: Exception) -> tuple[str, str, str]:
        code = error.code if isinstance(error, CodedError) else type(error).__name__
        return str(task.frame.path), code, str(error) or type(error).__name__
