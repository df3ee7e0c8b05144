"""Work in spawned processes: bounded by cores and memory, and safe against a worker that dies.

``fork`` is not used: it can hang once Arrow or sep has started threads. A worker does not run the user's script again, as ``spawn`` makes
it do: the functions are ezarchive's own, and most scripts have no ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from numbers import Integral
from typing import Any, TypeVar

import psutil

from ezarchive.errors import InputError, MeasurementError

Task = TypeVar("Task")
Result = TypeVar("Result")

WORKER_DIED = "worker_died"


def worker_count(asked: int | None, *, bytes_each: float = 0.0, memory_gb: float | None = None) -> int:
    """Return how many worker processes to use.

    Parameters
    ----------
    asked : int or None
        What the user asked for; None: the cores this process may use.
    bytes_each : float
        Memory that one task needs.
    memory_gb : float or None
        Memory that all may use together, in 10^9 bytes; None: 80 % of what is free.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    InputError
        If ``asked`` is no whole number from 1, or ``memory_gb`` not positive.
    """
    if asked is not None and (isinstance(asked, bool) or not isinstance(asked, Integral)):
        raise InputError(f"workers={asked!r}: must be a whole number of processes")
    if asked is not None and asked < 1:
        raise InputError(f"workers={asked}: must be at least 1")
    if memory_gb is not None and memory_gb <= 0:
        raise InputError(f"memory_gb={memory_gb}: must be positive")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = cores if asked is None else int(asked)
    if bytes_each > 0:
        free = 0.8 * psutil.virtual_memory().available if memory_gb is None else memory_gb * 1e9
        count = min(count, int(free // bytes_each))
    return max(1, count)


def run(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int, *, ahead: int = 2
) -> Iterator[tuple[Task, Result | Exception]]:
    """Apply a function to every task and yield each task with its result, as they finish.

    Parameters
    ----------
    function : callable
        Importable by name; called with one task.
    tasks : iterable
        Picklable; consumed as workers become free.
    workers : int
        Processes; with 1 the work is done in this one.
    ahead : int
        Tasks handed out for each worker; more keep the workers busy while the caller is at the results.

    Yields
    ------
    task, result
        The result, or the exception that the function raised. A task that kills its worker yields a `MeasurementError` with the code
        ``worker_died``; the tasks that shared the pool with it are done again, alone.
    """
    if workers == 1:
        for task in tasks:
            yield task, _attempt(function, task)
        return
    queue = iter(tasks)
    while True:
        suspects: list[Task] = []
        yield from _run_pool(function, queue, (workers, ahead * workers), suspects)
        if not suspects:
            return
        for task in suspects:
            yield task, _alone(function, task)


def _attempt(function: Callable[[Task], Result], task: Task) -> Result | Exception:
    try:
        return function(task)
    except Exception as err:  # noqa: BLE001  handed to the caller, who records it
        return err


def _run_pool(
    function: Callable[[Task], Result], queue: Iterator[Task], size: tuple[int, int], suspects: list[Task]
) -> Iterator[tuple[Task, Result | Exception]]:
    """Work through the queue until it is empty or a worker dies; then ``suspects`` holds the tasks in flight (``size``: workers, tasks)."""
    pool = _executor(size[0])
    pending: dict[Future[Any], Task] = {}
    try:
        while True:
            for task in islice(queue, size[1] - len(pending)):
                pending[pool.submit(_attempt, function, task)] = task
            if not pending:
                return
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                task = pending.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    suspects.append(task)
                    continue
                except Exception as err:  # noqa: BLE001  a result that cannot be pickled; handed to the caller
                    result = err
                yield task, result
            if suspects:
                suspects.extend(pending.values())
                return
    except BrokenProcessPool:  # from submit: the task in hand and all in flight are done again
        suspects.extend([task, *pending.values()])
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _alone(function: Callable[[Task], Result], task: Task) -> Result | Exception:
    with _executor(1) as pool:
        try:
            return pool.submit(_attempt, function, task).result()
        except BrokenProcessPool:
            return MeasurementError(WORKER_DIED, "the process that worked on it died (out of memory, or a crash in compiled code)")


def _executor(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=_Context(), initializer=_prepare_worker)


class _Process(SpawnProcess):
    """A process that is not told of the script that started it."""

    _starting = threading.Lock()

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        with _Process._starting:
            prepare = spawn.get_preparation_data

            def without_main(name: str) -> dict[str, Any]:
                return {key: value for key, value in prepare(name).items() if not key.startswith("init_main_from_")}

            spawn.get_preparation_data = without_main
            try:
                return SpawnProcess._Popen(process_obj)
            finally:
                spawn.get_preparation_data = prepare


class _Context(SpawnContext):
    Process = _Process


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent is gone (a killed parent closes nothing)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
