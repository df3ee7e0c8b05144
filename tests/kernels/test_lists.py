"""Sorting and growing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezarchive.kernels import lists

pytestmark = pytest.mark.pure


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-1000, 1000), max_size=300), st.integers(0, 20), st.integers(0, 20))
def test_sort(values, before, after):
    array = np.array([5] * before + values + [-5] * after, np.int32)
    lists.sort(array, before, before + len(values))
    assert array.tolist() == [5] * before + sorted(values) + [-5] * after


def test_sort_of_many(rng):
    values = rng.permutation(100_000).astype(np.int32)
    lists.sort(values, 0, len(values))
    np.testing.assert_array_equal(values, np.arange(100_000))


def test_twice_the_room(rng):
    values = rng.normal(size=(7, 3))
    np.testing.assert_array_equal(lists.longer(values[:, 0].copy()), np.r_[values[:, 0], np.zeros(7)])
    np.testing.assert_array_equal(lists.taller(values), np.r_[values, np.zeros((7, 3))])
