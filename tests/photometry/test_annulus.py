"""Rings: which pixels belong to them, and their clipped statistics against NumPy and astropy."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.stats import sigma_clip

from ezarchive.photometry.annulus import Clipping, measure_rings, remaining_sigma
from ezarchive.photometry.stamps import ArrayCutouts, Scene, stacked
from ezarchive.sky.ellipses import Ellipses


def rings(data, x, y, inner, outer, clipping=None, **known):
    scene = Scene(ArrayCutouts(data), **known)
    stamps = stacked(scene, np.atleast_1d(x), np.atleast_1d(y), (24, 24))
    return measure_rings(stamps, inner, outer, clipping or Clipping())


def brute(data, x, y, shape, ratio):
    """The pixels of a ring by the equation of an ellipse."""
    rows, cols = np.indices(data.shape)
    dx, dy, angle = cols - x, rows - y, np.radians(shape[2])
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    distance = np.hypot(along / shape[0], across / shape[1])
    return data[(distance >= 1) & (distance < ratio)]


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(6.0, 6.0, 0.0), (9.0, 3.0, 33.0)])
def test_statistics_against_astropy(rng, dtype, shape):
    data = rng.normal(100, 5, (90, 90)).astype(dtype)
    data[rng.random(data.shape) < 0.05] += 200
    x, y = rng.uniform(30, 60, (2, 12))
    inner = Ellipses(*(np.full(12, value) for value in shape))
    found = rings(data, x, y, inner, inner.scaled(2.2))
    for i in range(12):
        left = sigma_clip(brute(data, x[i], y[i], shape, 2.2), sigma=3, maxiters=5).compressed()
        assert found.pixels[i] == left.size
        assert found.level[i] == pytest.approx(np.median(left), rel=1e-6)
        assert found.sigma[i] == pytest.approx(np.std(left, ddof=1) / remaining_sigma(3.0), rel=1e-5)
        assert found.level_err[i] == pytest.approx(np.sqrt(np.pi / 2 / left.size) * found.sigma[i])


@pytest.mark.pure
def test_masked_and_missing_pixels_and_those_of_sources_are_left_out(rng):
    data = rng.normal(0, 1, (90, 90))
    data[:, :40] = np.nan
    mask, segmap = np.zeros(data.shape, np.uint8), np.zeros(data.shape, np.int32)
    mask[:40], segmap[50:, 50:] = 1, 4
    inner = Ellipses.circles(5, 1)
    found = rings(data, 45.0, 45.0, inner, inner.scaled(3), mask=ArrayCutouts(mask), segmap=ArrayCutouts(segmap))
    rows, cols = np.indices(data.shape)
    chosen = (np.hypot(cols - 45, rows - 45) >= 5) & (np.hypot(cols - 45, rows - 45) < 15)
    chosen &= np.isfinite(data) & (mask == 0) & (segmap == 0)
    left = sigma_clip(data[chosen], sigma=3, maxiters=5).compressed()
    assert found.pixels[0] == left.size
    assert found.level[0] == pytest.approx(np.median(left))


@pytest.mark.pure
def test_rings_over_the_edge_and_empty_ones(rng):
    data = rng.normal(10, 1, (90, 90))
    inner = Ellipses.circles(5, 3)
    found = rings(data, np.array([0.0, -9.0, 45.0]), np.array([45.0, 45.0, 45.0]), inner, inner.scaled(2), Clipping(least_pixels=30))
    assert found.level[0] == pytest.approx(10, abs=0.5)
    assert found.pixels[0] < found.pixels[2]
    assert np.isnan([found.level[1], found.level_err[1], found.sigma[1]]).all()
    assert found.pixels[1] < 30


@pytest.mark.pure
def test_clipping_can_be_left_out(rng):
    data = rng.normal(0, 1, (90, 90))
    data[45, 52] = 1e6
    inner = Ellipses.circles(5, 1)
    clipped, whole = (rings(data, 45.0, 45.0, inner, inner.scaled(2), Clipping(iterations=n)) for n in (5, 0))
    assert whole.pixels[0] > clipped.pixels[0]
    assert whole.sigma[0] > 1e4


@pytest.mark.pure
@pytest.mark.parametrize("clip", [2.0, 3.0, 4.0])
def test_what_clipping_leaves_of_a_gaussian(clip, rng):
    values = rng.normal(0, 1, 400_000)
    for _ in range(100):
        values = values[np.abs(values) <= clip * values.std()]
    assert remaining_sigma(clip) == pytest.approx(values.std(), abs=0.01)


@pytest.mark.pure
def test_clipping_that_would_take_everything_is_not_corrected_for():
    assert remaining_sigma(1.0) == 1.0
