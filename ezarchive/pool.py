"""Work in spawned processes or on a Dask cluster: bounded by cores and memory, and safe against a worker that dies.

``fork`` is not used: it can hang once Arrow or sep has started threads. A worker does not run the user's script again, as ``spawn`` makes
it do: the functions are ezarchive's own, and most scripts have no ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import ctypes
import math
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from ezarchive.errors import ClusterError, InputError, MeasurementError

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")

PROCESSES = "processes"
"""The executor that needs no cluster."""

CONNECT_SECONDS = 10
"""How long a Dask scheduler may take to answer."""

WORKER_DIED = "worker_died"

_DIED = "the process that worked on it died (out of memory, or a crash in compiled code)"
_ADDRESS = re.compile(r"dask://[^\s/]+:\d+")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of `mallopt`: from so many free bytes on the heap is made smaller; arrays from so many bytes on are mapped by themselves."""
_KEPT = 128 << 20
"""Bytes of freed memory that a process of a team may keep."""
_THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


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


@contextmanager
def connected(executor: Any) -> Iterator[Client | None]:
    """Give the Dask client that an argument ``executor`` stands for; None for processes of this machine.

    Parameters
    ----------
    executor : str or distributed.Client
        ``"processes"``, ``"dask://host:port"`` of a scheduler, or a client, which stays open.

    Raises
    ------
    InputError
        If it is none of these, nothing answers at the address, or Dask is not installed.
    """
    if executor in (None, PROCESSES):
        yield None
        return
    client_type, connect = _distributed(executor)
    if isinstance(executor, client_type):
        yield executor
        return
    client = connect(executor)
    try:
        yield client
    finally:
        client.close()


def check_executor(executor: Any) -> None:
    """Refuse an argument ``executor`` that `connected` could not use, without asking at the address.

    Raises
    ------
    InputError
        If it is none, or Dask is not installed.
    """
    if executor not in (None, PROCESSES):
        client_type, _ = _distributed(executor)
        if not isinstance(executor, client_type) and not (isinstance(executor, str) and _ADDRESS.fullmatch(executor)):
            raise InputError(f"executor={executor!r}: must be '{PROCESSES}', 'dask://host:port' or a distributed.Client")


def _distributed(executor: Any) -> tuple[type[Client], Callable[[str], Client]]:
    try:
        import distributed  # noqa: PLC0415  optional, and half a second
    except ImportError as err:
        raise InputError(f"executor={executor!r}: Dask is not installed; pip install 'ezarchive[dask]'") from err

    def connect(address: str) -> Client:
        check_executor(address)
        try:
            return distributed.Client(address.replace("dask://", "tcp://", 1), timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError) as err:
            raise InputError(f"executor={address!r}: no Dask scheduler answers there: {err}") from err

    return distributed.Client, connect


def cluster_count(client: Client, asked: int | None, *, bytes_each: float = 0.0, memory_gb: float | None = None) -> int:
    """Return how many tasks a Dask cluster is given at once: one a thread, as far as the memory of each worker reaches.

    Parameters as of `worker_count`; ``memory_gb`` is for all together.

    Raises
    ------
    InputError
        If the cluster has no workers, or as `worker_count`.
    """
    worker_count(asked, memory_gb=memory_gb)
    known = client.scheduler_info(n_workers=-1)["workers"].values()
    if not known:
        raise InputError(f"executor: the Dask scheduler at {client.scheduler.address} has no workers")
    count = 0
    for worker in known:
        limit = worker["memory_limit"] or math.inf
        count += worker["nthreads"] if not bytes_each else min(worker["nthreads"], max(1, int(min(limit // bytes_each, 1e6))))
    if memory_gb is not None and bytes_each > 0:
        count = min(count, max(1, int(memory_gb * 1e9 // bytes_each)))
    return count if asked is None else min(count, asked)


class Team:
    """Processes; those that stay from one `run` to the next (each takes seconds to start) keep some freed memory for their next arrays."""

    def __init__(self, workers: int, *, stays: bool = True) -> None:
        self.workers, self.stays = workers, stays
        self._executor: ProcessPoolExecutor | None = None

    def executor(self) -> ProcessPoolExecutor:
        """Return the processes, started as they are needed."""
        if self._executor is None:
            self._executor = _executor(self.workers, keeps=self.stays)
        return self._executor

    def end(self) -> None:
        """End the processes, so that others may have their memory; the next `run` starts new ones."""
        if self._executor is not None:
            self._executor.shutdown(wait=self.stays, cancel_futures=True)
            self._executor = None

    def stop(self) -> None:
        """End the processes at once, whatever they are at."""
        workers = list((self.executor()._processes or {}).values())  # the executor has no word for it before Python 3.14
        self.executor().shutdown(wait=False, cancel_futures=True)
        self._executor = None
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()


def run(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int, *,
    ahead: int = 2, client: Client | None = None, team: Team | None = None,
) -> Iterator[tuple[Task, Result | Exception]]:  # fmt: skip
    """Apply a function to every task and yield each task with its result, as they finish.

    Parameters
    ----------
    function : callable
        Importable by name; called with one task.
    tasks : iterable
        Picklable; consumed as workers become free.
    workers : int
        Processes; with 1 the work is done in this one. With a cluster: tasks at work at once.
    ahead : int
        Tasks handed out for each worker; more keep the workers busy while the caller is at the results.
    client : distributed.Client, optional
        Of the Dask cluster that does the work, in place of processes.
    team : Team, optional
        Processes that do the work and stay; by default new ones.

    Yields
    ------
    task, result
        The result, or the exception that the function raised. A task that kills its worker yields a `MeasurementError` with the code
        ``worker_died``; the tasks that shared the pool with it are done again, alone.

    Notes
    -----
    When the caller stops before the end (an error, Ctrl-C), processes at work are ended at once and what waits is dropped; a task that a
    Dask worker has begun is finished there, unheard.
    """
    if client is not None:
        yield from _run_cluster(function, iter(tasks), workers, client)
        return
    if workers == 1:
        for task in tasks:
            yield task, _attempt(function, task)
        return
    queue = iter(tasks)
    while True:
        suspects: list[Task] = []
        yield from _run_pool(function, queue, team or Team(workers, stays=False), ahead * workers, suspects)
        if not suspects:
            return
        for task in suspects:
            yield task, _alone(function, task)


def _run_cluster(
    function: Callable[[Task], Result], queue: Iterator[Task], count: int, client: Client
) -> Iterator[tuple[Task, Result | Exception]]:
    """Keep ``count`` tasks on the cluster until the queue is empty; a worker that dies has its tasks done again by others."""
    import distributed  # noqa: PLC0415  optional, and half a second

    pending: dict[Any, Task] = {}
    arriving = distributed.as_completed(loop=client.loop)
    try:
        while True:
            for task in islice(queue, count - len(pending)):
                # A key of its own: equal tasks of another batch would be taken for this one.
                future = client.submit(_attempt_there, function, task, pure=False)
                pending[future] = task
                arriving.add(future)
            if not pending:
                return
            future = next(arriving)
            task = pending.pop(future)
            try:
                result = future.result()
            except CancelledError as err:
                raise ClusterError(f"the Dask cluster has gone ({err}); what is done is kept, the same call goes on from there") from err
            except distributed.KilledWorker as err:
                result = MeasurementError(WORKER_DIED, f"{_DIED}: {err}")
            except Exception as err:  # noqa: BLE001  a result that cannot be pickled, a cluster that is gone; handed to the caller
                result = err
            future.release()
            yield task, result
    finally:
        if client.status == "running":
            client.cancel(list(pending))


def _attempt_there(function: Callable[[Task], Result], task: Task) -> Result | Exception:
    _one_thread()
    return _attempt(function, task)


def _attempt(function: Callable[[Task], Result], task: Task) -> Result | Exception:
    try:
        return function(task)
    except Exception as err:  # noqa: BLE001  handed to the caller, who records it
        return err


def _run_pool(
    function: Callable[[Task], Result], queue: Iterator[Task], team: Team, most: int, suspects: list[Task]
) -> Iterator[tuple[Task, Result | Exception]]:
    """Work through the queue until it is empty or a worker dies; then ``suspects`` holds the tasks in flight (``most`` at once)."""
    pool = team.executor()
    pending: dict[Future[Any], Task] = {}
    try:
        while True:
            for task in islice(queue, most - len(pending)):
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
        if pending and not suspects:  # the caller has stopped: nobody waits for what they are at
            team.stop()
        elif suspects or not team.stays:
            team.end()


def _alone(function: Callable[[Task], Result], task: Task) -> Result | Exception:
    with _executor(1, keeps=False) as pool:
        try:
            return pool.submit(_attempt, function, task).result()
        except BrokenProcessPool:
            return MeasurementError(WORKER_DIED, _DIED)


def _executor(workers: int, *, keeps: bool) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=_Context(), initializer=_prepare_worker, initargs=(keeps,))


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


def _one_thread() -> None:
    """Leave one thread to compiled code: there is a worker a core."""
    for name in _THREADS:  # read when the libraries are loaded
        os.environ.setdefault(name, "1")
    if "numba" in sys.modules:
        sys.modules["numba"].set_num_threads(1)


def _return_memory(*, keeps: bool) -> None:
    """Make the C library give freed arrays back at once, or (`keeps`) but for some MB: it would keep the more the larger they were."""
    if keeps:
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # its own gives all back; read when it is loaded
    with suppress(OSError, AttributeError):  # glibc alone has this
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, 1 << 25 if keeps else 1 << 20)
        if keeps:
            library.mallopt(_TRIM_THRESHOLD, _KEPT)


def _prepare_worker(keeps: bool) -> None:
    """Leave Ctrl-C to the parent, and end when the parent is gone (a killed parent closes nothing)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _one_thread()
    _return_memory(keeps=keeps)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
