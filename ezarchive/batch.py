"""Batches: many frames measured by worker processes, one Parquet catalog each; killed anywhere, they resume."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ezarchive import columns, pool
from ezarchive.catalogs import paths
from ezarchive.database import filerows, queries, runs, tables, troubles
from ezarchive.errors import CodedError, InputError
from ezarchive.files import Lock, is_temporary
from ezarchive.frames.record import Frame
from ezarchive.measure import METHODS, Done, MeasureOptions, Task, measure_frame

if TYPE_CHECKING:
    from ezarchive.archive import Archive

LOCK_NAME = ".measure.lock"
PACKAGES = ("ezarchive", "astropy", "numpy", "sep", "pyarrow")
BYTES_PER_PIXEL = 14
BYTES_PER_WORKER = 250e6
_FRAMES = "frame of an archive (a FrameSet, frames, images, frame ids or a table with frame_id are)"


@dataclass(frozen=True)
class BatchReport:
    """What a batch did: counts of frames, and why some failed.

    ``failed`` lists ``(path, code, message)``; the same stands in the table ``quarantine`` (stage ``measure``).
    """

    method: str
    run_id: int | None
    measured: int
    skipped: int
    failed: tuple[tuple[str, str, str], ...]
    sources: int
    elapsed: float
    frame_ids: tuple[int, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether no frame failed."""
        return not self.failed

    def __str__(self) -> str:
        run = "no run" if self.run_id is None else f"run {self.run_id}"
        first = (
            f"{self.method}: {self.measured} frames measured ({self.sources} sources), {self.skipped} already done, "
            f"{len(self.failed)} failed; {run}; {self.elapsed:.1f} s"
        )
        return "\n".join([first, *(f"  {path}: {code}: {message}" for path, code, message in self.failed)])


def measure(
    archive: Archive,
    frames: Any = None,
    *,
    method: str | None = None,
    workers: int | None = None,
    memory_gb: float | None = None,
    again: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> BatchReport:
    """Measure frames and store a catalog for each.

    Parameters
    ----------
    archive : Archive
    frames : FrameSet, DataBrowser, iterable of frames, images or frame ids, optional
        What to measure; by default every science frame that is there.
    method : str, optional
        ``"sex"``: detection and photometry with SExtractor's meaning of its parameters. The one in ``ezarchive.toml`` by default.
    workers : int, optional
        Processes; by default the cores, as far as the memory reaches.
    memory_gb : float, optional
        Memory that all workers may use together; by default 80 % of what is free.
    again : bool
        Measure also frames that this recipe has measured already, in a new run.
    progress : bool, optional
        Show a progress bar; by default on a terminal only.
    **options
        Fields of `ezarchive.measure.MeasureOptions`; those in ``ezarchive.toml`` and then its defaults by default.

    Returns
    -------
    BatchReport

    Raises
    ------
    InputError
        If the method is unknown or an option wrong.
    UnknownNameError
        If there is no option of that name.
    LockedError
        If another batch is at work in this archive.

    Notes
    -----
    "Already measured" is judged by recipe: method, parameters and apertures, not by versions. A frame whose current catalog has been
    deleted is measured again, unless the recipe has another one of it. A batch that was stopped resumes the run that it had begun:
    whole catalogs that lack their row are taken over, the rest is measured.
    """
    started = time.monotonic()
    method = method or archive.settings.measure.method
    if method not in METHODS:
        raise InputError(f"method={method!r}: must be one of {', '.join(METHODS)}")
    recipe = MeasureOptions.from_arguments({**archive.settings.measure.options, **options})
    workers = workers if workers is not None else archive.settings.measure.workers
    memory_gb = memory_gb if memory_gb is not None else archive.settings.measure.memory_gb
    pool.worker_count(workers, memory_gb=memory_gb)  # wrong arguments are told before any work
    with Lock(archive.home / LOCK_NAME, what="measure"):
        chosen = None if frames is None and not again else frames_of(archive, frames)
        with archive.database.begin() as conn:
            recipe_id = runs.get_recipe(conn, method, recipe.parameters(), recipe.apertures())
            if chosen is None:
                todo, meant = _lacking(conn, archive.home, method, recipe_id)
            else:
                done = set() if again else runs.measured(conn, recipe_id, [frame.frame_id for frame in chosen])
                done -= _without_file(conn, archive.home, method, recipe_id, done)
                todo, meant = [frame for frame in chosen if frame.frame_id not in done], len(chosen)
            run = runs.open_run(conn, recipe_id, _versions()) if todo else None
            if run is None and meant:
                runs.close_unfinished(conn, recipe_id)
        run_id = None if run is None else run.run_id
        if run is not None and run.resumed:
            _remove_leftovers(archive.home / paths.CATALOGS / str(run.run_id))
        batch = _Batch(archive, method, recipe_id, run_id, recipe)
        if run_id is not None:
            largest = max(frame.naxis1 * frame.naxis2 for frame in todo)
            count = pool.worker_count(workers, bytes_each=BYTES_PER_WORKER + BYTES_PER_PIXEL * largest, memory_gb=memory_gb)
            batch.work(todo, min(count, len(todo)), progress)
    return BatchReport(
        method, run_id, len(batch.measured), meant - len(todo), tuple(batch.failed), batch.sources,
        time.monotonic() - started, tuple(batch.measured),
    )  # fmt: skip


def pin(archive: Archive, run_id: int | None, *, method: str = "sex") -> int:
    """Make light curves use the catalogs of one run, also when newer ones come.

    Parameters
    ----------
    archive : Archive
    run_id : int or None
        The run, as ``Archive.runs`` lists them; None: each frame's newest catalog counts again.
    method : str
        With None: whose catalogs.

    Returns
    -------
    int
        How many catalogs were pinned or freed.

    Raises
    ------
    InputError
        If the run has no catalogs.
    """
    with archive.database.begin() as conn:
        return runs.unpin(conn, method) if run_id is None else runs.pin_run(conn, run_id)


def frames_of(archive: Archive, frames: Any = None) -> list[Frame]:
    """Return the frames that a user means, each once, in a stable order.

    Parameters
    ----------
    archive : Archive
    frames : FrameSet, DataBrowser, iterable of Frame, ArchiveImage or int, table with ``frame_id``, or None
        None: every science frame that is there.

    Returns
    -------
    list of Frame

    Raises
    ------
    InputError
        If an item is none of these, or a frame id is not in the archive.
    """
    with archive.database.connect() as conn:
        if frames is None:
            return queries.search(conn, queries.FrameQuery(kinds=("science",)))
        frames = frames.frames() if callable(getattr(frames, "frames", None)) else frames
        if "frame_id" in getattr(frames, "columns", ()):  # of pandas or astropy
            frames = frames["frame_id"].tolist()
        if isinstance(frames, (Integral, Frame)) or hasattr(frames, "frame_id"):
            frames = [frames]
        items = getattr(frames, "target_images", frames)
        if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
            raise InputError(f"frames: {items!r} is no {_FRAMES}")
        ids = list(dict.fromkeys(_frame_id(item) for item in items))
        found = {frame.frame_id: frame for frame in queries.frames_by_id(conn, ids)}
    absent = [frame_id for frame_id in ids if frame_id not in found]
    if absent:
        raise InputError(f"frames: frame_id {absent[0]} is not in this archive")
    return [found[frame_id] for frame_id in ids]


def _frame_id(item: Any) -> int:
    frame_id = item if isinstance(item, Integral) and not isinstance(item, bool) else getattr(item, "frame_id", None)
    if frame_id is None:
        raise InputError(f"frames: {item!r} is no {_FRAMES}")
    return int(frame_id)


def _lacking(conn: Any, home: Path, method: str, recipe_id: int) -> tuple[list[Frame], int]:
    """Return the science frames that lack a catalog of the recipe, in the order of time, and how many science frames there are.

    The database picks them: of ten million frames only those of the night become records.
    """
    ids = {*runs.unmeasured(conn, recipe_id), *_without_file(conn, home, method, recipe_id, None)}
    found = [frame for frame in queries.frames_by_id(conn, sorted(ids)) if frame.kind == "science" and frame.path is not None]
    found.sort(key=lambda frame: (frame.mjd_mid is None, frame.mjd_mid or 0.0, frame.frame_id))
    return found, queries.count(conn, queries.FrameQuery(kinds=("science",)))


def _without_file(conn: Any, home: Path, method: str, recipe_id: int, frame_ids: set[int] | None) -> set[int]:
    """Return the frames whose current catalog is not on the disk, and no other one of the recipe either."""
    known = tables.catalogs_table(conn, frame_ids=frame_ids, method=method)
    current = zip(known["frame_id"].to_pylist(), known["path"].to_pylist(), strict=True)
    lost = {frame_id for frame_id, path in current if not _exists(home, path)}
    # Where a run is pinned, the current catalog may be an old one whose file is lost: what was measured since is not measured again.
    return lost - {frame_id for frame_id, path in runs.catalog_paths(conn, recipe_id, lost) if _exists(home, path)}


def _exists(home: Path, path: str) -> bool:
    return os.path.exists(f"{home}/{path}")  # noqa: PTH110  there may be a million


def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of a batch that was killed; the lock says that nobody is writing them."""
    for place, _, names in os.walk(folder):
        for name in filter(is_temporary, names):
            (Path(place) / name).unlink(missing_ok=True)


class _Batch:
    """The frames of one run on their way: tasks out, rows in; only this process writes the database."""

    def __init__(self, archive: Archive, method: str, recipe_id: int, run_id: int | None, options: MeasureOptions) -> None:
        self.archive, self.method, self.recipe_id, self.run_id, self.options = archive, method, recipe_id, run_id, options
        self.measured: list[int] = []
        self.failed: list[tuple[str, str, str]] = []
        self.sources = 0

    def work(self, frames: list[Frame], workers: int, progress: bool | None) -> None:
        hidden = None if progress is None else not progress
        results = pool.run(measure_frame, self._tasks(frames), workers)
        with tqdm(total=len(frames), desc="measure", unit="frame", disable=hidden) as bar:
            for task, result in results:
                if isinstance(result, Done):
                    self._record(task, result)
                else:
                    self._fail(task, result)
                bar.update()
        with self.archive.database.begin() as conn:
            runs.close_run(conn, self.run_id, {"n_failed": len(self.failed)})

    def _tasks(self, frames: Iterable[Frame]) -> Iterator[Task]:
        assert self.run_id is not None
        versions = _versions()
        for frame in frames:
            with self.archive.database.connect() as conn:
                origin = queries.origin(conn, frame.frame_id)
            names = {column.name: getattr(frame, column.name) for column in columns.NAMES}
            relative = str(paths.catalog_path(self.run_id, frame.frame_id, names=names, relpath=frame.relpath))
            provenance = {"method": self.method, "recipe_id": self.recipe_id, "parameters": self.options.parameters(), "versions": versions}
            yield Task(
                frame=frame, run_id=self.run_id, options=self.options, home=self.archive.home, relpath=relative,
                saturation_origin=origin.get("saturation"), provenance=provenance,
            )  # fmt: skip

    def _record(self, task: Task, done: Done) -> None:
        frame = task.frame
        with self.archive.database.begin() as conn:
            runs.add_catalog(
                conn, frame.frame_id, task.run_id, method=self.method, path=task.relpath, n_rows=done.rows, sha256=done.sha256,
                seeing=done.seeing, depth=done.depth, depth_aperture=done.depth_aperture, apertures=done.apertures,
            )  # fmt: skip
            troubles.resolve_frame(conn, frame.frame_id, "measure")
        self.measured.append(frame.frame_id)
        self.sources += done.rows

    def _fail(self, task: Task, error: Exception) -> None:
        frame = task.frame
        code = error.code if isinstance(error, CodedError) else type(error).__name__
        message = str(error) or type(error).__name__
        with self.archive.database.begin() as conn:
            root_id = filerows.root_ids(conn).get(frame.root)
            troubles.add_quarantine(conn, root_id, frame.relpath, "measure", code, message, frame.frame_id)
        self.failed.append((str(frame.path), code, message))
