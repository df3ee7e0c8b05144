"""Runs above a threshold, against whole arrays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ezarchive.kernels import threshold

pytestmark = pytest.mark.pure

WEIGHTS = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 16
LOPSIDED = np.array([[0.1, 0.2, 0.05], [0.0, 0.3, 0.1], [0.15, 0.02, 0.08]], np.float32)
NO_MAP = np.zeros((0, 0), np.float32)


def as_image(shape, y, start, stop, values):
    image, at = np.zeros(shape), 0
    for line, first, end in zip(y, start, stop, strict=True):
        image[line, first:end] = values[at : at + end - first]
        at += end - first
    assert at == len(values)
    return image


@pytest.mark.parametrize("shape", [(40, 200), (1, 1), (1, 70), (70, 1), (2, 2), (5, 64), (6, 65)])
@pytest.mark.parametrize("weights", [WEIGHTS, LOPSIDED])
def test_runs_are_the_pixels_above(rng, shape, weights):
    data = rng.normal(size=shape).astype(np.float32)
    smooth = ndimage.correlate(data.astype(float), weights.astype(float), mode="constant")
    found = threshold.runs_above(data, 0, shape[0], weights, True, np.float32(0.3), NO_MAP, data.size)
    np.testing.assert_allclose(as_image(shape, *found), np.where(smooth > 0.3, smooth, 0), atol=1e-6)
    y, start, stop, _ = found
    order = y.astype(int) * (shape[1] + 1)
    assert (np.diff(order + start) > 0).all()
    assert (start[1:] > stop[:-1])[np.diff(y) == 0].all()


def test_without_smoothing(rng):
    data = rng.normal(size=(30, 130)).astype(np.float32)
    found = threshold.runs_above(data, 0, 30, WEIGHTS, False, np.float32(1.0), NO_MAP, data.size)
    np.testing.assert_array_equal(as_image(data.shape, *found), np.where(data > 1, data, 0))


def test_some_rows_see_those_beside_them(rng):
    data = rng.normal(size=(30, 130)).astype(np.float32)
    whole = as_image(data.shape, *threshold.runs_above(data, 0, 30, WEIGHTS, True, np.float32(0.2), NO_MAP, data.size))
    part = as_image(data.shape, *threshold.runs_above(data, 10, 20, WEIGHTS, True, np.float32(0.2), NO_MAP, data.size))
    np.testing.assert_array_equal(part[10:20], whole[10:20])
    assert not part[:10].any()
    assert not part[20:].any()


def test_noise_map(rng):
    data, noise = rng.normal(size=(30, 130)).astype(np.float32), rng.uniform(0.5, 2, (30, 130)).astype(np.float32)
    noise[3, 4] = np.inf
    found = threshold.runs_above(data, 0, 30, WEIGHTS, False, np.float32(0.5), noise, data.size)
    np.testing.assert_array_equal(as_image(data.shape, *found), np.where(data > 0.5 * noise, data, 0))


def test_it_stops_at_the_limit():
    data = np.ones((100, 100), np.float32)
    found = threshold.runs_above(data, 0, 100, WEIGHTS, False, np.float32(0.5), NO_MAP, 250)
    assert len(found[3]) == 300
