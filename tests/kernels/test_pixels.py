"""Lists of pixels."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.kernels import pixels

pytestmark = pytest.mark.pure


def test_places_and_values(rng):
    data = rng.normal(size=(20, 70))
    edges = np.diff(np.pad((data > 0.5).astype(np.int8), ((0, 0), (1, 1))), axis=1)
    (y, start), (_, stop) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    y, start, stop = (values.astype(np.int32) for values in (y, start, stop))
    rows, columns, offset = pixels.places(y, start, stop)
    np.testing.assert_array_equal((rows, columns), np.nonzero(data > 0.5))
    np.testing.assert_array_equal(pixels.values_at(data, 0, rows, columns), data[data > 0.5].astype(np.float32))
    lower = rows >= 5
    part = pixels.values_at(data[5:], 5, rows[lower], columns[lower])
    np.testing.assert_array_equal(part, data[rows[lower], columns[lower]].astype(np.float32))
    np.testing.assert_array_equal(columns[offset[:-1]], start)
    painted = np.zeros(data.shape, np.int32)
    pixels.paint(painted, rows, columns, np.arange(len(rows), dtype=np.int32))
    np.testing.assert_array_equal(painted[rows, columns], np.arange(len(rows)))


@pytest.mark.parametrize("mapped", [True, False])
def test_pixels_are_shared_out(mapped):
    rows, columns = np.repeat(np.arange(5, dtype=np.int32), 4), np.tile(np.arange(4, dtype=np.int32), 5)
    # Three objects, the second removed; pixels 0, 1 and 19 are of none.
    members, first = np.array([2, 3, 7, 8, 9, 12, 13, 14, 15, 18], np.int32), np.array([0, 3, 7, 10], np.int32)
    kept, left = np.array([True, False, True]), np.array([-1, 3, -1], np.int32)
    noise = np.arange(20, dtype=np.float32) if mapped else np.empty(0, np.float32)
    source, y, x, own, loose_y, loose_x = pixels.share_out(members, first, kept, left, rows, columns, noise)
    places = (y * 4 + x).tolist()
    assert (source.tolist(), places) == ([0, 0, 0, 1, 1, 1], [2, 3, 7, 14, 15, 18])
    assert own.tolist() == (places if mapped else [])
    loose = set((loose_y * 4 + loose_x).tolist())
    # Of the removed one, what lies in row 3 stays.
    assert loose == {0, 1, 4, 5, 6, 10, 11, 16, 17, 19} | {12, 13}
