"""One unit decided."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import surveys

from ezarchive.association import deciding, reading, scratch, sources
from ezarchive.store import files, ids
from ezarchive.store.tree import Leaf
from ezarchive.store.version import Version


def test_present_ids():
    aliases = np.array([[3, 1], [7, 2]])
    assert deciding.present(np.array([1, 3, 7, 9]), aliases).tolist() == [1, 1, 2, 9]
    assert deciding.present(np.array([5]), aliases[:0]).tolist() == [5]


def test_nights_have_numbers():
    column = pa.chunked_array([pa.array(["2026-01-01", "run7", None, None, "2026-01-01"]).dictionary_encode()])
    number = deciding._nights(column, np.array([1.0, 2.0, 61000.7, deciding.LATE, np.nan]))
    assert number[0] == number[4] == 61041
    assert number[1] < -1
    assert number[2] == 61000


def test_a_row_gets_the_place_of_its_object(survey):
    table = scratch.joined([], "orphans")
    assert scratch.with_objects(table, np.empty(0, np.int64)).column_names == files.schema("light_curve").names


@pytest.mark.parametrize("nights", [1, 3])
def test_a_unit(survey, tmp_path, nights, rng):
    ra, dec = surveys.stars(rng, 30)
    for night in range(nights):
        survey.catalog(survey.frame(150, 20, surveys.MJD + night), ra, dec, np.full(30, 100.0))
    with survey.archive.database.connect() as conn:
        found = sources.find(conn, 5.0)
    read = [reading.read(task) for task in reading.tasks(found, survey.home, tmp_path, 5.0)]
    (unit,) = {Leaf(0, int(cell) >> 24) for part in read for cell in part.cells}
    task = deciding.DecideTask(0, unit, tmp_path, (read[0].placed,), Version.none(survey.home), 1.0, 2, np.empty((0, 2), np.int64))
    decided = deciding.decide(task)
    if nights == 1:
        assert decided.rows is None
        assert decided.orphan_counts.sum() == 30
        return
    table = scratch.read(decided.rows)
    assert decided.orphans is None
    assert decided.counts.sum() == len(table) == 90
    assert len(decided.minted) == 30
    assert files.is_sorted(table, files.ORDERS["light_curve"])
    assert (scratch.column(table, "_healpix_29") == ids.healpix_29(scratch.column(table, "object_id"))).all()
    assert len(scratch.read(decided.sites)) == 30
    elsewhere = deciding.decide(task._replace(unit=Leaf(0, (unit.pixel + 6) % 12)))
    assert (elsewhere.rows, elsewhere.orphans, len(elsewhere.minted)) == (None, None, 0)
