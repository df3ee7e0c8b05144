"""Bad input, each kind as a real file: a clear error or a quarantine row, nothing lost, and the rest goes on."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
import trees
from astropy.io import fits

from ezarchive import pool
from ezarchive.database.session import Database
from ezarchive.errors import DatabaseError, SchemaTooNewError
from ezarchive.index import index
from ezarchive.indexing import reading

write = trees.write

only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can drop its rights and mount")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A tree with one good file, which must be there after everything."""
    write(tmp_path / "data" / "good.fits", 90)
    return tmp_path / "data"


@pytest.fixture
def archive(tmp_path: Path, data: Path):
    made = trees.archive_of(tmp_path / "home", scidata=data)
    yield made
    made.database.dispose()
    assert trees.states(made)["good.fits"] == "ok"
    made.database.dispose()


def block(*lines: str) -> bytes:
    """Return a header as bytes."""
    text = "".join(line.ljust(80) for line in [*lines, "END"])
    return text.ljust(-(-len(text) // 2880) * 2880).encode("latin-1")


def plain_header(**values: str) -> bytes:
    cards = {"SIMPLE": "T", "BITPIX": "-32", "NAXIS": "2", "NAXIS1": "12", "NAXIS2": "10", **values}
    return block(*(f"{key:8}= {value:>20}" for key, value in cards.items()))


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Return files by name: content, and the code they must get."""
    pixels = b"\0" * 2880
    huge = plain_header(NAXIS1="1000000000")
    return {
        "truncated.fits": (plain_header(NAXIS1="1200") + pixels, "truncated"),
        "half_header.fits": (plain_header()[:1000], "truncated"),
        "zero.fits": (b"", "empty"),
        "text.fits": (b"This is not a FITS file.\n", "not_fits"),
        "html.fits": (b"<html>404</html>" * 400, "not_fits"),
        "naxis0.fits": (plain_header(NAXIS="0"), "no_image"),
        "huge.fits": (huge + pixels, "absurd_size"),
        "huge_both.fits": (plain_header(NAXIS1="1000000000", NAXIS2="1000000000") + pixels, "absurd_size"),
        "negative.fits": (plain_header(NAXIS1="-5") + pixels, "bad_header"),
        "bitpix.fits": (plain_header(BITPIX="7") + pixels, "bad_header"),
        "nan.fits": (plain_header(CTYPE1="'RA---TAN'", CTYPE2="'DEC--TAN'", CRVAL1="NaN", CRVAL2="1.0") + pixels, "bad_coordinates"),
        "inf.fits": (plain_header(CTYPE1="'RA---TAN'", CTYPE2="'DEC--TAN'", CRVAL1="1.0", CRVAL2="Infinity") + pixels, "bad_coordinates"),
        "torn.fits.gz": (gzip.compress(plain_header() + np.random.default_rng(1).bytes(2880))[:-1000], "truncated"),
        "noise.fits.gz": (b"\x1f\x8b" + b"\x07" * 500, "bad_compression"),
    }


def test_files_that_are_no_images_go_to_quarantine_with_their_reason(archive, data):
    for name, (content, _) in bad_files().items():
        (data / name).write_bytes(content)
        trees.age(data / name)
    report = index(archive)
    assert report.new == 1
    assert report.quarantined == len(bad_files())
    assert {path: code for path, stage, code in trees.quarantine(archive) if stage == "index"} == {
        name: code for name, (_, code) in bad_files().items()
    }
    assert {state for path, state in trees.states(archive).items() if path != "good.fits"} == {"corrupt"}
    assert {path: code for path, code, _ in report.problems} == {name: code for name, (_, code) in bad_files().items()}
    assert all(message for _, _, message in report.problems)
    assert index(archive).unchanged == len(bad_files()) + 1
    for name in bad_files():
        (data / name).unlink()
        write(data / name.removesuffix(".gz"), sum(map(ord, name)), old=False)
    assert trees.counts(index(archive))["new"] >= len(bad_files()) - 2
    assert trees.quarantine(archive) == []


def add(data: Path, name: str, **more) -> None:
    write(data / name, 1 + sum(map(ord, name)), **more)


def frame(archive, name: str) -> dict:
    with archive.database.connect() as conn:
        query = sa.text("SELECT f.* FROM frame f JOIN file USING (file_id) WHERE relpath = :path")
        return dict(conn.execute(query, {"path": os.fsencode(name)}).mappings().one())


NO_WCS = {f"{key}{axis}": None for key in ("CTYPE", "CRVAL", "CRPIX") for axis in (1, 2)} | {
    f"CD{i}_{j}": None for i in (1, 2) for j in (1, 2)
}


def test_odd_headers_are_indexed_all_the_same(archive, data):
    add(data, "no_wcs.fits", **NO_WCS)
    add(data, "singular.fits", CD1_1=1e-4, CD1_2=1e-4, CD2_1=1e-4, CD2_2=1e-4)
    add(data, "no_exptime.fits", EXPTIME=None)
    add(data, "negative_exptime.fits", EXPTIME=-5.0)
    add(data, "text_exptime.fits", EXPTIME="long")
    add(data, "five_words.fits", FILTER="i DECam SDSS c0003 7835.0 1470.0")
    add(data, "no_date.fits", **{"DATE-OBS": None})
    dates = {"iso": "2025-09-01T12:30:00", "long": "2025-09-01T12:30:00.123456", "day": "2025-09-01", "slash": "29/11/51"}
    dates["never"] = "2025-13-45T99:00:00"
    for name, date in dates.items():
        add(data, f"date_{name}.fits", **{"DATE-OBS": date})
    report = index(archive)
    assert report.problems == ()
    assert report.new == 1 + 7 + len(dates)
    assert (frame(archive, "no_wcs.fits")["wcs_ok"], frame(archive, "singular.fits")["wcs_ok"]) == (0, 0)
    assert frame(archive, "no_wcs.fits")["s_region"] is None
    assert [frame(archive, f"{name}_exptime.fits")["exptime"] for name in ("no", "negative", "text")] == [None] * 3
    assert frame(archive, "date_iso.fits")["mjd_start"] == pytest.approx(60919 + 12.5 / 24, abs=1e-9)
    assert frame(archive, "date_long.fits")["mjd_start"] == pytest.approx(60919 + 12.5 / 24 + 0.123456 / 86400, abs=1e-9)
    assert int(frame(archive, "date_day.fits")["mjd_start"]) == 60919
    assert int(frame(archive, "date_slash.fits")["mjd_start"]) == 33979
    assert frame(archive, "date_never.fits")["mjd_start"] is None
    assert frame(archive, "no_date.fits")["mjd_mid"] is None


def test_cards_that_are_not_ascii_or_not_legal(archive, data):
    content = bytearray(write(data / "cards.fits", 5, OBSERVER="Jose").read_bytes())
    at = content.index(b"'Jose")
    content[at + 1 : at + 5] = "Jos\u00e9".encode("latin-1")
    at = content.index(b"EGAIN ")
    content[at : at + 80] = b"bad key!= what is this \xff\xfe\x00".ljust(80)
    (data / "cards.fits").write_bytes(content)
    report = index(archive)
    assert (report.new, report.problems) == (2, ())
    assert frame(archive, "cards.fits")["quality"] & 32
    assert frame(archive, "cards.fits")["exptime"] == 100.0


NAMES = [
    "with space.fits", "new\nline.fits", "tab\t.fits", "it's \"quoted\".fits", "--option.fits",
    "semi;colon$(x)`y`.fits", "50%_*?[a].fits",
    "\u00fcml\u00e4ut.fits", "u\u0308ml.fits", "\u2603\U0001f52d.fits", "\u202ereversed.fits",
    "x" * 240 + ".fits", "\udcff\udcfe bytes.fits", "back\\slash.fits",
]  # fmt: skip


def test_any_name_is_indexed_moved_and_lost_as_any_other(tmp_path, data):
    archive = trees.archive_of(tmp_path / "home2", scidata={"path": data, "layout": "{objname}"})
    for number, name in enumerate(NAMES):
        folder = name.removesuffix(".fits")[:60]
        write(data / folder / name, number)
    report = index(archive)
    assert (report.problems, report.new) == ((), len(NAMES) + 1)
    assert set(trees.states(archive)) == {f"{n.removesuffix('.fits')[:60]}/{n}" for n in NAMES} | {"good.fits"}
    assert index(archive).unchanged == len(NAMES) + 1
    (data / "\udcff\udcfe bytes").rename(data / "\udcfd")
    shutil.rmtree(data / "new\nline")
    report = index(archive)
    assert (report.moved, report.missing) == (1, 1)
    (data / "bad \udcff\n.fits").write_bytes(b"")
    report = index(archive)
    assert [path for path, _, _ in report.problems] == ["bad \\xff\\n.fits"]
    assert trees.quarantine(archive) == [("bad \udcff\n.fits", "index", "empty")]
    assert "\\xff\\n.fits: empty" in str(report)
    archive.database.dispose()


def test_a_file_that_grows_is_waiting_and_then_indexed(archive, data):
    whole = write(data / "whole.dat", 3).read_bytes()
    grows = data / "grows.fits"
    for part in (3000, 5760 - 2880 + 100):
        grows.write_bytes(whole[:part])
        report = index(archive)
        assert (report.waiting, report.problems) == (1, ())
        assert trees.states(archive)["grows.fits"] == "waiting"
        assert trees.quarantine(archive) == []
    assert index(archive).waiting == 1
    grows.write_bytes(whole)
    assert index(archive).new == 1
    assert trees.states(archive)["grows.fits"] == "ok"


def test_a_file_that_stopped_growing_is_truncated(archive, data):
    whole = write(data / "whole.dat", 3).read_bytes()
    (data / "grows.fits").write_bytes(whole[:3000])
    assert index(archive).waiting == 1
    trees.age(data / "grows.fits", time.time() - 3600)
    report = index(archive)
    assert [(path, code) for path, code, _ in report.problems] == [("grows.fits", "truncated")]
    assert trees.states(archive)["grows.fits"] == "corrupt"
    (data / "grows.fits").write_bytes(whole)
    assert index(archive).new == 1
    assert trees.quarantine(archive) == []
    assert trees.quarantine(archive, resolved=True) == [("grows.fits", "index", "truncated")]


def test_a_file_with_a_time_in_the_far_future_does_not_wait_for_ever(archive, data):
    whole = write(data / "whole.dat", 3).read_bytes()
    (data / "short.fits").write_bytes(whole[:3000])
    trees.age(data / "short.fits", time.time() + 86400)
    assert index(archive).quarantined == 1


def test_a_file_that_changes_while_it_is_read_is_waiting(archive, data, monkeypatch):
    path = write(data / "busy.fits", 3)
    read_file = reading.read_file

    def slow(*args, **kw):
        found = read_file(*args, **kw)
        if args[0].name == "busy.fits":
            with path.open("ab") as stream:
                stream.write(b"\0" * 2880)
        return found

    monkeypatch.setattr(reading, "read_file", slow)
    assert index(archive).waiting == 1
    monkeypatch.undo()
    assert index(archive).new == 1


def test_a_good_file_that_turns_bad_and_good_again(archive, data):
    path = write(data / "a.fits", 3)
    good = path.read_bytes()
    index(archive)
    path.write_bytes(b"overwritten")
    assert index(archive).quarantined == 1
    assert trees.states(archive)["a.fits"] == "corrupt"
    query = "SELECT frame_id, file_id IS NULL FROM frame ORDER BY frame_id"
    assert trees.rows(archive, query) == [(1, 1), (2, 0)]
    path.write_bytes(good)
    assert index(archive).returned == 1
    assert trees.rows(archive, query) == [(1, 0), (2, 0)]
    assert trees.quarantine(archive) == []


def test_links_that_loop_or_lead_nowhere(archive, data):
    (data / "sub").mkdir()
    (data / "sub/up").symlink_to(data)
    (data / "self.fits").symlink_to("self.fits")
    (data / "nowhere.fits").symlink_to("gone")
    os.mkfifo(data / "pipe.fits")
    report = index(archive)
    assert (report.new, report.quarantined) == (1, 3)
    assert trees.quarantine(archive) == [
        ("nowhere.fits", "walk", "broken_link"), ("pipe.fits", "walk", "not_a_file"), ("self.fits", "walk", "link_loop"),
    ]  # fmt: skip
    for name in ("self.fits", "nowhere.fits", "pipe.fits"):
        (data / name).unlink()
    index(archive)
    assert trees.quarantine(archive) == []


def test_two_files_of_equal_content_and_one_replaced(archive, data):
    write(data / "a.fits", 3)
    shutil.copyfile(data / "a.fits", data / "b.fits")
    assert (index(archive).duplicate, len(trees.rows(archive, "SELECT * FROM frame"))) == (1, 2)
    write(data / "b.fits", 4, old=False)
    report = index(archive)
    assert (report.changed, report.frames) == (1, 1)


# Only in a worker: there, and not in the process of the tests, a file of this name is the end.
DEADLY = """
import multiprocessing, os
from ezarchive.indexing import reading

read_file, read_one = reading.read_file, reading.read_one

def read_or_crash(path, **kw):
    if "crash" in str(path) and multiprocessing.parent_process() is not None:
        os._exit(9)
    return read_file(path, **kw)

def read_chunk(source, task):
    return [read_alone(source, item) for item in task[1]]

def read_alone(source, item):
    reading.read_file = read_or_crash
    return read_one(source, item)
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_file_that_kills_its_worker_costs_only_itself(archive, data, monkeypatch, tmp_path):
    for number in range(30):
        write(data / f"{number:02d}.fits", number)
    write(data / "15crash.fits", 99)
    monkeypatch.setattr(reading, "IN_PROCESS", 4)
    monkeypatch.setattr(reading, "CHUNK", 5)
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    deadly = importlib.import_module("deadly")
    monkeypatch.setattr(reading, "_read_chunk", deadly.read_chunk)
    monkeypatch.setattr(reading, "read_one", deadly.read_alone)
    report = index(archive, workers=2)
    assert (report.new, report.quarantined) == (31, 1)
    assert [(path, code) for path, code, _ in report.problems] == [("15crash.fits", pool.WORKER_DIED)]
    monkeypatch.undo()
    assert index(archive).new == 1
    assert trees.quarantine(archive) == []


def test_an_error_nobody_thought_of_is_recorded_and_the_rest_goes_on(archive, data, monkeypatch):
    write(data / "odd.fits", 3)
    read_file = reading.read_file

    def surprise(path, **kw):
        if path.name == "odd.fits":
            raise ZeroDivisionError("by \udcff zero")
        return read_file(path, **kw)

    monkeypatch.setattr(reading, "read_file", surprise)
    report = index(archive)
    assert (report.new, report.quarantined) == (1, 1)
    assert trees.quarantine(archive) == [("odd.fits", "index", "unexpected")]
    monkeypatch.undo()
    assert index(archive, retry=True).new == 1


@pytest.fixture
def public_path():
    """A folder that a process without root's rights can reach (pytest's own is closed to it)."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)
        for path in Path(folder).rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)


NOBODY = """
import os, shutil, sys, tempfile
from pathlib import Path
from types import SimpleNamespace
from ezarchive import config
from ezarchive.database.session import Database
from ezarchive.index import index

def run(home, data, opener):
    root = config.root_settings("scidata", {"path": data, "layout": "", "kind": "science"})
    settings = config.Settings(roots={"scidata": root}, index=config.IndexSettings(workers=1))
    database = opener(f"sqlite:///{home / 'archive.db'}")
    report = index(SimpleNamespace(home=home, settings=settings, database=database))
    database.dispose()
    return report

home, data, good = map(Path, sys.argv[1:])
with tempfile.TemporaryDirectory() as folder:
    # Once with all rights, because what Python imports late may lie where nobody may read.
    folder = Path(folder)
    (folder / "data").mkdir()
    shutil.copy(good, folder / "data" / "a.fits")
    run(folder, folder / "data", Database.create)
os.setgid(65534)
os.setuid(65534)
report = run(home, data, Database.open)
print({k: v for k, v in vars(report).items() if isinstance(v, int) and v}, [p[:2] for p in report.problems])
"""


def index_as_nobody(home: Path, data: Path) -> str:
    for path in home.iterdir():
        path.chmod(0o666)
    home.chmod(0o777)
    command = [sys.executable, "-c", NOBODY, str(home), str(data), str(write(home.parent / "warm.fits"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@only_root
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_folders_and_files_without_permission_lose_nothing(public_path):
    home, data = public_path / "home", public_path / "data"
    for number, name in enumerate(["closed/a.fits", "closed/deep/b.fits", "open/c.fits", "open/d.fits"]):
        write(data / name, number)
    archive = trees.archive_of(home, scidata=data)
    archive.database.dispose()
    assert index_as_nobody(home, data) == "{'new': 4, 'frames': 4} []"
    (data / "closed").chmod(0)
    (data / "open/e.fits").write_bytes(write(data / "e.dat", 9).read_bytes())
    (data / "open/e.fits").chmod(0)
    (data / "open/d.fits").unlink()
    expected = "[('closed', 'no_permission'), ('open/e.fits', 'no_permission')]"
    for missing in ("'missing': 1, ", ""):
        line = index_as_nobody(home, data)
        counts, _, problems = line.partition("} ")
        assert sorted(eval(problems)) == eval(expected)
        assert counts == "{" + missing + "'quarantined': 2, 'unchanged': 1"
    assert trees.states(archive) == {
        "closed/a.fits": "ok", "closed/deep/b.fits": "ok", "open/c.fits": "ok", "open/d.fits": "missing", "open/e.fits": "waiting",
    }  # fmt: skip
    assert trees.quarantine(archive) == [("closed", "walk", "no_permission"), ("open/e.fits", "index", "no_permission")]
    archive.database.dispose()
    (data / "closed").chmod(0o755)
    (data / "open/e.fits").chmod(0o644)
    assert index_as_nobody(home, data) == "{'new': 1, 'unchanged': 3, 'frames': 1} []"
    assert trees.quarantine(archive) == []
    archive.database.dispose()


@contextlib.contextmanager
def small_disk(folder: Path, size: str):
    """A tmpfs of this size, or skip."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@only_root
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_full_disk_under_the_database(tmp_path, data):
    for number in range(80):
        write(data / f"{number}.fits", number)
    clean = trees.archive_of(tmp_path / "clean", index={"batch_size": 5}, scidata=data)
    index(clean)
    with small_disk(tmp_path / "disk", "2m") as disk:
        archive = trees.archive_of(disk / "home", index={"batch_size": 5}, scidata=data)
        ballast = disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
            while True:
                stream.write(b"\0" * 4096)
        os.truncate(ballast, max(0, ballast.stat().st_size - 200_000))
        with pytest.raises((DatabaseError, OSError), match="full|No space left"):
            index(archive)
        known = len(trees.states(archive))
        assert known < 81
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=30m", str(disk)], check=True)
        index(archive)
        assert trees.dump(archive) == trees.dump(clean)
        archive.database.dispose()
    clean.database.dispose()


def test_a_database_made_by_a_newer_version(archive, data):
    with archive.database.begin() as conn:
        ours = conn.execute(sa.text("SELECT value FROM archive_meta WHERE key = 'schema_version'")).scalar_one()
        conn.execute(sa.text("UPDATE archive_meta SET value = '1.99' WHERE key = 'schema_version'"))
    url = archive.database.engine.url
    archive.database.dispose()
    with pytest.raises(SchemaTooNewError, match=r"its schema is version 1\.99, .* a newer ezarchive must be installed"):
        Database.open(url)
    archive.database = Database.open(url, write=False)
    with pytest.raises(DatabaseError, match="opened for reading only"):
        index(archive)
    archive.database.dispose()
    archive.database = Database.open(url, write=False)
    with archive.database.engine.connect() as conn:
        assert conn.execute(sa.text("SELECT count(*) FROM file")).scalar() == 0
    archive.database.dispose()
    with sa.create_engine(url).begin() as conn:
        conn.execute(sa.text("UPDATE archive_meta SET value = :ours WHERE key = 'schema_version'"), {"ours": ours})
    archive.database = Database.open(url)
    assert index(archive).new == 1


def test_a_reader_and_two_indexers_at_once(archive, data):
    for number in range(40):
        write(data / f"{number}.fits", number)
    seen, stop = [], threading.Event()

    def look():
        with sa.create_engine(archive.database.engine.url).connect() as conn:
            while not stop.is_set():
                query = "SELECT (SELECT count(*) FROM frame), (SELECT sum(n) FROM rollup), (SELECT count(*) FROM frame_file)"
                seen.append(tuple(conn.execute(sa.text(query)).one()))
                conn.rollback()

    reader = threading.Thread(target=look)
    reader.start()
    try:
        assert index(archive).new == 41
    finally:
        stop.set()
        reader.join()
    assert all(frames == (counted or 0) == links for frames, counted, links in seen)


def test_a_broken_fits_table_beside_a_good_image(archive, data):
    hdus = fits.HDUList([
        fits.PrimaryHDU(np.ones((10, 12), "f4"), trees.cards(3)),
        fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1, 2])]),
        fits.ImageHDU(np.ones(5, "f4"), name="SPECTRUM"),
        fits.ImageHDU(np.ones((1, 10, 12), "f4"), trees.cards(4), name="SLICE"),
    ])  # fmt: skip
    hdus.writeto(data / "many.fits")
    assert index(archive).frames == 3
    query = "SELECT hdu FROM frame_file JOIN file USING (file_id) WHERE relpath = :path ORDER BY hdu"
    assert trees.rows(archive, query, path=b"many.fits") == [(0,), (3,)]
