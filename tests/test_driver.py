"""The driver of a batch: groups of rows, failures, workers, versions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ezarchive import Archive, DataBrowser, driver
from ezarchive.database import queries, runs
from ezarchive.driver import BatchReport, Crew, Driver
from ezarchive.errors import InputError, MeasurementError


@dataclass(frozen=True)
class Job:
    frame: Any
    run_id: int
    relpath: str


@dataclass(frozen=True)
class Result:
    rows: int = 3
    sha256: str = "ab"
    seeing: float | None = None
    depth: float | None = None
    depth_aperture: float | None = None
    apertures: tuple[float | None, ...] = (5.0,)
    mesh: Any = None


@pytest.fixture
def archive(small_archive, tmp_path):
    with Archive.open(small_archive(tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def jobs(archive) -> list[Job]:
    with archive.database.begin() as conn:
        run_id = runs.open_run(conn, runs.get_recipe(conn, "sex", {}, []), driver.versions()).run_id
    frames = [item.frame for item in DataBrowser(archive).where(kind="science").frames()]
    return [Job(frame, run_id, f"catalogs/{run_id}/{frame.frame_id}.parquet") for frame in frames]


def catalogs(archive) -> list[int]:
    with archive.database.connect() as conn:
        return [row.frame_id for row in queries.catalogs(conn)]


def succeed(job: Job) -> Result:
    return Result()


def stop_at_the_second(job: Job) -> Result:
    if job.frame.frame_id == 2:
        raise KeyboardInterrupt
    return Result()


def test_what_came_back_is_recorded_though_the_batch_is_stopped(archive, jobs):
    work = Driver(archive, jobs[0].run_id, "sex")
    with pytest.raises(KeyboardInterrupt):
        work.work(stop_at_the_second, sorted(jobs, key=lambda job: job.frame.frame_id), 2, Crew(None, 1), None)
    assert catalogs(archive) == work.measured == [1]
    (run,) = archive.runs()
    assert run.ended is None


def test_rows_come_in_groups(archive, jobs, monkeypatch):
    commits = []
    record = Driver._record
    monkeypatch.setattr(Driver, "_record", lambda self: (commits.append(len(self._waiting)), record(self)))
    Driver(archive, jobs[0].run_id, "sex").work(succeed, jobs, 2, Crew(None, 1), progress=False)
    assert commits == [2]
    monkeypatch.setattr(driver, "_GROUP_FRAMES", 1)
    Driver(archive, jobs[0].run_id, "sex").work(succeed, jobs, 2, Crew(None, 1), progress=False)
    assert commits == [2, 1, 1, 0]
    assert sorted(catalogs(archive)) == [1, 2]


def test_a_catalog_that_a_distant_worker_wrote_elsewhere_is_a_failure(archive, jobs):
    work = Driver(archive, jobs[0].run_id, "sex")
    work._take(jobs[0], Result(), shared=False)
    work._record()
    ((path, code, message),) = work.failed
    assert (path, code) == (str(jobs[0].frame.path), "not_shared")
    assert f"workers and driver must share {archive.home}" in message
    assert not catalogs(archive)
    assert [entry.code for entry in archive.quarantine()] == ["not_shared"]


def test_files_are_synced_before_their_rows(archive, jobs, monkeypatch):
    seen = []
    monkeypatch.setattr(driver, "sync_files", lambda paths: seen.append((list(paths), catalogs(archive))))
    work = Driver(archive, jobs[0].run_id, "circular", targets="sn", stage="forced", synced=False)
    work.work(succeed, jobs, 2, Crew(None, 1), progress=False)
    assert seen == [([archive.home / job.relpath for job in jobs], [])]


def test_versions_of_a_run_are_kept():
    assert set(driver.versions()) == set(driver.PACKAGES)
    driver.check_versions(driver.versions())
    with pytest.raises(MeasurementError, match=r"numpy .*: the run was begun with 0.1; workers must have the same"):
        driver.check_versions({"numpy": "0.1"})


def test_no_more_workers_than_tasks_or_memory():
    with driver.crew(None, 8, None, 0, 3) as team:
        assert team == Crew(None, 3)
    with driver.crew("processes", 8, 2.5, 1e9, 30) as team:
        assert team.count == 2
    with pytest.raises(InputError, match=r"memory_gb=0.5: must be at least 1.00"), driver.crew(None, 8, 0.5, 1e9, 3):
        pass


def test_leftovers_are_dot_files_alone(tmp_path: Path):
    for name in ("a.parquet", ".a.parquet.1-2.tmp", ".hidden"):
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / name).touch()
    driver.remove_leftovers(tmp_path)
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == [".hidden", "a.parquet"]


def test_a_report_is_one_line_and_one_for_each_failure():
    text = str(BatchReport("circular", 7, 2, 1, (("a.fits", "odd", "why"),), 20, 1.25, (1, 2), uncovered=4))
    first, second = text.splitlines()
    assert first == "circular: 2 frames measured (20 sources), 1 already done, 4 without a target, 1 failed; run 7; 1.2 s"
    assert second == "  a.fits: odd: why"
