"""Threads of one process: the arrays of several images at once, headers and figures one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import RLock
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

ALONE = RLock()
"""Held by whoever is at headers, WCS, units or figures: the filters of warnings, which those change, are those of all threads."""


def run_threads(function: Callable[[Task], Result], tasks: Sequence[Task], threads: int) -> Iterator[tuple[Task, Result | Exception]]:
    """Apply a function to every task, some at a time, and yield each task with its result, in their order.

    Parameters
    ----------
    function : callable
    tasks : sequence
    threads : int
        Tasks at work at once; with 1 (or one task) the caller's own thread does the work.

    Yields
    ------
    task, result
        The result, or the exception that the function raised. When the caller stops before the end, what waits is dropped.
    """
    if min(threads, len(tasks)) <= 1:
        for task in tasks:
            yield task, _attempt(function, task)
        return
    crew = ThreadPoolExecutor(min(threads, len(tasks)))
    try:
        futures = [crew.submit(_attempt, function, task) for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            yield task, future.result()
    finally:
        crew.shutdown(cancel_futures=True)


def _attempt(function: Callable[[Task], Result], task: Task) -> Result | Exception:
    try:
        return function(task)
    except Exception as err:  # noqa: BLE001  handed to the caller, who records it
        return err
