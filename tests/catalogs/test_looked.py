"""The view of aperture photometry: columns, types, and that it can be asked for."""

from __future__ import annotations

from ezarchive.catalogs.looked import APERTURE_PHOTOMETRY_SCHEMA
from ezarchive.catalogs.metadata import ARROW_TYPES
from ezarchive.catalogs.sql import Engine
from ezarchive.cli.sqlshell import TABLES
from ezarchive.database.apertures import PHOTOMETRY_FIELDS

ROWS = {
    "run_id": [1, 1, 2], "frame_id": [1, 2, None], "subset_label": ["core", "core", "sky"], "sum": [10.0, 12.0, None],
    "min": [0.0, 1.0, None], "row": [1, 2, 1], "flags": [0, 4, 256],
}  # fmt: skip


def test_what_the_database_gives_is_what_is_promised():
    assert {column.name: ARROW_TYPES[column.dtype] for column in APERTURE_PHOTOMETRY_SCHEMA} == PHOTOMETRY_FIELDS
    assert len({column.name for column in APERTURE_PHOTOMETRY_SCHEMA}) == len(APERTURE_PHOTOMETRY_SCHEMA)
    assert "aperture_photometry" in TABLES


def test_it_can_be_asked_for(tmp_path):
    frames = {"frame_id": [1, 2], "filter": ["r", "g"]}
    with Engine(frames, {}, tmp_path, aperture_photometry=ROWS) as engine:
        assert len(engine.query("SELECT * FROM aperture_photometry")) == 3
        rows = engine.query("SELECT subset_label, avg(sum), min(min) FROM aperture_photometry WHERE flags < 256 GROUP BY 1")
        assert [tuple(row) for row in rows] == [("core", 11.0, 0.0)]
        joined = engine.query('SELECT frames.filter, sum, "row" FROM aperture_photometry JOIN frames USING (frame_id) ORDER BY 1')
        assert [tuple(row) for row in joined] == [("g", 12.0, 2), ("r", 10.0, 1)]
        assert len(engine.query("DESCRIBE aperture_photometry")) == len(APERTURE_PHOTOMETRY_SCHEMA)
    with Engine(frames, {}, tmp_path) as plain:
        assert len(plain.query("SELECT * FROM aperture_photometry")) == 0
