"""Tables that are read as far as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ezarchive.catalogs import links, views
from ezarchive.catalogs.sources import SCHEMAS, Asked, Given, conform
from ezarchive.catalogs.sql import Engine
from ezarchive.errors import InputError


def asked(archive: Any) -> tuple[Asked, list[tuple[str, tuple[str, ...], Any]]]:
    """Return a source over an archive of `conftest`, and a record of what is read."""
    given, seen = Given(*archive.tables()), []

    def read(table: str, columns: Sequence[str], frame_ids: Sequence[int] | None) -> pa.Table:
        seen.append((table, tuple(columns), frame_ids))
        return given.read(table, columns, frame_ids)

    return Asked({name: given.empty(name).schema for name in SCHEMAS}, read), seen


def test_columns_are_read_once_and_when_they_are_named(archive: Any) -> None:
    for n in range(3):
        archive.add({"filter": "rg"[n % 2], "exptime": 1.0, "mjd_mid": 60000.0 + n}, {5.0: [1.0, 2.0]})
    source, seen = asked(archive)
    with Engine.over(source, archive.home) as engine:
        assert engine.query("SELECT filter, count(*) FROM frames GROUP BY 1 ORDER BY 1").to_arrow().num_rows == 2
        assert seen == [("frames", ("frame_id", "filter"), None)]
        engine.query("SELECT frame_id FROM frames WHERE filter = 'r'")
        assert len(seen) == 1
        engine.query("SELECT mjd_mid FROM frames WHERE filter = 'r'")
        assert seen[1:] == [("frames", ("mjd_mid",), None)]
        assert len(engine.query("DESCRIBE frames")) == len(source.names("frames"))
        assert len(seen) == 2
        assert len(engine.query("SELECT * FROM frames")) == 3
        assert sum(len(columns) for table, columns, _ in seen if table == "frames") == len(source.names("frames"))


@pytest.mark.parametrize("many", [20_000, 1])
def test_of_many_catalogs_only_those_that_are_needed_are_read(archive: Any, monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    monkeypatch.setattr(links, "MANY", many)
    for n in range(6):
        archive.add({"filter": "rg"[n % 2], "exptime": 1.0, "mjd_mid": 60000.0 + n}, {5.0: [1.0, 2.0]})
        archive.calibrate(n + 1, 5.0, 25.0)
    source, seen = asked(archive)
    with Engine.over(source, archive.home) as engine, archive.engine() as plain:
        for where in (
            "filter = 'r'",
            "frame_id = 2 AND flux > 1",
            "mjd_mid > 60003",
            "angular_separation(ra, dec, 325.66, -77.3) < 1",
            "true",
        ):
            sql = f"SELECT * EXCLUDE (path) FROM light_curve JOIN (SELECT frame_id AS f, path FROM frames) ON f = frame_id WHERE {where}"
            assert set(engine.query(sql + ' ORDER BY frame_id, "row"')) == set(plain.query(sql))
            sql = f"SELECT * FROM light_curve WHERE {where}"
            assert set(engine.query(sql)) == set(plain.query(sql))
    if many == 1:
        assert ("zero_points", links._ZERO_POINT, [2]) in seen


def test_wrong_types_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="frames: column 'mjd_mid' must be float64"):
        conform({"frame_id": [1], "mjd_mid": ["x"]}, views.FRAMES_SCHEMA, "frames")
    assert Given({}, {}, {}).read("catalogs", ["catalog_id", "apertures"]).num_rows == 0
