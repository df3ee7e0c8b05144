"""The work of an anchoring, shared out over threads or processes; what is found does not depend on their number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ezarchive import pool
from ezarchive.compare.anchoring.table import FitRecord
from ezarchive.compare.anchoring.threads import run_threads
from ezarchive.compare.anchoring.work import AnchorTask, fit_image
from ezarchive.errors import EzarchiveError

_BYTES_EACH = 16
"""Times the size of its file: the memory that an image takes while it is convolved, if the file holds nothing else."""


def split_task(task: AnchorTask, threads: int) -> list[AnchorTask]:
    """Return an image's comparisons as tasks of their own, whose records in a row are those of the task; each with so many threads."""
    job = replace(task.job, threads=threads)
    parts = [replace(task, job=job, surveys=(survey,), references=(), prepare=False) for survey in task.surveys]
    if task.references or task.prepare or not parts:
        parts.append(replace(task, job=job, surveys=()))
    return parts


def images_at_once(images: Iterable[Path]) -> int:
    """Return how many images may be worked on at once in threads: one a core, as far as the memory that is free reaches."""
    return pool.worker_count(None, bytes_each=_BYTES_EACH * max(map(_size, images), default=0))


def run_tasks(tasks: Sequence[AnchorTask], procs: int, team: pool.Team) -> list[tuple[AnchorTask, tuple[FitRecord, ...]]]:
    """Work through tasks, in parts, the largest images first so that all end together.

    Parameters
    ----------
    tasks : sequence of AnchorTask
    procs : int
        With 1 the parts are shared out over threads of this process, and each has those that are left.
    team : Team
        Processes that do the work with more than 1.

    Returns
    -------
    list of (AnchorTask, tuple of FitRecord)
        In the order of the tasks. A part whose process died costs that part only; its record says so.
    """
    number = sum(len(split_task(task, 1)) for task in tasks)
    at_once = min(images_at_once(task.target.image for task in tasks), max(number, 1)) if procs == 1 else 1
    parts = [split_task(task, max(1, task.job.threads // at_once)) for task in tasks]
    waiting = sorted((part for some in parts for part in some), key=lambda part: -_size(part.target.image))
    if procs == 1:
        results = run_threads(fit_image, waiting, at_once)
    else:
        results = pool.run(fit_image, waiting, min(procs, max(number, 1)), team=team)
    found = {id(part): _records(part, result) for part, result in results}
    return [(task, tuple(record for part in some for record in found[id(part)])) for task, some in zip(tasks, parts, strict=True)]


def _records(part: AnchorTask, result: tuple[FitRecord, ...] | Exception) -> tuple[FitRecord, ...]:
    """Return what was found; of a process that died, a record that says so."""
    if not isinstance(result, Exception):
        return result
    if not isinstance(result, EzarchiveError):
        raise result
    what, code = part.target, getattr(result, "code", "")
    return (FitRecord(what.band, what.instrument, what.image, "", Path(), "", "", code=code, message=str(result)),)


def _size(image: Path) -> int:
    try:
        return image.stat().st_size
    except OSError:
        return 0
