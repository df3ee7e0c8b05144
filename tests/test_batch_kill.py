"""SIGKILL between any two writes of `measure`, then a re-run: the rows of one clean run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ezarchive import Archive
from ezarchive.database import upkeep

CHILD = """
import json, os, signal, sys
from sqlalchemy import event
from ezarchive import Archive

home, out, verb = sys.argv[1:]
events = 0
limit = None

def write_point(*_):
    global events
    events += 1
    if events == limit:
        os.kill(os.getpid(), signal.SIGKILL)

def hooked(function):
    def wrapped(*args, **kwargs):
        write_point()  # to be killed after it is to be killed before the next one
        return function(*args, **kwargs)
    return wrapped

def work(n, target):
    global limit
    limit = n
    os.replace, os.fsync = hooked(os.replace), hooked(os.fsync)
    with Archive.open(target) as archive:
        event.listen(archive.database.engine, "commit", write_point)
        if verb == "measure":
            archive.measure(workers=1, detection_sigma=5, progress=False)
        else:
            archive.forced("21:45:00 -77:15:44", name="one", workers=1, progress=False)
    os._exit(0)

import shutil
# What every child would load; nothing that starts threads, which a fork would not carry over.
import ezarchive.forcedframe, ezarchive.measure, ezarchive.photometry.extraction, ezarchive.photometry.shapes
import numba, scipy.spatial, scipy.ndimage
killed = []
for n in range(1, 500):
    target = f"{home}-{n}"
    shutil.copytree(home, target)
    pid = os.fork()
    if pid == 0:
        work(n, target)
    _, status = os.waitpid(pid, 0)
    killed.append(target)
    if not os.WIFSIGNALED(status):
        assert os.waitstatus_to_exitcode(status) == 0, status
        break
json.dump(killed, open(out, "w"))
"""


def dump(home: Path):
    """The archive's measurements, free of times, counters and surrogate ids."""
    with Archive.open(home) as archive:
        rows = archive.sql(
            "SELECT f.path AS file, c.method, c.n_rows, c.seeing, c.depth, c.depth_aperture, c.apertures, c.path, c.sha256"
            " FROM catalogs c JOIN frames f USING (frame_id) ORDER BY ALL"
        )
        runs = [(run.n_catalogs, run.ended is not None) for run in archive.runs()]
        catalogs = sorted(str(path.relative_to(home)) for path in (home / "catalogs").rglob("*.parquet"))
        contents = [pq.read_table(home / path).to_pydict() for path in catalogs]
        with archive.database.connect() as conn:
            maps = sorted((path, sha256) for path, sha256 in upkeep.product_files(conn))
        assert [path for path, _ in maps] == sorted(str(path.relative_to(home)) for path in (home / "maps").rglob("*.npz"))
        assert not archive.quarantine()
        return [tuple(row) for row in rows], runs, catalogs, maps, repr(contents)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("verb", ["measure", "forced"])
def test_killed_at_every_write_and_run_again(small_archive, tmp_path: Path, verb):
    home = small_archive(tmp_path / "a")
    script, out = tmp_path / "child.py", tmp_path / "out.json"
    script.write_text(CHILD)
    done = subprocess.run([sys.executable, str(script), str(home), str(out), verb], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *killed, clean = [Path(path) for path in json.loads(out.read_text())]
    assert len(killed) > 10
    expected = dump(clean)
    assert len(expected[0]) == 2
    for target in killed:
        with Archive.open(target) as archive:
            if verb == "measure":
                report = archive.measure(workers=1, detection_sigma=5, progress=False)
            else:
                report = archive.forced("21:45:00 -77:15:44", name="one", workers=1, progress=False)
            assert report.ok
        assert dump(target) == expected, target
        assert not [path for path in (target / "catalogs").rglob(".*.tmp")]
