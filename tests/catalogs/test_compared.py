"""The views of compared images: columns, types, and that they can be asked for."""

from __future__ import annotations

import pytest

from ezarchive.catalogs.compared import ANCHORS_SCHEMA, IMAGE_FITS_SCHEMA
from ezarchive.catalogs.metadata import ARROW_TYPES
from ezarchive.catalogs.sources import Given
from ezarchive.catalogs.sql import Engine
from ezarchive.cli.sqlshell import TABLES
from ezarchive.database.comparisons import ANCHOR_FIELDS, IMAGE_FIT_FIELDS
from ezarchive.errors import InputError

FITS = {
    "frame_id": [1, 2, 3], "night": ["2025-09-01", "2025-09-01", "2025-09-02"], "fwhm": [1.0, 1.4, 2.0], "dx": [0.1, -0.1, None],
    "status": ["ok", "ok", "failed"],
}  # fmt: skip
ANCHORS = {"run_id": [1, 1], "target": ["ngc0628"] * 2, "band": ["F770W", "F1000W"], "anchor_offset": [-0.3, 0.12], "used": [True, False]}


@pytest.fixture
def engine(tmp_path):
    """An engine over three frames, their fits, and two anchors."""
    frames = {"frame_id": [1, 2, 3], "filter": ["r", "g", "r"], "night": FITS["night"]}
    with Engine(frames, {}, tmp_path, image_fits=FITS, anchors=ANCHORS) as made:
        yield made


@pytest.mark.parametrize(("schema", "fields"), [(IMAGE_FITS_SCHEMA, IMAGE_FIT_FIELDS), (ANCHORS_SCHEMA, ANCHOR_FIELDS)])
def test_what_the_database_gives_is_what_is_promised(schema, fields):
    assert {column.name: ARROW_TYPES[column.dtype] for column in schema} == fields
    assert len({column.name for column in schema}) == len(schema)
    for column in schema:
        assert column.description
        if column.name.endswith("_err"):
            assert column.ucd.startswith("stat.error;")


def test_seeing_of_every_night(engine):
    rows = engine.query("SELECT night, avg(fwhm) FROM image_fits WHERE status = 'ok' GROUP BY night")
    assert list(rows) == [("2025-09-01", pytest.approx(1.2))]
    assert next(iter(engine.query("SELECT count(*) FROM image_fits")))[0] == 3
    assert len(engine.query("SELECT * FROM image_fits JOIN frames USING (frame_id) WHERE frames.filter = 'r'")) == 2
    assert len(engine.query("DESCRIBE image_fits")) == len(IMAGE_FITS_SCHEMA)


def test_anchors(engine):
    assert list(engine.query("SELECT band, anchor_offset FROM anchors WHERE used")) == [("F770W", -0.3)]
    assert next(iter(engine.query("SELECT count(*) FROM anchors")))[0] == 2
    assert len(engine.query("DESCRIBE anchors")) == len(ANCHORS_SCHEMA)


def test_without_any_they_are_empty(tmp_path):
    with Engine({"frame_id": [1]}, {}, tmp_path) as plain:
        assert len(plain.query("SELECT * FROM image_fits")) == len(plain.query("SELECT * FROM anchors")) == 0
    assert {"image_fits", "anchors"} <= set(TABLES)


def test_wrong_types_are_named():
    with pytest.raises(InputError, match="image_fits: column 'fwhm' must be float64"):
        Given({}, {}, {}, image_fits={"fwhm": ["wide"]})
