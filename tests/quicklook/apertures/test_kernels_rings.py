"""The loop behind rings."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.quicklook.apertures.kernels_rings import shares


def run(room):
    rings, pixels, weights = np.full(room, -1), np.full(room, -1), np.full(room, np.nan)
    return shares(np.array([0.0, 1.0]), np.array([0.0, 0.0]), 1.0, 1.0, 0.0, 0.6, 4, rings, pixels, weights), rings, pixels, weights


def test_each_pixel_is_shared_out():
    count, rings, pixels, weights = run(20)
    assert sorted(zip(pixels[:count].tolist(), rings[:count].tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    assert weights[:count][pixels[:count] == 0].sum() == pytest.approx(1) == weights[:count][pixels[:count] == 1].sum()
    assert (rings[count:] == -1).all()


def test_arrays_that_are_too_small_are_only_counted():
    count, _, _, weights = run(2)
    assert count == 5 and np.isfinite(weights).all()
