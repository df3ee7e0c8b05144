"""Read the headers of many files, in order, in worker processes; a file that cannot be read comes back with its reason.

This module is what the workers import: it knows nothing of the database.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from ezarchive import pool
from ezarchive.config import RootSettings, SiteSettings
from ezarchive.errors import FrameError, MeasurementError
from ezarchive.frames.header import ReadFrame, read_file
from ezarchive.frames.instruments import Instruments
from ezarchive.indexing.walk import Found

IN_PROCESS = 256
"""Up to so many files are read in this process: to start others takes a second or two."""

CHUNK = 64
"""Files that a worker is given at a time."""

AHEAD = 16
"""Chunks handed out for each worker: enough to read on while a batch is being written."""

AGAIN = ("no_permission", "io_error", pool.WORKER_DIED)
"""Codes of failures that may pass without the file being touched; such files are ``waiting``."""


@dataclass(frozen=True)
class Source:
    """A root, and what is needed to read its files."""

    name: str
    root: RootSettings
    instruments: Instruments
    sites: Mapping[str, SiteSettings]
    settle_seconds: float


class Reading(NamedTuple):
    """One file, read: its signature as it was then, its frames, or why it has none.

    ``state`` is ``ok``, ``waiting``, ``corrupt`` or ``vanished``; ``code`` and ``message`` say why it is not ``ok``.
    """

    relpath: bytes
    size: int
    mtime_ns: int
    inode: int
    state: str
    frames: tuple[ReadFrame, ...] = ()
    code: str | None = None
    message: str | None = None


def read_many(source: Source, files: Iterable[Found], workers: int | None = None) -> Iterator[Reading]:
    """Read files, in worker processes if there are many.

    Parameters
    ----------
    source : Source
    files : iterable of Found
        Consumed as the work goes on.
    workers : int, optional
        Processes; the cores by default. With 1 this process reads.

    Yields
    ------
    Reading
        In the order of ``files``.
    """
    count = pool.worker_count(workers)
    files = iter(files)
    first = list(islice(files, IN_PROCESS + 1)) if count > 1 else []
    if len(first) <= IN_PROCESS:
        yield from (read_one(source, item) for item in chain(first, files))
        return
    yield from _in_order(_read_chunks(source, chain(first, files), count))


def _read_chunks(source: Source, files: Iterator[Found], workers: int) -> Iterator[tuple[int, list[Reading]]]:
    """Read chunks of files in worker processes; yield each with its number, as they are done."""
    chunks = enumerate(iter(lambda: tuple(islice(files, CHUNK)), ()))
    handed: dict[int, tuple[Found, ...]] = {}

    def hand_out() -> Iterator[tuple[int, tuple[Found, ...]]]:
        for index, chunk in chunks:
            handed[index] = chunk
            yield index, chunk

    done = pool.run(partial(_read_chunk, source), hand_out(), workers, ahead=AHEAD)
    for (index, chunk), readings in done:
        if isinstance(readings, Exception):
            if not _workers_start():
                done.close()
                break
            readings = _one_by_one(source, chunk)
        del handed[index]
        yield index, readings
    # Here no worker starts at all (a script without a __main__ guard, most often), so this process reads.
    for index, chunk in chain(sorted(handed.items()), chunks):
        yield index, [read_one(source, item) for item in chunk]


def _in_order(numbered: Iterable[tuple[int, list[Reading]]]) -> Iterator[Reading]:
    early: dict[int, list[Reading]] = {}
    wanted = 0
    for index, readings in numbered:
        early[index] = readings
        while wanted in early:
            yield from early.pop(wanted)
            wanted += 1


def _read_chunk(source: Source, task: tuple[int, tuple[Found, ...]]) -> list[Reading]:
    return [read_one(source, item) for item in task[1]]


def _workers_start() -> bool:
    return not isinstance(next(pool.run(abs, [1], 2))[1], Exception)


def _one_by_one(source: Source, chunk: tuple[Found, ...]) -> list[Reading]:
    """Read the files of a chunk that cost a worker its life, so that only the file that did it is lost."""
    done = dict(pool.run(partial(read_one, source), chunk, 2))
    return [_failed(item, done[item]) if isinstance(done[item], Exception) else done[item] for item in chunk]


def _failed(item: Found, err: Exception) -> Reading:
    code = err.code if isinstance(err, MeasurementError) else "unexpected"
    return Reading(*item, "waiting" if code in AGAIN else "corrupt", (), code, str(err))


def read_one(source: Source, item: Found) -> Reading:
    """Read one file.

    A file is ``waiting`` if it changed while it was read, or is shorter than its header says and was written to within
    ``settle_seconds``.

    Parameters
    ----------
    source : Source
    item : Found

    Returns
    -------
    Reading
    """
    relpath = os.fsdecode(item.relpath)
    path = source.root.path / relpath
    try:
        before = _signature(item.relpath, path)
        try:
            frames = _frames(source, path, relpath)
            reading = Reading(*before, "ok", frames)
        except FrameError as err:
            reading = _problem(before, err.code, str(err), source.settle_seconds)
        if _signature(item.relpath, path) != before:
            return Reading(*before, "waiting")
    except FileNotFoundError:
        return Reading(*item, "vanished")
    except OSError as err:
        code = "no_permission" if isinstance(err, PermissionError) else "io_error"
        return _problem(item, code, f"{err.strerror or err}; it is looked at again next time", source.settle_seconds)
    except Exception as err:  # noqa: BLE001  one file must not stop the run; the reason is stored in the quarantine
        return _problem(item, "unexpected", f"{type(err).__name__}: {err}", source.settle_seconds)
    return Reading(*item, "vanished") if reading.code == "vanished" else reading


def _frames(source: Source, path: Path, relpath: str) -> tuple[ReadFrame, ...]:
    return tuple(
        read_file(path, relpath=relpath, root=source.root, root_name=source.name, instruments=source.instruments, sites=source.sites)
    )


def _problem(item: Found, code: str, message: str, settle_seconds: float) -> Reading:
    if code == "truncated" and abs(time.time() - item.mtime_ns / 1e9) < settle_seconds:
        return Reading(*item, "waiting")
    return Reading(*item, "waiting" if code in AGAIN else "corrupt", (), code, message)


def _signature(relpath: bytes, path: Path) -> Found:
    status = path.stat()
    return Found(relpath, status.st_size, status.st_mtime_ns, status.st_ino)
