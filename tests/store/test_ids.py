"""Object ids."""

from __future__ import annotations

import numpy as np
import pytest
from cdshealpix import nested
from hypothesis import given, settings
from hypothesis import strategies as st

from ezarchive.errors import InputError
from ezarchive.sky import cell_of, separation
from ezarchive.store import ids

pytestmark = pytest.mark.pure

PLACES = st.tuples(st.floats(0, 360, exclude_max=True), st.floats(-90, 90))


@given(PLACES)
def test_the_id_tells_the_place(place):
    cell = cell_of(*place, 29)
    (number,) = ids.object_ids(cell)
    assert ids.healpix_29([number]) == cell
    assert ids.cell_12([number]) == cell_of(*place, 12)
    ra, dec = ids.place([number, number + 1])
    assert (separation(ra, dec, *place) * 3600 < 1e-3).all()


def test_ids_sort_along_the_sky_and_fit():
    assert ids.object_ids([0, 1]).tolist() == [0, 2]
    last = (12 << 58) - 1
    assert 0 < ids.object_ids([last])[0] < ids.N_IDS < 2**63
    assert ids.object_ids([]).dtype == np.int64
    assert len(ids.place([])[0]) == 0


@pytest.mark.parametrize("cell", [-1, 12 << 58])
def test_no_cell(cell):
    with pytest.raises(InputError, match=r"healpix_29: cells of order 29 must lie in 0 to"):
        ids.object_ids([cell])


@pytest.mark.parametrize("number", [-1, ids.N_IDS])
@pytest.mark.parametrize("function", [ids.healpix_29, ids.cell_12, ids.place])
def test_no_id(function, number):
    with pytest.raises(InputError, match=r"object_id: must lie in 0 to"):
        function([number])


def test_ranges_of_cells():
    assert ids.range_of(0, 0) == ids.Range(0, 1 << 59)
    assert ids.range_of(0, 11).high == ids.N_IDS
    assert ids.range_of(29, 7) == (14, 16)
    low, high = ids.range_of(12, 1234)
    assert ids.cell_12([low, high - 1, high]).tolist() == [1234, 1234, 1235]


@pytest.mark.parametrize(
    ("order", "pixel", "message"), [(30, 0, "order 30"), (-1, 0, "order -1"), (0, 12, "pixel 12"), (3, -1, "pixel -1")]
)
def test_no_such_cell(order, pixel, message):
    with pytest.raises(InputError, match=message):
        ids.range_of(order, pixel)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(PLACES, st.sampled_from([(0.0, 90.0), (0.0, -90.0), (0.0, 0.0), (45.0, 0.0), (359.9999, 41.81)])),
    st.one_of(st.just(0.0), st.floats(1e-4, 100.0), st.sampled_from([5 / 3600, 1.0, 89.99, 90.0, 180.0])),
    st.integers(0, 2**32 - 1),
)
def test_a_cone_misses_nothing(centre, radius, seed):
    ranges = ids.ranges_of_cone(*centre, radius)
    assert ranges == sorted(ranges)
    assert all(one.high < two.low for one, two in zip(ranges, ranges[1:], strict=False))
    rng = np.random.default_rng(seed)
    # Places of ids up to the drift outside the cone.
    apart, angle = np.radians((radius + ids.DRIFT_ARCSEC / 3600) * np.sqrt(rng.random(300)) * 0.999999), rng.uniform(0, 2 * np.pi, 300)
    a, d = np.radians(centre)
    dec = np.arcsin(np.clip(np.sin(d) * np.cos(apart) + np.cos(d) * np.sin(apart) * np.cos(angle), -1, 1))
    ra = a + np.arctan2(np.sin(angle) * np.sin(apart) * np.cos(d), np.cos(apart) - np.sin(d) * np.sin(dec))
    numbers = ids.object_ids(cell_of(np.degrees(ra) % 360, np.degrees(dec), 29))
    low, high = np.array(ranges).T
    at = np.searchsorted(low, numbers, side="right") - 1
    assert (at >= 0).all()
    assert (numbers < high[at]).all()


@pytest.mark.parametrize("radius", [2 / 3600, 60 / 3600, 1.0, 10.0])
def test_a_cone_holds_little_else(radius):
    reach = radius + ids.DRIFT_ARCSEC / 3600
    ranges = ids.ranges_of_cone(123.4, -12.3, radius)
    covered = sum(high - low for low, high in ranges) / ids.N_IDS * 4 * np.pi
    cone = 2 * np.pi * (1 - np.cos(np.radians(reach)))
    assert cone < covered < 4 * cone
    assert len(ranges) < 60


def test_the_whole_sky_and_no_margin():
    assert ids.ranges_of_cone(0, 0, 180) == [(0, ids.N_IDS)]
    (only,) = ids.ranges_of_cone(10, 20, 0, margin_deg=0)
    assert only.low <= ids.object_ids(cell_of(10, 20, 29))[0] < only.high


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.nan, 0, 1), {}, "position: must be finite"),
        ((0, 91, 1), {}, "position: must be finite"),
        ((0, 0, -1), {}, "radius -1: must lie in 0 to 180"),
        ((0, 0, np.nan), {}, "radius nan"),
        ((0, 0, 181), {}, "radius 181"),
        ((0, 0, 1), {"margin_deg": -1}, "margin -1: must be finite and not negative"),
        ((0, 0, 1), {"margin_deg": np.inf}, "margin inf"),
    ],
)
def test_no_cone(arguments, options, message):
    with pytest.raises(InputError, match=message):
        ids.ranges_of_cone(*arguments, **options)


def test_ranges_are_merged():
    ranges = [ids.Range(5, 9), ids.Range(0, 2), ids.Range(6, 7), ids.Range(2, 3), ids.Range(20, 20)]
    assert ids.merged(ranges) == [(0, 3), (5, 9)]
    assert ids.merged([]) == []


def test_cells_of_order_12_are_half_an_arcmin_to_a_minute_wide():
    corners = nested.vertices(np.array([1234567]), 12)
    assert 30 < separation(corners[0].deg[0, 0], corners[1].deg[0, 0], corners[0].deg[0, 1], corners[1].deg[0, 1]) * 3600 < 70
