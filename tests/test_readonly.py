"""The science tree is read-only: what the verbs leave of it, as a process that may not write there and as one that may."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import trees

from ezarchive import Archive
from ezarchive.index import index
from ezarchive.verify import verify


def fingerprint(tree: Path) -> dict[str, tuple]:
    """Return all there is to know of a tree: names, kinds, modes, times, content."""
    found = {}
    for path in [tree, *sorted(tree.rglob("*"))]:
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (status.st_mode, status.st_uid, status.st_nlink, status.st_size, status.st_mtime_ns, status.st_ctime_ns, content)
    return found


def plant(data: Path) -> None:
    for number in range(6):
        trees.write(data / f"T{number % 2}" / f"{number}.fits", number)
    os.link(data / "T0/0.fits", data / "T1/copy.fits")
    (data / "T0/link.fits").symlink_to("0.fits")
    (data / "bad.fits").write_text("no FITS file")


def test_index_and_verify_leave_the_tree_as_it_was(tmp_path):
    data = tmp_path / "data"
    plant(data)
    before = fingerprint(data)
    archive = trees.archive_of(tmp_path / "home", scidata=data)
    assert index(archive).new == 6
    assert verify(archive).ok
    assert index(archive, retry=True).quarantined == 1
    assert fingerprint(data) == before
    archive.database.dispose()


CHILD = """
import os, sys, tempfile
from pathlib import Path
from ezarchive import Archive

def everything(home, data):
    with Archive.create(home, {"scidata": {"path": data, "layout": "", "kind": "science"}}) as archive:
        report = archive.index(workers=1)
        measured = archive.measure(workers=1, progress=False)
        audit = archive.verify()
        return report, measured, audit

if __name__ == "__main__":
    home, data = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        # Once with all rights, because what Python imports late may lie where nobody may read.
        everything(Path(folder) / "home", data)
    os.setgid(65534)
    os.setuid(65534)
    for path in (data, data / "T0"):
        assert not os.access(path, os.W_OK)
    report, measured, audit = everything(home, data)
    print(report.new, report.quarantined, audit.ok)
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(os.getuid() != 0, reason="only root can drop its rights")
def test_all_of_it_works_where_nothing_can_be_written():
    with tempfile.TemporaryDirectory() as folder:
        data, work = Path(folder) / "data", Path(folder) / "work"
        Path(folder).chmod(0o755)
        work.mkdir()
        work.chmod(0o777)
        plant(data)
        for path in [data, *data.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o555 if path.is_dir() else 0o444)
        before = fingerprint(data)
        script = Path(folder) / "child.py"
        script.write_text(CHILD)
        environment = {**os.environ, "HOME": str(work), "MPLCONFIGDIR": str(work)}
        command = [sys.executable, str(script), str(work / "home"), str(data)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[-3:] == ["6", "1", "True"]
        assert fingerprint(data) == before


READER = """
import os, sys
from ezarchive import Archive, DataBrowser

if __name__ == "__main__":
    home = sys.argv[1]

    def read():
        with Archive.open(home, write=False) as archive:
            n = DataBrowser(archive).count()
            rows = len(archive.sql("SELECT * FROM measurements"))
            return n, rows, len(archive.quarantine()), len(archive.runs())

    expected = read()  # with all rights, because what Python imports late may lie where nobody may read
    os.setgid(65534)
    os.setuid(65534)
    assert not os.access(home, os.W_OK)
    assert read() == expected, (read(), expected)
    print(*expected)
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(os.getuid() != 0, reason="only root can drop its rights")
def test_who_may_not_write_the_home_can_read_the_archive():
    with tempfile.TemporaryDirectory() as folder:
        data, home = Path(folder) / "data", Path(folder) / "home"
        Path(folder).chmod(0o755)
        plant(data)
        with Archive.create(home, {"scidata": {"path": data, "layout": ""}}) as archive:
            archive.index(progress=False)
            archive.measure(workers=1, progress=False)
        script = Path(folder) / "child.py"
        script.write_text(READER)
        before = fingerprint(home)
        command = [sys.executable, str(script), str(home)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env={**os.environ, "HOME": folder})
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[0] == "6"
        assert set(fingerprint(home)) == set(before)
