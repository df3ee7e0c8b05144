"""Which columns of a table a query names."""

from __future__ import annotations

import duckdb
import pytest

from ezarchive.catalogs.named import named_columns
from ezarchive.catalogs.trees import parsed

COLUMNS = ["frame_id", "filter", "objname", "seeing", "path"]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT filter FROM frames", ["filter"]),
        ("SELECT count(*) FROM frames", []),
        ("SELECT \"Filter\", f.SEEING FROM frames f WHERE objname = 'x'", ["filter", "objname", "seeing"]),
        ("SELECT 1", None),
        ("SELECT seeing FROM catalogs", None),
        ("DESCRIBE frames", None),
        ("SUMMARIZE frames", COLUMNS),
        ("FROM frames", COLUMNS),
        ("SELECT * FROM frames", COLUMNS),
        ("SELECT f.* FROM frames f JOIN catalogs c USING (frame_id)", COLUMNS),
        ("SELECT c.*, f.filter FROM frames f JOIN catalogs c USING (frame_id)", ["frame_id", "filter"]),
        ("SELECT * FROM (SELECT filter FROM frames)", ["filter"]),
        ("WITH x AS (SELECT filter FROM frames) SELECT * FROM x", ["filter"]),
        ("SELECT COLUMNS('f.*') FROM frames", COLUMNS),
        ("SELECT #1 FROM frames", COLUMNS),
        ("SELECT f FROM frames f", COLUMNS),
        ("SELECT to_json(frames) FROM frames", COLUMNS),
        ("SELECT a FROM frames f(a, b)", COLUMNS),
        ("SELECT frame_id FROM catalogs NATURAL JOIN frames", COLUMNS),
        ("SELECT * FROM (PIVOT frames ON filter IN ('r') USING count(*))", COLUMNS),
        ("SELECT 1 WHERE EXISTS (SELECT * FROM frames)", COLUMNS),
        ("SELECT filter FROM catalogs UNION ALL SELECT path FROM frames", ["filter", "path"]),
    ],
)
def test_named_columns(sql: str, expected: list[str] | None) -> None:
    with duckdb.connect() as connection:
        assert named_columns(sql, parsed(connection, sql), "frames", COLUMNS) == expected
