"""What is written into leaves."""

from __future__ import annotations

import numpy as np
import pytest
import surveys

from ezarchive.association import scratch, writing
from ezarchive.database import stores
from ezarchive.store import files, sites
from ezarchive.store.build import Builder
from ezarchive.store.compact import CALIBRATION
from ezarchive.store.version import Version


@pytest.fixture
def stored(survey, rng):
    """A version with 20 stars on three nights, and orphans of a fourth."""
    ra, dec = surveys.stars(rng, 20)
    for night in range(3):
        survey.catalog(survey.frame(150, 20, surveys.MJD + night), ra, dec, np.full(20, 100.0))
    survey.catalog(survey.frame(150, 20, surveys.MJD + 3), [150.5, np.nan], [20.5, np.nan], [100.0, 90.0])
    survey.archive.associate(progress=False)
    with survey.archive.database.connect() as conn:
        return Version.open(survey.home, stores.current(conn))


def test_sites_are_where_the_rows_are(stored):
    (leaf,) = stored.leaves("light_curve")
    found = writing.detected_sites(stored, leaf)
    table = stored.read("sites", leaf)
    assert found.tolist() == np.stack([scratch.column(table, name) for name in ("site", "object_id")], axis=1).tolist()
    assert (sites.healpix_29(found[:, 0]) >= leaf.cells[0]).all()


def test_rows_take_the_present_ids(stored, tmp_path):
    (leaf,) = stored.leaves("light_curve")
    table = stored.read("light_curve", leaf)
    old = np.unique(scratch.column(table, "object_id"))
    path = tmp_path / "rows.arrow"
    scratch.write(path, table)
    assert writing.renamed(path, np.array([[1, 2]])) is None
    cells, counts = writing.renamed(path, np.array([[old[-1], old[0]]]))
    found = scratch.read(path)
    assert files.is_sorted(found, files.ORDERS["light_curve"])
    assert set(scratch.column(found, "object_id")) == set(old[:-1])
    assert counts.sum() == len(table)
    assert (cells == np.unique(scratch.column(found, "object_id") >> 35)).all()


def test_rows_of_dropped_catalogs_go(stored, survey):
    (leaf,) = stored.leaves("orphans")
    catalog = stored.read("orphans", leaf)["catalog_id"][0].as_py()
    calibration = CALIBRATION.empty_table()
    with Builder(survey.home, stored, stored.number + 1, {}) as builder:
        current = builder.current()
        assert writing.without(current, builder.writer, leaf, "orphans", np.array([catalog + 9]), calibration) == ()
        builder.apply(writing.without(current, builder.writer, leaf, "orphans", np.array([catalog]), calibration))
        builder.apply(writing.without(current, builder.writer, None, "unplaced", np.array([catalog]), calibration))
        assert builder.current().totals["orphans"] == builder.current().totals["unplaced"] == 0
