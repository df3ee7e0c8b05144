"""Rows of catalogs, along the sky."""

from __future__ import annotations

import numpy as np
import surveys

from ezarchive import sky
from ezarchive.association import reading, scratch, sources
from ezarchive.store import files


def tasks(survey, tmp_path):
    with survey.archive.database.connect() as conn:
        found = sources.find(conn, 5.0)
    return list(reading.tasks(found, survey.home, tmp_path / "work", 5.0))


def test_rows_lie_along_the_sky_with_the_calibration(survey, tmp_path, rng):
    ra, dec = surveys.stars(rng, 40)
    number = survey.catalog(survey.frame(150, 20, surveys.MJD), [*ra, np.nan], [*dec, np.nan], np.full(41, 100.0))
    (task,) = tasks(survey, tmp_path)
    found = reading.read(task)
    table = scratch.read(found.placed)
    places = scratch.column(table, "_healpix_29")
    assert (np.diff(places) >= 0).all()
    assert (places == sky.cell_of(scratch.column(table, "ra"), scratch.column(table, "dec"), 29)).all()
    assert table.column_names == files.schema("orphans").names
    assert (found.cells == np.unique(places >> 34)).all()
    assert found.rows.sum() == 40
    assert (found.catalog_id.tolist(), found.counts.tolist()) == ([number], [41])
    np.testing.assert_allclose(scratch.column(table, "mag"), surveys.ZERO_POINT - 2.5 * np.log10(1e4), atol=1e-5)
    lost = scratch.read(found.unplaced)
    assert len(lost) == 1
    assert lost["_healpix_29"].null_count == 1


def test_an_empty_catalog_is_counted(survey, tmp_path):
    number = survey.catalog(survey.frame(150, 20, surveys.MJD), [], [], [])
    (task,) = tasks(survey, tmp_path)
    found = reading.read(task)
    assert (found.placed, found.unplaced, found.catalog_id.tolist(), found.counts.tolist()) == (None, None, [number], [0])


def test_parts_lie_together(survey, tmp_path, monkeypatch):
    for number in range(6):
        survey.catalog(survey.frame(150 + 40 * (number % 2), 20, surveys.MJD + number), [150.0, 150.1], [20.0, 20.0], [1.0, 1.0])
    monkeypatch.setattr(reading, "TASK_ROWS", 6)
    parts = [sorted(set(task.frames["ra"].to_pylist())) for task in tasks(survey, tmp_path)]
    assert sorted(parts) == [[150.0], [190.0]]
