"""`archive.sql` from measurement to store: the same rows before and after, new nights at once, runs, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from surveys import Survey, epochs

from ezarchive import Archive
from ezarchive.database import runs, zeropoints
from ezarchive.database.zeropoints import NewZeroPoint


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    """An archive of eight frames of thirty stars."""
    made = Survey(tmp_path / "home")
    epochs(made, np.random.default_rng(1), 8, 30)
    return made


def rows(archive: Archive) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in archive.sql('SELECT frame_id, "row", filter, kind, night, mag, flux FROM light_curve ORDER BY 1, 2')]


def test_the_store_changes_no_answer(survey: Survey) -> None:
    archive = survey.archive
    before = rows(archive)
    archive.associate(workers=1, progress=False)
    after = rows(archive)
    assert [row[:5] for row in after] == [row[:5] for row in before]
    np.testing.assert_allclose([row[5:] for row in after], [row[5:] for row in before], rtol=1e-6)
    objects = archive.sql("SELECT object_id, n_det, ra, dec FROM objects ORDER BY n_det DESC, object_id")
    assert 25 <= len(objects) <= 30
    first = objects[0]
    assert len(archive.sql("SELECT * FROM light_curve WHERE object_id = ?", [first.object_id])) == first.n_det
    assert len(archive.sql("SELECT * FROM lc(?)", [first.object_id])) == first.n_det
    near = archive.sql("SELECT object_id, separation FROM cone(?, ?, 1)", [first.ra, first.dec])
    assert near[0].object_id == first.object_id
    assert near[0].separation < 1e-3
    other = archive.sql("SELECT count(*) AS n FROM light_curve WHERE object_id = ?", [first.object_id], aperture=7.0)
    assert other[0].n == first.n_det
    assert archive.sql("SELECT count(*) AS n FROM light_curve WHERE object_id IS NOT NULL", run=1)[0].n > 100


def test_a_new_night_is_seen_before_it_is_associated(survey: Survey) -> None:
    archive = survey.archive
    archive.associate(workers=1, progress=False)
    frame_id = survey.frame(150.0, 20.0, 60990.1)
    survey.catalog(frame_id, [150.0, 150.01], [20.0, 20.0], [50.0, 60.0])
    assert archive.sql("SELECT count(*) AS n FROM light_curve WHERE frame_id = ?", [frame_id])[0].n == 2
    assert archive.sql("SELECT count(*) AS n FROM light_curve WHERE mjd_mid > 60990 AND object_id IS NULL")[0].n == 2
    total = archive.sql("SELECT sum(n_rows)::BIGINT AS n FROM catalogs")[0].n
    assert archive.sql("SELECT count(*) AS n FROM light_curve")[0].n == total
    archive.withdraw(survey.run())
    assert archive.sql("SELECT count(*) AS n FROM light_curve")[0].n == 0


def test_a_new_zero_point_is_seen_before_it_is_associated(survey: Survey) -> None:
    archive = survey.archive
    archive.associate(workers=1, progress=False)
    (catalog,) = archive.sql("SELECT catalog_id, run_id FROM catalogs WHERE frame_id = 1")
    before = archive.sql("SELECT avg(mag) AS mag, count(object_id) AS n FROM light_curve WHERE frame_id = 1")[0]
    with archive.database.begin() as conn:
        recipe = runs.get_recipe(conn, "calibrate", {}, [])
        run_id = runs.open_run(conn, recipe, {}).run_id
        point = NewZeroPoint(1, catalog.catalog_id, run_id, "sex", "APER", 5.0, 26.0, 0.01, 0.02, 9, "AB", 0.0)
        zeropoints.add_zero_points(conn, [point])
    after = archive.sql("SELECT avg(mag) AS mag, count(object_id) AS n FROM light_curve WHERE frame_id = 1")[0]
    assert (after.n, after.mag) == (before.n, pytest.approx(before.mag + 1, abs=1e-4))
    (star,) = archive.sql("SELECT object_id, mag FROM light_curve WHERE frame_id = 1 AND object_id IS NOT NULL ORDER BY mag LIMIT 1")
    (same,) = archive.sql("SELECT mag FROM light_curve WHERE object_id = ? AND frame_id = 1", [star.object_id])
    assert same.mag == star.mag
    total = archive.sql("SELECT sum(n_rows)::BIGINT AS n FROM catalogs")[0].n
    assert archive.sql("SELECT count(*) AS n FROM light_curve")[0].n == total
    archive.associate(workers=1, progress=False)
    assert archive.sql("SELECT avg(mag) AS mag FROM light_curve WHERE frame_id = 1")[0].mag == pytest.approx(after.mag, abs=1e-4)


def test_limits_of_an_object(survey: Survey) -> None:
    archive = survey.archive
    archive.associate(workers=1, progress=False)
    (found,) = archive.sql("SELECT object_id, n_det FROM objects WHERE n_det < 8 ORDER BY n_det, object_id LIMIT 1")
    limits = archive.sql("SELECT object_id, kind, frame_id, mag_limit FROM upper_limits(?)", [found.object_id])
    seen = {row.frame_id for row in archive.sql("SELECT frame_id FROM lc(?)", [found.object_id])}
    assert {row.kind for row in limits} <= {"limit"}
    assert {row.object_id for row in limits} <= {found.object_id}
    assert not seen & {row.frame_id for row in limits}
