"""Frames and catalogs as Arrow tables."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from ezarchive.database import queries, runs, tables
from ezarchive.errors import UnknownNameError
from ezarchive.frames.record import Frame


@pytest.fixture
def filled(world):
    """Five frames, three of them with catalogs of two runs."""
    world.add(*(Frame(objname=f"T{n % 2}", filter="r" if n else None, exptime=float(n), wcs_ok=bool(n % 2)) for n in range(4)))
    world.add(Frame(observatory="7DT"), names=[b"caf\xe9.fits"])
    with world.database.begin() as conn:
        recipe = runs.get_recipe(conn, "sex", {}, [])
        for version in "12":
            run = runs.open_run(conn, recipe, {"sep": version}).run_id
            for frame_id in (3, 1, 2)[: 4 - int(version)]:
                runs.add_catalog(conn, frame_id, run, method="sex", path=f"{run}/{frame_id}", n_rows=1, sha256="x", apertures=[5.0, None])
    return world


class TestFrames:
    def test_hold_what_the_records_hold(self, filled):
        with filled.database.connect() as conn:
            table = queries.frames_table(conn)
            frames = queries.frames_by_id(conn, range(1, 6))
        assert table.schema == pa.schema(tables.FRAME_FIELDS.items())
        for row, frame in zip(table.to_pylist(), frames, strict=True):
            if frame.frame_id == 5:
                assert row.pop("path") == "/data/sci/caf\\xe9.fits"
            assert row == {name: getattr(frame, name) for name in row}

    def test_some_columns_of_some_frames(self, filled):
        with filled.database.connect() as conn:
            table = queries.frames_table(conn, frame_ids=[4, 2, 99], columns=["filter", "frame_id", "exptime"])
            assert table.to_pylist() == [{"filter": "r", "frame_id": 2, "exptime": 1.0}, {"filter": "r", "frame_id": 4, "exptime": 3.0}]
            paths = queries.frames_table(conn, frame_ids=[1], columns=["path"])
            assert paths.to_pylist() == [{"path": "/data/sci/f0000.fits"}]
            assert queries.frames_table(conn, frame_ids=[]).num_rows == 0
            with pytest.raises(UnknownNameError, match=r"column 'seing': did you mean 'seeing'"):
                queries.frames_table(conn, columns=["seing"])

    def test_come_in_pieces(self, filled, monkeypatch):
        monkeypatch.setattr(tables, "_PIECE", 2)
        with filled.database.connect() as conn:
            table = queries.frames_table(conn)
        assert table["frame_id"].num_chunks == 3
        assert table["frame_id"].to_pylist() == [1, 2, 3, 4, 5]

    def test_a_frame_that_cannot_be_read_has_no_path(self, filled):
        with filled.database.begin() as conn:
            conn.exec_driver_sql("UPDATE frame SET file_id = NULL WHERE frame_id = 1")
            row = queries.frames_table(conn, frame_ids=[1]).to_pylist()[0]
        assert (row["path"], row["root"], row["objname"]) == (None, None, "T0")


class TestCatalogs:
    def test_hold_what_the_rows_hold(self, filled):
        with filled.database.connect() as conn:
            for conditions in ({}, {"run_id": 1}, {"current": False}, {"frame_ids": [1, 2]}, {"method": "forced"}, {"frame_ids": []}):
                table = queries.catalogs_table(conn, **conditions)
                assert table.schema == pa.schema(tables.CATALOG_FIELDS.items())
                rows = [{**row._asdict(), "apertures": list(row.apertures)} for row in queries.catalogs(conn, **conditions)]
                assert table.to_pylist() == rows

    def test_some_columns(self, filled):
        with filled.database.connect() as conn:
            table = queries.catalogs_table(conn, columns=["frame_id", "apertures"], frame_ids=[2])
            assert table.to_pylist() == [{"frame_id": 2, "apertures": [5.0, None]}]
            with pytest.raises(UnknownNameError, match=r"column 'aperture': did you mean 'apertures'"):
                queries.catalogs_table(conn, columns=["aperture"])

    def test_places_of_catalogs(self, filled):
        with filled.database.connect() as conn:
            whole = queries.catalogs_table(conn)
            pairs = dict(zip(whole["catalog_id"].to_pylist(), whole["frame_id"].to_pylist(), strict=True))
            assert {row["catalog_id"]: row["frame_id"] for row in tables.places_of_catalogs(conn, [*pairs, 999]).to_pylist()} == pairs
            assert tables.places_of_catalogs(conn, []).num_rows == 0

    def test_duckdb_reads_both(self, filled):
        with filled.database.connect() as conn:
            frames, catalogs = queries.frames_table(conn), queries.catalogs_table(conn)
        with duckdb.connect() as duck:
            duck.register("f", frames)
            duck.register("c", catalogs)
            found = duck.sql("SELECT objname, run_id, apertures[1] FROM f JOIN c USING (frame_id) ORDER BY frame_id").fetchall()
        assert found == [("T0", 2, 5.0), ("T1", 1, 5.0), ("T0", 2, 5.0)]


def test_of_an_empty_archive(world):
    with world.database.connect() as conn:
        assert queries.frames_table(conn).num_rows == queries.catalogs_table(conn).num_rows == 0
