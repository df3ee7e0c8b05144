"""SQL over catalogs: queries, limits, damaged files."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ezarchive.catalogs.parquet import read_provenance
from ezarchive.catalogs.sql import Engine
from ezarchive.config import SQLSettings
from ezarchive.errors import CatalogError, InputError, SQLError


def one(engine: Engine, sql: str, *args: Any, **options: Any) -> Any:
    result = engine.query(sql, *args, **options)
    assert len(result) == 1
    return result[0]


def test_joins_and_parameters(archive: Any) -> None:
    for n in range(6):
        archive.add({"filter": "rg"[n % 2], "objname": f"T{n}", "mjd_mid": 60000.0 + n, "exptime": 1.0}, {5.0: np.array([float(n)])})
    with archive.engine() as engine:
        sql = "SELECT objname, flux FROM light_curve JOIN frames USING (frame_id) WHERE objname = 'T3'"
        assert list(engine.query(sql)) == [("T3", 3.0)]
        assert [
            row.flux for row in engine.query("SELECT flux FROM light_curve WHERE filter = ? AND mjd_mid > ? ORDER BY 1", ["r", 60000.5])
        ] == [2, 4]
        assert [row.flux for row in engine.query("SELECT flux FROM light_curve WHERE filter = $f ORDER BY 1", {"f": "g"})] == [1, 3, 5]
        join = "light_curve a JOIN light_curve b ON a.frame_id = b.frame_id + 1"
        sql = f"SELECT a.flux - b.flux AS d FROM {join} WHERE a.filter = 'r' ORDER BY 1"
        assert [row.d for row in engine.query(sql)] == [1.0, 1.0]


def test_queries_that_name_no_measurements_open_no_file(archive: Any) -> None:
    bad = archive.add({"filter": "r"}, {5.0: np.array([1.0])})
    (archive.home / bad["path"]).write_bytes(b"torn")
    with archive.engine() as engine:
        assert one(engine, "SELECT count(*) FROM frames") == (1,)
        assert one(engine, "SELECT path FROM catalogs") == (bad["path"],)
        assert len(engine.query("SHOW TABLES")) >= 4


@pytest.mark.parametrize("view", ["light_curve", "measurements"])
@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_bytes(b""), "is no whole Parquet file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-50]), "is no whole Parquet file"),
        (lambda path: path.write_bytes(b"PAR1" + bytes(1000)), "is no whole Parquet file"),
    ],
)
def test_a_missing_or_torn_catalog_is_named(archive: Any, view: str, harm: Any, message: str) -> None:
    archive.add({"exptime": 1.0}, {5.0: np.array([1.0])})
    bad = archive.add({"exptime": 1.0}, {5.0: np.array([2.0])})
    harm(archive.home / bad["path"])
    with archive.engine() as engine:
        with pytest.raises(CatalogError, match=rf"1/2\.parquet: {message}.*catalog of frame 2"):
            engine.query(f"SELECT * FROM {view}")
        assert one(engine, "SELECT count(*) FROM frames") == (2,)


def test_a_catalog_with_rotten_pages_is_named(archive: Any) -> None:
    row = archive.add({"exptime": 1.0}, {5.0: np.random.default_rng(1).normal(size=20000)})
    path = archive.home / row["path"]
    content = bytearray(path.read_bytes())
    content[2000:-60000] = bytes(len(content) - 62000)
    path.write_bytes(content)
    assert read_provenance(path)["frame_id"] == 1
    with archive.engine() as engine, pytest.raises(CatalogError, match=r"1\.parquet: is damaged: .*catalog of frame 1"):
        engine.query("SELECT sum(flux), sum(ra), sum(dec), max(flags) FROM light_curve")


def test_homes_with_odd_names(archive: Any, tmp_path: Path) -> None:
    home = tmp_path / "o'dd [home] *x? a=b"
    home.mkdir()
    archive.home = home
    archive.add({"exptime": 1.0}, {5.0: np.array([1.0])})
    with archive.engine() as engine:
        assert len(engine.query("SELECT * FROM light_curve")) == 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_catalog_without_a_column_is_no_obstacle(archive: Any, order: int) -> None:
    for drop in ((), ("ALPHA_J2000", "FLAGS"))[::order]:
        archive.add({"exptime": 1.0}, {5.0: np.array([1.0])}, drop=drop)
    with archive.engine() as engine:
        rows = {row.frame_id: (row.ra, row.flags, row.flux) for row in engine.query("SELECT * FROM light_curve")}
    whole, part = (1, 2)[::order]
    assert rows[whole] == (325.66, 0, 1.0)
    assert rows[part] == (None, None, 1.0)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(100000000000) a WHERE a.range % 7 = 3",
        "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b",
        "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t) SELECT max(x) FROM t",
        "SELECT sleep_ms(8000)",
    ],
)
def test_a_query_is_stopped_in_time(tmp_path: Path, sql: str) -> None:
    with Engine({}, {}, tmp_path, SQLSettings(timeout_seconds=0.3)) as engine:
        start = time.monotonic()
        with pytest.raises(SQLError, match=r"stopped after 0\.3 s"):
            engine.query(sql)
        assert time.monotonic() - start < 3
        assert one(engine, "SELECT 1 AS a") == (1,)


def test_a_query_is_stopped_by_ctrl_c(tmp_path: Path) -> None:
    with Engine({}, {}, tmp_path) as engine:
        start = time.monotonic()
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            engine.query("WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t) SELECT max(x) FROM t")
        timer.join()
        assert time.monotonic() - start < 5
        assert one(engine, "SELECT 1 AS a") == (1,)


def test_a_query_is_stopped_at_its_memory(tmp_path: Path) -> None:
    with Engine({}, {}, tmp_path, SQLSettings(memory_gb=0.05)) as engine:
        with pytest.raises(SQLError, match=r"needs more than 0\.05 GB"):
            engine.query("SELECT array_agg(range) FROM range(100000000)")
        assert one(engine, "SELECT 1 AS a") == (1,)
    assert not Path(".tmp").exists()


def test_wrong_input_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="frames: column 'mjd_mid' must be float64"):
        Engine({"frame_id": [1], "mjd_mid": ["yesterday"]}, {}, tmp_path)


def test_further_columns_of_the_tables_are_kept(tmp_path: Path) -> None:
    with Engine({"frame_id": [1], "root": ["scidata"]}, {}, tmp_path) as engine:
        assert one(engine, "SELECT root, filter FROM frames") == ("scidata", None)


def test_a_closed_engine_says_so(tmp_path: Path) -> None:
    engine = Engine({}, {}, tmp_path)
    engine.close()
    with pytest.raises(SQLError, match="[Cc]losed"):
        engine.query("SELECT 1")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_many_catalogs(archive: Any) -> None:
    for n in range(300):
        frame = {"filter": f"m{n % 10}", "telname": f"7DT{n % 7}", "mjd_mid": 60000.0 + n, "exptime": float(n % 3 + 1)}
        archive.add(frame, {5.0: np.arange(5.0) + n, 7.0 + n % 4: np.arange(5.0)}, method=("sex", "forced")[n % 2])
    with archive.engine() as engine:
        assert one(engine, "SELECT count(*), count(DISTINCT catalog_id), sum(flux * exptime) FROM light_curve") == (
            1500,
            300,
            sum(5 * n + 10 for n in range(300)),
        )
        start = time.monotonic()
        assert one(engine, "SELECT count(*) FROM light_curve WHERE frame_id = 77") == (5,)
        assert time.monotonic() - start < 0.5


def test_parameters_of_numpy_are_taken_and_wrong_ones_named(archive: Any) -> None:
    with archive.engine() as engine:
        assert one(engine, "SELECT ? AS a, ? AS b", [np.int64(2), np.float64(2.5)]) == (2, 2.5)
        assert one(engine, "SELECT $n AS n, list_contains($all, $n) AS there", {"n": np.int32(3), "all": np.array([1, 3])}) == (3, True)
        assert one(engine, "SELECT ? AS a", (7,)) == (7,)
        with pytest.raises(InputError, match=r"parameters='m600': must be a list with a value for each \?"):
            engine.query("SELECT ?", "m600")
        with pytest.raises(InputError, match="query=5: must be a text of SQL"):
            engine.query(5)


def test_an_aperture_that_is_absent_is_told_with_those_that_are_there(archive: Any) -> None:
    archive.add({"exptime": 1.0}, {5.0: np.array([1.0]), 7.0: np.array([1.0])})
    archive.add({"exptime": 1.0}, {5.0: np.array([1.0]), 10.0: np.array([1.0])})
    with archive.engine() as engine:
        notes = engine.query("SELECT * FROM light_curve", aperture=6).notes
        assert notes == ("(2 of 2 catalogs have no aperture of 6 arcsec and give no rows; all have 5)",)
        assert engine.query("SELECT * FROM light_curve", aperture=5).notes == ()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.x * b.x FROM range(1000000000) a(x), range(1000000000) b(x)",
        "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t",
        "SELECT count(*) FROM range(10000000) a(x) JOIN range(10000000) b(y) ON x % 7 = y % 7",
        "SELECT sum(x) FROM range(100000000000000) t(x) WHERE sqrt(x) < -1",
    ],
)
def test_what_never_ends_is_stopped(tmp_path: Path, sql: str) -> None:
    with Engine({}, {}, tmp_path, SQLSettings(timeout_seconds=0.5, memory_gb=0.1)) as engine:
        started = time.monotonic()
        with pytest.raises(SQLError, match="stopped after 0.5 s|needs more than 0.1 GB"):
            engine.query(sql)
        assert time.monotonic() - started < 8
        assert engine.query("SELECT 42 AS x")[0] == (42,)


def test_a_result_that_outgrows_its_memory_is_refused(tmp_path: Path) -> None:
    with Engine({}, {}, tmp_path, SQLSettings(timeout_seconds=30, memory_gb=0.02)) as engine:
        with pytest.raises(SQLError, match="needs more than 0.02 GB"):
            engine.query("SELECT x, x + 1 FROM range(100000000) t(x)")
        assert len(engine.query("SELECT x FROM range(1000) t(x)")) == 1000


def test_threads_share_an_engine(tmp_path: Path) -> None:
    with Engine({"frame_id": list(range(100))}, {}, tmp_path) as engine, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: engine.query("SELECT count(*) AS n FROM frames WHERE frame_id < ?", [n])[0].n, range(100)))
    assert found == list(range(100))
