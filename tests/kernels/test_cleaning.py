"""Who lies near whom, and what is removed; sep's own decisions are tested in photometry/test_extraction.py."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.kernels import cleaning
from ezarchive.kernels.moments import ABCOR, N_FLOATS, N_INTEGERS

pytestmark = pytest.mark.pure


def objects(rng, n):
    floats, integers = np.zeros((n, N_FLOATS)), np.zeros((n, N_INTEGERS), np.int64)
    floats[:, 0], floats[:, ABCOR], floats[:, 15] = 1.0, 1.0, rng.lognormal(5, 1.5, n)
    floats[:, 1], floats[:, 2] = rng.uniform(0, 900, n), rng.uniform(0, 700, n)
    floats[:, 9] = rng.lognormal(0.5, 0.7, n)
    floats[:, 10] = floats[:, 9] * rng.uniform(0.3, 1, n)
    floats[:, 12] = floats[:, 13] = 1 / floats[:, 9] ** 2
    integers[:, 0] = np.ceil(10 * floats[:, 9] ** 2)
    return floats, integers


def test_neighbours_are_all_within_the_zone(rng):
    floats, _ = objects(rng, 400)
    begin, others = cleaning._neighbours(floats, len(floats))
    x, y, a = floats[:, 1], floats[:, 2], floats[:, 9]
    for i in range(len(floats)):
        listed = others[begin[i] : begin[i + 1]]
        assert (np.diff(listed) > 0).all()
        assert (listed > i).all()
        near = np.flatnonzero(np.hypot(x - x[i], y - y[i]) <= 10 * (a + a[i]))
        assert set(near[near > i]) <= set(listed.tolist())


def test_wings_remove_what_is_fainter(rng):
    floats, integers = objects(rng, 300)
    floats[0, [1, 2, 9, 10, 12, 13, 15]] = 450, 350, 12.0, 12.0, 1 / 144, 1 / 144, 1e6
    integers[0, 0] = 4000
    height = np.full(300, 0.5, np.float32)
    swallowed_by, _ = cleaning.survivors(floats, integers, height, 1.0)
    assert swallowed_by[0] == -1
    removed = np.flatnonzero(swallowed_by >= 0)
    assert len(removed) > 3
    assert (floats[swallowed_by[removed], 15] >= floats[removed, 15]).all()
    # None is removed whose pixels rise high enough.
    assert (cleaning.survivors(floats, integers, np.full(300, 1e9, np.float32), 1.0)[0] == -1).all()


def test_flags_are_handed_on(rng):
    floats, integers = objects(rng, 3)
    floats[:, 1], floats[:, 2], floats[:, 15], floats[:, 9] = [50, 52, 55], 50, [1e6, 1e3, 1e2], [4, 2, 1]
    integers[:, -1] = [0, 2, 8]
    swallowed_by, flags = cleaning.survivors(floats, integers, np.zeros(3, np.float32), 1.0)
    assert swallowed_by.tolist()[0] == -1
    assert flags[0] == 10


@pytest.mark.parametrize(("values", "expected"), [([9, 1, 8, 2, 7], 9), ([5, 4, 3, 2, 1, 9, 9], 2), ([1, 2], 0)])
def test_height_of_the_fifth_brightest_pixel_as_sep_has_it(values, expected):
    # Of five pixels the first; of more, the sixth is never looked at.
    members, first = np.arange(len(values), dtype=np.int32), np.array([0, len(values)], np.int32)
    smoothed, none = np.array(values, np.float32), np.empty(0, np.float32)
    assert cleaning.heights(members, first, 1, smoothed, none, np.float32(0), 5).tolist() == [expected]
    assert cleaning.heights(members, first, 1, smoothed + 3, np.full(len(values), 3, np.float32), np.float32(0), 5).tolist() == [expected]
