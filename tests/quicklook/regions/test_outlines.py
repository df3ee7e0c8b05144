"""Plane geometry of closed outlines."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path

from ezarchive.quicklook.regions.outlines import crossing, outline_centroid, outline_contains


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


# Sides that meet where a corner lies on another corner or on a side: they cross in the first list, and touch in the second.
CROSSING = (
    [(0, 0), (2, 2), (4, 4), (4, 0), (2, 2), (0, 3)],  # two lobes of opposite sense at a corner of both
    [(0, 0), (4, 0), (4, 2), (2, 0), (1, -5), (0, -5)],  # a corner on a side, and on beyond it
    [(0, 0), (4, 0), (4, 4), (0, 0), (4, 0), (4, 4)],  # walked twice
    [(0, 0), (9, 0), (9, 9), (0, 9), (0, 0), (3, 3), (6, 3), (6, 6), (3, 6), (3, 3)],  # a hole in the sense of the outline
)
TOUCHING = (
    [(0, 0), (9, 0), (9, 9), (0, 9), (0, 0), (3, 3), (3, 6), (6, 6), (6, 3), (3, 3)],  # a hole and its bridge
    [(0, 0), (4, 0), (4, 2), (2, 0), (1, 5), (0, 5)],  # a corner on a side, and back
    [(0, 0), (2, 2), (0, 4), (4, 4), (2, 2), (4, 0)],  # two lobes of one sense at a corner of both
    [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (1, 2), (1, 1), (0, 1)],  # two pixels of a mask
    [(0, 0), (4, 0), (8, 0), (4, 0), (4, 4)],  # a spike
    [(0, 0), (0, 0), (4, 0), (4, 4), (4, 4)],  # corners that are said twice
)


@pytest.mark.pure
@pytest.mark.parametrize("turned", range(20))
def test_sides_that_meet_at_corners_cross_or_touch(turned):
    rng = np.random.default_rng(turned)
    sin, cos = np.sin(turned), np.cos(turned)  # turned by 0 first, then so that the numbers are rounded
    for corners, crosses in [(one, True) for one in CROSSING] + [(one, False) for one in TOUCHING]:
        placed = np.array(corners, float) @ np.array([[cos, sin], [-sin, cos]]) + (rng.uniform(-1e3, 1e3, 2) if turned else 0.0)
        assert (crossing(placed) is not None) == crosses, corners
        assert (crossing(placed[::-1]) is not None) == crosses, corners


@pytest.mark.pure
def test_an_outline_that_is_not_found_crossing_turns_once_about_each_place_or_not():
    rng = np.random.default_rng(5)
    grid = np.stack(np.meshgrid(np.arange(-0.5, 5, 0.21) + 0.012, np.arange(-0.5, 5, 0.19) + 0.007), axis=-1).reshape(-1, 1, 2)
    clean = 0
    for _ in range(400):
        corners = rng.integers(0, 5, (rng.integers(4, 9), 2)).astype(float)
        if crossing(corners) is not None:
            continue
        start, end = corners - grid, np.roll(corners, -1, axis=0) - grid
        angle = np.arctan2(start[..., 0] * end[..., 1] - start[..., 1] * end[..., 0], (start * end).sum(axis=-1))
        turns = np.rint(angle.sum(axis=1) / (2 * np.pi))
        assert np.ptp(np.append(turns, 0)) <= 1, corners
        clean += 1
    assert clean > 50


@pytest.mark.pure
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_star_turns_more_than_once(turns):
    angle = 2 * np.pi * turns * np.arange(7) / 7
    for corners in (np.stack([np.cos(angle), np.sin(angle)], axis=1), np.stack([np.sin(angle), np.cos(angle)], axis=1)):
        assert (crossing(corners) is None) == (turns == 1)


@pytest.mark.pure
def test_a_long_outline_is_looked_at_as_a_whole():
    angle = np.linspace(0, 2 * np.pi, 30_000, endpoint=False)
    corners = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (50 + 5 * np.sin(17 * angle))[:, None]
    assert crossing(corners) is None
    corners[[20_000, 20_001]] = corners[[20_001, 20_000]]
    assert crossing(corners) == (19_999, 20_001)


@pytest.mark.pure
def test_what_is_no_place_is_outside():
    square = np.array([(0.0, 0), (4, 0), (4, 4), (0, 4)])
    assert not outline_contains(square, np.nan, 2.0)
