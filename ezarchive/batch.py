"""Batches: many frames measured by worker processes, one Parquet catalog each; killed anywhere, they resume."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ezarchive import columns, driver, pool
from ezarchive.catalogs import paths
from ezarchive.database import queries, runs, tables
from ezarchive.driver import BatchReport, Driver
from ezarchive.errors import InputError
from ezarchive.files import Lock
from ezarchive.frames.record import Frame
from ezarchive.measure import METHODS, MeasureOptions, Task, measure_frame
from ezarchive.warmup import is_compiled, warm_up

if TYPE_CHECKING:
    from ezarchive.archive import Archive

__all__ = ["BatchReport", "frames_of", "measure", "pin", "without_file"]

LOCK_NAME = ".measure.lock"
BYTES_PER_PIXEL = {"sex": 8, "photutils": 24}
"""Memory of a worker for each pixel of its frame: measured 6.7 and 20 for pixels of four bytes."""

BYTES_PER_WORKER = 250e6
_ORIGINS = 500
_FRAMES = "frame of an archive (a FrameSet, frames, images, frame ids or a table with frame_id are)"


def measure(
    archive: Archive,
    frames: Any = None,
    *,
    method: str | None = None,
    workers: int | None = None,
    memory_gb: float | None = None,
    executor: Any = None,
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
        ``"sex"``: detection and photometry with SExtractor's meaning of its parameters; ``"photutils"``: the same columns measured by
        photutils. The one in ``ezarchive.toml`` by default.
    workers : int, optional
        Processes; by default the cores, as far as the memory reaches. On a cluster: frames at work at once; by default one a thread.
    memory_gb : float, optional
        Memory that all workers may use together; by default 80 % of what is free, or what the cluster's workers are allowed.
    executor : str or distributed.Client, optional
        ``"processes"`` of this machine (the default), or a Dask cluster: ``"dask://host:port"`` of its scheduler, or a client. Its workers
        must see home and data roots under the same paths; only this process writes the database.
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
    deleted is measured again, unless the recipe has another one of it. A batch that was stopped (Ctrl-C, a kill, a cluster that ends)
    resumes the run that it had begun: whole catalogs that lack their row are taken over, the rest is measured.
    """
    started = time.monotonic()
    settings = archive.settings.measure
    method = method or settings.method
    if method not in METHODS:
        raise InputError(f"method={method!r}: must be one of {', '.join(METHODS)}")
    recipe = MeasureOptions.from_arguments({**settings.options, **options}, method)
    workers = workers if workers is not None else settings.workers
    memory_gb = memory_gb if memory_gb is not None else settings.memory_gb
    executor = executor if executor is not None else settings.executor
    pool.worker_count(workers, memory_gb=memory_gb)  # wrong arguments are told before any work
    pool.check_executor(executor)
    with Lock(archive.home / LOCK_NAME, what="measure"):
        chosen = None if frames is None and not again else frames_of(archive, frames)
        with archive.database.begin() as conn:
            recipe_id = runs.get_recipe(conn, method, recipe.parameters(), recipe.apertures())
            if chosen is None:
                todo, meant = _lacking(conn, archive.home, method, recipe_id)
            else:
                done = set() if again else runs.measured(conn, recipe_id, [frame.frame_id for frame in chosen])
                done -= without_file(conn, archive.home, method, recipe_id, done)
                todo, meant = [frame for frame in chosen if frame.frame_id not in done], len(chosen)
            run = runs.open_run(conn, recipe_id, driver.versions()) if todo else None
            if run is None and meant:
                runs.close_unfinished(conn, recipe_id)
        skipped = meant - len(todo)
        if run is None:
            return BatchReport(method, None, 0, skipped, (), 0, time.monotonic() - started)
        if run.resumed:
            for folder in (paths.CATALOGS, paths.MAPS):
                driver.remove_leftovers(archive.home / folder / str(run.run_id))
        work = Driver(archive, run.run_id, method)
        if method == "sex" and not is_compiled():
            warm_up()  # else every worker would compile the same loops the first time
        needed = BYTES_PER_WORKER + BYTES_PER_PIXEL[method] * max(frame.naxis1 * frame.naxis2 for frame in todo)
        with driver.crew(executor, workers, memory_gb, needed, len(todo)) as team:
            work.work(measure_frame, _tasks(archive, todo, run.run_id, recipe_id, method, recipe), len(todo), team, progress)
    elapsed = time.monotonic() - started
    return BatchReport(method, run.run_id, len(work.measured), skipped, tuple(work.failed), work.sources, elapsed, tuple(work.measured))


def _tasks(archive: Archive, frames: list[Frame], run_id: int, recipe_id: int, method: str, options: MeasureOptions) -> Iterator[Task]:
    provenance = {"method": method, "recipe_id": recipe_id, "parameters": options.parameters(), "versions": driver.versions()}
    for start in range(0, len(frames), _ORIGINS):
        part = frames[start : start + _ORIGINS]
        with archive.database.connect() as conn:
            origins = queries.origins(conn, [frame.frame_id for frame in part])
        for frame in part:
            names = {column.name: getattr(frame, column.name) for column in columns.NAMES}
            relative = str(paths.catalog_path(run_id, frame.frame_id, names=names, relpath=frame.relpath))
            yield Task(
                frame=frame, run_id=run_id, method=method, options=options, home=archive.home, relpath=relative,
                saturation_origin=origins.get(frame.frame_id, {}).get("saturation"), provenance=provenance,
            )  # fmt: skip


def pin(archive: Archive, run_id: int | None, *, method: str = "sex") -> int:
    """Make light curves use the catalogs of one run, also when newer ones come.

    Parameters
    ----------
    archive : Archive
    run_id : int or None
        The run, as ``Archive.runs`` lists them; None: each frame's newest catalog counts again.
    method : str
        With None: whose catalogs (``sex``, ``photutils``, ``circular``, ``elliptical``).

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
    ids = {*runs.unmeasured(conn, recipe_id), *without_file(conn, home, method, recipe_id, None)}
    found = [frame for frame in queries.frames_by_id(conn, sorted(ids)) if frame.kind == "science" and frame.path is not None]
    found.sort(key=lambda frame: (frame.mjd_mid is None, frame.mjd_mid or 0.0, frame.frame_id))
    return found, queries.count(conn, queries.FrameQuery(kinds=("science",)))


def without_file(conn: Any, home: Path, method: str, recipe_id: int, frame_ids: set[int] | None) -> set[int]:
    """Return the frames whose current catalog is not on the disk, and no other one of the recipe either."""
    known = tables.catalogs_table(conn, frame_ids=frame_ids, method=method)
    current = zip(known["frame_id"].to_pylist(), known["path"].to_pylist(), strict=True)
    lost = {frame_id for frame_id, path in current if not _exists(home, path)}
    # Where a run is pinned, the current catalog may be an old one whose file is lost: what was measured since is not measured again.
    return lost - {frame_id for frame_id, path in runs.catalog_paths(conn, recipe_id, lost) if _exists(home, path)}


def _exists(home: Path, path: str) -> bool:
    return os.path.exists(f"{home}/{path}")  # noqa: PTH110  there may be a million
