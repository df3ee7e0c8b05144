"""Worker pools: every task comes back, whatever happens to the processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import clusters
import psutil
import pytest

from ezarchive import pool
from ezarchive.errors import ClusterError, FrameError, InputError, MeasurementError

cluster = clusters.cluster


def double(value: int) -> int:
    if value == 3:
        raise FrameError("odd", "three is not wanted")
    if value == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * value


def process_of(value: int) -> int:
    return os.getpid()


class Unpicklable(Exception):
    def __init__(self, a, b):
        super().__init__("only one")


def wait_for_signal(value: int) -> int:
    time.sleep(60 if value else 0)
    return value


def raise_unpicklable(value: int) -> int:
    raise Unpicklable(value, value)


def check(results):
    assert sorted(results) == list(range(12))
    for task, result in results.items():
        if task == 3:
            assert isinstance(result, FrameError)
            assert (result.code, str(result)) == ("odd", "three is not wanted")
        elif task == 5:
            assert isinstance(result, MeasurementError)
            assert result.code == pool.WORKER_DIED
        else:
            assert result == 2 * task


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_dying_worker_costs_only_its_own_task():
    check(dict(pool.run(double, range(12), workers=2)))


def test_one_worker_is_this_process():
    results = dict(pool.run(double, [0, 1, 3], workers=1))
    assert results[1] == 2
    assert isinstance(results[3], FrameError)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_an_exception_that_cannot_be_pickled_still_comes_back():
    results = dict(pool.run(raise_unpicklable, range(4), workers=2))
    assert sorted(results) == [0, 1, 2, 3]
    assert all(isinstance(result, Exception) for result in results.values())


def test_worker_count_is_bounded_by_memory_and_never_zero():
    assert pool.worker_count(8, bytes_each=1e9, memory_gb=3.5) == 3
    assert pool.worker_count(8, bytes_each=1e12, memory_gb=1) == 1
    assert pool.worker_count(5) == 5
    assert pool.worker_count(None) >= 1
    with pytest.raises(InputError, match="workers=0: must be at least 1"):
        pool.worker_count(0)
    with pytest.raises(InputError, match="memory_gb=-1: must be positive"):
        pool.worker_count(1, memory_gb=-1)


ORPHANS = """
import time
from ezarchive import pool
if __name__ == "__main__":
    print("started", flush=True)
    for _ in pool.run(time.sleep, [0.1] * 8 + [60] * 8, workers=2):
        print("one", flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_workers_end_when_their_parent_is_killed(tmp_path: Path):
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as child:
        for _ in range(3):
            child.stdout.readline()
        workers = psutil.Process(child.pid).children(recursive=True)
        assert workers
        child.kill()
        child.wait()
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_script_without_a_guard_runs_once(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from ezarchive import pool\nprint('begins')\nprint(sorted(pool.run(abs, [-1, -2], 2)))\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("begins\n[(-2, 2), (-1, 1)]\n", "")


@pytest.mark.parametrize("workers", ["2", 1.5, True])
def test_a_number_of_workers_that_is_none(workers):
    with pytest.raises(InputError, match=f"workers={workers!r}: must be a whole number of processes"):
        pool.worker_count(workers)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_dask_cluster_does_the_work_though_a_task_kills_its_workers(cluster):
    with pool.connected(cluster) as client:
        check(dict(pool.run(double, range(12), 2, client=client)))


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_client_can_be_given_and_stays_open(cluster):
    import distributed

    with distributed.Client(cluster.replace("dask://", "tcp://"), set_as_default=False) as client:
        with pool.connected(client) as given:
            assert given is client
            assert isinstance(dict(pool.run(raise_unpicklable, range(4), 2, client=client))[3], Exception)
        assert client.status == "running"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_tasks_on_a_cluster_are_bounded_by_threads_and_memory(cluster):
    with pool.connected(cluster) as client:
        assert pool.cluster_count(client, None) == 2
        assert pool.cluster_count(client, 1) == 1
        assert pool.cluster_count(client, None, bytes_each=1e11) == 2  # at least one a worker
        assert pool.cluster_count(client, None, bytes_each=1e9, memory_gb=1.5) == 1
        with pytest.raises(InputError, match="workers=0: must be at least 1"):
            pool.cluster_count(client, 0)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_cluster_that_ends_in_the_middle_is_an_error_of_its_own():
    with clusters.started() as (address, process), pool.connected(address) as client:
        results = pool.run(wait_for_signal, [0, 60, 60], 2, client=client)
        assert next(results)[1] == 0
        process.terminate()
        with pytest.raises(ClusterError, match="the Dask cluster has gone"):
            list(results)


@pytest.mark.parametrize("executor", ["threads", "dask://host", 5])
def test_an_executor_that_is_none(executor):
    with pytest.raises(InputError, match=f"executor={executor!r}: must be 'processes', 'dask://host:port' or a distributed.Client"):
        pool.check_executor(executor)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_nothing_answers(monkeypatch):
    monkeypatch.setattr(pool, "CONNECT_SECONDS", 1)
    with (
        pytest.raises(InputError, match="executor='dask://127.0.0.1:9': no Dask scheduler answers there"),
        pool.connected("dask://127.0.0.1:9"),
    ):
        pass


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_workers_end_at_once_when_the_caller_stops():
    before = set(psutil.Process().children(recursive=True))
    results = pool.run(wait_for_signal, [0, 60, 60], 2)
    assert next(results) == (0, 0)
    workers = [process for process in psutil.Process().children() if process not in before and "spawn_main" in "".join(process.cmdline())]
    assert len(workers) == 2
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 10
    assert not [process for process in workers if process.is_running()]


def threads_of(_: int) -> str:
    return os.environ["NUMBA_NUM_THREADS"]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_compiled_code_has_one_thread_in_a_worker(monkeypatch):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    assert [result for _, result in pool.run(threads_of, range(2), 2)] == ["1", "1"]


def test_a_team_stays():
    team = pool.Team(1)
    try:
        first, second = ({result for _, result in pool.run(process_of, range(3), 2, team=team)} for _ in range(2))
        assert first == second
        assert os.getpid() not in first
        team.end()
        assert {result for _, result in pool.run(process_of, range(3), 2, team=team)} != first
    finally:
        team.end()
