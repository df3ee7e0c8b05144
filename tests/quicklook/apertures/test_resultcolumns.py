"""Plain columns and tables with units."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u

from ezarchive import columns
from ezarchive.quicklook.apertures import resultcolumns as rc

pytestmark = pytest.mark.pure


def rows(*units, sum_units=None):
    flat = rc.empty(len(units))
    flat["unit"][:], flat["sum_unit"][:] = units, sum_units or units
    for name in (*rc.DATA, *rc.DATA_SQUARED, *rc.PER_COUNT, *rc.SUM):
        flat[name][:] = 1.0
    return flat


def test_every_stored_column_is_there_once():
    flat = rc.empty(2)
    assert list(flat) == ["id", *(column.name for column in columns.LOOK)]
    kinds = {"float64": "f", "int32": "i", "int64": "i", "str": "O"}
    assert all(flat[column.name].dtype.kind == kinds[column.dtype] for column in columns.LOOK)
    assert len(set(rc.ALL)) == len(rc.ALL) == len(columns.LOOK) + 1 - 2
    assert set(rc.LEGACY.values()) <= set(rc.ALL)
    assert len(rc.LEGACY) == 21


def test_each_column_in_a_unit_of_the_row_says_so():
    """What is in `unit` or `sum_unit` has no unit of its own, and is described so."""
    own = {*rc.DATA, *rc.DATA_SQUARED, *rc.PER_COUNT, *rc.SUM}
    assert own.isdisjoint(rc.UNITS)
    for name in own - {"background_err", "sum_raw"}:
        text = rc.SPECS[name].description
        assert "`unit`" in text or "`sum_unit`" in text or "background_std" in text, name


def test_common_units():
    made = rc.in_common_units(rows("Jy", "mJy"))
    assert made["unit"].tolist() == made["sum_unit"].tolist() == ["Jy", "Jy"]
    np.testing.assert_allclose(made["mean"], [1, 1e-3])
    np.testing.assert_allclose(made["var"], [1, 1e-6])
    np.testing.assert_allclose(made["counts_fac"], [1, 1e-3])
    np.testing.assert_allclose(made["sum"], [1, 1e-3])
    assert rc.units_of(made)["var"] == u.Jy**2


@pytest.mark.parametrize("other", ["ct", ""])
def test_units_that_have_nothing_in_common_stay(other):
    flat = rows("Jy", other)
    made = rc.in_common_units(flat)
    assert made["unit"].tolist() == ["Jy", other]
    assert "mean" not in rc.units_of(made)
    assert made["mean"].tolist() == [1, 1]


def test_rows_that_failed_have_no_say():
    flat = rows("", "Jy")
    flat["flags"][0] = 256
    assert rc.units_of(flat)["sum"] == u.Jy
    assert rc.table_of(flat)["sum"].unit == u.Jy


def test_rows_of_plain_values():
    (row,) = rc.rows_of(rc.empty(1))
    assert (row["id"], row["sum"], row["unit"], row["n_bad"]) == (1, None, None, 0)


def test_a_moment_that_is_not_known_is_masked():
    flat = rows("Jy", "Jy")
    flat["timestamp"][1] = "2026-01-02T03:04:05.000"
    table = rc.table_of(flat)
    assert table["timestamp"].mask.tolist() == [True, False]
    assert rc.flat_of(table)["timestamp"].tolist() == ["", "2026-01-02T03:04:05.000"]


def test_arguments_are_not_changed():
    flat = rows("Jy", "mJy")
    rc.table_of(flat)["mean"][:] = 5 * u.Jy
    assert flat["mean"].tolist() == [1, 1]
    assert flat["unit"].tolist() == ["Jy", "mJy"]
