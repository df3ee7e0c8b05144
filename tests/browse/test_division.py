"""Frames in groups."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from astropy import units as u
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.browse.division import divided
from ezarchive.errors import InputError

pytestmark = pytest.mark.pure


def frame(filter="r", exptime=100.0, mjd=None):
    return SimpleNamespace(filter=filter, exptime=exptime, mjd_start=mjd, mjd_mid=mjd)


def test_by_what_they_have_in_common():
    frames = [frame("r"), frame("g"), frame(None), frame("r", 100.00001), frame("g", 60.0)]
    assert divided(frames, ["filter"]) == [[1, 4], [0, 3], [2]]
    assert divided(frames, ["filter", "exptime"]) == [[4], [1], [0, 3], [2]]
    assert divided(frames, []) == [[0, 1, 2, 3, 4]]
    assert divided([], ["filter"]) == []


def test_by_gaps_in_time():
    frames = [frame(mjd=t) for t in (10.1, 11.3, 10.4, None, 10.85, 12.0)]
    assert divided(frames, [], 0.5) == [[0, 1, 2, 4], [5], [3]]
    assert divided(frames, [], 0.44) == [[0, 2], [4], [1], [5], [3]]
    assert divided(frames, [], 0.4 * u.day) == [[0, 2], [4], [1], [5], [3]]
    assert divided(frames, [], (1 * u.hour)) == [[0], [2], [4], [1], [5], [3]]


@given(st.lists(st.tuples(st.sampled_from("rgi"), st.floats(0, 10), st.sampled_from([60.0, 100.0])), max_size=20), st.floats(0.01, 3))
def test_every_frame_is_in_one_group_and_no_gap_is_longer(rows, delta):
    frames = [frame(name, exptime, mjd) for name, mjd, exptime in rows]
    parts = divided(frames, ["filter", "exptime"], delta)
    assert sorted(place for part in parts for place in part) == list(range(len(frames)))
    for part in parts:
        assert len({(frames[i].filter, frames[i].exptime) for i in part}) == 1
        times = sorted(frames[i].mjd_mid for i in part)
        assert all(b - a <= delta for a, b in zip(times, times[1:], strict=False))


@pytest.mark.parametrize("delta", [0, -1, "1 d", 5 * u.arcsec, True])
def test_gaps_that_are_none(delta):
    with pytest.raises(InputError, match="obsdate_delta=.*: must be"):
        divided([frame(mjd=1.0)], [], delta)
