"""Reading many files: in order, in worker processes or without them, and nothing lost on the way."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import trees

from ezarchive import config
from ezarchive.frames.instruments import Instruments
from ezarchive.indexing import reading
from ezarchive.indexing.walk import Found, Walk


def source_of(folder: Path, settle_seconds: float = 60.0) -> reading.Source:
    root = config.root_settings("scidata", {"path": folder, "layout": "", "kind": "science"})
    return reading.Source("scidata", root, Instruments.load(), {}, settle_seconds)


def files_of(folder: Path) -> list[Found]:
    return list(Walk(folder, config.IndexSettings().pattern))


@pytest.mark.pure
def test_what_comes_early_waits_for_its_turn():
    numbered = [(2, ["e"]), (0, ["a", "b"]), (3, []), (1, ["c", "d"]), (4, ["f"])]
    assert list(reading._in_order(numbered)) == list("abcdef")


def test_a_reading_holds_the_signature_and_the_frames(tmp_path):
    trees.write(tmp_path / "a.fits", 1)
    (item,) = files_of(tmp_path)
    found = reading.read_one(source_of(tmp_path), item)
    assert found[:5] == (*item, "ok")
    assert (found.code, found.message) == (None, None)
    assert found.frames[0].frame.relpath == "a.fits"


def test_a_file_that_vanished_is_no_problem(tmp_path):
    path = trees.write(tmp_path / "a.fits", 1)
    (item,) = files_of(tmp_path)
    path.unlink()
    found = reading.read_one(source_of(tmp_path), item)
    assert (found.state, found.code) == ("vanished", None)


@pytest.mark.parametrize(("age", "settle", "state"), [(0, 60, "waiting"), (30, 60, "waiting"), (90, 60, "corrupt"), (0, 0, "corrupt")])
def test_a_short_file_waits_until_it_has_settled(tmp_path, age, settle, state):
    path = trees.write(tmp_path / "a.fits", 1)
    path.write_bytes(path.read_bytes()[:3000])
    trees.age(path, time.time() - age)
    (item,) = files_of(tmp_path)
    assert reading.read_one(source_of(tmp_path, settle), item).state == state


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_processes_give_the_same_readings_in_the_same_order(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "IN_PROCESS", 3)
    monkeypatch.setattr(reading, "CHUNK", 2)
    for number in range(15):
        trees.write(tmp_path / f"{number:02d}.fits", number)
    (tmp_path / "07a.fits").write_text("no FITS file")
    source, files = source_of(tmp_path), files_of(tmp_path)
    alone = list(reading.read_many(source, files, 1))
    together = list(reading.read_many(source, files, 2))
    assert [r.relpath for r in together] == [item.relpath for item in files]
    assert [(r[:5], r.code, r.message) for r in together] == [(r[:5], r.code, r.message) for r in alone]
    assert [f.frame.header_hash for r in together for f in r.frames] == [f.frame.header_hash for r in alone for f in r.frames]


# No __main__ guard: every worker runs this script again, is refused, and dies.
UNGUARDED = """
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from ezarchive import config
from ezarchive.indexing import reading
from ezarchive.database.session import Database
from ezarchive.index import index
reading.IN_PROCESS, reading.CHUNK = 3, 2
home, data = map(Path, sys.argv[1:])
root = config.root_settings("scidata", {"path": data, "layout": "", "kind": "science"})
settings = config.Settings(roots={"scidata": root}, index=config.IndexSettings(workers=2))
report = index(SimpleNamespace(home=home, settings=settings, database=Database.open(f"sqlite:///{home / 'archive.db'}")))
print(report.new, report.quarantined)
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_script_without_a_guard_is_served_by_its_own_process(tmp_path):
    for number in range(9):
        trees.write(tmp_path / "data" / f"{number}.fits", number)
    archive = trees.archive_of(tmp_path / "home", scidata=tmp_path / "data")
    archive.database.dispose()
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED)
    command = [sys.executable, str(script), str(archive.home), str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.stdout.split() == ["9", "0"], done.stderr
    archive.database.dispose()
