"""A real Dask cluster for the tests: a scheduler and two workers with one thread each, in processes of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

SCRIPT = """
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="2GB", dashboard_address="127.0.0.1:0", host="127.0.0.1") as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@contextmanager
def started() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Give the address of a cluster, as ``dask://host:port``, and its process."""
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("Dask is not tested: pip install distributed")
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    here = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),  # the workers import the tests' functions
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",  # 3 by default: each costs seconds
    }
    with subprocess.Popen(command, text=True, env=here, **pipes) as process:
        yield process.stdout.readline().strip().replace("tcp://", "dask://"), process
        process.stdin.close()
        process.wait(30)


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a cluster that all tests share."""
    with started() as (address, _):
        yield address
