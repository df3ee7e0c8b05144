"""Batches on a real Dask cluster, and batches that are stopped by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import clusters
import psutil
import pytest

from ezarchive import Archive, simulate
from ezarchive.errors import ClusterError

cluster = clusters.cluster
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
N_FRAMES = 8


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """Eight frames of one field."""
    folder = tmp_path_factory.mktemp("field")
    options = {"targets": simulate.TARGETS[:1], "telescopes": ("7DT01",), "filters": ("m600", "m625"), "n_epochs": N_FRAMES // 2}
    return simulate.toy_archive(folder, shape=(200, 220), lacking=0.0, **options).scidata


@pytest.fixture
def home(tree, tmp_path) -> Path:
    with Archive.create(tmp_path / "home", roots={"scidata": tree}) as archive:
        archive.index(progress=False, workers=1)
    return tmp_path / "home"


def rows(archive):
    """What was measured, free of times and ids of runs."""
    return archive.sql("SELECT frame_id, NUMBER, X_IMAGE, FLUX_AUTO, FLUX_APER, FLAGS FROM measurements ORDER BY ALL").to_pandas()


def wait_for_catalog(home: Path, process=None) -> None:
    """Wait until the first catalog of a batch is on disk."""
    for _ in range(2000):
        if any((home / "catalogs").rglob("*.parquet")):
            return
        assert process is None or process.poll() is None, "ended before the first catalog"
        time.sleep(0.05)
    raise AssertionError("no catalog within 100 s")


def test_a_dask_cluster_gives_what_one_process_gives(home, tree, tmp_path, cluster):
    with Archive.create(tmp_path / "other", roots={"scidata": tree}) as other, Archive.open(home) as archive:
        other.index(progress=False, workers=1)
        here = other.measure(workers=1, progress=False)
        there = archive.measure(executor=cluster, progress=False)
        assert (there.measured, there.sources, there.failed) == (N_FRAMES, here.sources, ())
        assert rows(archive).equals(rows(other))
        (frame, *_) = archive.sql("SELECT ra, dec FROM frames WHERE kind = 'science'")
        assert archive.forced([(frame.ra, frame.dec)], executor=cluster, progress=False).measured == N_FRAMES
        assert archive.measure(executor=cluster, progress=False).skipped == N_FRAMES
        assert archive.verify(progress=False).ok


def test_a_worker_that_is_killed_in_the_middle_costs_nothing(home):
    with clusters.started() as (address, process), Archive.open(home) as archive:

        def kill_one():
            wait_for_catalog(home)
            workers = [one for one in psutil.Process(process.pid).children(recursive=True) if "spawn_main" in " ".join(one.cmdline())]
            workers[0].send_signal(signal.SIGKILL)

        killer = threading.Thread(target=kill_one)
        killer.start()
        report = archive.measure(executor=address, progress=False)
        killer.join()
        assert (report.measured, report.failed) == (N_FRAMES, ())
        assert archive.verify(progress=False).ok


def test_a_cluster_that_ends_in_the_middle_leaves_what_a_second_call_goes_on_from(home):
    with clusters.started() as (address, process), Archive.open(home) as archive:

        def end():
            wait_for_catalog(home)
            process.terminate()

        ender = threading.Thread(target=end)
        ender.start()
        try:
            assert archive.measure(executor=address, progress=False).failed == ()
        except ClusterError as err:
            assert "what is done is kept" in str(err)
        ender.join()
        (run,) = archive.runs()
        report = archive.measure(workers=1, progress=False)
        assert not archive.quarantine()
        assert report.run_id in (run.run_id, None)
        assert [item.n_catalogs for item in archive.runs()] == [N_FRAMES]
        assert archive.verify(progress=False).ok


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_leaves_what_the_same_command_goes_on_from(home, workers):
    command = [sys.executable, "-m", "ezarchive", "measure", str(home), "--workers", workers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        wait_for_catalog(home, child)
        family = psutil.Process(child.pid).children(recursive=True)
        os.kill(child.pid, signal.SIGINT)
        _, said = child.communicate(timeout=60)
    psutil.wait_procs(family, timeout=20)  # multiprocessing's own helper ends a moment after its parent
    assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert child.returncode == 130, said
    assert "ezarchive: stopped; what is done is kept" in said
    with Archive.open(home) as archive:
        (run,) = archive.runs()
        assert run.ended is None
        kept = run.n_catalogs
        report = archive.measure(workers=1, progress=False)
        assert report.run_id == run.run_id
        assert report.skipped == kept
        assert [item.n_catalogs for item in archive.runs()] == [N_FRAMES]
        assert archive.verify(progress=False).ok
