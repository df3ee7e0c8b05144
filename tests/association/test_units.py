"""Units of work and what is seen around them."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import sky
from ezarchive.association import units
from ezarchive.association.units import View, spans, units_of
from ezarchive.store.tree import Leaf, Tree
from ezarchive.store.version import Version


@pytest.mark.parametrize("unit", [Leaf(0, 4), Leaf(5, 0), Leaf(12, 7 * 4**12 + 5), Leaf(9, 4**9 - 1)])
def test_a_view_holds_the_unit_and_twenty_arcsec_around(unit):
    view = View.of(unit)
    first, last = unit.cells
    assert view.holds(np.array([first, last - 1])).all()
    assert not view.in_margin(np.array([first, last - 1])).any()
    assert (view.low[1:] > view.high[:-1]).all()
    ra, dec = places_around(unit)
    for angle in np.arange(0, 360, 45.0):
        a = ra + 20 / 3600 * np.sin(np.radians(angle)) / np.cos(np.radians(dec))
        d = dec + 20 / 3600 * np.cos(np.radians(angle))
        good = np.abs(d) < 90
        assert view.holds(sky.cell_of(a[good] % 360, d[good], 29)).all()
    total = (view.margin_high - view.margin_low).sum()
    assert total + last - first == (view.high - view.low).sum()


def places_around(unit: Leaf):
    from cdshealpix import nested

    rng = np.random.default_rng(1)
    first, last = unit.cells
    cells = np.append(rng.integers(first, last, 50), [first, last - 1])
    ra, dec = nested.healpix_to_lonlat(cells.astype(np.uint64), np.uint8(29))
    return ra.deg, dec.deg


def test_rows_in_ranges():
    places = np.array([1, 2, 2, 5, 9])
    assert spans(places, np.array([2, 8]), np.array([5, 10])).tolist() == [1, 2, 4]
    assert spans(places, np.array([6]), np.array([7])).tolist() == []


def test_units_are_those_with_a_new_row_in_view(monkeypatch, tmp_path):
    version = Version.none(tmp_path)
    assert units_of(version, np.empty(0, np.int64), np.empty(0, np.int64)) == []
    inside = np.array([Leaf(3, 15).cells[0] + (1 << 50)]) >> 34
    assert units_of(version, inside, np.array([10])) == [Leaf(0, 0)]
    corner = np.array([4**12], np.int64)  # the first cell of the second base pixel: others touch it
    found = units_of(version, corner, np.array([1]))
    assert Leaf(0, 1) in found
    assert len(found) > 1
    monkeypatch.setattr(units, "UNIT_ROWS", 5)
    divided = units_of(version, inside, np.array([10]))
    assert all(unit.order == 12 for unit in divided if View.of(unit).holds(inside << 34).any() and unit.cells[0] == inside[0] << 34)
    assert any(unit.order == 12 for unit in divided)


def test_a_version_of_a_part(tmp_path):
    version = Version.none(tmp_path)
    assert units.part_of(version, version.tree.leaves, ("sites",)).tree == Tree.base()
