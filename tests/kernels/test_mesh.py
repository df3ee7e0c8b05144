"""Boxes of the background against sep, bit by bit, and the meeting place of two sums against walking there."""

from __future__ import annotations

import numpy as np
import pytest
import sep
from hypothesis import given, settings
from hypothesis import strategies as st

from ezarchive.kernels import mesh

NO_MASK = np.zeros((0, 0), bool)


def boxes(image, width, bad=NO_MASK):
    n = -(-image.shape[1] // width)
    level, noise = np.full(n, -1.0), np.full(n, -1.0)
    assert mesh.box_row(image, 0, len(image), width, bad, level, noise)
    return level, noise


def of_sep(image, width, bad=None):
    level, noise = [], []
    for start in range(0, image.shape[1], width):
        part = np.ascontiguousarray(image[:, start : start + width])
        mask = None if bad is None else np.ascontiguousarray(bad[:, start : start + width])
        found = sep.Background(part, mask=mask, bw=part.shape[1], bh=part.shape[0], fw=1, fh=1)
        level.append(found.globalback)
        noise.append(float(found.rms()[0, 0]) if found.globalrms == 1.0 else found.globalrms)
    return level, noise


@pytest.mark.oracle
class TestAgainstSep:
    @pytest.mark.parametrize("kind", ["sky", "stars", "skewed", "whole numbers", "two values", "hot pixel", "negative"])
    @pytest.mark.parametrize(("height", "columns", "width"), [(64, 1111, 64), (20, 300, 32), (7, 100, 9), (64, 64 * 17, 64), (1, 90, 30)])
    def test_level_and_noise(self, rng, kind, height, columns, width):
        shape = height, columns
        image = {
            "sky": lambda: rng.normal(400, 20, shape),
            "stars": lambda: rng.normal(400, 20, shape) + (rng.random(shape) < 0.05) * rng.lognormal(6, 2, shape),
            "skewed": lambda: rng.gamma(2.0, 30.0, shape),
            "whole numbers": lambda: np.rint(rng.normal(12, 2, shape)),
            "two values": lambda: rng.choice([10.0, 11.0], shape, p=[0.9, 0.1]),
            "hot pixel": lambda: rng.normal(0, 1e-3, shape) + (np.arange(columns) == 5) * 1e9,
            "negative": lambda: rng.normal(-5e5, 3, shape),
        }[kind]().astype(np.float32)  # fmt: skip
        np.testing.assert_array_equal(boxes(image, width), of_sep(image, width))

    def test_masked(self, rng):
        image = rng.gamma(2.0, 30.0, (64, 700)).astype(np.float32)
        bad = rng.random(image.shape) < 0.3
        image[bad & (rng.random(image.shape) < 0.5)] = np.nan
        np.testing.assert_array_equal(boxes(image, 64, bad), of_sep(image, 64, bad))


@pytest.mark.pure
class TestBoxes:
    def test_too_few_pixels(self, rng):
        image, bad = rng.normal(size=(10, 100)).astype(np.float32), np.zeros((10, 100), bool)
        bad[:6, 20:40] = bad[:5, 40:60] = True
        level, noise = boxes(image, 20, bad)
        assert np.isnan(level).tolist() == np.isnan(noise).tolist() == [False, True, False, False, False]

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -3e38])
    @pytest.mark.parametrize("column", [3, 510, 639])
    def test_pixels_without_value_are_noticed(self, rng, value, column):
        image = rng.normal(size=(10, 640)).astype(np.float32)
        image[4, column] = value
        level, noise = np.empty(10), np.empty(10)
        assert not mesh.box_row(image, 0, 10, 64, NO_MASK, level, noise)

    def test_some_rows(self, rng):
        image = rng.normal(size=(30, 640)).astype(np.float32)
        level, noise = np.empty(10), np.empty(10)
        mesh.box_row(image, 10, 20, 64, NO_MASK, level, noise)
        np.testing.assert_array_equal((level, noise), boxes(image[10:20].copy(), 64))


def walked(counts, low, high):
    """Let two sums grow from both ends, the smaller one always next."""
    lower = upper = 0
    left, right = low, high
    for _ in range(low, high + 1):
        if lower < upper:
            lower += counts[left]
            left += 1
        else:
            upper += counts[right]
            right -= 1
    return left, lower


@pytest.mark.pure
@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.data())
def test_two_sums_meet_where_walking_leads(values, data):
    counts = np.array(values, np.int32)
    low = data.draw(st.integers(0, len(values) - 1))
    high = data.draw(st.integers(low, len(values) - 1))
    start = data.draw(st.integers(low, high + 1))
    n, below = int(counts[low : high + 1].sum()), int(counts[low:start].sum())
    assert mesh._split(counts, low, high, n, start, below) == walked(values, low, high)
