"""A disk that fills up while `measure` writes: nothing torn, nothing lost, the rest goes on later."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ezarchive import Archive
from ezarchive.catalogs.parquet import read_provenance
from ezarchive.errors import DatabaseError

OPTIONS = {"workers": 1, "progress": False, "detection_sigma": 5}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    ).returncode == 0  # fmt: skip
    if not mounted:
        pytest.skip("a small tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=False)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_full_disk_fails_frames_and_a_later_batch_finishes(small_archive, small_disk, tmp_path):
    home = small_archive(tmp_path / "home")
    # Catalogs alone lie on the small disk: the database can still say what failed.
    (home / "catalogs").symlink_to(small_disk)
    filler = small_disk / "filler"
    free = shutil.disk_usage(small_disk).free
    filler.write_bytes(b"\0" * (free - 8192))
    with Archive.open(home) as archive:
        report = archive.measure(**OPTIONS)
        assert len(report.failed) == 2
        assert all("No space left" in message for _, _, message in report.failed)
        assert len(archive.sql("SELECT * FROM catalogs")) == 0
        assert not [path for path in small_disk.rglob("*") if path.is_file() and path != filler]
        filler.unlink()
        assert archive.measure(**OPTIONS).measured == 2
        for path in archive.sql("SELECT path FROM catalogs").to_pandas()["path"]:
            assert read_provenance(home / path)["rows"] > 0
        assert not archive.quarantine()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_full_disk_under_the_database_stops_the_batch_and_a_later_one_finishes(small_archive, small_disk, tmp_path):
    made = small_archive(tmp_path / "home")
    home = small_disk / "home"
    shutil.copytree(made, home)
    filler = small_disk / "filler"
    with Archive.open(home) as archive:
        archive.runs()
        filler.write_bytes(b"\0" * (shutil.disk_usage(small_disk).free - 8192))
        with pytest.raises(DatabaseError, match="(?i)full|disk"):
            archive.measure(**OPTIONS)
        filler.unlink()
        assert archive.measure(**OPTIONS).measured == 2
        assert len(archive.sql("SELECT * FROM catalogs")) == 2
