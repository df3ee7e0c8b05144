"""Pixels that count, their weights, and what stands in for holes."""

from __future__ import annotations

import numpy as np
import pytest
from fitpairs import clean

from ezarchive.compare.imagewindow import beside_holes, inner, patched, segment_mask, shifted, tapered

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-1, 4), (-12, 0), (12, 40)])
@pytest.mark.parametrize("outside", [True, False])
def test_a_mask_moves_by_whole_pixels(shift, outside):
    mask = np.random.default_rng(1).uniform(size=(11, 14)) < 0.5
    found = shifted(mask, *shift, outside=outside)
    for y, x in np.ndindex(mask.shape):
        y0, x0 = y - shift[0], x - shift[1]
        inside = 0 <= y0 < 11 and 0 <= x0 < 14
        assert found[y, x] == (mask[y0, x0] if inside else outside)


def test_the_inner_part_has_guards_on_both_images():
    good = inner((100, 80), (5, -10), (10, 8))
    assert np.argwhere(good).min(axis=0).tolist() == [15, 8]
    assert np.argwhere(good).max(axis=0).tolist() == [89, 61]
    assert inner((100, 80), (0, 0), (90, 90)).sum() == 70 * 56
    assert not inner((100, 80), (100, 0), (10, 10)).any()


def test_large_holes_have_a_guard_and_many_small_ones_have_less():
    good, holes = np.ones((60, 60), bool), np.zeros((60, 60), bool)
    assert beside_holes(good, holes, 10) is good
    holes[30, 30] = True
    found = beside_holes(good, holes, 10)
    assert not found[30, 40]
    assert found[30, 41]
    holes[::5, ::5] = True
    found = beside_holes(good, holes, 10)
    assert found.sum() >= 0.5 * (~holes).sum()
    assert not found[holes].any()


def test_weights_fall_inside_of_the_good_pixels():
    good = np.zeros((40, 40), bool)
    good[5:35, 5:] = True
    np.testing.assert_array_equal(tapered(good, 1), good)
    found = tapered(good, 9)
    assert (found[~good] == 0).all()
    assert (np.diff(found[20, 4:11]) > 0).all()
    assert found[20, 20] == 1
    assert found[20, 39] < 1


def test_holes_take_the_mean_of_what_is_near():
    y, x = np.indices((50, 60))
    data, holes = 3.0 + 0.1 * x, np.zeros((50, 60), bool)
    assert patched(data, holes, 0.0) is data
    holes[20, 20] = holes[30:45, 30:45] = True
    found = patched(np.where(holes, 0.0, data), holes, 7.0)
    assert found[20, 20] == pytest.approx(5.0, abs=0.01)
    assert found[37, 37] == pytest.approx(7.0, abs=0.01)
    np.testing.assert_array_equal(found[~holes], data[~holes])


def test_sky_and_sources():
    pair = clean()
    none = np.zeros(pair.reference.shape, bool)
    sky = segment_mask(pair.reference, none)
    x, y = (round(c) for c in pair.star_xy)
    assert not sky[y - 1 : y + 2, x - 1 : x + 2].any()
    assert 0.2 < sky.mean() < 0.9
    np.testing.assert_array_equal(segment_mask(1e-17 * pair.reference + 1e-15, none), sky)
    assert segment_mask(pair.reference, ~none).all()
