"""SIGKILL between any two writes of `associate`, then a re-run: the bytes of one clean run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
import surveys
from surveys import Survey

from ezarchive import Archive
from ezarchive.database import models, stores

CHILD = """
import json, os, shutil, signal, sys
from pathlib import Path
from sqlalchemy import event
from ezarchive import Archive
from ezarchive.association import scratch
from ezarchive.store import files
import ezarchive.catalogs.sql, ezarchive.store.summary, ezarchive.store.grouping, ezarchive.kernels.friends, scipy.sparse

home, out = sys.argv[1:]
events, limit, last = 0, None, None

def write_point(what):
    global events, last
    if what == last == "fsync":  # one after the other, with nothing between them, they are as one
        return
    last = what
    events += 1
    if events == limit:
        os.kill(os.getpid(), signal.SIGKILL)

def hooked(function, what):
    def wrapped(*args, **kwargs):
        write_point(what)
        return function(*args, **kwargs)
    return wrapped

def work(n, target):
    global limit
    limit = n
    os.replace, os.rename, os.fsync = hooked(os.replace, "replace"), hooked(os.rename, "rename"), hooked(os.fsync, "fsync")
    scratch.write, files.write = hooked(scratch.write, "scratch"), hooked(files.write, "write")
    shutil.rmtree = hooked(shutil.rmtree, "rmtree")
    Path.write_text = hooked(Path.write_text, "text")
    with Archive.open(target) as archive:
        event.listen(archive.database.engine, "commit", lambda *_: write_point("commit"))
        archive.associate(workers=1, progress=False)
    os._exit(0)

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


def dump(home: Path) -> tuple:
    """The store as files and rows, free of times."""
    found = {path.relative_to(home).as_posix(): path.read_bytes() for path in sorted((home / "store").rglob("*")) if path.is_file()}
    assert not [name for name in found if name.startswith("store/.")]
    with Archive.open(home) as archive, archive.database.connect() as conn:
        versions = [{k: v for k, v in row.items() if k != "created"} for row in stores.versions(conn)]
        catalogs = [tuple(row) for row in conn.execute(sa.select(models.store_catalog).order_by(models.store_catalog.c.catalog_id))]
        return found, versions, catalogs, stores.current(conn)


def prepared(home: Path) -> None:
    """Make an archive with two nights in its store, and with all kinds of things to do."""
    survey = Survey(home, associate={"compact_after": 2})
    ra, dec = surveys.stars(np.random.default_rng(3), 12, half=0.005)
    frames = [survey.frame(150, 20, surveys.MJD + epoch) for epoch in range(5)]
    for night in range(3):
        survey.catalog(frames[night], ra, dec, np.full(12, 300.0))
        if night:
            survey.archive.associate(progress=False)
    survey.catalog(frames[3], [*ra, np.nan], [*dec, np.nan], np.full(13, 300.0))
    survey.catalog(frames[4], ra[:3], dec[:3], np.full(3, 1.0), method="circular", targets=list("abc"))
    survey.catalog(frames[0], ra[:10], dec[:10], np.full(10, 300.0), run=1)
    with survey.archive.database.begin() as conn:
        conn.exec_driver_sql("UPDATE frame SET zero_point = 24.5 WHERE frame_id = 2")
    survey.archive.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_every_write_and_run_again(tmp_path: Path):
    home = tmp_path / "a"
    prepared(home)
    script, out = tmp_path / "child.py", tmp_path / "out.json"
    script.write_text(CHILD)
    done = subprocess.run([sys.executable, str(script), str(home), str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *killed, clean = [Path(path) for path in json.loads(out.read_text())]
    assert len(killed) > 20
    expected = dump(clean)
    assert expected[3] == 3
    before = dump(home)[0]
    for target in killed:
        with Archive.open(target) as archive:
            with archive.database.connect() as conn:
                reached = stores.current(conn)
            if reached == 2:  # readers have what they had
                assert {name: (target / name).read_bytes() for name in before if name.startswith("store/2/")} == {
                    name: content for name, content in before.items() if name.startswith("store/2/")
                }
            assert archive.associate(workers=1, progress=False).conserved
        assert dump(target) == expected, target
        shutil.rmtree(target)
