"""Points of a line, and interpolation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from ezarchive.quicklook.places.segments import combined, points_along, propagated, sampled, taps_of

pytestmark = pytest.mark.pure


def test_points_lie_side_by_side():
    points = points_along((2, 3), (2, 13), 2.5, 4)
    np.testing.assert_array_equal(points.distance, [0, 2.5, 5, 7.5, 10])
    np.testing.assert_allclose(points.x[0], [3.5, 2.5, 1.5, 0.5])
    np.testing.assert_allclose(points.y[:, 0], 3 + points.distance)
    assert points_along((0, 0), (1, 0), 0.1, 1).distance.size == 11
    assert points_along((0, 0), (0.3, 0), 1, 2.2).x.shape == (1, 3)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_weights_sum_to_one_and_pass_through_pixels(order):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-0.5, 8.5, (2, 500))
    taps = taps_of(x, y, (9, 9), order)
    np.testing.assert_allclose(taps.weight.sum(-1), 1)
    assert taps.on.all()
    data = rng.normal(size=(9, 9))
    x, y = np.meshgrid(np.arange(9.0), np.arange(9.0))
    np.testing.assert_allclose(sampled(data, taps_of(x, y, (9, 9), order)), data, atol=1e-14)


@pytest.mark.oracle
def test_bilinear_as_scipy():
    rng = np.random.default_rng(2)
    data, x, y = rng.normal(size=(7, 9)), rng.uniform(-0.5, 8.5, 300), rng.uniform(-0.5, 6.5, 300)
    np.testing.assert_allclose(sampled(data, taps_of(x, y, data.shape, 1)), map_coordinates(data, [y, x], order=1, mode="nearest"))


def test_off_and_nan():
    taps = taps_of(np.array([-0.6, 2.0, np.nan, 2.0]), np.array([1.0, 2.6, 1.0, 1.0]), (3, 3), 1)
    assert taps.on.tolist() == [False, False, False, True]
    assert np.isnan(sampled(np.ones((3, 3)), taps)).tolist() == [True, True, True, False]


@pytest.mark.oracle
@pytest.mark.parametrize("combine", ["mean", "median"])
def test_combined_as_numpy(combine):
    samples = np.random.default_rng(3).normal(size=(40, 6))
    samples[np.random.default_rng(4).random(samples.shape) < 0.3] = np.nan
    samples[3] = np.nan
    samples[4, 1:] = np.nan
    samples[4, 0] = 2.0
    found = combined(samples, combine)
    for k, row in enumerate(samples):
        known = row[np.isfinite(row)]
        assert found.n[k] == known.size
        if known.size == 0:
            assert np.isnan(found.value[k])
            continue
        assert found.value[k] == pytest.approx(getattr(np, combine)(known))
        if known.size > 1:
            assert found.std[k] == pytest.approx(known.std(ddof=1))
    assert np.isnan(found.std[[3, 4]]).all()


def test_shared_pixels_are_added_before_they_are_squared():
    """Two points in the middle of the same two pixels are no better than one."""
    taps = taps_of(np.array([[0.5, 0.5]]), np.array([[0.0, 0.0]]), (1, 2), 1)
    err = propagated(np.array([[1.0, 9.0]]), taps, np.ones((1, 2), bool), np.array([2]))
    assert err[0] == pytest.approx(np.sqrt((1 + 9) / 4))
    assert np.isnan(propagated(np.ones((1, 2)), taps, np.zeros((1, 2), bool), np.array([0]))[0])
