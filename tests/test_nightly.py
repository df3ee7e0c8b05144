"""The nightly round: exit codes, the log, the lock."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ezarchive import Archive
from ezarchive.errors import LockedError
from ezarchive.files import Lock
from ezarchive.nightly import LOCK_NAME, nightly

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "nightly_ingest.py"


def script(home):
    return subprocess.run([sys.executable, str(SCRIPT), str(home), "--workers", "1"], capture_output=True, text=True, check=False)


def test_a_round_indexes_measures_and_logs(small_archive, tmp_path):
    with Archive.open(small_archive(tmp_path / "home", indexed=False)) as archive:
        report = nightly(archive, workers=1, progress=False)
        assert report.exit_code == 0
        assert report.measure.measured == 2
        text = report.log.read_text()
        assert "2 frames measured" in text
        assert str(report).endswith(f"log in {report.log}")
        again = nightly(archive, workers=1, progress=False)
        assert (again.measure.measured, again.exit_code) == (0, 0)
        assert again.log.read_text().count("start, home") == 2


def test_a_round_brings_objects_up_to_date_once_there_are_some(small_archive, tmp_path):
    with Archive.open(small_archive(tmp_path / "home", indexed=False)) as archive:
        assert nightly(archive, workers=1, progress=False).associate is None
        archive.associate(progress=False)
        archive.measure(method="sex", detection_sigma=4, workers=1, progress=False)
        report = nightly(archive, workers=1, progress=False)
        assert report.associate is not None
        assert str(report.associate) in str(report)
        assert str(report.associate) in report.log.read_text()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_exit_codes_of_the_script(small_archive, tmp_path):
    home = small_archive(tmp_path / "home", indexed=False)
    assert script(tmp_path / "nowhere").returncode == 2
    tree = Path(shutil.copytree(Archive.open(home).settings.roots["scidata"].path, tmp_path / "tree"))
    text = (home / "ezarchive.toml").read_text()
    with Archive.open(home) as archive:
        (home / "ezarchive.toml").write_text(text.replace(str(archive.settings.roots["scidata"].path), str(tree)))
    bad = tree / "bad.fits"
    bad.write_text("this is no FITS file")
    os.utime(bad, (0, 0))
    done = script(home)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "bad.fits" in done.stdout
    bad.unlink()
    assert script(home).returncode == 0
    with Lock(home / LOCK_NAME, what="nightly"):
        locked = script(home)
    assert locked.returncode == 2
    assert "could not run" in locked.stderr
    assert str(os.getpid()) in locked.stderr
    shutil.rmtree(tree)
    gone = script(home)
    assert gone.returncode == 2
    assert "scidata" in gone.stderr


def test_a_stale_lock_is_recognised(small_archive, tmp_path):
    with Archive.open(small_archive(tmp_path / "home", indexed=False)) as archive:
        # What a process that was killed leaves: the file with its name in it, but no lock on it.
        holder = {"pid": 2**22 + 1, "host": socket.gethostname(), "since": "2026-01-01T00:00:00Z", "what": "nightly"}
        (archive.home / LOCK_NAME).write_text(json.dumps(holder))
        assert nightly(archive, workers=1, progress=False).exit_code == 0
        with Lock(archive.home / LOCK_NAME, what="nightly"), pytest.raises(LockedError, match="nightly"):
            nightly(archive, workers=1, progress=False)
