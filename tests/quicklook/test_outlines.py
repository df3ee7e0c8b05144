"""Plane geometry of closed outlines."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path

from ezarchive.quicklook.outlines import crossing, outline_centroid, outline_contains


@pytest.mark.pure
def test_area_and_centre_keep_their_digits_far_from_the_origin():
    corners = np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (0.0, 2.0)])
    for shift in (0.0, 1e7):
        assert outline_centroid(corners + shift) == pytest.approx((8.0, 2.0 + shift, 1.0 + shift), abs=1e-8)
    assert outline_centroid(corners[::-1])[0] == 8.0
    assert outline_centroid(np.array([(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)])) == (0.0, 1.0, 1.0)


@pytest.mark.oracle
def test_inside_is_that_of_matplotlib():
    rng = np.random.default_rng(4)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 25))
    radius = rng.uniform(3, 10, 25)
    corners = np.stack([12 + radius * np.cos(angle), 11 + radius * np.sin(angle)], axis=1)
    places = rng.uniform(0, 25, (20_000, 2))
    want = Path(np.vstack([corners, corners[:1]]), closed=True).contains_points(places)
    assert np.array_equal(outline_contains(corners, places[:, 0], places[:, 1]), want)


@pytest.mark.pure
def test_crossing_sides_are_found_and_touching_ones_are_not():
    assert crossing(np.array([(0.0, 0), (2, 2), (2, 0), (0, 3)])) == (0, 2)
    assert crossing(np.array([(0.0, 0), (4, 0), (4, 4), (0, 4)])) is None
    hole = np.array([(0.0, 0), (9, 0), (9, 9), (0, 9), (0, 0), (3, 3), (3, 6), (6, 6), (6, 3), (3, 3)])
    assert crossing(hole) is None
    assert outline_contains(hole, [1.0, 4.5], [4.5, 4.5]).tolist() == [True, False]


@pytest.mark.pure
def test_what_is_no_place_is_outside():
    square = np.array([(0.0, 0), (4, 0), (4, 4), (0, 4)])
    assert not outline_contains(square, np.nan, 2.0)
