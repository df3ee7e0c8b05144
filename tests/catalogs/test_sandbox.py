"""What a user's SQL may and may not do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from astropy.table import QTable

from ezarchive.catalogs.sql import Engine
from ezarchive.errors import SQLError


def one(engine: Engine, sql: str, *args: Any, **options: Any) -> Any:
    result = engine.query(sql, *args, **options)
    assert len(result) == 1
    return result[0]


REFUSED = [
    "COPY (SELECT 1) TO '{home}/catalogs/x.csv'",
    "COPY frames TO 'x.parquet'",
    "WITH x AS (COPY (SELECT 1) TO '{home}/catalogs/x.csv') SELECT 1",
    "WITH x AS (COPY (SELECT 1) TO '{home}/catalogs/x.csv') SELECT * FROM x",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{home}/catalogs/x.csv'",
    "EXPLAIN COPY (SELECT 1) TO '{home}/catalogs/x.csv'",
    "/* explain */ EXPLAIN ANALYZE WITH x AS (COPY (SELECT 1) TO '{home}/catalogs/x.csv') SELECT 1",
    "ATTACH '{home}/catalogs/x.db'",
    "ATTACH ':memory:' AS other",
    "EXPORT DATABASE '{home}/catalogs'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '1TB'",
    "SET VARIABLE x = 1",
    "RESET memory_limit",
    "PRAGMA version",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "CHECKPOINT",
    "VACUUM",
    "CREATE TABLE x (a INTEGER)",
    "CREATE TEMP VIEW x AS SELECT 1",
    "CREATE MACRO f(a) AS a",
    "DROP VIEW light_curve",
    "INSERT INTO frames VALUES (1)",
    "UPDATE frames SET ra = 1",
    "DELETE FROM frames",
    "WITH x AS (DELETE FROM frames RETURNING *) SELECT * FROM x",
    "BEGIN",
    "USE memory",
    "PREPARE x AS SELECT 1",
    "EXECUTE x",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY (SELECT 1) TO '{home}/catalogs/x.csv'",
    "",
    "-- nothing",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('{file}')",
    "SELECT * FROM read_parquet('{file}')",
    "SELECT * FROM parquet_scan(['{file}'])",
    "SELECT * FROM parquet_metadata('{file}')",
    "SELECT * FROM '{file}'",
    'SELECT * FROM "{file}"',
    "DESCRIBE '{file}'",
    "SUMMARIZE '{file}'",
    "DESCRIBE SELECT * FROM '{file}'",
    "FROM '{file}'",
    "TABLE '{file}'",
    'WITH "{file}" AS (SELECT 1) SELECT * FROM "{file}"',
    'SELECT * FROM main."{file}"',
    "SELECT (SELECT count(*) FROM '{file}')",
    "SELECT 1 WHERE EXISTS (SELECT * FROM read_parquet('{file}'))",
    "SELECT * FROM frames, LATERAL (SELECT * FROM glob('{home}/*'))",
    "EXPLAIN ANALYZE SELECT * FROM read_parquet('{file}')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('frames')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM enable_logging()",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM python_arrow_scan(1, 2, 3)",
    "SELECT * FROM pandas_scan(1)",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT getenv('HOME')",
    "SELECT getvariable('_files_light_curve_0')",
    "SELECT write_log('x')",
    "SELECT * FROM engine",
    "PIVOT frames ON filter USING count(*)",
    "COPY (SELECT 1) TO '{home}/store/x.csv'",
    "ATTACH '{home}/store/y.db'",
    "SELECT * FROM read_parquet('{home}/store/1/aliases.parquet')",
    "SELECT * FROM glob('{home}/store/*')",
    "SELECT getvariable('_store_light_curve')",
    "SELECT * FROM cone(1, 2, (SELECT count(*) FROM read_text('/proc/version')))",
    "SELECT * FROM cone(1, 2, length(getenv('HOME')))",
    "SELECT * FROM cone(1, getvariable('x'), 3)",
    "SELECT * FROM lc((WITH x AS (COPY (SELECT 1) TO '{home}/store/x.csv') SELECT 1))",
    "SELECT * FROM lc(nextval('x'))",
    "SELECT * FROM upper_limits(5)",
    "SELECT * FROM objects WHERE object_id IN (SELECT 1 FROM '{file}')",
    "SELECT * FROM _selected_light_curve",
    "SELECT * FROM temp.main._placed",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_no_plain_query_is_refused(archive: Any, sql: str) -> None:
    row = archive.add({"filter": "r"}, {5.0: np.array([1.0])})
    with archive.engine() as engine:
        engine.query("SELECT * FROM light_curve")
        before = sorted(archive.home.rglob("*"))
        with pytest.raises(SQLError, match="^SQL: "):
            engine.query(sql.format(home=archive.home, file=archive.home / row["path"]))
        assert sorted(archive.home.rglob("*")) == before
        assert one(engine, "SELECT count(*) FROM light_curve") == (1,)


@pytest.mark.parametrize("sql", [sql for sql in REFUSED if "/etc" in sql or "COPY frames" in sql or "x.db" in sql])
def test_the_doors_are_closed_in_duckdb_too(archive: Any, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    with archive.engine() as engine, pytest.raises(duckdb.Error, match="Permission Error"):
        engine._connection.execute(sql.format(home=archive.home / "..", file=""))


ALLOWED = [
    "SELECT 1",
    "  -- a comment\n SELECT 1;  ",
    "(SELECT 1)",
    "VALUES (1, 'a'), (2, 'b')",
    "FROM frames SELECT filter LIMIT 1",
    "TABLE frames",
    "DESCRIBE light_curve",
    "DESCRIBE SELECT * FROM frames",
    "SHOW TABLES",
    "SUMMARIZE frames",
    "EXPLAIN SELECT * FROM frames",
    "EXPLAIN ANALYZE SELECT * FROM light_curve",
    "explain (format json) SELECT * FROM frames",
    "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t WHERE x < 3) SELECT * FROM t",
    "WITH a AS (SELECT * FROM frames), b AS (SELECT * FROM a) SELECT count(*) FROM b",
    "SELECT * FROM range(3)",
    "SELECT unnest([1, 2])",
    "SELECT * FROM catalogs, unnest(apertures) AS a(diameter)",
    "SELECT filter, count(*) FROM frames GROUP BY ALL ORDER BY ALL",
    "SELECT * FROM (PIVOT frames ON filter IN ('r', 'g') USING count(*))",
    "SELECT frame_id, row_number() OVER (PARTITION BY filter ORDER BY mjd_mid) FROM frames QUALIFY row_number() OVER () = 1",
    "SELECT a.frame_id FROM frames a SEMI JOIN catalogs USING (frame_id)",
    "SELECT * FROM main.frames",
    "SELECT * FROM information_schema.tables",
    "SELECT list_transform([1], lambda x: x + 1)",
    "SELECT flux_to_mag(100.0), flux_to_mag(100, zero_point := 25), flux_to_mag(-1)",
    "SELECT COLUMNS('m.*') FROM light_curve",
    "SELECT f.filter FROM frames AS f WHERE f.frame_id = (SELECT max(frame_id) FROM frames)",
    "SELECT 'COPY TO' AS \"drop table\"",
]


@pytest.mark.parametrize("sql", ALLOWED)
def test_plain_queries_are_answered(archive: Any, sql: str) -> None:
    archive.add({"filter": "r", "exptime": 1.0}, {5.0: np.array([1.0])})
    with archive.engine() as engine:
        assert len(engine.query(sql)) >= 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT magg FROM light_curve", r'"magg" not found.*"mag"'),
        ("SELECT * FROM lightcurve", "table 'lightcurve': did you mean 'light_curve'"),
        (
            "SELECT * FROM nothing_like_it",
            "table 'nothing_like_it': must be one of 'aliases', 'ambiguous', 'anchors', 'aperture_photometry', 'catalogs'",
        ),
        ("SELECT fluxtomag(1)", "fluxtomag does not exist.*flux_to_mag"),
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM frames WHERE filter = 3 AND", "syntax error"),
        ("SELECT 'a'::INTEGER", "Could not convert"),
        ("SELECT * FROM frames WHERE frame_id = ?", "[Pp]arameter"),
    ],
)
def test_errors_are_short_and_keep_near_misses(archive: Any, sql: str, message: str) -> None:
    archive.add({"filter": "r"}, {5.0: np.array([1.0])})
    with archive.engine() as engine, pytest.raises(SQLError, match=message) as caught:
        engine.query(sql)
    assert "LINE 1" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_python_variables_cannot_be_read(tmp_path: Path) -> None:
    secret = QTable({"a": [1]}).to_pandas()
    with Engine({}, {}, tmp_path) as engine, pytest.raises(SQLError, match="table 'secret'"):
        engine.query("SELECT * FROM secret")
    assert len(secret) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT list_sort(range(1000000000))",
        "SELECT system.main.range(1000000000)",
        "SELECT range(1e9, 1, -1)",
        "SELECT range(1, 100, 0)",
        "SELECT range(TIMESTAMP '2000-01-01', TIMESTAMP '2025-01-01', INTERVAL 1 MICROSECOND)",
        "SELECT list_transform(range(1000), x -> generate_series(1, 2000))",
        "SELECT * FROM unnest(range(1000000000))",
        "SELECT repeat(repeat('x', 10000), 10000)",
        "SELECT repeat('x', frame_id) FROM frames",
        "SELECT lpad('x', 2000000000, 'y')",
        "SELECT list_resize([1], 2000000000)",
    ],
)
def test_values_of_any_size_are_refused(archive: Any, sql: str) -> None:
    with archive.engine() as engine, pytest.raises(SQLError, match="is refused: its size must be a plain number, at most 1,000,000"):
        engine.query(sql)


def test_values_of_some_size_are_made(archive: Any) -> None:
    with archive.engine() as engine:
        assert one(engine, "SELECT range(3) AS a, range(5, 1) AS b, repeat('x', 3) AS c") == ([0, 1, 2], [], "xxx")
        assert len(engine.query("SELECT unnest(generate_series(1, 10))")) == 10
        assert one(engine, "SELECT count(*) FROM range(100000000)") == (100000000,)
        assert one(engine, "SELECT lpad('7', 3, '0') AS a, list_resize([1], 2) AS b") == ("007", [1, None])
        with pytest.raises(SQLError, match="range"):
            engine.query("SELECT range()")
