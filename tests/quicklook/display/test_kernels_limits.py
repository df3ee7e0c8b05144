"""The compiled passes, on pixels that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.quicklook.display.kernels_limits import add_blocks, extremes, sift, squares


def frozen(values, dtype=np.float64):
    """Return an array as the strips have them: not to be written to."""
    made = np.array(values, dtype)
    made.flags.writeable = False
    return made


def test_extremes():
    assert extremes(frozen([np.nan, 3, -np.inf, 0, np.inf, 7])) == (3, 0.0, 7.0)
    assert extremes(frozen([np.nan, np.inf])) == (0, np.inf, -np.inf)


def test_squares():
    assert squares(frozen([1, 3, np.nan, np.inf]), 1.0) == 4.0
    assert squares(frozen([1e-20, 3e-20]), 2e-20) == pytest.approx(2e-40, rel=1e-12)


def test_sift_counts_each_value_once_for_each_bracket():
    values = frozen([*range(10), np.nan, np.inf, -np.inf])
    counts, kept = np.zeros((2, 5), np.int64), np.full((2, 4), -1.0)
    sift(values, np.array([[1.0, 4.0], [6.0, 8.0]]), counts, kept)
    assert counts.tolist() == [[1, 1, 2, 1, 5], [6, 1, 1, 1, 1]]
    assert kept.tolist() == [[2, 3, -1, -1], [7, -1, -1, -1]]
    sift(values, np.array([[1.0, 4.0], [6.0, 8.0]]), counts, kept)
    assert counts.sum(axis=1).tolist() == [20, 20]
    assert kept.tolist() == [[2, 3, 2, 3], [7, 7, -1, -1]]


def test_sift_with_brackets_that_overlap_or_are_points():
    values = frozen([0, 1, 1, 2, 3])
    counts, kept = np.zeros((2, 5), np.int64), np.empty((2, 5))
    sift(values, np.array([[-np.inf, 2.0], [1.0, np.inf]]), counts, kept)
    assert counts.tolist() == [[0, 0, 3, 1, 1], [1, 2, 2, 0, 0]]
    counts[:] = 0
    sift(values, np.array([[1.0, 1.0], [1.0, 1.0]]), counts, kept)
    assert counts.tolist() == [[1, 2, 0, 0, 2]] * 2


def test_sift_goes_on_counting_where_there_is_no_room():
    counts, kept = np.zeros((2, 5), np.int64), np.empty((2, 1))
    sift(frozen([1, 2, 3, 4]), np.array([[0.0, 9.0], [0.0, 9.0]]), counts, kept)
    assert counts[:, 2].tolist() == [4, 4]
    assert kept[:, 0].tolist() == [1, 1]


def test_blocks():
    rows = frozen([[1, 2, 3, 4, 5], [1, 1, np.nan, np.inf, 1]])
    sums, numbers = np.zeros((2, 3)), np.zeros((2, 3), np.int64)
    add_blocks(rows, 1, 2, sums, numbers)
    assert sums.tolist() == [[3, 7, 5], [2, 0, 1]]
    assert numbers.tolist() == [[2, 2, 1], [2, 0, 1]]
